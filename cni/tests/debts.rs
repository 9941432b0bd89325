//! Debts: DELs of plugins that nobody could run before (TRAPS P1).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod harness;

use std::fs;
use std::time::Duration;

use cni::Command::Del;
use cni::delegate_file::{DelegateFile, Remembered};
use cni::protocol::{Answer, DelegateCall, Outcome, Ran};
use harness::{Host, config, delegate, run, taken};

fn debt(host: &Host, id: u32, plugin: &str) -> DelegateCall {
    let mut call = delegate(id, plugin, Del, &format!("net1-{id}"), 60_000);
    call.environment.path = host.path("plugins").display().to_string();
    call.environment.container_id = "old".to_owned();
    call.file = format!("net-old-net{id}.json");
    call
}

/// An agent that hands these debts to one call.
fn handed(host: &Host, debts: Vec<DelegateCall>) -> (harness::Ended, Vec<Outcome>) {
    let agent = host.agent(|connection| {
        taken(&connection);
        connection.send(&Answer::Done { output: Some("{\"own\":1}".to_owned()), debts }, None).unwrap();
        connection.receive::<Ran>().map(|(ran, _)| ran.outcomes).unwrap_or_default()
    });
    let ended = host.run("ADD");
    (ended, agent.join().unwrap())
}

#[test]
fn debts_are_paid_after_the_own_answer_with_their_own_environment() {
    let host = Host::new();
    host.plugin("toy", "echo \"$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME\" >> $LOG");
    let owed = debt(&host, 1, "toy");
    let mut add = owed.clone();
    add.environment.command = cni::Command::Add;
    let file = DelegateFile { delegates: vec![Remembered { call: add, result: None }] };
    file.write(&host.state(), "net-old-net1.json").unwrap();

    let (ended, outcomes) = handed(&host, vec![owed, debt(&host, 2, "gone")]);

    assert_eq!(ended.stdout, "{\"own\":1}\n");
    assert_eq!(host.log(), ["DEL old net1-1"]);
    assert_eq!(
        outcomes.iter().map(|one| (one.id, one.error.is_some())).collect::<Vec<_>>(),
        [(1, false), (2, true)]
    );
    assert!(!host.state().join("delegates/net-old-net1.json").exists(), "what is paid is forgotten");
}

#[test]
fn one_call_pays_four_debts_within_two_seconds() {
    let host = Host::new();
    host.plugin("toy", "echo x >> $LOG");
    let (_, outcomes) = handed(&host, (0..6).map(|id| debt(&host, id, "toy")).collect());
    assert_eq!((outcomes.len(), host.log().len()), (4, 4));

    host.plugin("slow", "exec sleep 60");
    let (ended, outcomes) = handed(&host, (0..3).map(|id| debt(&host, id, "slow")).collect());
    assert_eq!((ended.status, outcomes.len()), (0, 1), "the first took all the time");
    assert!(ended.time < Duration::from_secs(5), "{ended:?}");
}

#[test]
fn a_name_of_a_file_leads_nowhere_else() {
    let host = Host::new();
    host.plugin("toy", "true");
    let precious = host.state().join("precious.json");
    fs::write(&precious, "{\"delegates\":[]}").unwrap();
    fs::create_dir(host.state().join("delegates")).unwrap();
    let mut owed = debt(&host, 1, "toy");
    owed.file = "../precious.json".to_owned();

    let (ended, outcomes) = handed(&host, vec![owed]);

    assert_eq!((ended.status, outcomes.len()), (0, 1));
    assert!(precious.exists());
}

#[test]
fn debts_are_paid_by_hand_until_none_is_left() {
    let host = Host::new();
    host.plugin("toy", "echo x >> $LOG");
    let rounds = [vec![debt(&host, 1, "toy"), debt(&host, 2, "toy")], vec![debt(&host, 3, "toy")], vec![]];
    let listener = cni::protocol::listen_at(&host.path("run").join("cni.sock")).unwrap();
    let agent = std::thread::spawn(move || {
        use std::os::fd::AsFd;
        for debts in rounds {
            let connection = cni::protocol::accept(listener.as_fd()).unwrap();
            let (call, _) = connection.receive_call().unwrap().unwrap();
            assert!(call.pay_debts);
            let none = debts.is_empty();
            connection.send(&Answer::Done { output: None, debts }, None).unwrap();
            if !none {
                connection.receive::<Ran>().unwrap();
            }
        }
    });
    let mut command = host.command("multi-nic");
    command.arg("--pay-debts");
    let ended = run(command, "");

    agent.join().unwrap();
    assert_eq!((ended.status, host.log().len()), (0, 3), "{ended:?}");
    assert!(ended.stderr.contains("3 debts were paid, none is left"), "{}", ended.stderr);
}

#[test]
fn debts_that_cannot_be_paid_by_hand_are_named_and_not_tried_for_ever() {
    let host = Host::new();
    let agent = host.agent({
        let owed = debt(&host, 1, "gone");
        |connection| {
            taken(&connection);
            connection.send(&Answer::Done { output: None, debts: vec![owed] }, None).unwrap();
            connection.receive::<Ran>().unwrap();
        }
    });
    let mut command = host.command("multi-nic");
    command.arg("--pay-debts");
    let ended = run(command, "");

    agent.join().unwrap();
    assert_eq!(ended.status, 1);
    assert!(ended.stderr.contains("plugin gone: is not in CNI_PATH"), "{}", ended.stderr);
}

#[test]
fn by_hand_without_an_agent_is_an_error_in_words() {
    let host = Host::new();
    let mut command = host.command("multi-nic");
    command.arg("--pay-debts");
    let ended = run(command, &config().to_string());

    assert_eq!((ended.status, ended.stdout.as_str()), (1, ""));
    assert!(ended.stderr.contains("the agent multi-nicd does not answer at"), "{}", ended.stderr);
}
