//! Plugins that the executable runs for the agent: written down before, undone without the agent, killed when they
//! hang (TRAPS P1, P2, P7).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod harness;

use std::fs;
use std::time::{Duration, Instant};

use cni::Command::{Add, Del};
use cni::delegate_file::{DelegateFile, Remembered};
use cni::note::Note;
use cni::protocol::{Answer, Connection, Ran};
use harness::{Host, config, delegate, mode, run, taken, until};
use serde_json::{Value, json};

/// Writes what it got to the log and answers.
const LOGGING: &str = "config=$(cat); echo \"$CNI_COMMAND $CNI_IFNAME $config\" >> $LOG; \
                       echo \"{\\\"ips\\\":[],\\\"of\\\":\\\"$CNI_IFNAME\\\"}\"";

fn done(connection: &Connection, output: Option<&str>) {
    connection.send(&Answer::Done { output: output.map(str::to_owned), debts: vec![] }, None).unwrap();
}

fn asked(connection: &Connection, calls: Vec<cni::protocol::DelegateCall>) -> Ran {
    connection.send(&Answer::Run(calls), None).unwrap();
    connection.receive::<Ran>().unwrap().0
}

#[test]
fn delegates_run_in_order_with_their_configuration_written_down_before() {
    let host = Host::new();
    let file = host.delegate_file();
    host.plugin("toy", &format!("test -s {} || exit 9; {LOGGING}", file.display()));
    let agent = host.agent(|connection| {
        taken(&connection);
        let first = asked(&connection, vec![delegate(1, "toy", Add, "net1-0", 9000)]);
        let others = asked(
            &connection,
            vec![delegate(2, "toy", Add, "net1-1", 9000), delegate(3, "toy", Add, "net1-2", 9000)],
        );
        done(&connection, Some("{\"whole\":1}"));
        [first.outcomes, others.outcomes].concat()
    });
    let ended = host.run("ADD");
    let outcomes = agent.join().unwrap();

    assert_eq!(ended.json(), json!({"whole": 1}));
    let outputs: Vec<_> =
        outcomes.iter().map(|outcome| (outcome.id, outcome.output.as_deref().unwrap().trim())).collect();
    let answer = |i: u32| format!("{{\"ips\":[],\"of\":\"net1-{i}\"}}");
    assert_eq!(outputs, [(1, answer(0).as_str()), (2, answer(1).as_str()), (3, answer(2).as_str())]);
    let lines = host.log();
    assert_eq!(lines[2], format!("ADD net1-2 {}", delegate(3, "toy", Add, "net1-2", 1).config));
    assert_eq!(mode(&file), 0o600);
    let known = DelegateFile::read(&host.state(), "net-c1-net1.json").unwrap().unwrap();
    assert_eq!(known.delegates.len(), 3);
    assert_eq!(known.delegates[1].result.as_deref().unwrap().trim(), answer(1));

    let agent = host.agent(|connection| {
        taken(&connection);
        let dels = (1..=3).rev().map(|id| delegate(id, "toy", Del, &format!("net1-{}", id - 1), 9000));
        let ran = asked(&connection, dels.collect());
        done(&connection, None);
        ran.outcomes.len()
    });
    let ended = host.run("DEL");
    assert_eq!((ended.status, ended.stdout.as_str(), agent.join().unwrap()), (0, "", 3));
    assert!(!file.exists(), "what is undone is forgotten");
}

#[test]
fn a_failed_delegate_ends_the_round_and_its_words_reach_both() {
    let host = Host::new();
    host.plugin("toy", "echo 'from the plugin' >&2; echo '{\"code\":7,\"msg\":\"no range\"}'; exit 1");
    host.plugin("never", "echo ran >> $LOG");
    let agent = host.agent(|connection| {
        taken(&connection);
        let ran = asked(
            &connection,
            vec![delegate(1, "toy", Add, "net1-0", 9000), delegate(2, "never", Add, "net1-1", 9000)],
        );
        let undone = asked(&connection, vec![delegate(1, "never", Del, "net1-0", 9000)]);
        let error = ran.outcomes[0].error.clone().unwrap();
        connection.send(&Answer::Failed { error, debts: vec![] }, None).unwrap();
        (ran.outcomes.len(), undone.outcomes.len())
    });
    let ended = host.run("ADD");

    assert_eq!(agent.join().unwrap(), (1, 1));
    assert_eq!((ended.code(), ended.message().as_str()), (7, "plugin toy: no range"));
    assert_eq!(ended.stderr, "from the plugin\n");
    assert_eq!(host.log(), ["ran"], "the DEL alone");
}

#[test]
fn a_hanging_delegate_is_killed_at_its_deadline() {
    let host = Host::new();
    host.plugin("toy", "exec sleep 60");
    let agent = host.agent(|connection| {
        taken(&connection);
        let ran = asked(&connection, vec![delegate(1, "toy", Add, "net1-0", 300)]);
        let error = ran.outcomes[0].error.clone().unwrap();
        connection.send(&Answer::Failed { error, debts: vec![] }, None).unwrap();
    });
    let ended = host.run("ADD");
    agent.join().unwrap();

    assert_eq!((ended.code(), ended.message().contains("did not end within 300 ms")), (100, true));
    assert!(ended.time < Duration::from_secs(5), "{ended:?}");
}

#[test]
fn an_executable_that_is_killed_is_the_end_of_the_stream_for_the_agent() {
    let host = Host::new();
    host.plugin("toy", "exec 2>/dev/null; echo $PPID >> $LOG; echo $$ >> $LOG; exec sleep 60");
    let agent = host.agent(|connection| {
        taken(&connection);
        connection.send(&Answer::Run(vec![delegate(1, "toy", Add, "net1-0", 60_000)]), None).unwrap();
        let begin = Instant::now();
        (connection.receive::<Ran>().unwrap_err().kind(), begin.elapsed())
    });
    let call = host.call("ADD");
    let runtime = std::thread::spawn(|| run(call, &config().to_string()));
    until("the plugin", || host.log().len() == 2);
    let kill = |line: usize| {
        let pid = nix::unistd::Pid::from_raw(host.log()[line].parse().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    };
    kill(0);

    let (kind, time) = agent.join().unwrap();
    assert_eq!(kind, std::io::ErrorKind::UnexpectedEof);
    assert!(time < Duration::from_secs(10));
    kill(1);
    assert_eq!(runtime.join().unwrap().status, -1);
    let known = DelegateFile::read(&host.state(), "net-c1-net1.json").unwrap().unwrap();
    assert_eq!(known.delegates[0].result, None, "nobody knows how it ended, but it can be undone");
}

#[test]
fn no_delegate_runs_whose_undo_cannot_be_written_down() {
    let host = Host::new();
    host.plugin("toy", "echo ran >> $LOG");
    fs::write(host.state().join("delegates"), "in the way").unwrap();
    let agent = host.agent(|connection| {
        taken(&connection);
        let ran = asked(&connection, vec![delegate(1, "toy", Add, "net1-0", 9000)]);
        let error = ran.outcomes[0].error.clone().unwrap();
        connection.send(&Answer::Failed { error, debts: vec![] }, None).unwrap();
    });
    let ended = host.run("ADD");
    agent.join().unwrap();

    assert_eq!(ended.code(), 11);
    assert!(ended.message().contains("net-c1-net1.json"), "{}", ended.message());
    assert_eq!(host.log(), Vec::<String>::new());
}

/// A delegate file as an ADD with an agent leaves it.
fn remember(host: &Host, plugins: &[(&str, &str)]) {
    let one = |(i, (plugin, ifname)): (usize, &(&str, &str))| {
        let mut call = delegate(u32::try_from(i).unwrap(), plugin, Add, ifname, 5000);
        call.environment.path = host.path("plugins").display().to_string();
        Remembered { call, result: Some(format!("{{\"ips\":[],\"n\":{i}}}")) }
    };
    let delegates = plugins.iter().enumerate().map(one).collect();
    DelegateFile { delegates }.write(&host.state(), "net-c1-net1.json").unwrap();
}

#[test]
fn del_without_an_agent_undoes_the_delegates_backwards_and_leaves_a_note() {
    let host = Host::new();
    host.plugin("toy", LOGGING);
    remember(&host, &[("toy", "net1-0"), ("toy", "net1-1")]);
    let ended = host.run("DEL");

    assert_eq!((ended.status, ended.stdout.as_str()), (0, ""), "{ended:?}");
    let lines = host.log();
    let seen: Vec<_> = lines.iter().map(|line| line.splitn(3, ' ').collect::<Vec<_>>()).collect();
    assert_eq!((seen[0][0], seen[0][1], seen[1][1]), ("DEL", "net1-1", "net1-0"));
    let got: Value = serde_json::from_str(seen[0][2]).unwrap();
    assert_eq!((&got["name"], &got["prevResult"]["n"]), (&json!("net-1"), &json!(1)));
    let notes = host.notes();
    assert_eq!(notes.len(), 1);
    assert_eq!((notes[0].network.as_str(), notes[0].container_id.as_str()), ("net", "c1"));
    assert_eq!((notes[0].ifname.as_str(), notes[0].boot.as_str()), ("net1", cni::note::boot_id().as_str()));
    assert!(notes[0].delegates_done && notes[0].cookie.is_some());
    assert!(!host.delegate_file().exists());
    let note = fs::read_dir(host.state().join("pending-del")).unwrap().next().unwrap().unwrap();
    assert_eq!((note.file_name().to_str().unwrap(), mode(&note.path())), ("net-c1-net1.json", 0o600));
}

#[test]
fn the_cookie_in_a_note_is_that_of_the_namespace() {
    let host = Host::new();
    let other = Host::new();
    host.run("DEL");
    other.run("DEL");
    let again = host.run("DEL");

    assert_eq!(again.status, 0);
    let cookies = (host.notes()[0].cookie.unwrap(), other.notes()[0].cookie.unwrap());
    assert_ne!(cookies.0, cookies.1);
    assert!(cookies.0 > 1, "the first namespace's own is 1");
}

#[test]
fn a_delegate_that_cannot_be_undone_is_owed_and_stays_written_down() {
    let host = Host::new();
    host.plugin("toy", LOGGING);
    host.plugin("bad", "echo ran >> $LOG; exit 1");
    remember(&host, &[("toy", "net1-0"), ("bad", "net1-1"), ("gone", "net1-2")]);
    let ended = host.run("DEL");

    assert_eq!(ended.status, 0);
    assert_eq!(host.log().len(), 2, "one failure keeps nobody from the next");
    assert!(!host.notes()[0].delegates_done);
    let left = DelegateFile::read(&host.state(), "net-c1-net1.json").unwrap().unwrap();
    let left: Vec<_> = left.delegates.iter().map(|known| known.call.plugin.as_str()).collect();
    assert_eq!(left, ["bad", "gone"]);
    assert!(ended.stderr.contains("plugin gone: is not in CNI_PATH"), "{}", ended.stderr);
}

#[test]
fn a_file_that_is_lost_or_broken_claims_nothing() {
    let host = Host::new();
    assert_eq!(host.run("DEL").status, 0);
    assert!(!host.notes()[0].delegates_done);

    fs::create_dir(host.state().join("delegates")).unwrap();
    fs::write(host.delegate_file(), "{").unwrap();
    let ended = host.run("DEL");
    assert_eq!(ended.status, 0);
    assert!(!host.notes()[0].delegates_done && host.delegate_file().exists());
    assert!(ended.stderr.contains("net-c1-net1.json"), "{}", ended.stderr);
}

#[test]
fn del_of_a_dead_namespace_is_handed_over_and_noted_without_one() {
    let host = Host::new();
    let dead = |command: &str| {
        let mut call = host.call(command);
        call.env("CNI_NETNS", "/run/netns/long-gone");
        call
    };
    let agent = host.agent(|connection| {
        let inode = taken(&connection).1;
        done(&connection, None);
        inode
    });
    assert_eq!(run(dead("DEL"), &config().to_string()).status, 0);
    assert_eq!(agent.join().unwrap(), None);
    assert_eq!(host.notes(), []);

    assert_eq!(run(dead("DEL"), &config().to_string()).status, 0);
    assert_eq!(host.notes()[0].cookie, None);
    let mut without = host.call("DEL");
    without.env_remove("CNI_NETNS");
    assert_eq!(run(without, &config().to_string()).status, 0);
}

#[test]
fn without_a_note_del_is_not_claimed_to_be_done() {
    for (kind, options) in [("read-only", "ro"), ("full", "size=4k,nr_inodes=3")] {
        let host = Host::new();
        let state = host.state().display().to_string();
        let fill =
            if kind == "full" { format!("cat /dev/zero > {state}/fill 2>/dev/null;") } else { String::new() };
        let line = format!(
            "mount -t tmpfs -o {options} tmpfs {state} && {fill} exec {}",
            env!("CARGO_BIN_EXE_multi-nic")
        );
        let call = host.call("DEL");
        let mut unshare = std::process::Command::new("unshare");
        unshare.args(["--mount", "sh", "-c", &line]).env_clear();
        for (key, value) in call.get_envs() {
            unshare.env(key, value.unwrap());
        }
        let ended = run(unshare, &config().to_string());

        assert_eq!(ended.code(), 11, "{kind}: {ended:?}");
        assert!(ended.message().contains("no note for it can be written"), "{}", ended.message());
    }
}

#[test]
fn an_agent_that_comes_between_look_and_note_is_asked_once_more() {
    let host = Host::new();
    // The plugin's DEL is the moment in between.
    host.plugin("toy", "echo here >> $LOG; while ! test -e $LOG.go; do sleep 0.01; done; echo '{}'");
    remember(&host, &[("toy", "net1-0")]);
    let call = host.call("DEL");
    let runtime = std::thread::spawn(|| run(call, &config().to_string()));
    until("the plugin", || !host.log().is_empty());
    let state = host.state();
    let agent = host.agent(move |connection| {
        let call = taken(&connection).0;
        let noted = Note::all(&state).len();
        done(&connection, None);
        (call.environment.command, noted)
    });
    fs::write(host.path("log.go"), "").unwrap();

    assert_eq!(runtime.join().unwrap().status, 0);
    assert_eq!(agent.join().unwrap(), (Del, 1), "the note was there before");
    assert_eq!(host.notes(), [], "and is gone when the agent has done it");
}

#[test]
fn an_agent_that_dies_in_the_middle_of_a_del_leaves_a_note() {
    let host = Host::new();
    let agent = host.agent(|connection| drop(taken(&connection)));
    assert_eq!(host.run("DEL").status, 0);
    agent.join().unwrap();
    assert_eq!(host.notes().len(), 1);
}
