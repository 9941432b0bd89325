//! A resource that another device plugin serves stays with it, and the agent says so.

use std::fs;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Agent, wait_for};
use crate::{RESOURCE, SOCKET, machine};

/// Long enough for an agent that would register.
const LONG: Duration = Duration::from_secs(5);

fn warning(agent: &Agent) -> Option<Value> {
    let all = agent.get("/v1/warnings").json();
    all["warnings"].as_array()?.iter().find(|one| one["code"] == "resourceTaken").cloned()
}

#[test]
fn who_listens_on_the_resources_name_is_left_alone_until_it_goes() {
    for folder in ["device-plugins", "plugins_registry"] {
        let (lab, mut kubelet) = machine();
        kubelet.start();
        fs::create_dir_all(kubelet.path(folder)).unwrap();
        let socket = kubelet.path(folder).join(SOCKET);
        let rival = UnixListener::bind(&socket).unwrap();
        let agent = lab.agent();

        let told = wait_for("the warning", || warning(&agent));

        let message = told["message"].as_str().unwrap();
        assert!(message.contains(RESOURCE) && message.contains(&socket.display().to_string()), "{message}");
        assert_eq!(kubelet.registration_within(LONG), None, "{folder}");
        assert!(socket.exists(), "what is somebody else's stays");

        drop(rival);

        assert_eq!(kubelet.registered().next().len(), 4, "{folder}");
        wait_for("the warning's end", || warning(&agent).is_none().then_some(()));
    }
}

#[test]
fn a_resource_that_the_kubelet_has_devices_of_is_somebody_elses() {
    let (lab, mut kubelet) = machine();
    kubelet.allocatable(RESOURCE, &["0000:41:10.0", "0000:41:10.2"]);
    kubelet.start();
    let agent = lab.agent();

    let told = wait_for("the warning", || warning(&agent));

    assert!(told["message"].as_str().unwrap().contains("the kubelet has 2 devices of it"), "{told}");
    assert_eq!(kubelet.registration_within(Duration::from_secs(2)), None);

    kubelet.allocatable("example.com/other", &["0000:41:10.0"]);

    assert_eq!(kubelet.registered().next().len(), 4);
}
