//! What a runtime sees of the executables before and without an agent: environment, input, namespace, answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod harness;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use cni::protocol::{Answer, Tool};
use harness::{Ended, Host, config, run, taken};
use serde_json::{Value, json};

#[test]
fn version_needs_neither_agent_nor_input() {
    let host = Host::new();
    for tool in ["multi-nic", "multi-nic-ipam"] {
        for input in ["", "{\"cniVersion\":\"1.0.0\"}"] {
            let mut command = host.command(tool);
            command.env("CNI_COMMAND", "VERSION");
            let ended = run(command, input);

            assert_eq!(ended.status, 0);
            let versions = json!(["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]);
            assert_eq!(ended.json(), json!({"cniVersion": "1.1.0", "supportedVersions": versions}));
        }
    }
}

#[test]
fn a_person_at_a_terminal_is_told_what_this_is() {
    let host = Host::new();
    let said = host.path("said");
    let line = format!("{} 2>{}", env!("CARGO_BIN_EXE_multi-nic"), said.display());
    let mut script = Command::new("script");
    script
        .args(["-qefc", &line, "/dev/null"])
        .env_remove("CNI_COMMAND")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Its input must stay open: the end of it would end the terminal.
    let status = script.stdin(Stdio::piped()).spawn().unwrap().wait().unwrap();

    assert!(status.success());
    let said = fs::read_to_string(said).unwrap();
    assert!(said.starts_with("multi-nic ") && said.contains("0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0"), "{said}");
}

#[test]
fn without_a_terminal_a_missing_command_is_an_error() {
    let ended = run(Host::new().command("multi-nic"), "");
    assert_eq!((ended.code(), ended.message().as_str()), (4, "required env variables [CNI_COMMAND] missing"));
}

#[test]
fn environment_and_input_are_checked_before_anybody_is_asked() {
    let host = Host::new();
    let with = |command: &str, variable: &str, value: &str, input: &str| {
        let mut call = host.call(command);
        call.env(variable, value);
        run(call, input)
    };
    let good = config().to_string();
    let changed = |key: &str, value: Value| {
        let mut config = config();
        config[key] = value;
        config.to_string()
    };
    let rows: [(Ended, u64, &str); 15] = [
        (with("FROB", "X", "", &good), 4, "unknown CNI_COMMAND: FROB"),
        (with("ADD", "CNI_IFNAME", "", &good), 4, "required env variables [CNI_IFNAME] missing"),
        (with("ADD", "CNI_CONTAINERID", "-x", &good), 4, "CNI_CONTAINERID: `-x` is not valid"),
        (with("ADD", "X", "", ""), 6, "the configuration on standard input is no JSON object"),
        (with("ADD", "X", "", "[]"), 6, "the configuration on standard input is no JSON object"),
        (
            with("ADD", "X", "", "{\"name\": tru"),
            6,
            "the configuration on standard input cannot be read: EOF",
        ),
        (
            with("ADD", "X", "", &changed("name", json!(7))),
            7,
            "the configuration on standard input cannot be read: in",
        ),
        (with("ADD", "X", "", &changed("name", json!(""))), 7, "name: the network has no name"),
        (with("ADD", "X", "", &changed("name", json!("a/b"))), 7, "name: `a/b` is not valid"),
        (
            with("ADD", "X", "", &changed("cniVersion", json!("0.2.0"))),
            1,
            "cniVersion: 0.2.0 is not supported",
        ),
        (
            with("DEL", "X", "", &changed("cniVersion", json!("9.0.0"))),
            1,
            "cniVersion: 9.0.0 is not supported",
        ),
        (
            with("ADD", "X", "", "{\"name\":\"n\"}"),
            1,
            "cniVersion: 0.1.0 (cniVersion is missing) is not supported",
        ),
        (with("CHECK", "X", "", &changed("cniVersion", json!("0.3.1"))), 1, "cniVersion: 0.3.1 has no CHECK"),
        (with("GC", "X", "", &changed("cniVersion", json!("1.0.0"))), 1, "cniVersion: 1.0.0 has no GC"),
        (
            with("STATUS", "X", "", &changed("cniVersion", json!("1.0.0"))),
            1,
            "cniVersion: 1.0.0 has no STATUS",
        ),
    ];
    for (ended, code, words) in rows {
        assert_eq!(ended.code(), code, "{ended:?}");
        assert!(ended.message().starts_with(words), "{}, not {words}", ended.message());
        assert!(ended.time < Duration::from_secs(1), "nobody was waited for");
    }
    let ended = with("ADD", "X", "", &changed("odd", json!("x".repeat(3 * 1024 * 1024))));
    assert_eq!(
        (ended.code(), ended.message().as_str()),
        (5, "standard input: the configuration is over 3 MiB")
    );
}

#[test]
fn an_error_says_the_version_of_the_configuration() {
    let host = Host::new();
    let mut old = config();
    old["cniVersion"] = json!("0.3.1");
    old["name"] = json!("");
    assert_eq!(run(host.call("ADD"), &old.to_string()).json()["cniVersion"], "0.3.1");
}

#[test]
fn a_namespace_that_cannot_be_used_is_code_8_before_anything_is_done() {
    let host = Host::new();
    let plain = host.path("plain");
    fs::write(&plain, "").unwrap();
    let own = fs::canonicalize("/proc/self/ns").unwrap().parent().unwrap().join("ns/net");
    let rows = [
        ("/nowhere/at/all", "cannot be opened"),
        (plain.to_str().unwrap(), "is no network namespace"),
        (own.to_str().unwrap(), "is the network namespace of the host"),
    ];
    for (path, words) in rows {
        for command in ["ADD", "CHECK"] {
            let mut call = host.call(command);
            call.env("CNI_NETNS", path);
            let ended = run(call, &config().to_string());
            assert_eq!(ended.code(), 8, "{path}");
            assert!(ended.message().contains(words), "{}", ended.message());
        }
    }
}

#[test]
fn del_in_the_hosts_namespace_does_nothing_and_succeeds() {
    let host = Host::new();
    let mut call = host.call("DEL");
    call.env("CNI_NETNS", format!("/proc/{}/ns/net", std::process::id()));
    let ended = run(call, &config().to_string());

    assert_eq!((ended.status, ended.stdout.as_str()), (0, ""));
    assert!(ended.time < Duration::from_secs(1), "nobody was asked");
    assert_eq!(host.notes(), []);
}

#[test]
fn the_hosts_namespace_is_handed_over_when_it_is_meant() {
    let host = Host::new();
    let agent = host.agent(|connection| {
        let (call, inode) = taken(&connection);
        connection.send(&Answer::Done { output: Some("{}".to_owned()), debts: vec![] }, None).unwrap();
        (call.environment.netns_override, inode.is_some())
    });
    let mut call = host.call("ADD");
    call.env("CNI_NETNS", format!("/proc/{}/ns/net", std::process::id())).env("CNI_NETNS_OVERRIDE", "TRUE");

    assert_eq!(run(call, &config().to_string()).status, 0);
    assert_eq!(agent.join().unwrap(), (true, true));
}

#[test]
fn without_an_agent_each_command_has_its_code_after_a_short_wait() {
    let host = Host::new();
    for (command, code) in [("ADD", 11), ("CHECK", 50), ("STATUS", 50), ("GC", 11)] {
        let ended = host.run(command);
        assert_eq!(ended.code(), code, "{command}");
        assert_eq!(ended.message(), "the agent multi-nicd does not answer");
        assert!(
            ended.time >= Duration::from_millis(1900) && ended.time < Duration::from_secs(5),
            "{ended:?}"
        );
    }
}

#[test]
fn an_agent_that_comes_while_it_is_waited_for_is_served() {
    let host = Host::new();
    let call = host.call("ADD");
    let waiting = std::thread::spawn(|| run(call, &config().to_string()));
    std::thread::sleep(Duration::from_millis(400));
    let agent = host.agent(|connection| {
        let call = taken(&connection).0;
        connection
            .send(&Answer::Done { output: Some("{\"done\":1}".to_owned()), debts: vec![] }, None)
            .unwrap();
        call
    });

    assert_eq!(waiting.join().unwrap().stdout, "{\"done\":1}\n");
    assert_eq!(agent.join().unwrap().tool, Tool::MultiNic);
}

#[test]
fn the_agent_gets_everything_as_it_came() {
    let host = Host::new();
    let agent = host.agent(|connection| {
        let taken = taken(&connection);
        connection.send(&Answer::Done { output: None, debts: vec![] }, None).unwrap();
        taken
    });
    // White space, order and numbers are the caller's own, and it is longer than a packet.
    let input = format!(
        "  {{ \"name\":\"net\",\"cniVersion\":\"0.4.0\", \"z\":1.50,\"a\":\"{}\"}}\n",
        "é".repeat(90_000)
    );
    let mut call = host.call("ADD");
    call.env("CNI_NETNS_OVERRIDE", "0");
    let ended = run(call, &input);

    let (call, inode) = agent.join().unwrap();
    assert_eq!((ended.status, ended.stdout.as_str()), (0, ""));
    assert!(call.config == input);
    assert_eq!(inode, Some(host.netns_inode()));
    let environment = call.environment;
    assert_eq!(
        (environment.command, environment.container_id.as_str(), environment.ifname.as_str()),
        (cni::Command::Add, "c1", "net1")
    );
    assert_eq!(environment.netns, host.netns());
    assert_eq!(environment.args, "IgnoreUnknown=1;K8S_POD_NAME=p");
    assert_eq!(environment.path, host.path("plugins").display().to_string());
    assert!(!environment.netns_override);
}

#[test]
fn the_ipam_executable_says_who_it_is() {
    let host = Host::new();
    let agent = host.agent(|connection| {
        let call = taken(&connection).0;
        connection
            .send(&Answer::Done { output: Some("{\"ips\":[]}".to_owned()), debts: vec![] }, None)
            .unwrap();
        call.tool
    });
    let mut call = host.command("multi-nic-ipam");
    call.env("CNI_COMMAND", "ADD").env("CNI_CONTAINERID", "c1").env("CNI_NETNS", host.netns());
    call.env("CNI_IFNAME", "net1").env("CNI_PATH", "/p");

    assert_eq!(run(call, &config().to_string()).json(), json!({"ips": []}));
    assert_eq!(agent.join().unwrap(), Tool::MultiNicIpam);
}

#[test]
fn gc_and_status_go_without_a_namespace() {
    let host = Host::new();
    for command in ["GC", "STATUS"] {
        let agent = host.agent(|connection| {
            let (call, inode) = taken(&connection);
            connection.send(&Answer::Done { output: None, debts: vec![] }, None).unwrap();
            (call.environment.command.as_str(), inode)
        });
        let mut call = host.command("multi-nic");
        call.env("CNI_COMMAND", command).env("CNI_PATH", "/p");

        let ended = run(call, &config().to_string());
        assert_eq!((ended.status, ended.stdout.as_str()), (0, ""));
        assert_eq!(agent.join().unwrap(), (command, None));
    }
}

#[test]
fn an_error_of_the_agent_is_printed_with_the_callers_version() {
    let host = Host::new();
    let agent = host.agent(|connection| {
        taken(&connection);
        let error = cni::Error::new(101, "no address is left").with_details("7 of 7 are held");
        connection.send(&Answer::Failed { error, debts: vec![] }, None).unwrap();
    });
    let ended = host.run("ADD");
    agent.join().unwrap();

    assert_eq!(ended.status, 1);
    assert_eq!(
        ended.json(),
        json!({"cniVersion": "1.1.0", "code": 101, "msg": "no address is left", "details": "7 of 7 are held"})
    );
}

#[test]
fn an_agent_too_busy_to_listen_is_heard() {
    let host = Host::new();
    let agent = host.agent(|connection| {
        let error = cni::Error::new(11, "64 calls are being served");
        connection.send(&Answer::Failed { error, debts: vec![] }, None).unwrap();
    });
    let mut big = config();
    big["odd"] = json!("x".repeat(1_000_000));
    let ended = run(host.call("ADD"), &big.to_string());
    agent.join().unwrap();

    assert_eq!((ended.code(), ended.message().as_str()), (11, "64 calls are being served"));
}

#[test]
fn an_older_agent_gets_the_call_in_its_version_if_we_speak_it() {
    let host = Host::new();
    let agent = host.agent(|connection| {
        taken(&connection);
        connection.send(&Answer::Speak { protocol: 1 }, None).unwrap();
        let again = connection.receive_call().unwrap().unwrap().0;
        connection.send(&Answer::Done { output: Some("{}".to_owned()), debts: vec![] }, None).unwrap();
        again.protocol
    });
    assert_eq!(host.run("ADD").status, 0);
    assert_eq!(agent.join().unwrap(), 1);

    let agent = host.agent(|connection| {
        taken(&connection);
        connection.send(&Answer::Speak { protocol: 0 }, None).unwrap();
    });
    let ended = host.run("ADD");
    agent.join().unwrap();
    assert_eq!(ended.code(), 11);
    assert!(ended.message().starts_with("protocol 0 of the other side is not spoken"), "{}", ended.message());
}

#[test]
fn an_agent_that_talks_nonsense_or_leaves_is_an_agent_that_is_away() {
    let host = Host::new();
    for (command, code) in [("ADD", 11), ("CHECK", 50)] {
        let agent = host.agent(|connection| {
            taken(&connection);
            connection.send(&json!({"what": 1}), None).unwrap();
        });
        let ended = host.run(command);
        agent.join().unwrap();
        assert_eq!((ended.code(), ended.message().as_str()), (code, GONE));

        let agent = host.agent(|connection| drop(taken(&connection)));
        let ended = host.run(command);
        agent.join().unwrap();
        assert_eq!((ended.code(), ended.message().as_str()), (code, GONE));
    }
}

const GONE: &str = "the agent multi-nicd went away in the middle";
