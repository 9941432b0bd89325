use std::fs;
use std::path::Path;

use hwprobe::{Inventory, RdmaDevice};
use serde_json::{Value, json};
use sriov::Roots;

use super::super::fault::Fault;
use super::super::pool::Device;
use super::super::samples::{card, find, machine, pool};
use super::{Offer, info_files, variable};
use crate::kubelet_api::v1beta1::ContainerAllocateResponse;

const RESOURCE: &str = "multinic.fms.io/vfs";

fn device(id: &str, fault: Option<Fault>, healthy: bool) -> Device {
    Device { id: id.to_owned(), healthy, numa: None, port: String::new(), held: false, fault }
}

struct Bench {
    config: crate::config::DevicePool,
    devices: Vec<Device>,
    inventory: Inventory,
    root: tempfile::TempDir,
}

impl Bench {
    fn new(config: &str) -> Self {
        let devices = ["0000:41:10.0", "0000:41:10.1"].map(|id| device(id, None, true)).to_vec();
        Self {
            config: pool(config),
            devices,
            inventory: machine(vec![card(0x41, "a", 0, 2)]),
            root: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, path: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    fn roots(&self) -> Roots {
        Roots::below(self.root.path())
    }

    fn with<T>(&self, what: impl FnOnce(&Offer<'_>) -> T) -> T {
        let roots = self.roots();
        what(&Offer {
            pool: &self.config,
            resource: RESOURCE,
            devices: &self.devices,
            inventory: &self.inventory,
            roots: &roots,
        })
    }

    fn answer(&self, ids: &[&str]) -> Result<ContainerAllocateResponse, String> {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        self.with(|offer| offer.answer(&ids).map_err(|error| error.to_string()))
    }
}

fn info(answer: &ContainerAllocateResponse) -> Value {
    serde_json::from_str(&answer.envs["PCIDEVICE_MULTINIC_FMS_IO_VFS_INFO"]).unwrap()
}

fn nodes(answer: &ContainerAllocateResponse, root: &Path) -> Vec<String> {
    let node = |one: &crate::kubelet_api::v1beta1::DeviceSpec| {
        assert_eq!(
            Path::new(&one.host_path),
            root.join("dev").join(one.container_path.trim_start_matches("/dev/"))
        );
        assert_eq!(one.permissions, "rw");
        one.container_path.clone()
    };
    answer.devices.iter().map(node).collect()
}

#[test]
fn a_netdevice_pod_gets_the_variables_of_other_device_plugins() {
    let bench = Bench::new("{ name: vfs }");

    let answer = bench.answer(&["0000:41:10.0", "0000:41:10.1"]).unwrap();

    assert_eq!(answer.envs["PCIDEVICE_MULTINIC_FMS_IO_VFS"], "0000:41:10.0,0000:41:10.1");
    assert_eq!(
        info(&answer),
        json!({
            "0000:41:10.0": { "generic": { "deviceID": "0000:41:10.0" } },
            "0000:41:10.1": { "generic": { "deviceID": "0000:41:10.1" } },
        })
    );
    assert!(answer.devices.is_empty());
    assert_eq!(variable("openshift.io/mlx-5.a"), "PCIDEVICE_OPENSHIFT_IO_MLX-5_A");
}

#[test]
fn a_vfio_pod_gets_its_groups_and_the_container_node_once() {
    let bench = Bench::new("{ name: vfs, use: vfio }");
    for node in ["vfio", "65000", "65001"] {
        bench.file(&format!("dev/vfio/{node}"));
    }

    let answer = bench.answer(&["0000:41:10.0", "0000:41:10.1"]).unwrap();

    assert_eq!(nodes(&answer, bench.root.path()), ["/dev/vfio/vfio", "/dev/vfio/65000", "/dev/vfio/65001"]);
    assert_eq!(
        info(&answer)["0000:41:10.1"]["vfio"],
        json!({ "mount": "/dev/vfio/vfio", "dev-mount": "/dev/vfio/65001" })
    );
}

#[test]
fn an_rdma_pod_gets_the_character_devices_of_its_vf() {
    let bench = Bench::new("{ name: vfs, rdma: true }");
    for node in ["uverbs3", "umad3", "issm3", "rdma_cm", "uverbs4"] {
        bench.file(&format!("dev/infiniband/{node}"));
    }
    let sys = "sys/bus/pci/devices/0000:41:10.0";
    for file in ["infiniband_verbs/uverbs3", "infiniband_mad/umad3", "infiniband_mad/issm3"] {
        bench.file(&format!("{sys}/{file}"));
    }

    let answer = bench.answer(&["0000:41:10.0"]).unwrap();

    let wanted = ["uverbs3", "issm3", "umad3", "rdma_cm"].map(|node| format!("/dev/infiniband/{node}"));
    assert_eq!(nodes(&answer, bench.root.path()), wanted);
    assert_eq!(info(&answer)["0000:41:10.0"]["rdma"]["uverbs"], "/dev/infiniband/uverbs3");
    let error = bench.answer(&["0000:41:10.1"]).unwrap_err();
    assert!(error.contains("infiniband_verbs") && error.contains("ib_uverbs"), "{error}");
}

#[test]
fn a_device_that_died_meanwhile_is_an_error_that_says_why() {
    let mut bench = Bench::new("{ name: vfs, use: vfio }");
    let refusal = |bench: &Bench, id: &str| bench.answer(&[id]).unwrap_err();

    assert!(refusal(&bench, "0000:41:10.7").contains("has no device `0000:41:10.7`"));
    assert!(refusal(&bench, "0000:41:10.0").contains("dev/vfio/vfio"));
    bench.devices[0].fault = Some(Fault::Gone);
    assert!(refusal(&bench, "0000:41:10.0").contains("not there any more"));
    bench.devices[0] = device("0000:41:10.0", Some(Fault::NoCarrier { port: "a".to_owned() }), false);
    assert!(refusal(&bench, "0000:41:10.0").contains("a has no carrier"));
    bench.devices[0].fault = None;
    bench.inventory = machine(vec![]);
    assert!(refusal(&bench, "0000:41:10.0").contains("not there any more"));
}

#[test]
fn a_port_that_lost_its_carrier_just_now_is_no_reason_to_fail_a_pod() {
    let mut bench = Bench::new("{ name: vfs }");
    bench.devices[0] = device("0000:41:10.0", Some(Fault::NoCarrier { port: "a".to_owned() }), true);

    assert!(bench.answer(&["0000:41:10.0"]).is_ok());
}

#[test]
fn shares_of_a_nic_are_known_by_the_nic_and_have_no_files() {
    let mut bench = Bench::new("{ name: vfs, kind: nic, count: 4 }");
    bench.devices = vec![device("0000:41:00.0#0", None, true), device("0000:41:00.0#3", None, true)];

    let answer = bench.answer(&["0000:41:00.0#3", "0000:41:00.0#0"]).unwrap();

    assert_eq!(answer.envs["PCIDEVICE_MULTINIC_FMS_IO_VFS"], "0000:41:00.0");
    assert!(bench.with(|offer| info_files(offer, &["0000:41:00.0#3".to_owned()])).is_empty());
}

#[test]
fn the_file_of_a_device_names_it_its_pf_and_its_rdma_devices() {
    let mut bench = Bench::new("{ name: vfs }");
    find(&mut bench.inventory, "0000:41:10.0").rdma = vec![RdmaDevice::new("mlx5_2".to_owned())];

    let files = bench.with(|offer| info_files(offer, &["0000:41:10.0".to_owned()]));

    let wanted = json!({
        "type": "pci", "version": "1.1.0",
        "pci": { "pci-address": "0000:41:10.0", "pf-pci-address": "0000:41:00.0", "rdma-device": "mlx5_2" },
    });
    assert_eq!(files, [("multinic.fms.io-vfs-0000:41:10.0-device.json".to_owned(), wanted)].into());
}
