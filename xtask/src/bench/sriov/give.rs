//! One VF to a pod as a netdev, and back: our library beside `ip` and sysfs by hand.
//!
//! Both make the same pod (MAC or none, VLAN and trust through the PF; name, MTU, address, up) and the same VF
//! afterwards, and that is looked at in every turn.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use datapath::netns::{HostNamespace, PodNamespace};
use datapath::{PodLink, Source};
use netlink::{Family, Socket};
use serde_json::Value;
use sriov::vf::{VfForm, VfSettings, VfWish, Vfs};
use sriov::{Roots, Works};

use super::{PF, compare, ip, netdev, vf, wait, write};
use crate::program;

const POD: &str = "bench-vf";
const VF: u16 = 2;
const MTU: u32 = 1400;
const VLAN: u32 = 100;
const ADDRESS: &str = "10.9.8.7/24";
const MAC: &str = "02:00:00:00:0b:01";

/// Index of the pod's link, and its group.
const FIRST: u32 = 1000;

/// Who does the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// `ip`, all lines of a namespace in one start of it.
    Batch,
    /// `ip`, a start for each step, as scripts and runbooks do it.
    Steps,
    /// This project's crates `sriov` and `datapath`.
    Ours,
}

const ALL: [(Who, &str); 3] = [
    (Who::Batch, "by hand: ip -batch, sysfs"),
    (Who::Steps, "by hand: ip step by step, sysfs"),
    (Who::Ours, "ours: noted, given, read back"),
];

pub(super) fn measure(turns: usize) -> Result<()> {
    write(PF, "sriov_numvfs", "0")?;
    write(PF, "sriov_numvfs", "7")?;
    wait("the VFs' netdevs", || {
        (0..7).all(|index| vf(index).and_then(|pci| netdev(&pci)).is_some()).then_some(())
    })?;
    ip(&format!("netns add {POD}"))?;
    let mut bench = Bench::new()?;
    for (mac, title) in [
        (None, "without a MAC, so without a bind (goal: × 1.30 of the first)"),
        (Some(MAC), "with a MAC: by hand with a bind, ours where the driver needs one"),
    ] {
        let mut given: Vec<(&str, Vec<Duration>)> = ALL.iter().map(|(_, name)| (*name, Vec::new())).collect();
        let mut back = given.clone();
        for turn in 0..=turns {
            for ((who, _), (given, back)) in ALL.iter().zip(given.iter_mut().zip(&mut back)) {
                let (there, home) = bench.round(*who, mac)?;
                if turn > 0 {
                    given.1.push(there);
                    back.1.push(home);
                }
            }
        }
        compare(&format!("a VF to a pod, {title}"), &given);
        compare(&format!("a VF back from its pod, {title}"), &back);
    }
    drop(bench);
    ip(&format!("netns del {POD}"))?;
    write(PF, "sriov_numvfs", "0")
}

struct Bench {
    pf: String,
    vf: String,
    vfs: Vfs,
    host: Socket,
    home: HostNamespace,
}

impl Bench {
    fn new() -> Result<Self> {
        Ok(Self {
            pf: netdev(PF).context("the PF has no netdev")?,
            vf: vf(VF).context("the PF has too few VFs")?,
            vfs: Vfs::new(Roots::default(), Works::new()),
            host: Socket::open(Family::Route)?,
            home: HostNamespace::current()?,
        })
    }

    /// There and back; both times.
    fn round(&mut self, who: Who, mac: Option<&str>) -> Result<(Duration, Duration)> {
        let before = self.state()?;
        let (there, home) = match who {
            Who::Ours => self.ours(mac)?,
            Who::Batch => self.by_hand(mac, batched)?,
            Who::Steps => self.by_hand(mac, one_by_one)?,
        };
        let after = self.state()?;
        ensure!(before == after, "{who:?} left another VF behind:\n{before}\n{after}");
        Ok((there, home))
    }

    fn ours(&mut self, mac: Option<&str>) -> Result<(Duration, Duration)> {
        let pci = self.vf.parse()?;
        let begun = Instant::now();
        let wish = VfWish {
            mac: mac.map(str::to_owned),
            vlan: Some(VLAN),
            trust: Some("on".to_owned()),
            ..VfWish::default()
        };
        let settings: VfSettings = wish.check()?;
        let lock = Arc::new(());
        let vf = self.vfs.observe(&mut self.host, pci)?;
        let (index, _) = self.vfs.netdev_of(pci).context("the VF has no netdev")?;
        let was = datapath::observe::device(&mut self.host, index)?;
        let netdev = self.vfs.take(&mut self.host, &vf, &settings, VfForm::Netdev, &lock)?;
        let netdev = netdev.context("a VF without a netdev")?;
        let mut pod = PodNamespace::open(File::open(format!("/run/netns/{POD}"))?.into())?;
        let link = pod_link(netdev.index)?;
        let links = std::slice::from_ref(&link);
        let made = datapath::wire(&mut self.host, &self.home, &mut pod, FIRST, links, &[], &mut |_| Ok(()))?;
        let there = begun.elapsed();
        drop(made);
        look_inside(mac)?;

        let begun = Instant::now();
        // What a driver made up is not written back (TRAPS V1), and the last bind gave another name.
        let was = datapath::Taken { address: None, ..was };
        let taken = [(link, Some(was.clone()))];
        let left = datapath::unwire(&mut self.host, &self.home, &mut pod, FIRST, &taken)?;
        ensure!(left.is_empty(), "left in the pod: {left:?}");
        let back = self.vfs.give_back(&mut self.host, &vf, &settings, &lock)?;
        ensure!(back.left.is_empty(), "not restored: {:?}", back.left);
        let netdev = back.netdev.context("the VF has no netdev afterwards")?;
        datapath::restore(&mut self.host, netdev.index, &was)?;
        Ok((there, begun.elapsed()))
    }

    fn by_hand(&self, mac: Option<&str>, run: Run) -> Result<(Duration, Duration)> {
        let (pf, vf) = (&self.pf, self.vf.as_str());
        let was = netdev(vf).context("the VF has no netdev")?;
        let begun = Instant::now();
        let mut through_pf = format!("link set {pf} vf {VF} vlan {VLAN} trust on");
        if let Some(mac) = mac {
            through_pf.push_str(&format!(" mac {mac}"));
        }
        let mut outside = vec![through_pf];
        if mac.is_some() {
            run(&[], &outside)?;
            rebind(vf)?;
            outside.clear();
        }
        let name = netdev(vf).context("the VF has no netdev")?;
        outside.push(format!("link set {name} netns {POD} name net1"));
        run(&[], &outside)?;
        let inside = [
            format!("link set net1 mtu {MTU}"),
            format!("address add {ADDRESS} dev net1"),
            "link set net1 up".to_owned(),
        ];
        run(&["-n", POD], &inside)?;
        let there = begun.elapsed();
        look_inside(mac)?;

        let begun = Instant::now();
        let inside = [
            "link set net1 down".to_owned(),
            "address flush dev net1".to_owned(),
            "link set net1 mtu 1500".to_owned(),
            format!("link set net1 netns 1 name {was}"),
        ];
        run(&["-n", POD], &inside)?;
        let mut through_pf = format!("link set {pf} vf {VF} vlan 0 trust off");
        if mac.is_some() {
            through_pf.push_str(" mac 00:00:00:00:00:00");
        }
        run(&[], &[through_pf])?;
        if mac.is_some() {
            rebind(vf)?;
            let name = netdev(vf).context("the VF has no netdev")?;
            if name != was {
                run(&[], &[format!("link set {name} name {was}")])?;
            }
        }
        Ok((there, begun.elapsed()))
    }

    /// What both must leave alike: the VF at its PF, and its netdev, without MACs that the driver makes up.
    fn state(&self) -> Result<String> {
        let mut show = Command::new("ip");
        show.args(["-j", "-d", "link", "show"]);
        let all: Value = serde_json::from_slice(&program::stdout(&mut show)?)?;
        let of = |name: &str| -> Result<Value> {
            let links = all.as_array().context("ip prints no list")?;
            links.iter().find(|link| link["ifname"] == name).cloned().with_context(|| format!("no {name}"))
        };
        let name = netdev(&self.vf).context("the VF has no netdev")?;
        let (pf, own) = (of(&self.pf)?, of(&name)?);
        let vf = &pf["vfinfo_list"][usize::from(VF)];
        Ok(format!(
            "{name} {} {} {} {} vlan {} trust {} rate {}",
            own["mtu"],
            own["operstate"],
            own["group"],
            own["altnames"],
            vf["vlan_list"],
            vf["trust"],
            vf["rate"]
        ))
    }
}

/// Runs lines of `ip` with options before each.
type Run = fn(&[&str], &[String]) -> Result<()>;

/// Unbind and bind, then the netdev.
fn rebind(vf: &str) -> Result<()> {
    write(vf, "driver/unbind", vf)?;
    std::fs::write("/sys/bus/pci/drivers/igbvf/bind", vf)?;
    wait("the netdev after a bind", || netdev(vf)).map(drop)
}

/// One start of `ip` for all lines.
fn batched(options: &[&str], lines: &[String]) -> Result<()> {
    let mut command = Command::new("ip");
    let mut child = command.args(options).args(["-batch", "-"]).stdin(Stdio::piped()).spawn()?;
    let text = lines.join("\n");
    child.stdin.take().context("no pipe")?.write_all(text.as_bytes())?;
    if !child.wait()?.success() {
        bail!("ip refused one of:\n{text}");
    }
    Ok(())
}

/// One start of `ip` for each.
fn one_by_one(options: &[&str], lines: &[String]) -> Result<()> {
    lines
        .iter()
        .try_for_each(|line| program::must(Command::new("ip").args(options).args(line.split_whitespace())))
}

/// The pod has what was asked for.
fn look_inside(mac: Option<&str>) -> Result<()> {
    let mut show = Command::new("ip");
    show.args(["-n", POD, "-j", "address", "show", "dev", "net1"]);
    let shown: Value = serde_json::from_slice(&program::stdout(&mut show)?)?;
    let link = &shown[0];
    let addresses = link["addr_info"].as_array().context("no addresses")?;
    ensure!(link["mtu"] == MTU, "the pod's link is another: {link}");
    ensure!(link["flags"].to_string().contains("\"UP\""), "the pod's link is down: {link}");
    ensure!(addresses.iter().any(|one| one["local"] == "10.9.8.7"), "no address: {link}");
    ensure!(mac.is_none_or(|mac| link["address"] == mac), "another MAC: {link}");
    Ok(())
}

fn pod_link(index: u32) -> Result<PodLink> {
    Ok(PodLink {
        position: 0,
        name: "net1".to_owned(),
        alt_name: None,
        index: FIRST,
        source: Source::Device { index },
        mtu: Some(MTU),
        address: None,
        addresses: vec![ADDRESS.parse()?],
        routes: Vec::new(),
        policy: None,
        announce: false,
        duplicate_check: None,
    })
}
