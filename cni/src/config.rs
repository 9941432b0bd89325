//! The configuration of a call: every key that we know, and the raw object for those that are others' (CONTRACTS
//! §2.2, §4.1; FOREIGN §1.2, §1.6).

mod keys;

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value};

use crate::error::{Error, code};
use crate::version::Version;

pub use self::keys::Keys;

/// A configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct NetConf {
    /// As it came, unknown keys included.
    pub raw: Map<String, Value>,
    /// `cniVersion`.
    pub version: Version,
    /// `name`: the network's.
    pub name: String,
    /// `ipam`, as it came; empty when absent.
    pub ipam: Map<String, Value>,
    /// `ipam.type`; empty when absent.
    pub ipam_type: String,
    /// `multiNICIPAM`: the IPAM plugin is called once for all NICs.
    pub multi_nic_ipam: bool,
    /// `plugin`; absent for `multi-nic-ipam`, which runs under other plugins.
    pub plugin: Option<Plugin>,
    /// `subnet`, where it is one.
    pub subnet: Option<IpNet>,
    /// `masterNets`.
    pub master_nets: Vec<IpNet>,
    /// `masters`.
    pub masters: Vec<String>,
    /// `deviceIDs`, `deviceID`, `pciBusID` and `runtimeConfig.deviceID`: the NICs that they are of, each once.
    pub devices: Vec<String>,
    /// `args.cni`: what the pod asks for.
    pub pod: PodArgs,
    /// `runtimeConfig`: what the runtime adds.
    pub runtime: RuntimeConfig,
    /// `prevResult`.
    pub prev_result: Option<Value>,
    /// `cni.dev/valid-attachments` of GC.
    pub valid: Valid,
    /// `dns`, as it came.
    pub dns: Option<Value>,
    /// `daemonIP` and `daemonPort`: where the predecessor's daemon would be asked.
    pub daemon: Daemon,
    /// Our own keys beyond the predecessor's.
    pub own: OwnKeys,
}

/// `plugin`: what is made of each NIC.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plugin {
    /// `type`.
    pub kind: String,
    /// `cniVersion`, the configuration's when empty.
    pub version: String,
    /// `mode`; the plugin's default when empty.
    pub mode: String,
    /// `mtu` in bytes; 0: the master's.
    pub mtu: u32,
    /// `vlan` of `plugin`: for `sriov` the VF's, for ipvlan and macvlan the VLAN between the master and the link.
    pub vlan: Option<u16>,
    /// `vlanProtocol` of ipvlan and macvlan: 802.1q unless it says 802.1ad.
    pub vlan_protocol: VlanProtocol,
    /// The whole object.
    pub raw: Map<String, Value>,
}

/// Ether type of a VLAN.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VlanProtocol {
    /// 802.1Q, 0x8100.
    #[default]
    Q,
    /// 802.1ad, 0x88a8.
    Ad,
}

/// What a pod asks for (`cni-args`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodArgs {
    /// `nics`.
    pub nics: Option<u32>,
    /// `masters`; `master` is read, too, as the predecessor's documents wrote it.
    pub masters: Vec<String>,
    /// `target`, a bandwidth.
    pub target: Option<String>,
    /// `class`.
    pub class: Option<String>,
    /// `ips`, with or without prefix length.
    pub ips: Vec<StaticIp>,
}

/// What the runtime adds (FOREIGN §1.6).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// `mac`: six bytes like `02:00:00:00:00:01`, of one station.
    pub mac: Option<String>,
    /// `ips`.
    pub ips: Vec<StaticIp>,
    /// `deviceID`, the NIC that it is of; it is also among the [`NetConf::devices`].
    pub device: Option<String>,
    /// `infinibandGUID`: eight bytes like `c2:11:22:33:44:55:66:77`.
    pub infiniband_guid: Option<String>,
    /// `CNIDeviceInfoFile`: where others read which device the pod got.
    pub device_info_file: Option<String>,
}

/// Where the predecessor's daemon would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// Host; `localhost` when empty.
    pub host: String,
    /// Port; 11000 when 0 or absent.
    pub port: u16,
}

/// An address that somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticIp {
    /// The address.
    pub address: IpAddr,
    /// Prefix length, when told.
    pub prefix_len: Option<u8>,
}

/// Which attachments are valid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Valid {
    /// Not told: nothing is to be collected.
    #[default]
    Absent,
    /// `null`, as a Go runtime without attachments writes: only what is verifiably dead.
    Null,
    /// These, as (container id, interface name); also an empty list counts.
    These(Vec<(String, String)>),
}

/// Keys that the predecessor did not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnKeys {
    /// `names: exact`: the first link has the very name of `CNI_IFNAME`.
    pub exact_names: bool,
    /// `ipamNeedsLink: true`: the link is made before the IPAM plugin runs. `dhcp` needs that always.
    pub ipam_needs_link: bool,
    /// `policyRouting: false` leaves out the tables for replies; on with more than one link otherwise.
    pub policy_routing: Option<bool>,
    /// `dad: true`: looks for the address on the wire before it is used.
    pub dad: bool,
    /// `predecessorNames: true`: delegates' configurations are named as the predecessor did.
    pub predecessor_names: bool,
}

impl NetConf {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Code 6 when it is no JSON object, 1 when its version is not spoken, 7 naming the key that is wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Error::new(code::DECODE, format!("the configuration is no JSON: {error}")))?;
        let Value::Object(raw) = value else {
            return Err(Error::new(code::DECODE, "the configuration is no JSON object"));
        };
        let keys = Keys::new(&raw, "");
        let version = Version::parse(&keys.text("cniVersion")?)?;
        let name = network_name(keys.text("name")?)?;
        let ipam = keys.object("ipam")?.cloned().unwrap_or_default();
        let ipam_type = Keys::new(&ipam, "ipam.").text("type")?;
        let plugin = keys.object("plugin")?.map(plugin).transpose()?;
        let runtime = keys.object("runtimeConfig")?;
        let runtime = runtime.map(|object| Keys::new(object, "runtimeConfig."));
        let mut devices = keys.texts("deviceIDs")?;
        devices.push(keys.text("deviceID")?);
        devices.push(keys.text("pciBusID")?);
        if let Some(runtime) = &runtime {
            devices.push(runtime.text("deviceID")?);
        }
        let mut once = Vec::new();
        for device in devices {
            let nic = nic_of_device(&device);
            if !nic.is_empty() && !once.iter().any(|one| one == nic) {
                once.push(nic.to_owned());
            }
        }
        let runtime = match &runtime {
            None => RuntimeConfig::default(),
            Some(keys) => RuntimeConfig {
                mac: keys.mac("mac")?,
                ips: keys.static_ips("ips")?,
                device: some(nic_of_device(&keys.text("deviceID")?).to_owned()),
                infiniband_guid: keys.guid("infinibandGUID")?,
                device_info_file: some(keys.text("CNIDeviceInfoFile")?),
            },
        };
        let subnet = some(keys.text("subnet")?).map(|text| keys.net("subnet", &text)).transpose()?;
        let nets = keys.texts("masterNets")?;
        Ok(Self {
            version,
            name,
            multi_nic_ipam: keys.flag("multiNICIPAM")?.unwrap_or(false),
            plugin,
            subnet,
            master_nets: nets.iter().map(|text| keys.net("masterNets", text)).collect::<Result<_, _>>()?,
            masters: keys.texts("masters")?.into_iter().filter(|name| !name.is_empty()).collect(),
            devices: once,
            pod: pod_args(&keys)?,
            runtime,
            prev_result: keys.object("prevResult")?.cloned().map(Value::Object),
            valid: valid(&raw)?,
            dns: raw.get("dns").filter(|value| !value.is_null()).cloned(),
            daemon: daemon(&keys)?,
            own: own_keys(&keys)?,
            ipam,
            ipam_type,
            raw,
        })
    }

    /// `plugin`, which every call of `multi-nic` needs.
    ///
    /// # Errors
    /// Code 7 when it or its `type` is missing.
    pub fn plugin(&self) -> Result<&Plugin, Error> {
        self.plugin.as_ref().filter(|plugin| !plugin.kind.is_empty()).ok_or_else(|| {
            Error::new(code::INVALID_CONFIG, "plugin.type: is missing")
                .with_details("it is ipvlan, macvlan, host-device or the name of a CNI plugin")
        })
    }
}

/// The NIC that a device of a device plugin is. The id of a VF, or of another whole device, is its address; that of a
/// share of a NIC is `NIC#NUMBER`, since the kubelet knows no device that several pods have.
pub fn nic_of_device(id: &str) -> &str {
    let share = id.rsplit_once('#').filter(|(_, number)| {
        // As a device plugin writes it: another `#` belongs to an interface's name.
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    share.map_or(id, |(nic, _)| nic)
}

/// A network's name, checked.
pub(crate) fn network_name(name: String) -> Result<String, Error> {
    if name.is_empty() {
        return Err(Error::new(code::INVALID_CONFIG, "name: the network has no name"));
    }
    if !crate::environment::is_name(&name) {
        let message = format!("name: `{name}` is not valid");
        return Err(Error::new(code::INVALID_CONFIG, message).with_details(crate::environment::NAME_RULE));
    }
    Ok(name)
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn daemon(keys: &Keys<'_>) -> Result<Daemon, Error> {
    let port = keys.number("daemonPort", u32::from(u16::MAX))?.and_then(|port| u16::try_from(port).ok());
    Ok(Daemon {
        host: some(keys.text("daemonIP")?).unwrap_or_else(|| "localhost".to_owned()),
        port: port.filter(|port| *port > 0).unwrap_or(11_000),
    })
}

fn plugin(object: &Map<String, Value>) -> Result<Plugin, Error> {
    let keys = Keys::new(object, "plugin.");
    let vlan = keys.number("vlan", 4094)?;
    Ok(Plugin {
        kind: keys.text("type")?,
        version: keys.text("cniVersion")?,
        mode: keys.text("mode")?,
        mtu: keys.number("mtu", 65_535)?.unwrap_or(0),
        vlan: vlan.and_then(|id| u16::try_from(id).ok()).filter(|id| *id > 0),
        vlan_protocol: match keys.text("vlanProtocol")?.to_ascii_lowercase().as_str() {
            "" | "802.1q" => VlanProtocol::Q,
            "802.1ad" => VlanProtocol::Ad,
            _ => return Err(keys.wrong("vlanProtocol", "802.1q or 802.1ad")),
        },
        raw: object.clone(),
    })
}

fn pod_args(keys: &Keys<'_>) -> Result<PodArgs, Error> {
    let Some(args) = keys.object("args")? else { return Ok(PodArgs::default()) };
    let Some(cni) = Keys::new(args, "args.").object("cni")? else { return Ok(PodArgs::default()) };
    let keys = Keys::new(cni, "args.cni.");
    let mut masters = keys.texts("masters")?;
    if masters.is_empty() {
        masters = keys.texts("master")?;
    }
    Ok(PodArgs {
        nics: keys.number("nics", 1024)?,
        masters: masters.into_iter().filter(|name| !name.is_empty()).collect(),
        target: some(keys.text("target")?),
        class: some(keys.text("class")?),
        ips: keys.static_ips("ips")?,
    })
}

fn valid(raw: &Map<String, Value>) -> Result<Valid, Error> {
    const KEY: &str = "cni.dev/valid-attachments";
    let list = match raw.get(KEY) {
        None => return Ok(Valid::Absent),
        Some(Value::Null) => return Ok(Valid::Null),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(Error::new(code::INVALID_CONFIG, format!("{KEY}: is no list"))),
    };
    let pair = |item: &Value| {
        let text = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
        Some((text("containerID")?, text("ifname")?))
    };
    let pairs: Option<Vec<_>> = list.iter().map(pair).collect();
    pairs.map(Valid::These).ok_or_else(|| {
        let message = format!("{KEY}: every item needs containerID and ifname");
        Error::new(code::INVALID_CONFIG, message)
    })
}

fn own_keys(keys: &Keys<'_>) -> Result<OwnKeys, Error> {
    let names = keys.text("names")?;
    if !matches!(names.as_str(), "" | "indexed" | "exact") {
        return Err(keys.wrong("names", "indexed or exact"));
    }
    Ok(OwnKeys {
        exact_names: names == "exact",
        ipam_needs_link: keys.flag("ipamNeedsLink")?.unwrap_or(false),
        policy_routing: keys.flag("policyRouting")?,
        dad: keys.flag("dad")?.unwrap_or(false),
        predecessor_names: keys.flag("predecessorNames")?.unwrap_or(false),
    })
}

#[cfg(test)]
mod tests;
