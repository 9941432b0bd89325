//! `GetPreferredAllocation` and `Allocate`.

use crate::harness::Agent;
use crate::kubelet::Kubelet;
use crate::kubelet_api::v1beta1::{
    AllocateRequest, AllocateResponse, ContainerAllocateRequest, ContainerPreferredAllocationRequest,
    PreferredAllocationRequest,
};
use crate::{RESOURCE, SOCKET, machine};

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|&one| one.to_owned()).collect()
}

/// What the plugin would give of four shares, when `must` are among them.
fn preferred(kubelet: &Kubelet, must: &[&str], allocation_size: i32) -> Vec<String> {
    let container_requests = vec![ContainerPreferredAllocationRequest {
        available_device_i_ds: texts(&["virtual-m0#0", "virtual-m0#1", "virtual-m1#0", "virtual-m1#1"]),
        must_include_device_i_ds: texts(must),
        allocation_size,
    }];
    let mut client = kubelet.client(SOCKET);
    let answer = client.get_preferred_allocation(PreferredAllocationRequest { container_requests });
    kubelet.wait(answer).unwrap().into_inner().container_responses.remove(0).device_i_ds
}

fn allocate(kubelet: &Kubelet, containers: &[&[&str]]) -> Result<AllocateResponse, Box<tonic::Status>> {
    let container_requests =
        containers.iter().map(|ids| ContainerAllocateRequest { devices_ids: texts(ids) }).collect();
    let mut client = kubelet.client(SOCKET);
    let answer = kubelet.wait(client.allocate(AllocateRequest { container_requests }));
    answer.map(tonic::Response::into_inner).map_err(Box::new)
}

#[test]
fn shares_are_preferred_on_different_nics_and_on_those_that_fewer_pods_have() {
    let (lab, mut kubelet) = machine();
    kubelet.pods(&[["web", RESOURCE, "virtual-m0#0"]]);
    kubelet.start();
    let _agent = lab.agent();
    drop(kubelet.registered());

    assert_eq!(preferred(&kubelet, &[], 1), ["virtual-m1#0"]);
    assert_eq!(preferred(&kubelet, &[], 2), ["virtual-m1#0", "virtual-m0#0"]);
    assert_eq!(preferred(&kubelet, &["virtual-m1#1"], 2), ["virtual-m1#1", "virtual-m0#0"]);
}

#[test]
fn each_container_gets_its_nics_in_its_variable_and_the_devices_count_as_held() {
    let (lab, mut kubelet) = machine();
    kubelet.start();
    let agent = lab.agent();
    drop(kubelet.registered());

    let answer = allocate(&kubelet, &[&["virtual-m1#1", "virtual-m0#0"], &["virtual-m1#0"]]).unwrap();

    let variable = |at: usize, name: &str| answer.container_responses[at].envs[name].clone();
    assert_eq!(answer.container_responses.len(), 2);
    assert_eq!(variable(0, "PCIDEVICE_MULTINIC_FMS_IO_SHARES"), "virtual-m1,virtual-m0");
    assert_eq!(variable(1, "PCIDEVICE_MULTINIC_FMS_IO_SHARES"), "virtual-m1");
    let info: serde_json::Value =
        serde_json::from_str(&variable(1, "PCIDEVICE_MULTINIC_FMS_IO_SHARES_INFO")).unwrap();
    assert_eq!(info["virtual-m1"]["generic"]["deviceID"], "virtual-m1");
    assert_metric(&agent, "device_allocations_total", "outcome=\"given\"", 1);
}

#[test]
fn a_device_that_is_not_there_is_refused_and_nothing_of_the_request_is_given() {
    let (lab, mut kubelet) = machine();
    kubelet.start();
    let agent = lab.agent();
    let mut list = kubelet.registered();
    list.next();
    lab.ip("link del m1");
    list.wait_for(&[("virtual-m0#0", true), ("virtual-m0#1", true)]);
    drop(list);

    let refused = allocate(&kubelet, &[&["virtual-m0#0"], &["virtual-m1#0"]]).unwrap_err();

    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    assert!(refused.message().contains("has no device `virtual-m1#0`"), "{}", refused.message());
    assert_metric(&agent, "device_allocations_total", "outcome=\"refused\"", 1);
}

fn assert_metric(agent: &Agent, name: &str, label: &str, wanted: u32) {
    let text = agent.get("/metrics").text();
    let line = text.lines().find(|line| line.contains(name) && line.contains(label));
    let line = line.unwrap_or_else(|| panic!("no {name} with {label} in\n{text}"));
    assert!(line.ends_with(&format!(" {wanted}")), "{line}");
}
