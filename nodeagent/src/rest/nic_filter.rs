//! The filters of `/v1/nics`: one table that parses, selects and documents.
//!
//! Different parameters are joined with AND; the values of a comma list, and of a parameter that is given
//! several times, with OR.

use hwprobe::{
    HwAddr, Nic, NicKind, OperState, PciAddress, PciName, Relation, SpeedClass, SpeedMbps, WarningCode,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::PartialSchema;

use super::problem::Refusal;
use super::query::Query;
use crate::config::Settings;
use crate::inventory::published::Published;

/// What a test may look at beside the NIC.
pub(crate) struct Context<'a> {
    /// The generation that the NIC is of.
    pub(crate) published: &'a Published,
    /// The configuration.
    pub(crate) settings: &'a Settings,
}

type Test = Box<dyn Fn(&Nic, &Context<'_>) -> bool + Send + Sync>;

/// One query parameter that selects NICs.
pub(crate) struct Filter {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it does, for the document.
    pub(crate) description: &'static str,
    /// A value for the document.
    pub(crate) example: &'static str,
    /// The values it may have; or, when there are too many, one description of them.
    pub(crate) allowed: fn() -> Vec<String>,
    parse: fn(&str) -> Option<Test>,
}

/// Every filter, in the order of the document.
pub(crate) static FILTERS: &[Filter] = &[
    Filter {
        name: "id",
        description: "Id of the NIC.",
        example: "0000:3b:00.0",
        allowed: any_id,
        parse: |text| {
            let text = text.to_owned();
            test(move |nic, _| nic.id.as_str().eq_ignore_ascii_case(&text))
        },
    },
    Filter {
        name: "name",
        description: "Name or alternative name of the netdev; `*` stands for any characters.",
        example: "ens*",
        allowed: any_name,
        parse: by_name,
    },
    Filter {
        name: "kind",
        description: "What kind of network interface it is.",
        example: "physical",
        allowed: names::<NicKind>,
        parse: |text| {
            let kind: NicKind = named(text)?;
            test(move |nic, _| nic.kind == kind)
        },
    },
    Filter {
        name: "class",
        description: "Speed class.",
        example: "high",
        allowed: names::<SpeedClass>,
        parse: |text| {
            let class: SpeedClass = named(text)?;
            test(move |nic, _| nic.speed.class == class)
        },
    },
    Filter {
        name: "deviceClass",
        description: "Name of a device class of the configuration.",
        example: "rails",
        allowed: any_device_class,
        parse: by_device_class,
    },
    Filter {
        name: "state",
        description: "`up`: the netdev works; `down`: it does not; `absent`: there is no netdev in the agent's namespace.",
        example: "up",
        allowed: || words(&["up", "down", "absent"]),
        parse: by_state,
    },
    Filter {
        name: "carrier",
        description: "Has carrier.",
        example: "true",
        allowed: booleans,
        parse: |text| {
            boolean(text, |nic, _| nic.link.as_ref().is_some_and(|link| link.carrier == Some(true)))
        },
    },
    Filter {
        name: "driver",
        description: "Driver that is bound; `none` when there is none.",
        example: "mlx5_core",
        allowed: || words(&["the name of a driver", "none"]),
        parse: by_driver,
    },
    Filter {
        name: "vendor",
        description: "PCI vendor: its id, or a part of its name.",
        example: "15b3",
        allowed: pci_words,
        parse: |text| {
            by_pci(text, |nic| {
                nic.pci.as_ref().map(|pci| [pci.vendor.as_ref(), pci.subsystem_vendor.as_ref()])
            })
        },
    },
    Filter {
        name: "device",
        description: "PCI device: its id, or a part of its name.",
        example: "ConnectX-7",
        allowed: pci_words,
        parse: |text| {
            by_pci(text, |nic| {
                nic.pci.as_ref().map(|pci| [pci.device.as_ref(), pci.subsystem_device.as_ref()])
            })
        },
    },
    Filter {
        name: "bus",
        description: "Bus that it sits on.",
        example: "pci",
        allowed: || words(&["the name of a bus, like pci, virtio, usb"]),
        parse: |text| {
            let text = text.to_owned();
            test(move |nic, _| nic.bus.as_ref().is_some_and(|bus| bus.kind == text))
        },
    },
    Filter {
        name: "numa",
        description: "NUMA node; `unknown` when nobody says.",
        example: "0",
        allowed: || words(&["the number of a NUMA node", "unknown"]),
        parse: by_numa,
    },
    Filter {
        name: "minSpeed",
        description: "At least this fast.",
        example: "100G",
        allowed: speeds,
        parse: |text| {
            let least: SpeedMbps = text.parse().ok()?;
            test(move |nic, _| nic.speed.mbps.is_some_and(|speed| speed >= least))
        },
    },
    Filter {
        name: "maxSpeed",
        description: "At most this fast.",
        example: "25G",
        allowed: speeds,
        parse: |text| {
            let most: SpeedMbps = text.parse().ok()?;
            test(move |nic, _| nic.speed.mbps.is_some_and(|speed| speed <= most))
        },
    },
    Filter {
        name: "mac",
        description: "Current or permanent link-layer address.",
        example: "02:00:5e:10:00:10",
        allowed: || words(&["a link-layer address like 02:00:5e:10:00:01"]),
        parse: |text| {
            let mac: HwAddr = text.parse().ok()?;
            test(move |nic, _| nic.mac == Some(mac) || nic.permanent_mac == Some(mac))
        },
    },
    Filter {
        name: "hardware",
        description: "A device backs it.",
        example: "true",
        allowed: booleans,
        parse: |text| boolean(text, |nic, _| nic.hardware),
    },
    Filter {
        name: "sriov",
        description: "Has SR-IOV capability (is a PF).",
        example: "true",
        allowed: booleans,
        parse: |text| boolean(text, |nic, _| nic.sriov.is_some()),
    },
    Filter {
        name: "vf",
        description: "Is a VF.",
        example: "false",
        allowed: booleans,
        parse: |text| boolean(text, |nic, _| nic.vf.is_some()),
    },
    Filter {
        name: "rdma",
        description: "Has RDMA devices.",
        example: "true",
        allowed: booleans,
        parse: |text| boolean(text, |nic, _| !nic.rdma.is_empty()),
    },
    Filter {
        name: "secondary",
        description: "Pods may get it.",
        example: "true",
        allowed: booleans,
        parse: |text| boolean(text, |nic, _| nic.secondary.is_secondary),
    },
    Filter {
        name: "usable",
        description: "For what it can be used right now.",
        example: "l3",
        allowed: || words(&["l2", "l3", "sriov"]),
        parse: by_use,
    },
    Filter {
        name: "protected",
        description: "It carries the node.",
        example: "false",
        allowed: booleans,
        parse: |text| boolean(text, |nic, _| nic.protected.is_some()),
    },
    Filter {
        name: "held",
        description: "Somebody holds it.",
        example: "false",
        allowed: booleans,
        parse: |text| boolean(text, |nic, _| nic.held.is_some()),
    },
    Filter {
        name: "gpu",
        description: "A GPU is at least this near; or the PCI address of a GPU, to which the NIC is below the same switch or root, or on the same NUMA node.",
        example: "sameSwitch",
        allowed: gpu_words,
        parse: by_gpu,
    },
    Filter {
        name: "warning",
        description: "Has a warning with this code; `any` for every code.",
        example: "pcieBelowPort",
        allowed: || {
            let mut all = names::<WarningCode>();
            all.push("any".to_owned());
            all
        },
        parse: by_warning,
    },
];

/// The filters of a request: groups joined with AND, the tests of a group with OR.
pub(crate) struct Selection {
    groups: Vec<(&'static str, Vec<Test>)>,
}

impl Selection {
    /// Takes the filters out of a query. Parameters of other tables are skipped.
    pub(crate) fn parse(query: &Query, settings: &Settings) -> Result<Self, Refusal> {
        let mut groups: Vec<(&'static str, Vec<Test>)> = Vec::new();
        for (name, value) in query.iter() {
            let Some(filter) = FILTERS.iter().find(|filter| filter.name == name) else { continue };
            let mut tests = Vec::new();
            for item in value.split(',') {
                let known = name != "deviceClass" || settings.device_classes.contains_key(item);
                match (filter.parse)(item).filter(|_| known && !item.is_empty()) {
                    Some(test) => tests.push(test),
                    None if name == "deviceClass" => {
                        let classes = settings.device_classes.keys().cloned().collect();
                        return Err(Refusal::value(name, item, classes));
                    }
                    None => return Err(Refusal::value(name, item, (filter.allowed)())),
                }
            }
            match groups.iter_mut().find(|(known, _)| *known == filter.name) {
                Some((_, known)) => known.extend(tests),
                None => groups.push((filter.name, tests)),
            }
        }
        Ok(Self { groups })
    }

    /// Selects nothing away.
    pub(crate) fn is_everything(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether a NIC fits.
    pub(crate) fn fits(&self, nic: &Nic, context: &Context<'_>) -> bool {
        self.groups.iter().all(|(_, tests)| tests.iter().any(|test| test(nic, context)))
    }
}

fn test(test: impl Fn(&Nic, &Context<'_>) -> bool + Send + Sync + 'static) -> Option<Test> {
    Some(Box::new(test))
}

fn boolean(text: &str, fact: fn(&Nic, &Context<'_>) -> bool) -> Option<Test> {
    let wanted = match text {
        "true" => true,
        "false" => false,
        _ => return None,
    };
    test(move |nic, context| fact(nic, context) == wanted)
}

fn by_name(text: &str) -> Option<Test> {
    let pattern = text.to_owned();
    test(move |nic, _| nic.name.iter().chain(&nic.alt_names).any(|name| matches(&pattern, name)))
}

/// Whether `text` fits `pattern`, in which `*` stands for any characters.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn by_state(text: &str) -> Option<Test> {
    let state = |nic: &Nic| match &nic.link {
        None => "absent",
        Some(link) => match link.oper_state {
            OperState::Up => "up",
            // Drivers that never tell (tun, loopback): up when raised and not without carrier.
            OperState::Unknown if link.admin_up && link.carrier != Some(false) => "up",
            _ => "down",
        },
    };
    let wanted = ["up", "down", "absent"].into_iter().find(|known| *known == text)?;
    test(move |nic, _| state(nic) == wanted)
}

fn by_driver(text: &str) -> Option<Test> {
    let wanted = text.to_owned();
    test(move |nic, _| match &nic.driver {
        Some(driver) => driver.name == wanted,
        None => wanted == "none",
    })
}

fn by_pci(text: &str, names: fn(&Nic) -> Option<[Option<&PciName>; 2]>) -> Option<Test> {
    let wanted = text.trim_start_matches("0x").to_lowercase();
    test(move |nic, _| {
        let fits = |name: &PciName| {
            name.id.eq_ignore_ascii_case(&wanted)
                || name.name.as_ref().is_some_and(|words| words.to_lowercase().contains(&wanted))
        };
        names(nic).into_iter().flatten().flatten().any(fits)
    })
}

fn by_numa(text: &str) -> Option<Test> {
    let wanted: Option<u16> = if text == "unknown" { None } else { Some(text.parse().ok()?) };
    test(move |nic, _| nic.numa_node == wanted)
}

fn by_use(text: &str) -> Option<Test> {
    let usable: fn(&Nic) -> bool = match text {
        "l2" => |nic| nic.secondary.usable.l2,
        "l3" => |nic| nic.secondary.usable.l3,
        "sriov" => |nic| nic.secondary.usable.sriov,
        _ => return None,
    };
    test(move |nic, _| usable(nic))
}

fn by_gpu(text: &str) -> Option<Test> {
    if let Ok(address) = text.parse::<PciAddress>() {
        let near = |relation: Relation| relation <= Relation::SameNuma;
        return test(move |nic, _| nic.gpus.iter().any(|gpu| gpu.gpu == address && near(gpu.relation)));
    }
    let wanted: Relation = named(text)?;
    test(move |nic, _| nic.gpus.iter().any(|gpu| gpu.relation <= wanted))
}

fn by_warning(text: &str) -> Option<Test> {
    let wanted: Option<WarningCode> = if text == "any" { None } else { Some(named(text)?) };
    test(move |nic, context| {
        let warnings = &context.published.inventory.warnings;
        let fits = |code: WarningCode| wanted.is_none_or(|wanted| wanted == code);
        warnings.iter().any(|warning| warning.nic.as_ref() == Some(&nic.id) && fits(warning.code))
    })
}

fn by_device_class(text: &str) -> Option<Test> {
    let name = text.to_owned();
    test(move |nic, context| {
        context.settings.device_classes.get(&name).is_some_and(|class| super::classes::is_member(class, nic))
    })
}

/// The value that an enumeration's name stands for.
fn named<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(Value::String(text.to_owned())).ok()
}

/// Every name of an enumeration, from its schema.
fn names<T: PartialSchema>() -> Vec<String> {
    let schema = serde_json::to_value(T::schema()).unwrap_or(Value::Null);
    let values = schema.get("enum").and_then(Value::as_array).cloned().unwrap_or_default();
    values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn booleans() -> Vec<String> {
    words(&["true", "false"])
}

fn any_id() -> Vec<String> {
    words(&["the id of a NIC"])
}

fn any_name() -> Vec<String> {
    words(&["the name of a netdev, with * for any characters"])
}

fn any_device_class() -> Vec<String> {
    words(&["the name of a device class"])
}

fn pci_words() -> Vec<String> {
    words(&["four hexadecimal digits", "a part of the name"])
}

fn speeds() -> Vec<String> {
    words(&["a number of Mb/s, or a number with M, G or T, like 25G"])
}

fn gpu_words() -> Vec<String> {
    let mut all = names::<Relation>();
    all.push("the PCI address of a GPU".to_owned());
    all
}

/// The values of a filter that has a fixed set of them, for the document.
pub(crate) fn fixed_values(filter: &Filter) -> Option<Vec<String>> {
    let values = (filter.allowed)();
    // A description of many values has blanks in it, a value has none.
    values.iter().all(|value| !value.contains(' ')).then_some(values)
}

#[cfg(test)]
mod tests;
