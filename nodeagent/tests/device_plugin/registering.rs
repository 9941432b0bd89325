//! Registration follows the kubelet: its restarts, its folder, and what becomes of the plugin's socket.

use std::fs;

use crate::{RESOURCE, SOCKET, machine};

#[test]
fn a_pool_waits_for_its_kubelet_and_registers_with_each_new_one() {
    let (lab, mut kubelet) = machine();
    let _agent = lab.agent();
    for round in 0..3 {
        kubelet.stop();
        kubelet.start();

        let request = kubelet.registration();

        assert_eq!(
            (request.resource_name.as_str(), request.endpoint.as_str()),
            (RESOURCE, SOCKET),
            "{round}"
        );
        assert_eq!(kubelet.watch(SOCKET).next().len(), 4, "{round}");
    }
}

#[test]
fn the_list_of_a_kubelet_that_was_replaced_ends() {
    let (lab, mut kubelet) = machine();
    kubelet.start();
    let _agent = lab.agent();
    let endpoint = kubelet.registration().endpoint;
    // A connection of the first kubelet that outlives it, as a forked process may.
    let mut client = kubelet.client(&endpoint);
    let mut old =
        kubelet.wait(client.list_and_watch(crate::kubelet_api::v1beta1::Empty {})).unwrap().into_inner();
    assert_eq!(kubelet.wait(old.message()).unwrap().unwrap().devices.len(), 4);

    kubelet.stop();
    kubelet.start();

    assert!(!matches!(kubelet.wait(old.message()), Ok(Some(_))), "it must not be told any more");
    assert_eq!(kubelet.registered().next().len(), 4);
}

#[test]
fn a_folder_that_is_removed_and_made_again_has_the_pool_again() {
    let (lab, mut kubelet) = machine();
    kubelet.start();
    let _agent = lab.agent();
    kubelet.registered().next();

    kubelet.stop();
    fs::remove_dir_all(kubelet.plugins()).unwrap();
    kubelet.start();

    assert_eq!(kubelet.registered().next().len(), 4);
}

#[test]
fn a_socket_that_somebody_deletes_is_made_again() {
    let (lab, mut kubelet) = machine();
    kubelet.start();
    let _agent = lab.agent();
    kubelet.registered().next();

    fs::remove_file(kubelet.plugins().join(SOCKET)).unwrap();

    assert_eq!(kubelet.registered().next().len(), 4);
    assert!(kubelet.plugins().join(SOCKET).exists());
}

#[test]
fn a_registration_that_is_refused_is_tried_again() {
    let (lab, mut kubelet) = machine();
    kubelet.refuse(true);
    kubelet.start();
    let agent = lab.agent();
    kubelet.registration();
    kubelet.registration();
    assert!(agent.log().contains("not today"), "{}", agent.log());

    kubelet.refuse(false);

    while !kubelet.plugins().join(SOCKET).exists() {
        kubelet.registration();
    }
    kubelet.registration();
    assert_eq!(kubelet.watch(SOCKET).next().len(), 4);
}

#[test]
fn an_agent_that_ends_takes_its_socket_along_and_the_next_one_registers_over_a_crashed_ones() {
    let (lab, mut kubelet) = machine();
    kubelet.start();
    let mut agent = lab.agent();
    kubelet.registered().next();
    assert!(agent.stop().0.success());
    assert!(!kubelet.plugins().join(SOCKET).exists());

    let agent = lab.agent();
    kubelet.registered().next();
    // Killed.
    drop(agent);
    assert!(kubelet.plugins().join(SOCKET).exists());
    let _agent = lab.agent();

    assert_eq!(kubelet.registered().next().len(), 4);
}
