//! Our own plugins as subjects: `multi-nic` and `multi-nic-ipam` with an agent in the host role.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::runner::bench::{Bench, WIRE, ip};
use crate::runner::cases;
use crate::runner::debian::FOLDER;
use crate::runner::subject::{Kind, Pool, Subject};
use crate::runner::table::Case;

/// How long the agent may take until its socket is there; the lab is emulated.
const START: Duration = Duration::from_secs(60);

/// `multi-nic` that makes macvlan links, and an agent, `multi-nicd --standalone`, with folders of their own.
pub fn macvlan(bench: &Bench) -> Result<Subject, String> {
    subject(bench, Kind::Main, json!({"type": "macvlan", "args": {"mode": "bridge"}}), |_| true)
}

/// The same with ipvlan links, which have the MAC of their master; for rows that act only.
pub fn ipvlan(bench: &Bench) -> Result<Subject, String> {
    let plugin = json!({"type": "ipvlan", "args": {"mode": "l2"}});
    let subject = subject(bench, Kind::Main, plugin, Case::acts)?;
    Ok(Subject { takes_mac: false, ..subject })
}

/// `multi-nic-ipam` and such an agent.
pub fn ipam(bench: &Bench) -> Result<Subject, String> {
    subject(bench, Kind::Ipam, json!({"type": "macvlan", "args": {"mode": "bridge"}}), |_| true)
}

/// Networks are made for these rows only.
fn subject(bench: &Bench, kind: Kind, mut plugin: Value, rows: fn(&Case) -> bool) -> Result<Subject, String> {
    plugin["cniVersion"] = "1.1.0".into();
    let multi_nic = PathBuf::from(env!("CARGO_BIN_EXE_multi-nic"));
    let agent = multi_nic.with_file_name("multi-nicd");
    if !agent.exists() {
        return Err(format!("{} is missing: cargo build -p nodeagent", agent.display()));
    }
    let (config, run, state) = (folder(bench, "config")?, folder(bench, "run")?, folder(bench, "state")?);
    let write = |name: &str, text: &str| {
        std::fs::write(config.join(name), text).map_err(|error| format!("write {name}: {error}"))
    };
    write("agent.yaml", &format!("listen: []\nincluded: [{WIRE}]\nreprobeInterval: off\n"))?;
    write("networks.yaml", &networks(&plugin, rows))?;
    ip(&format!("addr add 192.0.2.200/24 dev {WIRE}"))?;
    let log = std::fs::File::create(bench.folder().join("agent.log")).map_err(|error| error.to_string())?;
    // It reads /sys of its own namespace, and sees the pods' namespaces come and go.
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "slave", "sh", "-c"]);
    command.args(["mount -t sysfs none /sys && exec \"$@\"", "sh"]).arg(&agent).arg("--standalone");
    command.arg("--config").arg(&config).arg("--run-dir").arg(&run).arg("--state-dir").arg(&state);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    shared_namespaces()?;
    let child = command.spawn().map_err(|error| format!("{}: {error}", agent.display()))?;
    let mut running = Running(child);
    running.wait_for(&run.join("cni.sock"), &bench.folder().join("agent.log"))?;
    let program = if kind == Kind::Main { multi_nic } else { multi_nic.with_file_name("multi-nic-ipam") };
    let known: Mutex<HashMap<String, Value>> = Mutex::default();
    let make = move |pool, number: usize| {
        let name = match pool {
            Pool::Wide => "wide".to_owned(),
            Pool::Narrow => narrow(number),
        };
        let mut known = known.lock().unwrap();
        let found = known.entry(name.clone()).or_insert_with(|| conf(&agent, &config, &name));
        let mut conf = found.clone();
        if kind == Kind::Ipam {
            conf["masters"] = json!([WIRE]);
        }
        conf
    };
    Ok(Subject {
        name: program.display().to_string(),
        kind,
        program,
        arguments: Vec::new(),
        environment: vec![
            ("MULTI_NIC_RUN_DIR".to_owned(), run.display().to_string()),
            ("MULTI_NIC_STATE_DIR".to_owned(), state.display().to_string()),
        ],
        path: FOLDER.to_owned(),
        config: Box::new(make),
        narrow_size: 2,
        link_name: |ifname| format!("{ifname}-0"),
        fault: Some(multicast_gateway),
        takes_mac: true,
        takes_ip: Some("10.77.0.90/24".to_owned()),
        uses_prev_result: true,
        keep: Some(Box::new(running)),
    })
}

/// The kernel refuses the route, after the address is reserved and the link made. (A gateway that no prefix leads to
/// would not do: ours takes it as being on the link.)
fn multicast_gateway(config: &mut Value) {
    config["ipam"]["routes"] = json!([{"dst": "203.0.113.0/24", "gw": "224.0.0.1"}]);
}

/// A narrow network for each case; `usize::MAX` asks for what is in no row.
fn narrow(number: usize) -> String {
    format!("narrow-{}", number.min(cases::all().count()))
}

/// The wide network, and one with two addresses (a /30 without first and last) for each case.
fn networks(plugin: &Value, rows: fn(&Case) -> bool) -> String {
    let mut text = network("wide", "10.77.0.0/24", plugin);
    let of_rows = cases::all().enumerate().filter(|(_, case)| rows(case)).map(|(number, _)| number);
    for number in of_rows.chain([cases::all().count()]) {
        let one = network(&narrow(number), &format!("10.78.{number}.0/30"), plugin);
        let _ = write!(text, "---\n{one}");
    }
    text
}

fn network(name: &str, subnet: &str, plugin: &Value) -> String {
    let ipam = json!({"type": "multi-nic-ipam", "hostBlock": 0, "interfaceBlock": 0, "vlanMode": "l2",
        "routes": [{"dst": "10.88.0.0/16"}]});
    format!(
        "apiVersion: multinic.fms.io/v1\nkind: MultiNicNetwork\nmetadata:\n  name: {name}\nspec:\n  \
         subnet: {subnet}\n  multiNICIPAM: true\n  ipam: '{ipam}'\n  plugin: {plugin}\n"
    )
}

fn folder(bench: &Bench, name: &str) -> Result<PathBuf, String> {
    let path = bench.folder().join(name);
    std::fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// The plugin object that `multi-nicd cni-config` tells, as a runtime would hand it on.
fn conf(agent: &Path, config: &Path, network: &str) -> Value {
    let mut command = Command::new(agent);
    command.args(["--standalone", "--config"]).arg(config).args(["cni-config", network]);
    let output = command.output().expect("run multi-nicd cni-config");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "multi-nicd cni-config {network}: {words}");
    let list: Value = serde_json::from_slice(&output.stdout).expect("a conflist");
    let mut conf = list["plugins"][0].clone();
    conf["name"] = list["name"].clone();
    conf.as_object_mut().expect("a plugin object").remove("capabilities");
    conf
}

/// `ip netns` makes /run/netns a shared mount: what is mounted there later is seen in the agent's mount namespace.
fn shared_namespaces() -> Result<(), String> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap();
    let name = format!("cf-shared-{}", std::process::id());
    ip(&format!("netns add {name}"))?;
    ip(&format!("netns del {name}")).map(drop)
}

/// The agent; it ends with this value.
struct Running(Child);

impl Running {
    fn wait_for(&mut self, socket: &Path, log: &Path) -> Result<(), String> {
        let end = Instant::now() + START;
        while !socket.exists() {
            let ended = self.0.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || Instant::now() > end {
                let log = std::fs::read_to_string(log).unwrap_or_default();
                return Err(format!("the agent does not serve {}: {log}", socket.display()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
