//! Plugin types and their arguments (CONTRACTS §2.3, §3): one table for what is checked and for what is written.

use serde_json::Value;

use crate::multi_nic_network::PluginSpec;

/// What is made of each NIC, from `plugin.type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginType {
    /// ipvlan above the NIC.
    Ipvlan,
    /// macvlan above the NIC.
    Macvlan,
    /// ipvlan with an address of the cloud.
    AwsIpvlan,
    /// A virtual function.
    Sriov,
    /// The device itself, from NVIDIA's network operator.
    Mellanox,
    /// Another CNI plugin. The predecessor's operator refused it.
    Other(String),
}

/// How an argument is written into the NetConf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is.
    Text,
    /// As it is; only these are known.
    OneOf(&'static [&'static str]),
    /// A number up to this; what is none becomes 0.
    Number(u32),
    /// A number up to this; 0 and what is none are left out.
    NumberNotZero(u32),
    /// True or false, as Go reads them; what is neither becomes false.
    Flag,
    /// JSON; what is none becomes null.
    Json,
    /// The operator's business: never in the NetConf. A number.
    OperatorNumber,
    /// The operator's business: never in the NetConf. True or false.
    OperatorFlag,
    /// The operator's business: never in the NetConf.
    OperatorText,
    /// The operator's business: never in the NetConf. Only these are known.
    OperatorOneOf(&'static [&'static str]),
}

/// Largest MTU that the kernel knows (`IP_MAX_MTU`, include/net/ip.h).
const MTU: u32 = 65_535;

const IPVLAN: &[(&str, Form)] = &[
    ("master", Form::Text),
    ("mode", Form::OneOf(&["l2", "l3", "l3s"])),
    ("mtu", Form::Number(MTU)),
    // Ours, beyond the predecessor's.
    ("flag", Form::OneOf(&["bridge", "private", "vepa"])),
    ("vlan", Form::NumberNotZero(4094)),
    ("vlanProtocol", Form::OneOf(&["802.1q", "802.1ad"])),
];

const MACVLAN: &[(&str, Form)] = &[
    ("master", Form::Text),
    ("mode", Form::OneOf(&["bridge", "private", "vepa", "passthru", "source"])),
    ("mtu", Form::Number(MTU)),
    // Ours, beyond the predecessor's.
    ("vlan", Form::NumberNotZero(4094)),
    ("vlanProtocol", Form::OneOf(&["802.1q", "802.1ad"])),
];

const AWS_IPVLAN: &[(&str, Form)] = &[
    ("master", Form::Text),
    ("mode", Form::OneOf(&["l2", "l3", "l3s"])),
    ("mtu", Form::Number(MTU)),
    ("podIP", Form::Text),
    ("primaryIP", Form::Json),
];

const SRIOV: &[(&str, Form)] = &[
    ("vlan", Form::NumberNotZero(4094)),
    ("vlanQoS", Form::NumberNotZero(7)),
    ("spoofchk", Form::Flag),
    ("trust", Form::Flag),
    ("resourceName", Form::OperatorText),
    ("priority", Form::OperatorNumber),
    ("mtu", Form::OperatorNumber),
    ("numVfs", Form::OperatorNumber),
    ("isRdma", Form::OperatorFlag),
    ("needVhostNet", Form::OperatorFlag),
    // The predecessor's NetConf lost them.
    ("minTxRate", Form::Number(u32::MAX)),
    ("maxTxRate", Form::Number(u32::MAX)),
    // Ours, beyond the predecessor's.
    ("linkState", Form::OneOf(&["auto", "enable", "disable"])),
    ("deviceType", Form::OneOf(&["netdevice", "vfio-pci"])),
    ("manager", Form::OperatorOneOf(&["operator", "agent"])),
];

impl PluginType {
    /// From the text.
    pub fn of(text: &str) -> Self {
        match text {
            "ipvlan" => Self::Ipvlan,
            "macvlan" => Self::Macvlan,
            "aws-ipvlan" => Self::AwsIpvlan,
            "sriov" => Self::Sriov,
            "mellanox" => Self::Mellanox,
            other => Self::Other(other.to_owned()),
        }
    }

    /// `plugin.type` of the NetConf.
    pub fn in_netconf(&self) -> &str {
        match self {
            Self::Ipvlan => "ipvlan",
            Self::Macvlan => "macvlan",
            Self::AwsIpvlan => "aws-ipvlan",
            Self::Sriov => "sriov",
            Self::Mellanox => "host-device",
            Self::Other(name) => name,
        }
    }

    /// Name of an argument in the NetConf: sriov-cni has its own for some.
    pub(crate) fn key_in_netconf<'a>(&self, argument: &'a str) -> &'a str {
        match (self, argument) {
            (Self::Sriov, "minTxRate") => "min_tx_rate",
            (Self::Sriov, "maxTxRate") => "max_tx_rate",
            (Self::Sriov, "linkState") => "link_state",
            _ => argument,
        }
    }

    /// The arguments that it knows; absent: whatever the plugin takes.
    pub(crate) fn arguments(&self) -> Option<&'static [(&'static str, Form)]> {
        match self {
            Self::Ipvlan => Some(IPVLAN),
            Self::Macvlan => Some(MACVLAN),
            Self::AwsIpvlan => Some(AWS_IPVLAN),
            Self::Sriov => Some(SRIOV),
            Self::Mellanox => Some(&[]),
            Self::Other(name) if name == "host-device" => Some(&[]),
            Self::Other(_) => None,
        }
    }
}

impl Form {
    /// The argument in the NetConf; absent: it is left out.
    pub(crate) fn write(self, text: &str) -> Option<Value> {
        match self {
            Self::Text | Self::OneOf(_) => (!text.is_empty()).then(|| text.into()),
            Self::Number(_) => Some(number(text).unwrap_or(0).into()),
            Self::NumberNotZero(_) => number(text).filter(|number| *number != 0).map(Value::from),
            Self::Flag => Some(flag(text).unwrap_or(false).into()),
            Self::Json => {
                Some(serde_json::from_str(text).ok().filter(Value::is_object).unwrap_or(Value::Null))
            }
            Self::OperatorNumber | Self::OperatorFlag | Self::OperatorText | Self::OperatorOneOf(_) => None,
        }
    }

    /// What may stand there, when `text` may not.
    pub(crate) fn wants(self, text: &str) -> Option<String> {
        let up_to = |most: u32| {
            let fits = number(text).is_some_and(|number| (0..=i64::from(most)).contains(&number));
            (!fits).then(|| format!("a whole number from 0 to {most}, in quotes"))
        };
        match self {
            Self::Text | Self::OperatorText => None,
            Self::OneOf(known) | Self::OperatorOneOf(known) => {
                (!text.is_empty() && !known.contains(&text)).then(|| format!("one of {}", known.join(", ")))
            }
            Self::Number(most) | Self::NumberNotZero(most) => up_to(most),
            Self::OperatorNumber => up_to(u32::MAX),
            Self::Flag | Self::OperatorFlag => {
                flag(text).is_none().then(|| "\"true\" or \"false\"".to_owned())
            }
            Self::Json => {
                let object = serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object());
                (!object).then(|| "a JSON object".to_owned())
            }
        }
    }
}

impl PluginSpec {
    /// Name of the resource that the virtual functions of `network` are given out as, without prefix: argument
    /// `resourceName`, else the network's own name without dots and dashes (CONTRACTS §3).
    pub fn resource_name(&self, network: &str) -> String {
        match self.text("resourceName") {
            "" => network.replace(['.', '-'], ""),
            given => given.to_owned(),
        }
    }

    /// An argument that is a whole number; absent: it is not given, or none.
    pub fn number(&self, argument: &str) -> Option<i64> {
        number(self.args.get(argument)?)
    }

    /// An argument that is true or false, as Go reads them; absent: it is not given, or neither.
    pub fn flag(&self, argument: &str) -> Option<bool> {
        flag(self.args.get(argument)?)
    }

    /// An argument; empty: it is not given.
    pub fn text(&self, argument: &str) -> &str {
        self.args.get(argument).map_or("", String::as_str)
    }
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// True or false as Go's `strconv.ParseBool` reads them.
fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
