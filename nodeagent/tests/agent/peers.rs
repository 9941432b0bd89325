//! Who is at the other end of the two sockets, and an agent that is not root. REQUIRES: root, user namespaces, curl,
//! setpriv, unshare, and `multi-nic` built beside (`cargo build -p cni --bins`).

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::Lab;
use crate::harness::pods::Pod;
use serde_json::{Value, json};

/// Who nobody is.
const NOBODY: u32 = 65534;

/// Ways to be somebody, as words before a command.
const ROOT: &[&str] = &["env"];
const USER: &[&str] = &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
const USER_AS_ROOT_OF_A_NAMESPACE: &[&str] =
    &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "--user", "--map-root-user"];
const ROOT_OF_A_NAMESPACE: &[&str] = &["unshare", "--user", "--map-root-user"];

/// Runs a command as somebody; its standard output.
fn run_as(who: &[&str], command: &[&str], environment: &[(&str, &str)], input: &str) -> String {
    use std::io::Write;
    let words = [who, command].concat();
    let mut child = Command::new(words[0]);
    child.args(&words[1..]).envs(environment.iter().copied());
    let mut child =
        child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Who is refused at once may not read it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!errors.contains("unshare:") && !errors.contains("setpriv:"), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn is_forbidden(problem: &Value) -> bool {
    problem["status"] == 403 && problem["type"].as_str().is_some_and(|kind| kind.ends_with(":forbidden-peer"))
}

/// Everybody may come to the sockets: what is left is whom the agent takes for root.
fn open_the_folder(lab: &Lab) {
    for (path, mode) in [("", 0o755), ("run", 0o755), ("run/api.sock", 0o666), ("run/cni.sock", 0o666)] {
        fs::set_permissions(lab.path(path), Permissions::from_mode(mode)).unwrap();
    }
}

#[test]
fn uid_0_inside_a_user_namespace_is_not_root_on_either_socket() {
    let lab = Lab::new();
    lab.with_network(1, 8);
    let agent = lab.agent_with(&["--reprobe-interval", "off", "--no-tcp"]);
    let beside = Path::new(env!("CARGO_BIN_EXE_multi-nicd")).with_file_name("multi-nic");
    let plugin = lab.within_reach(&beside);
    open_the_folder(&lab);
    let ask = |who: &[&str]| -> Value {
        let socket = agent.socket.display().to_string();
        let command =
            ["curl", "-s", "--max-time", "20", "--unix-socket", &socket, "http://localhost/v1/nics"];
        serde_json::from_str(&run_as(who, &command, &[], "")).unwrap()
    };
    let run_dir = lab.path("run").display().to_string();
    let state_dir = lab.path("state").display().to_string();
    let status = |who: &[&str]| -> String {
        let environment = [
            ("CNI_COMMAND", "STATUS"),
            ("CNI_PATH", "/usr/lib/cni"),
            ("MULTI_NIC_RUN_DIR", run_dir.as_str()),
            ("MULTI_NIC_STATE_DIR", state_dir.as_str()),
        ];
        let conf = json!({
            "cniVersion": "1.1.0", "name": "red", "type": "multi-nic", "ipam": {"type": "multi-nic-ipam"},
            "plugin": {"type": "macvlan"},
        });
        run_as(who, &[&plugin.display().to_string()], &environment, &conf.to_string())
    };

    assert!(ask(ROOT)["nics"].is_array());
    let good = status(ROOT);
    assert_eq!(good, "", "root is answered: {good}");
    for who in [USER, USER_AS_ROOT_OF_A_NAMESPACE, ROOT_OF_A_NAMESPACE] {
        let refused = ask(who);
        assert!(is_forbidden(&refused), "{who:?}: {refused}");
        let refused = status(who);
        assert!(refused.contains("only root may attach and detach"), "{who:?}: {refused}");
    }
}

#[test]
fn an_agent_that_is_not_root_shows_hardware_to_its_user_and_to_root_and_changes_nothing() {
    let lab = Lab::new();
    lab.with_network(1, 8);
    let pod = Pod::new();
    let mut agent = lab.start_as(NOBODY, &["--reprobe-interval", "off", "--no-tcp"]);
    assert!(agent.gets_ready(), "{}", agent.log());
    let socket = agent.socket.display().to_string();
    let ask = |who: &[&str], more: &[&str]| -> Value {
        let command = [&["curl", "-s", "--max-time", "20", "--unix-socket", &socket][..], more].concat();
        serde_json::from_str(&run_as(who, &command, &[], "")).unwrap()
    };

    for who in [ROOT, USER] {
        assert!(ask(who, &["http://localhost/v1/nics"])["nics"].is_array());
    }
    let wish = json!({"network": "red", "containerId": "c1", "ifname": "net1", "netns": pod.netns()});
    let wish = wish.to_string();
    let post = ["-X", "POST", "-d", &wish, "http://localhost/v1/attachments"];
    let refused = ask(USER, &post);
    assert!(is_forbidden(&refused), "{refused}");
    // The agent itself may not: that is said, and nothing is left of the try.
    let refused = ask(ROOT, &post);
    assert!(refused["status"].as_u64().is_some_and(|status| status >= 400), "{refused}");
    let words = refused["detail"].as_str().unwrap_or_default();
    assert!(words.contains("not permitted") || words.contains("ermission denied"), "{refused}");
    assert_eq!(ask(ROOT, &["http://localhost/v1/attachments"])["total"], 0);
    assert_eq!(pod.ip("link").as_array().unwrap().len(), 1);
}
