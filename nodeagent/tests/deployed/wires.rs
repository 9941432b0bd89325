//! This machine's NICs, and another host at the far end of their wires.

use std::fs;

use super::run;

/// PCI addresses of the two NICs with SR-IOV, each on a wire of its own.
const NICS: [&str; 2] = ["0000:01:00.0", "0000:02:00.0"];

/// PCI addresses of the far ends, NICs of this machine in a namespace of their own.
const FAR: [&str; 2] = ["0000:04:00.0", "0000:05:00.0"];

/// Address of the other host on each wire.
pub(crate) const OTHER: [&str; 2] = ["10.0.1.2", "10.0.2.2"];

/// Address of a pod of the other host on each wire.
pub(crate) const THEIR_POD: [&str; 2] = ["192.168.1.1", "192.168.65.1"];

/// The wires.
pub(crate) struct Wires {
    /// Names of this host's NICs.
    pub(crate) nics: [String; 2],
    /// Name of the third, which has another speed and no address at first.
    pub(crate) third: String,
}

impl Wires {
    /// Gives the NICs addresses, as an administrator does, and makes the other host.
    pub(crate) fn new() -> Self {
        run("ip", "netns add far");
        let nics = NICS.map(name);
        for (index, nic) in nics.iter().enumerate() {
            let (far, net) = (name(FAR[index]), index + 1);
            run("ip", &format!("addr add 10.0.{net}.1/24 dev {nic}"));
            run("ip", &format!("link set {nic} up"));
            run("ip", &format!("link set {far} netns far"));
            run("ip", &format!("-n far addr add {}/24 dev {far}", OTHER[index]));
            run("ip", &format!("-n far link set {far} up"));
            run("ip", &format!("-n far addr add {}/32 dev lo", THEIR_POD[index]));
            // What the other host's agent would do: the way to this host's blocks.
            run("ip", &format!("-n far route add 192.168.{}.0/24 via 10.0.{net}.1", 64 * index));
        }
        run("ip", "-n far link set lo up");
        Self { nics, third: name("0000:03:00.0") }
    }

    /// How many VFs each NIC has.
    pub(crate) fn vfs(&self) -> [u32; 2] {
        NICS.map(|pci| {
            let text = fs::read_to_string(format!("/sys/bus/pci/devices/{pci}/sriov_numvfs")).unwrap();
            text.trim().parse().unwrap()
        })
    }

    /// Whether a device is a VF of a NIC.
    pub(crate) fn has_vf(&self, index: usize, device: &str) -> bool {
        functions(NICS[index]).iter().any(|vf| vf == device)
    }

    /// VFs whose netdev is on the host.
    pub(crate) fn idle_vfs(&self) -> usize {
        let all = NICS.iter().flat_map(|pci| functions(pci));
        all.filter(|vf| {
            fs::read_dir(format!("/sys/bus/pci/devices/{vf}/net")).is_ok_and(|mut net| net.next().is_some())
        })
        .count()
    }

    /// Takes them away.
    pub(crate) fn no_vfs(&self) {
        NICS.iter()
            .for_each(|pci| fs::write(format!("/sys/bus/pci/devices/{pci}/sriov_numvfs"), "0").unwrap());
    }

    /// Packets that each NIC has sent.
    pub(crate) fn sent(&self) -> [u64; 2] {
        [0, 1].map(|index| {
            let file = format!("/sys/class/net/{}/statistics/tx_packets", self.nics[index]);
            fs::read_to_string(file).unwrap().trim().parse().unwrap()
        })
    }
}

/// PCI addresses of a NIC's VFs.
fn functions(pci: &str) -> Vec<String> {
    let entries = fs::read_dir(format!("/sys/bus/pci/devices/{pci}")).unwrap().flatten();
    let vfs = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("virtfn"));
    let target =
        |entry: fs::DirEntry| Some(fs::read_link(entry.path()).ok()?.file_name()?.to_str()?.to_owned());
    vfs.filter_map(target).collect()
}

fn name(pci: &str) -> String {
    let folder = fs::read_dir(format!("/sys/bus/pci/devices/{pci}/net")).expect("the NIC's name");
    folder.flatten().next().expect("its name").file_name().into_string().unwrap()
}
