//! Version 1 of the protocol, byte for byte, as the first release writes it (TRAPS P13).
//!
//! Agent and executable are upgraded one after the other, so each has to serve the version before its own. Whoever
//! raises [`PROTOCOL`](super::PROTOCOL) keeps these bytes, lets the first test below write them with `protocol` 1, and
//! writes down the bytes of the new version beside them.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Answer, Call, DelegateCall, OLDEST_PROTOCOL, Outcome, PROTOCOL, Ran, Tool};
use crate::environment::{Command, Environment};
use crate::error::Error;

const CALL: &str = r#"{"protocol":1,"tool":"multi-nic","environment":{"command":"ADD","containerId":"c","netns":"/n","ifname":"net1","args":"A=b","path":"/p","netnsOverride":false},"config":"{}"}"#;
const CALL_FOR_DEBTS: &str = r#"{"protocol":1,"tool":"multi-nic-ipam","environment":{"command":"STATUS","containerId":"","netns":"","ifname":"","args":"","path":"/p","netnsOverride":true},"config":"","payDebts":true}"#;
const SPEAK: &str = r#"{"speak":{"protocol":1}}"#;
const RUN: &str = r#"{"run":[{"id":3,"plugin":"host-local","environment":{"command":"DEL","containerId":"c","netns":"/n","ifname":"net1-0","args":"","path":"","netnsOverride":false},"config":"{}","timeoutMs":60000,"file":"n-c-net1.json"}]}"#;
const RAN: &str =
    r#"{"outcomes":[{"id":3,"output":"{}"},{"id":4,"error":{"code":100,"msg":"m","details":"d"}}]}"#;
const DONE: &str = r#"{"done":{"output":"{}","debts":[]}}"#;
const DONE_WITHOUT_OUTPUT: &str = r#"{"done":{"output":null,"debts":[]}}"#;
const FAILED: &str = r#"{"failed":{"error":{"cniVersion":"1.0.0","code":11,"msg":"m"},"debts":[]}}"#;

fn environment(command: Command, ifname: &str, args: &str, path: &str) -> Environment {
    let of_container = command.is_of_container();
    let text = |text: &str| if of_container { text.to_owned() } else { String::new() };
    Environment {
        command,
        container_id: text("c"),
        netns: text("/n"),
        ifname: ifname.to_owned(),
        args: args.to_owned(),
        path: path.to_owned(),
        netns_override: !of_container,
    }
}

fn same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(message: &T, bytes: &str) {
    assert_eq!(serde_json::to_string(message).unwrap(), bytes);
    assert_eq!(serde_json::from_str::<T>(bytes).unwrap(), *message);
}

#[test]
fn every_message_is_written_and_read_as_the_first_release_does() {
    let call = |command, tool, ifname, args, config: &str| Call {
        protocol: 1,
        tool,
        environment: environment(command, ifname, args, "/p"),
        config: config.to_owned(),
        pay_debts: command == Command::Status,
    };
    same(&call(Command::Add, Tool::MultiNic, "net1", "A=b", "{}"), CALL);
    same(&call(Command::Status, Tool::MultiNicIpam, "", "", ""), CALL_FOR_DEBTS);
    let delegate = DelegateCall {
        id: 3,
        plugin: "host-local".to_owned(),
        environment: environment(Command::Del, "net1-0", "", ""),
        config: "{}".to_owned(),
        timeout_ms: 60_000,
        file: "n-c-net1.json".to_owned(),
    };
    same(&Answer::Run(vec![delegate]), RUN);
    let error = Error { version: None, code: 100, msg: "m".to_owned(), details: "d".to_owned() };
    let outcomes = vec![
        Outcome { id: 3, output: Some("{}".to_owned()), error: None },
        Outcome { id: 4, output: None, error: Some(error) },
    ];
    same(&Ran { outcomes }, RAN);
    same(&Answer::Speak { protocol: 1 }, SPEAK);
    same(&Answer::Done { output: Some("{}".to_owned()), debts: Vec::new() }, DONE);
    same(&Answer::Done { output: None, debts: Vec::new() }, DONE_WITHOUT_OUTPUT);
    let error =
        Error { version: Some("1.0.0".to_owned()), code: 11, msg: "m".to_owned(), details: String::new() };
    same(&Answer::Failed { error, debts: Vec::new() }, FAILED);
}

#[test]
fn a_newer_side_may_say_more_and_is_understood() {
    let more = CALL.replacen('{', r#"{"later":[1],"#, 1).replace(r#""args""#, r#""later":0,"args""#);

    assert_eq!(serde_json::from_str::<Call>(&more).unwrap(), serde_json::from_str::<Call>(CALL).unwrap());
}

#[test]
fn the_version_before_ours_is_served_and_the_first_one_has_none_before_it() {
    assert_eq!(PROTOCOL, 1, "keep version 1 in this file, and write down the new one's bytes beside it");
    assert_eq!(OLDEST_PROTOCOL, 1);
    assert!(super::served(PROTOCOL).is_ok());
    for not_ours in [0, PROTOCOL + 1] {
        assert_eq!(super::served(not_ours).unwrap_err().code, 11);
    }
}
