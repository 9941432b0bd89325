use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::environment::Command;

struct Shelf {
    folder: tempfile::TempDir,
}

impl Shelf {
    /// A folder with one plugin, a shell script.
    fn with(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("toy");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn call(&self, config: &str, timeout_ms: u64) -> (Outcome, Duration) {
        let environment = Environment {
            command: Command::Add,
            container_id: "c".to_owned(),
            netns: "/n".to_owned(),
            ifname: "net1-0".to_owned(),
            args: "A=b".to_owned(),
            path: String::new(),
            netns_override: false,
        };
        let caller =
            Environment { path: format!("/nowhere:{}", self.folder.path().display()), ..environment.clone() };
        let (config, file) = (config.to_owned(), String::new());
        let call = DelegateCall { id: 3, plugin: "toy".to_owned(), environment, config, timeout_ms, file };
        let begin = Instant::now();
        let outcome = run(&call, &caller);
        (outcome, begin.elapsed())
    }
}

#[test]
fn a_plugin_gets_its_environment_and_all_of_its_input() {
    let shelf =
        Shelf::with("n=$(wc -c); echo \"$CNI_COMMAND $CNI_CONTAINERID $CNI_NETNS $CNI_IFNAME $CNI_ARGS $n\"");
    let (outcome, _) = shelf.call(&"x".repeat(300_000), 10_000);
    assert_eq!(outcome.output.unwrap().trim(), "ADD c /n net1-0 A=b 300000");
}

#[test]
fn a_plugin_that_reads_nothing_and_prints_much_ends() {
    let shelf = Shelf::with("head -c 500000 /dev/zero | tr '\\0' 'y'");
    let (outcome, _) = shelf.call(&"x".repeat(300_000), 10_000);
    assert_eq!(outcome.output.unwrap().len(), 500_000);
}

#[test]
fn a_failed_plugin_is_named_and_keeps_its_code() {
    let shelf = Shelf::with("echo '{\"code\": 11, \"msg\": \"no lease\", \"details\": \"d\"}'; exit 1");
    let error = shelf.call("{}", 10_000).0.error.unwrap();
    assert_eq!((error.code, error.msg.as_str(), error.details.as_str()), (11, "plugin toy: no lease", "d"));

    let error = Shelf::with("echo oops; exit 3").call("{}", 10_000).0.error.unwrap();
    assert_eq!((error.code, error.msg.as_str()), (100, "plugin toy: ended with exit status: 3: oops"));

    let error = Shelf::with("kill -9 $$").call("{}", 10_000).0.error.unwrap();
    assert_eq!(error.msg, "plugin toy: ended with signal: 9 (SIGKILL): ");
}

#[test]
fn a_hanging_plugin_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let shelf = Shelf::with(&format!("sleep 60 & echo $! > {}; wait", pid.display()));

    let (outcome, time) = shelf.call("{}", 400);

    assert_eq!(outcome.error.unwrap().msg, "plugin toy: did not end within 400 ms and was killed");
    assert!(time < Duration::from_secs(5), "{time:?}");
    let child = fs::read_to_string(&pid).unwrap();
    let dead = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    assert!((0..100).any(|_| dead() || {
        std::thread::sleep(Duration::from_millis(20));
        false
    }));
}

#[test]
fn a_plugin_that_closes_its_output_and_goes_on_is_killed_too() {
    let (outcome, time) = Shelf::with("exec >&-; exec sleep 60").call("{}", 300);
    assert!(outcome.error.unwrap().msg.contains("was killed"));
    assert!(time < Duration::from_secs(5), "{time:?}");
}

#[test]
fn somebody_left_behind_with_the_output_open_holds_nobody_up() {
    let (outcome, time) = Shelf::with("sleep 3 2>/dev/null & echo '{}'").call("{}", 60_000);
    assert_eq!(outcome.output.unwrap().trim(), "{}");
    assert!(time < Duration::from_secs(2), "{time:?}");
}

#[test]
fn endless_output_is_an_error() {
    let error = Shelf::with("exec cat /dev/zero").call("{}", 60_000).0.error.unwrap();
    assert!(error.msg.ends_with("it prints over 1 MiB"), "{}", error.msg);
}

#[test]
fn a_plugin_that_is_not_there_is_named_with_where_it_was_looked_for() {
    for plugin in ["gone", "", "../toy", ".."] {
        let path = Shelf::with("true");
        assert_eq!(find(plugin, &path.folder.path().display().to_string()), None, "{plugin}");
    }
    let shelf = Shelf::with("true");
    fs::remove_file(shelf.folder.path().join("toy")).unwrap();
    let error = shelf.call("{}", 1000).0.error.unwrap();
    assert!(error.msg.starts_with("plugin toy: is not in CNI_PATH (/nowhere:/"), "{}", error.msg);

    fs::write(shelf.folder.path().join("toy"), "no program").unwrap();
    let error = shelf.call("{}", 1000).0.error.unwrap();
    assert!(error.msg.contains("Permission denied"), "{}", error.msg);
}

#[test]
fn nothing_printed_is_an_empty_object() {
    assert_eq!(printed("x", " \n").unwrap(), serde_json::json!({}));
    assert_eq!(printed("x", "{").unwrap_err().code, 6);
}
