//! The agent's machine, and the way from there to the API server, which a test can cut.

use std::os::fd::AsFd;

use cni::protocol::{Answer, Call, Connection, PROTOCOL, Tool};
use cni::{Command, Environment};
use serde_json::{Value, json};

use crate::cluster::{Cluster, NODE};
use crate::harness::api_way::ApiWay;
use crate::harness::pods::Pod;
use crate::harness::{Agent, Lab, PATIENCE};

/// A machine with NICs m0 and m1 in 10.0.0.0/24 and 10.0.1.0/24, on whose loopback the API server answers.
pub(crate) struct Machine {
    pub(crate) lab: Lab,
    kubeconfig: std::path::PathBuf,
    way: ApiWay,
}

impl Machine {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        let (kubeconfig, port) = (cluster.kubeconfig(), cluster.port());
        // Begun before this thread leaves the host's network.
        let way = ApiWay::to(([127, 0, 0, 1], port).into());
        let lab = Lab::new();
        way.open_at(port);
        lab.with_network(2, 8);
        std::fs::remove_file(lab.path("config/red.yaml")).unwrap();
        Self { lab, kubeconfig, way }
    }

    /// Starts the agent and waits until it is ready.
    pub(crate) fn agent(&self) -> Agent {
        self.agent_with(&[])
    }

    /// The same, with further flags.
    pub(crate) fn agent_with(&self, flags: &[&str]) -> Agent {
        let kubeconfig = self.kubeconfig.to_str().unwrap();
        let mode = [&["--kubeconfig", kubeconfig, "--node-name", NODE], flags].concat();
        self.lab.agent_in(&mode, &["--reprobe-interval", "off", "--listen", "127.0.0.1:0"])
    }

    /// The API server is away from now on, or there again.
    pub(crate) fn cut(&self, cut: bool) {
        self.way.cut(cut);
    }

    /// A call of the runtime for network red, as its NetConf comes from an attachment definition.
    pub(crate) fn call(&self, command: Command, id: &str, pod: &Pod) -> Result<Value, String> {
        let config = json!({
            "cniVersion": "1.0.0", "name": "red", "type": "multi-nic", "multiNICIPAM": true,
            "subnet": "192.168.0.0/16", "masterNets": [], "dns": {}, "daemonIP": "", "daemonPort": 11000,
            "ipam": {"type": "multi-nic-ipam", "hostBlock": 6, "interfaceBlock": 2, "vlanMode": "l3"},
            "plugin": {"cniVersion": "1.0.0", "type": "macvlan", "mode": "bridge"},
        });
        let environment = Environment {
            command,
            container_id: id.to_owned(),
            netns: pod.netns(),
            ifname: "net1".to_owned(),
            args: format!("K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod-{id}"),
            path: String::new(),
            netns_override: false,
        };
        let (tool, config) = (Tool::MultiNic, config.to_string());
        let call = Call { protocol: PROTOCOL, tool, environment, config, pay_debts: false };
        let connection = Connection::connect_within(&self.lab.path("run/cni.sock"), PATIENCE).unwrap();
        let namespace = std::fs::File::open(pod.netns()).unwrap();
        connection.send(&call, Some(namespace.as_fd())).unwrap();
        match connection.receive().unwrap().0 {
            Answer::Done { output, .. } => {
                Ok(output.map_or(Value::Null, |output| serde_json::from_str(&output).unwrap()))
            }
            Answer::Failed { error, .. } => Err(error.to_string()),
            other => panic!("{other:?}"),
        }
    }

    /// Our rules and the routes that they lead to, in the words of `ip`.
    pub(crate) fn routes(&self) -> Vec<String> {
        let rules: Value = serde_json::from_str(&self.lab.ip("-j rule")).unwrap();
        let mut lines = Vec::new();
        for rule in rules.as_array().unwrap().iter().filter(|rule| rule["protocol"] == "77") {
            let table = rule["table"].as_str().unwrap();
            lines.push(format!(
                "{} from {}/{}",
                rule["priority"],
                rule["src"].as_str().unwrap(),
                rule["srclen"]
            ));
            let routes = std::process::Command::new("ip")
                .args(["-j", "route", "show", "table", table])
                .output()
                .unwrap();
            // A table is there as long as it has a route.
            let routes: Value = serde_json::from_slice(&routes.stdout).unwrap_or_else(|_| json!([]));
            let of = |one: &Value, word: &str| one[word].as_str().unwrap_or_default().to_owned();
            lines.extend(
                routes.as_array().unwrap().iter().map(|one| {
                    format!("{} via {} dev {}", of(one, "dst"), of(one, "gateway"), of(one, "dev"))
                }),
            );
        }
        lines
    }
}
