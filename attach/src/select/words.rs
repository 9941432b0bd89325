//! The words for a choice that cannot be made.

use hwprobe::{Nic, NotSecondary, SpeedMbps};

use super::LeftOut;

/// Why no NICs can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// A named master cannot be had.
    #[error(
        "masters: `{master}` cannot be used: {}; usable here: {}",
        why.as_deref().unwrap_or("this node has no such NIC"), listed(known)
    )]
    NoSuchMaster {
        /// The name.
        master: String,
        /// Why, when this node has it.
        why: Option<String>,
        /// Names that can be had.
        known: Vec<String>,
    },
    /// A class that nobody defined.
    #[error("class: there is no device class `{class}`; defined here: {}", listed(known))]
    NoSuchClass {
        /// The class.
        class: String,
        /// Classes that there are.
        known: Vec<String>,
    },
    /// An allocated device is not here.
    #[error("deviceIDs: this node has no network device at `{device}`")]
    NoSuchDevice {
        /// Its PCI address.
        device: String,
    },
    /// An allocated device is something else.
    #[error("deviceIDs: `{device}` is no virtual function; a whole NIC goes to a pod with type host-device")]
    NotAVf {
        /// Its PCI address.
        device: String,
    },
    /// An allocated device belongs to a NIC that was not chosen.
    #[error("deviceIDs: `{device}` is a VF of {pf}, which is left out: {why}; chosen: {}", listed(known))]
    OtherPf {
        /// Its PCI address.
        device: String,
        /// Its PF.
        pf: String,
        /// Why that is left out.
        why: String,
        /// PFs that are not.
        known: Vec<String>,
    },
    /// A chosen PF has no allocated device.
    #[error(
        "deviceIDs: the pod has no VF of {pf} (it has {}); let it ask for one more device of the resource, or name \
         fewer NICs",
        listed(devices)
    )]
    NoDeviceOnPf {
        /// The PF.
        pf: String,
        /// The pod's devices.
        devices: Vec<String>,
        /// How many NICs the pod asks for.
        count: Option<usize>,
    },
    /// The pod asks for more NICs than it has devices.
    #[error("deviceIDs: the pod asks for {count} NICs and has only {}", listed(devices))]
    TooFewDevices {
        /// The pod's devices.
        devices: Vec<String>,
        /// How many NICs it asks for.
        count: usize,
    },
    /// A NIC is in a use that excludes the wanted one.
    #[error("{why}")]
    InUse {
        /// Which, and whose.
        why: String,
    },
    /// Nobody knows which NIC carries the node, so none may be taken from it.
    #[error(
        "this node has no default route now, none is remembered and none is listed as `protected` in agent.yaml: \
         no NIC is given away whole until the uplink is known"
    )]
    UplinkUnknown,
    /// The bandwidth that is wished for cannot be had.
    #[error(
        "target: {target} cannot be had{}: {}",
        nics.map_or_else(String::new, |nics| format!(" from {nics} NIC{}", if nics == 1 { "" } else { "s" })),
        too_slow(*target, *fastest, *left)
    )]
    TooSlow {
        /// The bandwidth.
        target: SpeedMbps,
        /// How many NICs may give it.
        nics: Option<usize>,
        /// What that many of the fitting NICs have together, Mb/s.
        fastest: u64,
        /// What is not promised of that, Mb/s.
        left: u64,
    },
    /// No NIC is left.
    #[error("no NIC of this node can be used: {}", reasons(left_out))]
    Nothing {
        /// Why each is out.
        left_out: Vec<LeftOut>,
    },
}

impl SelectError {
    /// Whether it stays so whatever other pods do: this node can never serve the wish.
    pub fn is_for_ever(&self) -> bool {
        match self {
            Self::TooSlow { target, fastest, .. } => *fastest < u64::from(target.get()),
            Self::InUse { .. } | Self::UplinkUnknown => false,
            _ => true,
        }
    }
}

fn too_slow(target: SpeedMbps, fastest: u64, left: u64) -> String {
    if fastest < u64::from(target.get()) {
        return format!("the NICs that fit have {fastest} Mb/s");
    }
    format!("other pods were promised all but {left} of {fastest} Mb/s")
}

/// Names for an error that says what there is.
pub(crate) fn listed<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<T> = names.into_iter().collect();
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The reasons of hardware NICs, and how many others there are: a node has very many virtual links.
fn reasons(left_out: &[LeftOut]) -> String {
    const SHOWN: usize = 8;
    if left_out.is_empty() {
        return "it has none".to_owned();
    }
    let label = |out: &LeftOut| out.name.clone().unwrap_or_else(|| out.nic.to_string());
    let mut ordered: Vec<&LeftOut> = left_out.iter().collect();
    ordered.sort_by_key(|out| out.rule == super::Rule::NotSecondary);
    let mut words: Vec<String> =
        ordered.iter().take(SHOWN).map(|out| format!("{}: {}", label(out), out.why)).collect();
    if left_out.len() > SHOWN {
        words.push(format!("and {} more", left_out.len() - SHOWN));
    }
    words.join("; ")
}

/// Why a NIC is not secondary.
pub(super) fn not_secondary(nic: &Nic) -> String {
    let words = nic.secondary.reasons.iter().map(|reason| match reason {
        NotSecondary::NotHardware => "it is a virtual link".to_owned(),
        NotSecondary::Protected => {
            let path = nic.protected.as_ref().map(|protection| protection.path.join(" > "));
            format!("it carries the node ({})", path.unwrap_or_default())
        }
        NotSecondary::Enslaved => {
            format!("it is a port of {}", nic.stacking.master.as_deref().unwrap_or("another link"))
        }
        NotSecondary::Held => "somebody holds it".to_owned(),
        NotSecondary::Excluded => "the configuration excludes it".to_owned(),
        _ => "it is not for pods".to_owned(),
    });
    words.collect::<Vec<_>>().join(", ")
}
