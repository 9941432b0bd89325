//! The process: start, end, refusals to start, what it remembers, and that it does nothing when nothing happens.
//! REQUIRES: root, veth.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::Duration;

use crate::harness::{self, Lab, http, wait_for};
use nix::sys::signal::Signal;

#[test]
fn each_signal_ends_it_cleanly_and_in_time() {
    let lab = Lab::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut agent = lab.agent();
        let address = agent.tcp();
        let _idle = std::net::TcpStream::connect(address).unwrap();
        let _following = agent.events("", &[]);
        let begun = std::time::Instant::now();

        agent.signal(signal);
        let status = agent.wait();

        assert!(status.success(), "{signal}: {status}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{signal}: {:?}", begun.elapsed());
        assert!(!agent.socket.exists(), "the socket is still there");
        assert!(std::net::TcpStream::connect(address).is_err());
        assert!(agent.log().contains("ended"), "{}", agent.log());
    }
}

#[test]
fn second_agent_on_the_same_state_is_told_who_has_it() {
    let lab = Lab::new();
    let first = lab.agent();
    let begun = std::time::Instant::now();

    let output = lab.command(&["--no-tcp"]).output().unwrap();

    let waited = begun.elapsed().as_secs();
    assert!((29..40).contains(&waited), "it waited {waited} s for the first one's end");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains(&format!("in use by another agent: multi-nicd, process {}", first.pid())),
        "{text}"
    );
    assert_eq!(first.get("/livez").status, 200);
}

#[test]
fn second_agent_begins_when_the_first_one_ends() {
    let lab = Lab::new();
    let mut first = lab.agent();
    let mut second = lab.start(&["--no-tcp"]);
    wait_for("the second one to wait", || second.log().contains("waiting for its end").then_some(()));
    assert_eq!(first.get("/livez").status, 200, "its socket is the first one's");

    assert!(first.stop().0.success());

    assert!(second.gets_ready(), "{}", second.log());
    let served = second.get("/readyz");
    assert_eq!(served.status, 200);
}

#[test]
fn wrong_configuration_is_named() {
    let lab = Lab::new();
    let refusal = |yaml: &str, flags: &[&str]| {
        lab.configure(yaml);
        let output = lab.command(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(if flags.is_empty() { 1 } else { 2 }));
        String::from_utf8(output.stderr).unwrap().replace(&lab.path("").display().to_string(), "DIR/")
    };

    insta::assert_snapshot!(refusal("treshold: 1", &[]), @"multi-nicd: DIR/config/agent.yaml: unknown key `treshold` at the top; did you mean `thresholds`?");
    insta::assert_snapshot!(refusal("limits: { connections: 0 }", &[]), @"multi-nicd: DIR/config/agent.yaml: `limits.connections` is 0; want a number from 1 to 100000");
    assert!(refusal("a: [", &[]).contains("DIR/config/agent.yaml: not YAML"));
    for flags in [
        ["--listen", "localhost"],
        ["--reprobe-interval", "1"],
        ["--allowed-host", "a b"],
        ["--log-level", "loud"],
    ] {
        assert!(refusal("", &flags).contains(flags[0]), "{flags:?}");
    }
}

#[test]
fn printed_defaults_are_a_configuration() {
    let lab = Lab::new();
    let output = lab.command(&["--print-default"]).output().unwrap();

    lab.configure(&String::from_utf8(output.stdout).unwrap().replace("127.0.0.1:11000", "127.0.0.1:0"));

    let agent = lab.agent_with(&[]);
    assert_eq!(agent.get("/livez").status, 200);
}

#[test]
fn without_a_mode_it_says_which_there_are() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_multi-nicd")).output().unwrap();

    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("--standalone") && errors.contains("--kubeconfig FILE"), "{errors}");
}

#[test]
fn taken_port_is_a_warning_and_opens_when_it_is_free() {
    let lab = Lab::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let agent = lab.agent_with(&["--listen", &address.to_string(), "--reprobe-interval", "off"]);

    let ready = agent.get("/readyz");
    assert_eq!(ready.status, 200, "a taken port must not make it unready");
    let busy = |list: &serde_json::Value| {
        list.as_array().is_some_and(|all| all.iter().any(|one| one["code"] == "restPortBusy"))
    };
    wait_for("the warning", || busy(&agent.get("/readyz").json()["warnings"]).then_some(()));
    assert!(busy(&agent.get("/v1/warnings").json()["warnings"]));
    let mut events = agent.events("?type=warning.cleared", &[]);

    drop(taken);

    let event = events.next();
    assert_eq!(
        (&event["warning"]["code"], &event["cause"]),
        (&"restPortBusy".into(), &"agent".into()),
        "{event}"
    );
    let reply = http::tcp(address, "GET", "/v1/warnings", &[("host", "localhost")]).unwrap();
    assert!(!busy(&reply.json()["warnings"]));
    assert_eq!(agent.tcp(), address);
}

#[test]
fn systemd_is_told_when_it_is_ready_and_when_it_ends() {
    let lab = Lab::new();
    let path = lab.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(harness::PATIENCE)).unwrap();
    let mut child = lab
        .command(&["--no-tcp", "--log-format", "auto"])
        .env("NOTIFY_SOCKET", &path)
        .env("INVOCATION_ID", "x")
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let received = || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };

    assert!(received().starts_with("READY=1\nSTATUS="));
    // Ready means that a signal ends it cleanly.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    assert_eq!(received(), "STOPPING=1");

    let output = child.wait_with_output_and_kill();
    assert!(output.lines().all(|line| line.starts_with("<6>") || line.starts_with("<4>")), "{output}");
    assert!(!output.contains('\u{1b}') && output.contains("the machine has been read"), "{output}");
}

trait Finish {
    fn wait_with_output_and_kill(&mut self) -> String;
}

impl Finish for std::process::Child {
    fn wait_with_output_and_kill(&mut self) -> String {
        assert!(wait_for("its end", || self.try_wait().unwrap()).success());
        let mut text = String::new();
        std::io::Read::read_to_string(self.stderr.as_mut().unwrap(), &mut text).unwrap();
        text
    }
}

#[test]
fn protected_nics_are_remembered_across_a_restart_without_a_default_route() {
    let lab = Lab::new();
    lab.ip("link add name one type veth peer name two");
    lab.ip("link set one up");
    lab.ip("link set two up");
    lab.ip("address add 192.0.2.1/24 dev one");
    lab.ip("route add default via 192.0.2.254");
    let mut agent = lab.agent();
    assert_eq!(agent.nic("one").unwrap()["protected"]["reason"], "defaultRoute");
    assert_eq!(agent.get("/v1/node").json()["node"]["uplink"]["basis"], "computed");
    agent.stop();
    // As while DHCP renews the lease.
    lab.ip("route del default");

    let mut agent = lab.agent();

    assert_eq!(agent.get("/v1/node").json()["node"]["uplink"]["basis"], "remembered");
    let protection = agent.nic("one").unwrap()["protected"].clone();
    assert_eq!(
        (&protection["reason"], &protection["remembered"]),
        (&"defaultRoute".into(), &true.into()),
        "{protection}"
    );
    agent.stop();
    std::fs::remove_dir_all(lab.path("state")).unwrap();
    let agent = lab.agent();
    assert_eq!(agent.get("/v1/node").json()["node"]["uplink"]["basis"], "unknown");
    assert!(agent.nic("one").unwrap().get("protected").is_none());
}

#[test]
fn damaged_store_is_set_aside_and_said() {
    let lab = Lab::new();
    std::fs::create_dir_all(lab.path("state")).unwrap();
    std::fs::write(lab.path("state/agent.redb"), "no database").unwrap();

    let agent = lab.agent();

    let store = agent.get("/readyz").json()["store"].clone();
    assert_eq!(store["state"], "openedAnew");
    assert!(store["detail"].as_str().unwrap().contains("agent.redb.damaged-1"), "{store}");
    assert_eq!(std::fs::read_to_string(lab.path("state/agent.redb.damaged-1")).unwrap(), "no database");
}

#[test]
fn state_folder_that_cannot_be_written_costs_the_memory_not_the_agent() {
    let lab = Lab::new();
    // A file where the folder should be: root can write everywhere else.
    std::fs::write(lab.path("state"), "").unwrap();

    let agent = lab.agent();

    let ready = agent.get("/readyz");
    assert_eq!((ready.status, ready.json()["store"]["state"].as_str()), (200, Some("unavailable")));
    assert_eq!(agent.get("/v1/inventory").status, 200);
    assert!(agent.log().contains("there is no store"), "{}", agent.log());
}

#[test]
fn idle_agent_does_nothing() {
    let lab = Lab::new();
    lab.ip("link add name one type veth peer name two");
    let agent = lab.agent_with(&["--listen", "127.0.0.1:0"]);
    let pid = agent.pid();
    let switches = || -> Vec<(String, u64)> {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let mut all: Vec<(String, u64)> = tasks
            .map(|task| {
                let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
                let field = |name: &str| {
                    status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
                };
                (
                    format!("{} {}", field("Name:"), field("Pid:")),
                    field("voluntary_ctxt_switches:").parse().unwrap(),
                )
            })
            .collect();
        all.sort();
        all
    };
    std::thread::sleep(Duration::from_secs(2));

    // Kernel uevents of the whole machine (a module, a disk) wake the inventory thread of every namespace: one quiet
    // window shows that nothing of its own does. A timer of ten seconds or less would be in every window.
    let mut windows = Vec::new();
    for _ in 0..6 {
        let before = switches();
        std::thread::sleep(Duration::from_secs(10));
        let after = switches();
        if before == after {
            assert!(before.len() >= 3, "{before:?}");
            return;
        }
        windows.push((before, after));
    }
    panic!("never quiet for 10 s: {windows:#?}");
}

#[test]
fn recorded_machine_can_be_shown_instead() {
    let lab = Lab::new();
    let root = lab.path("root");
    std::fs::create_dir_all(root.join("sys/class/net")).unwrap();

    let agent = lab.agent_with(&["--root", root.to_str().unwrap(), "--no-tcp"]);

    assert_eq!(agent.get("/v1/nics").json()["total"], 0);
    assert_eq!(agent.get("/readyz").json()["store"]["state"], "notUsed");
    let output = lab.command(&["--replay", "/nonexistent"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("/nonexistent"));
}
