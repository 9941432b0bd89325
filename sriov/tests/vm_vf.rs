//! VFs of igb: given, used and taken back. In the lab VM.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod vf_lab;

use std::fs;
use std::time::{Duration, Instant};

use netlink::{Family, Socket};
use serde_json::json;
use sriov::vf::{GivenBack, VfError, VfForm, VfNetdev, VfOriginal, VfSettings, VfWish, Vfs};
use sriov::{Roots, Works};
use vf_lab::*;

const LONG: Duration = Duration::from_secs(20);

/// How long senders are listened to of whom one must not be heard.
const TOGETHER: Duration = Duration::from_secs(4);

struct Lab {
    vfs: Vfs,
    host: Socket,
}

fn lab() -> Lab {
    Lab { vfs: Vfs::new(Roots::default(), Works::new()), host: Socket::open(Family::Route).unwrap() }
}

fn wish(set: impl FnOnce(&mut VfWish)) -> VfSettings {
    let mut wish = VfWish::default();
    set(&mut wish);
    wish.check().unwrap()
}

impl Lab {
    fn take(&mut self, vf: &VfOriginal, settings: &VfSettings) -> VfNetdev {
        self.vfs.take(&mut self.host, vf, settings, VfForm::Netdev, &lock()).unwrap().unwrap()
    }

    /// Gives back, and restores the netdev's name and MTU as the engine does.
    fn give_back(&mut self, vf: &VfOriginal, settings: &VfSettings, was: &datapath::Taken) -> GivenBack {
        let back = self.vfs.give_back(&mut self.host, vf, settings, &lock()).unwrap();
        if let Some(netdev) = &back.netdev {
            let was = datapath::Taken { address: None, ..was.clone() };
            datapath::restore(&mut self.host, netdev.index, &was).unwrap();
        }
        back
    }

    fn observe(&mut self, pci: hwprobe::PciAddress) -> (VfOriginal, datapath::Taken) {
        let vf = self.vfs.observe(&mut self.host, pci).unwrap();
        let index = ip_json(&format!("link show {}", name(&pci.to_string()).unwrap()))[0]["ifindex"].clone();
        let was = datapath::observe::device(&mut self.host, index.as_u64().unwrap() as u32).unwrap();
        (vf, was)
    }
}

#[test]
#[ignore = "needs the lab VM"]
fn every_setting_is_seen_by_ip_and_all_of_it_is_gone_afterwards() {
    let mut lab = lab();
    let pci = vfs(PFS[0], 3)[1];
    let before = state(PFS[0], 1, &pci.to_string());
    let (vf, was) = lab.observe(pci);
    let settings = wish(|wish| {
        wish.mac = Some("02:00:00:00:0a:01".to_owned());
        (wish.vlan, wish.vlan_qos) = (Some(100), Some(3));
        (wish.spoofchk, wish.trust) = (Some("off".to_owned()), Some("on".to_owned()));
        wish.max_tx_rate = Some(200);
    });

    let netdev = lab.take(&vf, &settings);

    let shown = admin(PFS[0], 1);
    assert_eq!(shown["address"], "02:00:00:00:0a:01");
    assert_eq!(shown["vlan_list"][0]["vlan"], 100, "{shown}");
    assert_eq!(shown["vlan_list"][0]["qos"], 3, "{shown}");
    assert_eq!((&shown["spoofchk"], &shown["trust"]), (&json!(false), &json!(true)));
    assert_eq!(shown["rate"]["max_tx"], 200, "{shown}");
    let now = lab.vfs.admin_now(&mut lab.host, &vf).unwrap();
    assert_eq!(settings.missing(&now), [""; 0]);
    let link = ip_json(&format!("link show {}", netdev.name));
    assert_eq!(
        (&link[0]["address"], &link[0]["ifindex"]),
        (&json!("02:00:00:00:0a:01"), &json!(netdev.index))
    );
    // The neighbours have nothing of it.
    assert_eq!(admin(PFS[0], 0)["vlan_list"], json!([{}]));

    let back = lab.give_back(&vf, &settings, &was);
    assert_eq!(back.left, [""; 0]);
    assert_eq!(state(PFS[0], 1, &pci.to_string()), before);
    // Doing it again changes nothing: the netdev is not even bound again.
    let index = back.netdev.unwrap().index;
    assert_eq!(lab.give_back(&vf, &settings, &was).netdev.unwrap().index, index);
    assert_eq!(state(PFS[0], 1, &pci.to_string()), before);
}

#[test]
#[ignore = "needs the lab VM"]
fn what_igb_cannot_do_is_refused_with_the_reason_and_leaves_nothing() {
    let mut lab = lab();
    let pci = vfs(PFS[0], 3)[0];
    let before = state(PFS[0], 0, &pci.to_string());
    let (vf, was) = lab.observe(pci);
    for (settings, words) in [
        (
            wish(|wish| (wish.vlan, wish.vlan_proto) = (Some(5), Some("802.1ad".to_owned()))),
            "set vlan 5 qos 0 proto 802.1ad of VF 0 (0000:41:10.0) on its PF",
        ),
        (wish(|wish| wish.min_tx_rate = Some(10)), "(the PF's driver has no least rate"),
        (
            wish(|wish| wish.link_state = Some("enable".to_owned())),
            "(the PF's driver cannot do that: leave it out)",
        ),
        (wish(|wish| wish.guid = Some("c2:11:22:33:44:55:66:77".to_owned())), "set node_guid c2:11"),
    ] {
        let error = lab.vfs.take(&mut lab.host, &vf, &settings, VfForm::Netdev, &lock()).unwrap_err();

        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(lab.give_back(&vf, &settings, &was).left, [""; 0]);
        assert_eq!(state(PFS[0], 0, &pci.to_string()), before);
    }
    let pf = lab.vfs.observe(&mut lab.host, PFS[0].parse().unwrap()).unwrap_err();
    assert!(matches!(pf, VfError::NotAVf { .. }), "{pf}");
    let none = lab.vfs.observe(&mut lab.host, "0000:41:1f.6".parse().unwrap()).unwrap_err();
    assert!(matches!(none, VfError::NoDevice { .. }), "{none}");
}

#[test]
#[ignore = "needs the lab VM"]
fn a_vf_with_a_mac_of_the_pf_passes_frames_to_the_pf_and_to_other_vfs() {
    let mut lab = lab();
    let all = vfs(PFS[0], 3);
    let pf = name(PFS[0]).unwrap();
    let pods = [space(), space()];
    let settings = [
        wish(|wish| wish.mac = Some("02:00:00:00:0b:01".to_owned())),
        wish(|wish| wish.mac = Some("02:00:00:00:0b:02".to_owned())),
    ];
    let taken: Vec<_> = all[..2].iter().map(|pci| lab.observe(*pci)).collect();
    for (number, (vf, _)) in taken.iter().enumerate() {
        let netdev = lab.take(vf, &settings[number]);
        pods[number].take_in(netdev.index, &format!("10.9.0.{}/24", number + 1));
    }
    ip(&format!("address add 10.9.0.9/24 dev {pf}"));

    let [one, two] = [socket(Some(&pods[0]), "10.9.0.1"), socket(Some(&pods[1]), "10.9.0.2")];
    let on_pf = socket(None, "10.9.0.9");
    assert_eq!(arrived(&one, &two, LONG), 10, "VF to VF");
    assert_eq!(arrived(&one, &on_pf, LONG), 10, "VF to PF");
    assert_eq!(arrived(&on_pf, &two, LONG), 10, "PF to VF");

    drop((one, two, on_pf));
    ip(&format!("address del 10.9.0.9/24 dev {pf}"));
    drop(pods);
    for ((vf, was), settings) in taken.iter().zip(&settings) {
        assert_eq!(lab.give_back(vf, settings, was).left, [""; 0]);
    }
}

#[test]
#[ignore = "needs the lab VM"]
fn vlans_keep_vfs_apart_and_equal_ones_do_not_in_the_same_second() {
    let mut lab = lab();
    let all = vfs(PFS[0], 3);
    let pods = [space(), space(), space()];
    let vlan = |id| wish(|wish: &mut VfWish| wish.vlan = Some(id));
    let settings = [vlan(100), vlan(100), vlan(200)];
    let taken: Vec<_> = all.iter().map(|pci| lab.observe(*pci)).collect();
    for (number, (vf, _)) in taken.iter().enumerate() {
        let netdev = lab.take(vf, &settings[number]);
        pods[number].take_in(netdev.index, &format!("10.9.1.{}/24", number + 1));
    }
    let sockets: Vec<_> =
        (0..3).map(|number| socket(Some(&pods[number]), &format!("10.9.1.{}", number + 1))).collect();

    // One ear hears both, in the same seconds: what matters is who sent what came.
    let heard = heard(&[&sockets[0], &sockets[2]], &sockets[1], TOGETHER);
    assert!(heard[0] >= 5, "VLAN 100 did not reach VLAN 100: {heard:?}");
    assert_eq!(heard[1], 0, "VLAN 200 reached VLAN 100");
    // The very same sender is heard once it is in the same VLAN.
    ip(&format!("link set {} vf 2 vlan 100", name(PFS[0]).unwrap()));
    assert_eq!(arrived(&sockets[2], &sockets[1], LONG), 10);
    drop(sockets);
    drop(pods);
    for ((vf, was), settings) in taken.iter().zip(&settings) {
        assert_eq!(lab.give_back(vf, settings, was).left, [""; 0]);
    }
}

#[test]
#[ignore = "needs the lab VM"]
fn a_vf_goes_to_vfio_and_back_and_one_that_is_open_is_not_taken_away() {
    let mut lab = lab();
    let pci = vfs(PFS[0], 3)[2];
    let before = state(PFS[0], 2, &pci.to_string());
    let (vf, was) = lab.observe(pci);
    let settings = wish(|wish| wish.vlan = Some(7));

    let netdev = lab.vfs.take(&mut lab.host, &vf, &settings, VfForm::Vfio, &lock()).unwrap();

    assert_eq!(netdev, None);
    let group = sriov::vfio::group(&Roots::default(), pci).unwrap();
    let bound = state(PFS[0], 2, &pci.to_string());
    assert_eq!((&bound["driver"], &bound["override"]), (&json!("vfio-pci"), &json!("vfio-pci")));
    let open = fs::OpenOptions::new().read(true).write(true).open(format!("/dev/vfio/{group}")).unwrap();
    let started = Instant::now();
    let refused = lab.vfs.give_back(&mut lab.host, &vf, &settings, &lock()).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(1), "it is refused, not waited for");
    assert!(refused.to_string().contains(&format!("/dev/vfio/{group} open")), "{refused}");
    assert_eq!(state(PFS[0], 2, &pci.to_string()), bound);
    drop(open);
    assert_eq!(lab.give_back(&vf, &settings, &was).left, [""; 0]);
    assert_eq!(state(PFS[0], 2, &pci.to_string()), before);
}

#[test]
#[ignore = "needs the lab VM"]
fn a_vf_whose_namespace_ends_comes_home_and_is_cleaned_whatever_it_is_called() {
    let mut lab = lab();
    let pci = vfs(PFS[0], 3)[0];
    let text = pci.to_string();
    let before = state(PFS[0], 0, &text);
    let (vf, was) = lab.observe(pci);
    let settings = wish(|wish| (wish.vlan, wish.mac) = (Some(9), Some("02:00:00:00:0c:01".to_owned())));
    let netdev = lab.take(&vf, &settings);
    let pod = space();
    pod.take_in(netdev.index, "10.9.2.1/24");
    pod.ip("link property add dev vf0 altname left-by-the-pod");
    pod.ip("link set vf0 mtu 1400");
    let elsewhere = lab.vfs.observe(&mut lab.host, pci).unwrap_err();
    assert!(matches!(elsewhere, VfError::Elsewhere { .. }), "{elsewhere}");
    // Somebody has the name meanwhile: it comes home under another one.
    ip("link add vf0 type dummy");

    drop(pod);
    let back = lab.give_back(&vf, &settings, &was);

    ip("link del vf0");
    assert_eq!(back.left, [""; 0]);
    assert_eq!(state(PFS[0], 0, &text), before);
}

#[test]
#[ignore = "needs the lab VM"]
fn a_vf_of_another_generation_is_left_alone() {
    let mut lab = lab();
    let pci = vfs(PFS[1], 3)[0];
    let (vf, _) = lab.observe(pci);
    let settings = wish(|wish| wish.vlan = Some(9));
    lab.take(&vf, &settings);
    fs::write(folder(PFS[1]).join("sriov_numvfs"), "0").unwrap();
    let gone = lab.vfs.give_back(&mut lab.host, &vf, &settings, &lock()).unwrap();
    assert!(gone.is_gone);

    assert_eq!(vfs(PFS[1], 3)[0], pci);
    ip(&format!("link set {} vf 0 vlan 44", name(PFS[1]).unwrap()));
    assert!(lab.vfs.give_back(&mut lab.host, &vf, &settings, &lock()).unwrap().is_gone);
    assert_eq!(admin(PFS[1], 0)["vlan_list"][0]["vlan"], 44);
    // The next one to take it finds the leftover, and takes it away.
    let (next, was) = lab.observe(pci);
    let none = VfSettings::default();
    lab.take(&next, &none);
    assert_eq!(admin(PFS[1], 0)["vlan_list"], json!([{}]));
    lab.give_back(&next, &none, &was);
}

/// 20 rounds over all 14 VFs: each comes back equal to its first state, whatever it was given and however it went.
#[test]
#[ignore = "needs the lab VM"]
fn twenty_rounds_over_fourteen_vfs_leave_every_one_as_it_was() {
    let rounds: u32 = std::env::var("VF_ROUNDS").ok().map_or(20, |text| text.parse().unwrap());
    let mut lab = lab();
    let all: Vec<_> = PFS
        .into_iter()
        .flat_map(|pf| vfs(pf, 7).into_iter().enumerate().map(move |(index, pci)| (pf, index as u16, pci)))
        .collect();
    assert_eq!(all.len(), 14);
    let first = states(&all);
    let mut cycles = 0;
    for round in 0..rounds as usize {
        let pod = space();
        let mut moves = String::new();
        let taken: Vec<_> = all
            .iter()
            .enumerate()
            .map(|(number, one)| {
                let (vf, was) = lab.observe(one.2);
                let every = |nth: usize| (round + number).is_multiple_of(nth);
                let settings = wish(|wish| {
                    // A bind costs 100 ms here: every fourth one.
                    wish.mac = every(4).then(|| format!("02:00:00:{round:02x}:0d:{number:02x}"));
                    wish.vlan = every(2).then_some(100 + number as u32);
                    wish.max_tx_rate = every(3).then_some(100);
                    wish.trust = every(5).then(|| "on".to_owned());
                });
                let netdev = lab.take(&vf, &settings);
                moves.push_str(&format!("link set {} netns {} name vf{number}\n", netdev.name, pod.name));
                (vf, was, settings)
            })
            .collect();
        ip_batch(&moves);
        let inside = |number| {
            format!("link set vf{number} mtu 1400 up\naddress add 10.9.3.{number}/24 dev vf{number}\n")
        };
        pod.batch(&(0..14).map(inside).collect::<String>());
        if round.is_multiple_of(4) {
            // Back by hand, under other names; otherwise the namespace ends.
            pod.batch(
                &(0..14)
                    .map(|number| format!("link set vf{number} netns 1 name back{number}\n"))
                    .collect::<String>(),
            );
        }
        drop(pod);
        for (vf, was, settings) in &taken {
            assert_eq!(lab.give_back(vf, settings, was).left, [""; 0]);
            cycles += 1;
        }
        let now = states(&all);
        for (one, (now, first)) in all.iter().zip(now.iter().zip(&first)) {
            assert_eq!(now, first, "round {round}, VF {one:?}");
        }
    }
    assert_eq!(cycles, 14 * rounds);
    println!("{cycles} VFs given and taken back");
}
