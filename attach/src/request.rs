//! A call, read and checked: what is asked for, by whom, for which namespace.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use cni::config::StaticIp;
use cni::environment::argument;
use cni::error::code;
use cni::protocol::{Call, Tool as CallTool};
use cni::{Command, Environment, Error, NetConf};

use crate::record::{Chain, Key, Pod, Tool};
use crate::select::LinkUse;

/// A call about one container.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) key: Key,
    pub(crate) tool: Tool,
    pub(crate) conf: NetConf,
    pub(crate) environment: Environment,
    /// The configuration as it came.
    pub(crate) text: String,
    pub(crate) digest: u64,
    pub(crate) pod: Option<Pod>,
    /// The call of the cluster network's list that it is part of.
    pub(crate) chain: Option<Chain>,
}

impl Request {
    /// Reads a call. The executable has looked at it, but anybody who is root can connect.
    pub(crate) fn read(call: &Call) -> Result<Self, Error> {
        let conf = NetConf::parse(&call.config)?;
        conf.version.allow(call.environment.command)?;
        let environment = call.environment.clone();
        if environment.command.is_of_container() {
            let wrong = |name: &str| Error::new(code::BAD_ENVIRONMENT, format!("{name}: is not valid"));
            if !cni::environment::is_name(&environment.container_id) {
                return Err(wrong("CNI_CONTAINERID"));
            }
            if !cni::environment::is_ifname(&environment.ifname) {
                return Err(wrong("CNI_IFNAME"));
            }
        }
        let mut hasher = std::hash::DefaultHasher::new();
        (&call.config, &environment.args).hash(&mut hasher);
        let pod = |key: &str| argument(&environment.args, key).unwrap_or_default().to_owned();
        let named =
            Pod { namespace: pod("K8S_POD_NAMESPACE"), name: pod("K8S_POD_NAME"), uid: pod("K8S_POD_UID") };
        Ok(Self {
            key: Key {
                // Two executables never share an attachment.
                network: conf.name.clone(),
                container_id: environment.container_id.clone(),
                ifname: match call.tool {
                    CallTool::MultiNic => environment.ifname.clone(),
                    CallTool::MultiNicIpam => format!("{}:ipam", environment.ifname),
                },
            },
            tool: match call.tool {
                CallTool::MultiNic => Tool::MultiNic,
                CallTool::MultiNicIpam => Tool::Ipam,
            },
            digest: hasher.finish(),
            pod: (!named.name.is_empty()).then_some(named),
            chain: None,
            text: call.config.clone(),
            environment,
            conf,
        })
    }

    pub(crate) fn is(&self, command: Command) -> bool {
        self.environment.command == command
    }

    /// Addresses that somebody asks for, in the order of precedence of FOREIGN §1.6.
    pub(crate) fn static_ips(&self) -> Result<Vec<StaticIp>, Error> {
        if !self.conf.runtime.ips.is_empty() {
            return Ok(self.conf.runtime.ips.clone());
        }
        if !self.conf.pod.ips.is_empty() {
            return Ok(self.conf.pod.ips.clone());
        }
        let Some(text) = argument(&self.environment.args, "IP").filter(|text| !text.is_empty()) else {
            return Ok(Vec::new());
        };
        let each = text.split(',').map(|text| {
            StaticIp::parse(text.trim()).ok_or_else(|| {
                Error::new(code::BAD_ENVIRONMENT, format!("CNI_ARGS: IP: `{text}` is no address"))
            })
        });
        each.collect()
    }

    /// `GATEWAY` of `CNI_ARGS`, for the addresses whose prefix holds them (FOREIGN §1.7).
    pub(crate) fn gateways(&self) -> Result<Vec<IpAddr>, Error> {
        let text = argument(&self.environment.args, "GATEWAY").unwrap_or_default();
        let each = text.split(',').map(str::trim).filter(|text| !text.is_empty());
        each.map(|text| {
            text.parse().map_err(|_| {
                Error::new(code::BAD_ENVIRONMENT, format!("CNI_ARGS: GATEWAY: `{text}` is no address"))
            })
        })
        .collect()
    }

    /// The link-layer address that somebody asks for.
    pub(crate) fn mac(&self) -> Result<Option<hwprobe::HwAddr>, Error> {
        let Some(text) = asked_mac(&self.conf, &self.environment.args) else { return Ok(None) };
        let wrong =
            |words: &str| Error::new(code::INVALID_CONFIG, format!("runtimeConfig.mac: `{text}` {words}"));
        let address: hwprobe::HwAddr = text.parse().map_err(|_| wrong("is no link-layer address"))?;
        if address.bytes().len() != 6 || address.is_multicast() || address.is_zero() {
            return Err(wrong("is no unicast address of six bytes"));
        }
        Ok(Some(address))
    }

    /// What is made of the NICs; absent when another plugin makes it.
    pub(crate) fn link_use(&self) -> Result<Option<LinkUse>, Error> {
        let plugin = self.conf.plugin()?;
        let flag = plugin.raw.get("flag").and_then(serde_json::Value::as_str).unwrap_or_default();
        LinkUse::of_plugin(&plugin.kind, &plugin.mode, flag)
            .map_err(|error| Error::new(code::INVALID_CONFIG, error.to_string()))
    }
}

/// The link-layer address that the runtime asks for, as it is written: `runtimeConfig` goes before `CNI_ARGS`.
pub(crate) fn asked_mac<'a>(conf: &'a NetConf, args: &'a str) -> Option<&'a str> {
    let text = conf.runtime.mac.as_deref().or_else(|| argument(args, "MAC"));
    text.filter(|text| !text.is_empty())
}
