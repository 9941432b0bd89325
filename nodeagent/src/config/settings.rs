//! What stands in `agent.yaml`. The doc comments here are the comments of the file that `--print-default` prints.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use attach::select::Expression;
use hwprobe::{ProbeSettings, SpeedClass, SpeedMbps, SpeedThresholds};
use serde::{Serialize, Serializer};
use sriov::rdma::RdmaMode;

use super::device_plugin::DevicePlugin;
use super::sriov::PfPolicySettings;

/// Every setting of the agent, with its value when the file does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// TCP addresses that the API is offered on, each ADDRESS:PORT. Whoever reaches one may read the
    /// hardware inventory; keep them on loopback. An empty list offers the API on the Unix socket only.
    #[schema(value_type = Vec<String>)]
    pub listen: Vec<SocketAddr>,
    /// Further names that a request's Host header may have, HOST or HOST:PORT, beside localhost, 127.0.0.1,
    /// [::1] and the addresses of `listen`. Anything else is refused, so that a web page cannot reach the
    /// API through a name of its own (DNS rebinding).
    pub allowed_hosts: Vec<String>,
    /// Where the speed classes begin: a speed below `standardFrom` is low, below `highFrom` standard,
    /// else high. Speeds are Mb/s, or a number with M, G or T.
    #[serde(serialize_with = "thresholds")]
    #[schema(value_type = Object)]
    pub thresholds: SpeedThresholds,
    /// NICs that carry the node, beside those found to: never given away whole. Interface names,
    /// PCI addresses or MAC addresses.
    pub protected: Vec<String>,
    /// NICs that pods never get. Interface names, PCI addresses or MAC addresses.
    pub excluded: Vec<String>,
    /// Virtual links that pods may get like hardware NICs (veth, dummy, bridge …), beside VLANs and bonds.
    /// Interface names or MAC addresses.
    pub included: Vec<String>,
    /// IP addresses of the API server: the NICs on the route there are protected.
    #[schema(value_type = Vec<String>)]
    pub api_servers: Vec<IpAddr>,
    /// IP addresses of this node: the NICs that have them are protected.
    #[schema(value_type = Vec<String>)]
    pub node_addresses: Vec<IpAddr>,
    /// Classes of devices, by name. A hardware NIC is in a class when it fits everything that the class
    /// says: `ids` (a list of PCI ids, VENDOR:DEVICE or VENDOR, hexadecimal), `minSpeed` (like 100G),
    /// `class` (low, standard or high) and `expression` (CEL over `nic` as GET /v1/nics shows it).
    #[schema(value_type = Object)]
    pub device_classes: BTreeMap<String, DeviceClass>,
    /// What PFs should be: a list of policies in the words of SriovNetworkNodePolicy's specification (`nicSelector` with
    /// pfNames like ens1f0#0-3, rootDevices, vendor and deviceID; `numVfs`, `deviceType`, `mtu`, `eSwitchMode`,
    /// `priority` and so on), each with `name`, `deviceClass` and `onUplink` beside them. PFs that no policy names are
    /// left as they are.
    #[schema(value_type = Vec<Object>)]
    pub sriov: Vec<PfPolicySettings>,
    /// In which network namespaces RDMA devices are: shared (each in all), exclusive (each in one; those of VFs go into
    /// their pod), or asIs. The kernel changes it only while there is no network namespace but the node's own, that is
    /// before any pod; otherwise the log says what to write for the next start of the node.
    #[serde(serialize_with = "rdma_mode")]
    #[schema(value_type = String)]
    pub rdma_mode: Option<RdmaMode>,
    /// Seconds between two full readings of the machine, 10 to 604800, or `off`. Changes are noticed
    /// through the kernel's notifications at once; this is only a safety net, and what it finds is logged.
    #[serde(serialize_with = "interval")]
    #[schema(value_type = Object)]
    pub reprobe_interval: ReprobeInterval,
    /// Least grave level that is logged: error, warn, info, debug or trace.
    #[schema(value_type = String)]
    pub log_level: LogLevel,
    /// Form of the log: auto (journal when systemd runs the agent, else text), text, journal or json.
    #[schema(value_type = String)]
    pub log_format: LogFormat,
    /// Devices for pods as resources of the kubelet.
    pub device_plugin: DevicePlugin,
    /// What clients may take at most.
    pub limits: Limits,
}

impl Settings {
    /// The device classes as attaching sees them.
    pub(crate) fn attach_classes(&self) -> BTreeMap<String, attach::network::DeviceClass> {
        self.device_classes.iter().map(|(name, class)| (name.clone(), class.into())).collect()
    }

    /// How the machine is read.
    pub(crate) fn probe(&self) -> ProbeSettings {
        ProbeSettings {
            thresholds: self.thresholds,
            protected: self.protected.clone(),
            excluded: self.excluded.clone(),
            included: self.included.clone(),
            api_servers: self.api_servers.clone(),
            node_addresses: self.node_addresses.clone(),
            ..ProbeSettings::default()
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 11000))],
            allowed_hosts: Vec::new(),
            thresholds: SpeedThresholds::default(),
            protected: Vec::new(),
            excluded: Vec::new(),
            included: Vec::new(),
            api_servers: Vec::new(),
            node_addresses: Vec::new(),
            device_classes: BTreeMap::new(),
            sriov: Vec::new(),
            rdma_mode: None,
            reprobe_interval: ReprobeInterval::Seconds(600),
            log_level: LogLevel::Info,
            log_format: LogFormat::Auto,
            device_plugin: DevicePlugin::default(),
            limits: Limits::default(),
        }
    }
}

/// What clients may take at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Connections at once over TCP, and as many again over the Unix socket.
    pub connections: u32,
    /// Connections at once from one IP address.
    pub connections_per_peer: u32,
    /// Event streams at once.
    pub event_streams: u32,
    /// Bytes of a request's head.
    pub header_bytes: u32,
    /// Fields of a request's head.
    pub header_fields: u32,
    /// Bytes of a request's body.
    pub body_bytes: u32,
    /// Seconds for a request's head to arrive, also the first one of a new connection.
    pub header_seconds: u32,
    /// Seconds for a request to be answered.
    pub request_seconds: u32,
    /// Seconds that a client may leave data unread before its connection is closed.
    pub write_seconds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_peer: 512,
            event_streams: 64,
            header_bytes: 16384,
            header_fields: 64,
            body_bytes: 65536,
            header_seconds: 10,
            request_seconds: 10,
            write_seconds: 15,
        }
    }
}

/// What puts a hardware NIC into a device class; all that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceClass {
    /// PCI ids of which one must fit; none = every id fits.
    pub ids: Vec<PciId>,
    /// Least speed.
    #[serde(rename = "minSpeed", skip_serializing_if = "Option::is_none")]
    pub min_speed: Option<SpeedMbps>,
    /// Speed class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<SpeedClass>,
    /// What must be true of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<Expression>,
}

/// A PCI vendor, or a device of a vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PciId {
    /// Four lower-case hexadecimal digits.
    pub vendor: String,
    /// Four lower-case hexadecimal digits; absent = every device of the vendor.
    pub device: Option<String>,
}

impl PciId {
    /// Reads `15b3` or `15b3:1021`, also with `0x` and in upper case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |part: &str| {
            let part = part.trim_start_matches("0x").to_ascii_lowercase();
            (part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(part)
        };
        match text.split_once(':') {
            Some((vendor, device)) => Some(Self { vendor: digits(vendor)?, device: Some(digits(device)?) }),
            None => Some(Self { vendor: digits(text)?, device: None }),
        }
    }
}

impl std::fmt::Display for PciId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.device {
            Some(device) => write!(f, "{}:{device}", self.vendor),
            None => f.write_str(&self.vendor),
        }
    }
}

impl Serialize for PciId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How often the whole machine is read again without a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReprobeInterval {
    /// Never.
    Off,
    /// Every so many seconds, 10 to 604800.
    Seconds(u32),
}

impl ReprobeInterval {
    /// What a flag or setting may say.
    pub const ALLOWED: &str = "a number of seconds from 10 to 604800, or off";

    /// Reads `600` or `off`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "off" => Some(Self::Off),
            _ => text.parse().ok().filter(|seconds| (10..=604_800).contains(seconds)).map(Self::Seconds),
        }
    }

    /// The time between two readings.
    pub fn duration(self) -> Option<std::time::Duration> {
        match self {
            Self::Off => None,
            Self::Seconds(seconds) => Some(std::time::Duration::from_secs(u64::from(seconds))),
        }
    }
}

/// Least grave level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LogLevel {
    /// Only what stops something from working.
    Error,
    /// What somebody should look at.
    Warn,
    /// What the agent does.
    Info,
    /// Each step.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// Every level with its name.
    pub const ALL: [(&str, Self); 5] = [
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// `journal` when systemd runs the agent, else `text`.
    Auto,
    /// Lines for a person, with time and, on a terminal, colour.
    Text,
    /// Lines for the journal: priority first, no time, no colour.
    Journal,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// Every form with its name.
    pub const ALL: [(&str, Self); 4] =
        [("auto", Self::Auto), ("text", Self::Text), ("journal", Self::Journal), ("json", Self::Json)];
}

fn thresholds<S: Serializer>(value: &SpeedThresholds, serializer: S) -> Result<S::Ok, S::Error> {
    let short = |speed: SpeedMbps| match speed.get() {
        mbps if mbps % 1000 == 0 => format!("{}G", mbps / 1000),
        mbps => format!("{mbps}M"),
    };
    serializer
        .collect_map([("standardFrom", short(value.standard_from)), ("highFrom", short(value.high_from))])
}

fn rdma_mode<S: Serializer>(value: &Option<RdmaMode>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        None => serializer.serialize_str("asIs"),
        Some(mode) => serializer.collect_str(mode),
    }
}

fn interval<S: Serializer>(value: &ReprobeInterval, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        ReprobeInterval::Off => serializer.serialize_str("off"),
        ReprobeInterval::Seconds(seconds) => serializer.serialize_u32(*seconds),
    }
}
