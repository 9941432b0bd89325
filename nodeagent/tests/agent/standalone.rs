//! Networks from files, end to end: a file in the folder, `cni-config`, the call of a runtime, a link with an address in
//! a container's namespace. On the host kernel: macvlan above veth, which the configuration counts as a NIC.

use std::fs;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use crate::harness::{self, Lab, wait_for};
use cni::protocol::{Answer, Call, Connection, PROTOCOL, Tool};
use cni::{Command as CniCommand, Environment};
use serde_json::{Value, json};

/// A container: a process in a network namespace of its own.
struct Container(Child);

impl Container {
    fn start() -> Self {
        let mut sleep = Command::new("unshare");
        let container = Self(sleep.args(["--net", "sleep", "600"]).stdin(Stdio::null()).spawn().unwrap());
        let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
        wait_for("a namespace of its own", || {
            fs::read_link(container.namespace()).ok().filter(|ns| *ns != own)
        });
        container
    }

    fn namespace(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    /// What `ip` says in there: addresses by link.
    fn addresses(&self) -> Vec<String> {
        let namespace = format!("--net={}", self.namespace());
        let output = Command::new("nsenter").args([&namespace, "ip", "-j", "address"]).output().unwrap();
        let links: Value = serde_json::from_slice(&output.stdout).unwrap();
        let of = |link: &Value| {
            let ips = link["addr_info"].as_array().unwrap().iter();
            let ips = ips.filter(|ip| ip["scope"] == "global");
            let ips: Vec<String> =
                ips.map(|ip| format!("{}/{}", ip["local"].as_str().unwrap(), ip["prefixlen"])).collect();
            format!("{} {}", link["ifname"].as_str().unwrap(), ips.join(" "))
        };
        links.as_array().unwrap().iter().map(of).filter(|line| line.starts_with("eth0")).collect()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `multi-nicd cni-config` prints, as the runtime hands it to the plugin.
fn config(lab: &Lab, network: &str) -> Result<String, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_multi-nicd"))
        .args(["cni-config", network, "--config"])
        .arg(lab.path("config"))
        .output()
        .unwrap();
    if !output.status.success() {
        return Err(String::from_utf8(output.stderr).unwrap());
    }
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut conf = list["plugins"][0].clone();
    conf.as_object_mut().unwrap().remove("capabilities");
    (conf["cniVersion"], conf["name"]) = (list["cniVersion"].clone(), list["name"].clone());
    Ok(conf.to_string())
}

fn call(
    lab: &Lab,
    command: CniCommand,
    config: &str,
    id: &str,
    container: &Container,
) -> Result<Value, String> {
    let connection = Connection::connect_within(&lab.path("run/cni.sock"), harness::PATIENCE).unwrap();
    let environment = Environment {
        command,
        container_id: id.to_owned(),
        netns: container.namespace(),
        ifname: "eth0".to_owned(),
        args: String::new(),
        path: String::new(),
        netns_override: false,
    };
    let call = Call {
        protocol: PROTOCOL,
        tool: Tool::MultiNic,
        environment,
        config: config.to_owned(),
        pay_debts: false,
    };
    let namespace = fs::File::open(container.namespace()).unwrap();
    connection.send(&call, Some(namespace.as_fd())).unwrap();
    match connection.receive().unwrap().0 {
        Answer::Done { output, .. } => {
            Ok(output.map_or(Value::Null, |output| serde_json::from_str(&output).unwrap()))
        }
        Answer::Failed { error, .. } => Err(error.to_string()),
        other => panic!("{other:?}"),
    }
}

fn network(name: &str, subnet: &str) -> String {
    json!({
        "apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": name},
        "spec": {
            "subnet": subnet, "multiNICIPAM": true,
            "ipam": r#"{"type": "multi-nic-ipam", "hostBlock": 6, "interfaceBlock": 2}"#,
            "plugin": {"cniVersion": "1.0.0", "type": "macvlan", "args": {"mode": "bridge"}},
        },
    })
    .to_string()
}

#[test]
fn a_file_is_all_that_a_container_needs_and_a_spoilt_one_takes_nothing() {
    let lab = Lab::new();
    for (nic, peer) in [("nic1", "wire1"), ("nic2", "wire2")] {
        lab.ip(&format!("link add {nic} type veth peer name {peer}"));
        lab.ip(&format!("link set {nic} up"));
        lab.ip(&format!("link set {peer} up"));
    }
    lab.configure("included: [nic1, nic2]\n");
    let file = |name: &str, text: &str| fs::write(lab.path(&format!("config/{name}")), text).unwrap();
    file("red.yaml", &network("red", "192.168.0.0/16"));
    let agent = lab.agent();
    let red = config(&lab, "red").unwrap();

    let a = Container::start();
    call(&lab, CniCommand::Add, &red, "a", &a).unwrap();
    assert_eq!(a.addresses(), ["eth0-0 192.168.0.1/18", "eth0-1 192.168.64.1/18"]);

    // A network that comes while the agent runs.
    assert!(config(&lab, "blue").unwrap_err().contains("defines no network blue; known are red"));
    file("blue.yaml", &network("blue", "10.7.0.0/16"));
    let blue = config(&lab, "blue").unwrap();
    let b = Container::start();
    wait_for("the new network", || call(&lab, CniCommand::Add, &blue, "b", &b).ok());
    assert_eq!(b.addresses(), ["eth0-0 10.7.0.1/18", "eth0-1 10.7.64.1/18"]);

    // Both spoilt; the third file says when that has been noticed.
    file("red.yaml", "kind: [");
    file("blue.yaml", &network("blue", "10.7.0.0/33"));
    file("green.yaml", &network("green", "x"));
    let c = Container::start();
    wait_for("the refusal", || {
        let green = blue.replace("\"blue\"", "\"green\"");
        let refusal = call(&lab, CniCommand::Add, &green, "c", &c).unwrap_err();
        refusal
            .contains("green.yaml, document 1 (MultiNicNetwork green): spec.subnet: `x` is no network")
            .then_some(())
    });
    let list = agent.get("/v1/networks").json();
    let reports = list["reports"].as_array().unwrap();
    let files: Vec<&Value> = reports.iter().map(|report| &report["file"]).collect();
    assert_eq!(files, ["blue.yaml", "green.yaml", "red.yaml"], "{list}");
    assert_eq!(
        reports[1],
        json!({
            "gravity": "error", "network": "green", "file": "green.yaml", "document": 1, "field": "spec.subnet",
            "message": reports[1]["message"], "fix": reports[1]["fix"],
        })
    );
    assert!(reports[1]["message"].as_str().unwrap().contains("`x` is no network"), "{list}");
    call(&lab, CniCommand::Add, &red, "c", &c).unwrap();
    assert_eq!(c.addresses(), ["eth0-0 192.168.0.2/18", "eth0-1 192.168.64.2/18"]);

    // Gone for good: new containers are told, old ones go in peace.
    fs::remove_file(lab.path("config/red.yaml")).unwrap();
    let d = Container::start();
    let refusal = wait_for("the network to go", || {
        let refusal = call(&lab, CniCommand::Add, &red, "d", &d).err();
        call(&lab, CniCommand::Del, &red, "d", &d).unwrap();
        refusal
    });
    assert!(refusal.contains("red") && refusal.contains("blue"), "{refusal}");
    for (id, conf, container) in [("a", &red, &a), ("c", &red, &c), ("b", &blue, &b)] {
        call(&lab, CniCommand::Del, conf, id, container).unwrap();
        assert_eq!(container.addresses(), Vec::<String>::new(), "{id}");
    }
}

#[test]
fn numbers_of_nics_outlive_the_agent() {
    let lab = Lab::new();
    let add = |nic: &str| {
        lab.ip(&format!("link add {nic} address 02:00:00:00:01:{} type veth peer name w{nic}", &nic[3..]));
        lab.ip(&format!("link set {nic} up"));
        lab.ip(&format!("link set w{nic} up"));
    };
    add("nic02");
    lab.configure("included: [nic01, nic02]\n");
    fs::write(lab.path("config/red.yaml"), network("red", "192.168.0.0/16")).unwrap();
    let red = config(&lab, "red").unwrap();
    let mut agent = lab.agent();
    let a = Container::start();
    call(&lab, CniCommand::Add, &red, "a", &a).unwrap();
    assert_eq!(a.addresses(), ["eth0-0 192.168.0.1/18"]);
    assert!(agent.stop().0.success());

    // By name it would come first.
    add("nic01");
    let _agent = lab.agent();
    let b = Container::start();
    call(&lab, CniCommand::Add, &red, "b", &b).unwrap();

    assert_eq!(b.addresses(), ["eth0-0 192.168.0.2/18", "eth0-1 192.168.64.1/18"]);
    call(&lab, CniCommand::Del, &red, "a", &a).unwrap();
    call(&lab, CniCommand::Del, &red, "b", &b).unwrap();
}
