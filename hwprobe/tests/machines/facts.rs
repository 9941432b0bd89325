//! Each machine is here for a fact that no other machine has.

use std::collections::BTreeSet;

use hwprobe::{
    Held, HeldBy, Inventory, Nic, NicKind, ProtectionReason, Relation, SpeedMbps, SpeedSource,
    SriovZeroReason, UplinkBasis, WarningCode,
};

use crate::collection::machines;

type Fact = (&'static str, &'static str, fn(&Inventory) -> bool);

const FACTS: &[Fact] = &[
    ("aws-ena-efa", "a fabric adapter without a netdev, its link layer unspecified", |found| {
        any(found, |nic| {
            nic.link.is_none() && rdma_layer(nic) == Some("Unspecified") && nic.kind == NicKind::Paravirtual
        })
    }),
    ("azure-accelerated", "a VF that a vmbus NIC enslaves, both protected", |found| {
        any(found, |nic| {
            let master = nic.stacking.master.as_deref().and_then(|name| by_name(found, name));
            nic.kind == NicKind::VirtualFunction
                && nic.protected.is_some()
                && master.is_some_and(|master| bus(master) == "vmbus" && master.protected.is_some())
        })
    }),
    ("bnxt-npar", "two functions of one card with the same MAC, told apart", |found| {
        let twin = warned(found, WarningCode::DuplicateMac);
        twin.is_some_and(|twin| {
            any(found, |nic| {
                nic.id != twin.id
                    && nic.mac == twin.mac
                    && nic.permanent_mac != twin.permanent_mac
                    && slot(nic).is_some()
                    && slot(nic) == slot(twin)
            })
        })
    }),
    ("broken", "a card off the bus, one that answers EIO, and sound ones beside them", |found| {
        let failed =
            |text: &str| any(found, |nic| nic.failures.iter().any(|failure| failure.error.contains(text)));
        failed("all ones") && failed("EIO") && any(found, |nic| nic.name.as_deref() == Some("sound0"))
    }),
    ("cx6dx-dual", "one PF with a VF in a pod, one with a virtual machine, one trusted and free", |found| {
        any(found, |nic| {
            let vfs = nic.sriov.iter().flat_map(|sriov| &sriov.vfs);
            let holders: Vec<_> = vfs.clone().filter_map(|vf| vf.held.as_ref()).collect();
            holders.iter().any(|held| held.namespace.as_ref().is_some_and(|at| at.pod_uid.is_some()))
                && holders.iter().any(|held| held.by == HeldBy::Vfio && held.pid.is_some())
                && vfs.clone().any(|vf| vf.trust == Some(true) && vf.held.is_none())
        })
    }),
    ("cx7-ib", "an InfiniBand rail that is down, with 20-byte address and 400 Gb/s all the same", |found| {
        any(found, |nic| {
            nic.mac.is_some_and(|mac| mac.bytes().len() == 20)
                && nic.link.as_ref().is_some_and(|link| !link.admin_up)
                && (nic.speed.mbps, nic.speed.source)
                    == (SpeedMbps::new(400_000), SpeedSource::InfinibandRate)
        })
    }),
    ("dhcp-renewal", "no default route now, so the remembered uplink counts", |found| {
        found.node.uplink.basis == UplinkBasis::Remembered && found.node.uplink.protected.len() == 1
    }),
    ("e810-breakout", "a port slower than its three siblings on the same card", |found| {
        warned(found, WarningCode::PortBelowSiblings).is_some_and(|slow| {
            found.nics.iter().filter(|nic| nic.kind == NicKind::Physical && slot(nic) == slot(slow)).count()
                == 4
        })
    }),
    ("gpu-8x10", "a 400 Gb/s port in a link of eight lanes, beside eight GPUs", |found| {
        found.gpus.len() == 8
            && any(found, |nic| {
                nic.speed.source == SpeedSource::PcieLimit
                    && nic.speed.port.is_some_and(|port| port.mbps.get() == 400_000)
                    && nic.pci.as_ref().and_then(|pci| pci.link).is_some_and(|link| link.width == 8)
            })
    }),
    ("gpu-dual-socket", "GPUs and NICs that share no root with one another, only the socket", |found| {
        any(found, |nic| nic.gpus.len() > 1 && nic.secondary.is_secondary)
            && found
                .nics
                .iter()
                .flat_map(|nic| &nic.gpus)
                .all(|gpu| matches!(gpu.relation, Relation::SameNuma | Relation::OtherNuma))
    }),
    ("gpu-vm", "a flat tree in which only the cloud's file knows what is near", |found| {
        let near = |name: &str| by_name(found, name)?.gpus.first().cloned();
        near("rail0")
            .is_some_and(|gpu| gpu.relation == Relation::SameSwitch && gpu.gpu.to_string() == "0004:00:00.0")
            && by_name(found, "rail0").is_some_and(|nic| nic.numa_node == Some(1) && nic.pci_path.is_empty())
    }),
    ("lab-plain", "an 82576 that could give all its VFs, far from the one that carries the node", |found| {
        let free = |nic: &Nic| nic.sriov.as_ref().is_some_and(|sriov| sriov.capacity.creatable == 7);
        let is_igb = |nic: &Nic| nic.driver.as_ref().is_some_and(|driver| driver.name == "igb") && free(nic);
        any(found, |nic| is_igb(nic) && nic.secondary.usable.l2 && nic.numa_node == Some(1))
            && any(found, |nic| is_igb(nic) && nic.protected.is_some() && nic.numa_node == Some(0))
    }),
    ("lab-stacked", "a bridge on a VLAN on a bond carries the node: both ports are below it", |found| {
        let path = |nic: &Nic| nic.protected.as_ref().map(|found| found.path.join(" > ")).unwrap_or_default();
        let ports = found.nics.iter().filter(|nic| nic.kind == NicKind::Physical);
        ports.filter(|nic| path(nic).contains(" > br0 > bond0.20 > bond0 > ")).count() == 2
    }),
    ("lab-switchdev", "a software device in switchdev mode with a representor for each VF", |found| {
        let mode = |nic: &Nic| nic.sriov.as_ref()?.eswitch.as_ref().map(|eswitch| eswitch.mode.clone());
        any(found, |nic| bus(nic) == "netdevsim" && mode(nic).as_deref() == Some("switchdev"))
            && found.nics.iter().filter(|nic| nic.kind == NicKind::Representor).count() == 2
    }),
    ("lab-vfs", "a VF in a namespace with a name, one that a process holds, one to give", |found| {
        any(found, |nic| {
            let named =
                |held: &Held| held.namespace.as_ref().is_some_and(|at| at.name.as_deref() == Some("tenant"));
            let vfs = nic.sriov.iter().flat_map(|sriov| &sriov.vfs);
            vfs.filter_map(|vf| vf.held.as_ref()).any(named)
                && nic
                    .sriov
                    .as_ref()
                    .is_some_and(|sriov| (sriov.capacity.held, sriov.capacity.free) == (2, 1))
        })
    }),
    ("mlx4-vpi", "one function with an Ethernet and an InfiniBand port", |found| {
        any(found, |nic| {
            nic.id.as_str().ends_with("-port1")
                && any(found, |other| {
                    other.pci_address() == nic.pci_address()
                        && link_type(other) == Some(1)
                        && link_type(nic) == Some(32)
                })
        })
    }),
    ("nfs-storage", "a NIC that is protected because the node mounts NFS over it", |found| {
        any(found, |nic| {
            nic.protected.as_ref().is_some_and(|protection| {
                protection.reason == ProtectionReason::Storage && protection.path[0].starts_with("nfs4")
            })
        })
    }),
    ("no-capacity", "a PF for each reason to give no VF", |found| {
        let reasons: BTreeSet<SriovZeroReason> =
            found.nics.iter().filter_map(|nic| nic.sriov.as_ref()?.capacity.reason).collect();
        reasons.len() == 7
    }),
    ("no-uplink", "nothing says what carries the node", |found| {
        warned_node(found, WarningCode::UplinkUnknown)
            && found.nics.iter().filter(|nic| nic.hardware).count() == 2
    }),
    ("old-partial", "a netdev whose index the captured tree does not give", |found| {
        any(found, |nic| nic.link.is_some() && nic.generation.ifindex.is_none())
    }),
    ("ovn-br-ex", "a NIC that carries the node through a bridge of Open vSwitch", |found| {
        any(found, |nic| {
            let path = nic.protected.as_ref().map(|protection| protection.path.join(" > "));
            nic.kind == NicKind::Physical && path.is_some_and(|path| path.contains("br-ex > ovs-system > "))
        })
    }),
    ("sf-switchdev", "a sub-function and its representor", |found| {
        any(found, |nic| nic.kind == NicKind::SubFunction)
            && any(found, |nic| {
                nic.kind == NicKind::Representor
                    && nic.devlink_port.as_ref().is_some_and(|port| port.sf == Some(88))
            })
    }),
    ("soc-board", "a NIC of the chip itself and one on USB", |found| {
        any(found, |nic| bus(nic) == "platform") && any(found, |nic| bus(nic) == "usb")
    }),
    ("two-uplinks", "default routes of two tables, each with a NIC of its own", |found| {
        let tables: BTreeSet<&str> = found
            .nics
            .iter()
            .filter_map(|nic| nic.protected.as_ref())
            .filter(|protection| protection.path.len() == 2)
            .map(|protection| protection.path[0].as_str())
            .collect();
        tables.contains("default route (table 100)") && tables.contains("default route (table 254)")
    }),
    ("virtio-mmio", "a virtio NIC that hangs on no PCI function", |found| {
        any(found, |nic| bus(nic) == "virtio" && nic.pci.is_none())
    }),
    ("virtio-pci", "a virtio NIC on a PCI function carries the node, beside two ifb", |found| {
        any(found, |nic| bus(nic) == "virtio" && nic.pci.is_some() && nic.protected.is_some())
            && found.nics.iter().filter(|nic| nic.kind == NicKind::Ifb).count() == 2
    }),
    ("virtual-zoo", "thirteen kinds of virtual links", |found| {
        let kinds: BTreeSet<NicKind> =
            found.nics.iter().filter(|nic| !nic.hardware).map(|nic| nic.kind).collect();
        kinds.len() == 13 && any(found, |nic| nic.stacking.link_kind.as_deref() == Some("wireguard"))
    }),
    ("vmware-vmxnet3", "a speed that is a constant of the driver", |found| {
        any(found, |nic| nic.speed.source == SpeedSource::Nominal)
            && found.node.hypervisor.as_deref() == Some("VMware")
    }),
    ("xen-domu", "a NIC on the Xen bus", |found| any(found, |nic| bus(nic) == "xen")),
];

fn any(found: &Inventory, is: impl Fn(&Nic) -> bool) -> bool {
    found.nics.iter().any(is)
}

fn by_name<'a>(found: &'a Inventory, name: &str) -> Option<&'a Nic> {
    found.nics.iter().find(|nic| nic.name.as_deref() == Some(name))
}

fn bus(nic: &Nic) -> &str {
    nic.bus.as_ref().map(|bus| bus.kind.as_str()).unwrap_or_default()
}

fn slot(nic: &Nic) -> Option<(u32, u8, u8)> {
    nic.pci_address().map(|pci| pci.slot())
}

fn link_type(nic: &Nic) -> Option<u16> {
    nic.link.as_ref().map(|link| link.hardware_type)
}

fn rdma_layer(nic: &Nic) -> Option<&str> {
    nic.rdma.first()?.ports.first()?.link_layer.as_deref()
}

fn warned(found: &Inventory, code: WarningCode) -> Option<&Nic> {
    let warning = found.warnings.iter().find(|warning| warning.code == code)?;
    found.nics.iter().find(|nic| Some(&nic.id) == warning.nic.as_ref())
}

fn warned_node(found: &Inventory, code: WarningCode) -> bool {
    found.warnings.iter().any(|warning| warning.code == code && warning.nic.is_none())
}

#[test]
fn every_machine_has_a_fact_that_no_other_machine_has() {
    let machines: Vec<(String, Inventory)> =
        machines().into_iter().map(|machine| (machine.name.clone(), machine.inventory())).collect();
    let mut wrong = Vec::new();

    for (name, sentence, holds) in FACTS {
        let having: Vec<&str> =
            machines.iter().filter(|(_, found)| holds(found)).map(|(name, _)| name.as_str()).collect();
        if having != [*name] {
            wrong.push(format!("{name}: `{sentence}` holds for {having:?}"));
        }
    }
    let named: Vec<&str> = FACTS.iter().map(|(name, ..)| *name).collect();
    let all: Vec<&str> = machines.iter().map(|(name, _)| name.as_str()).collect();

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(named, all, "one row for each machine, in the order of the folders");
    assert!(all.len() >= 12, "the collection shrank");
}

#[test]
fn every_warning_code_of_the_hardware_has_a_machine() {
    let found: BTreeSet<WarningCode> = machines()
        .iter()
        .flat_map(|machine| machine.inventory().warnings)
        .map(|warning| warning.code)
        .collect();

    let of_hardware = [
        WarningCode::Broken,
        WarningCode::PcieBelowPort,
        WarningCode::PcieDegraded,
        WarningCode::PortBelowCapability,
        WarningCode::PortBelowSiblings,
        WarningCode::SriovOffInFirmware,
        WarningCode::NoIommu,
        WarningCode::MtuDiffers,
        WarningCode::FarFromGpus,
        WarningCode::DuplicateMac,
        WarningCode::UplinkUnknown,
    ];
    assert_eq!(found.into_iter().collect::<Vec<_>>(), of_hardware);
}
