//! What is wrong with a network's values.

use ipnet::IpNet;

use crate::arguments::PluginType;
use crate::multi_nic_network::{
    AttachPolicy, MultiNicNetwork, NetworkSpec, PluginSpec, STRATEGIES, bandwidth_mbps,
};
use crate::object::check_name;
use crate::problem::Problem;

impl MultiNicNetwork {
    /// What is wrong with its values; empty: nothing. Whether it fits a host is another question.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        check_name(&self.metadata.name, &mut problems);
        problems.extend(self.spec.validate());
        problems
    }
}

impl NetworkSpec {
    /// What is wrong with its values; empty: nothing.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = self.addressing().err().unwrap_or_default();
        plugin(&self.plugin, &mut problems);
        if let Some(found) = &self.attach_policy {
            policy(found, &mut problems);
        }
        for (index, text) in self.master_nets.iter().enumerate() {
            let path = format!("spec.masterNets[{index}]");
            match text.parse::<IpNet>() {
                Err(_) => {
                    let message = format!("`{text}` is no network");
                    problems.push(Problem::new(path, message, "write it like 10.0.1.0/24"));
                }
                Ok(net) if net != net.trunc() => {
                    let message = format!("{net} has bits behind its prefix length");
                    problems.push(Problem::new(path, message, format!("write {}", net.trunc())));
                }
                Ok(_) if self.master_nets.iter().take(index).any(|other| other == text) => {
                    let message = format!("{text} stands there twice");
                    problems.push(Problem::new(path, message, "leave it out: all NICs in it count anyway"));
                }
                Ok(_) => {}
            }
        }
        if !["", "shared"].contains(&self.allow_uplink.as_str()) {
            let message = format!("`{}` is not known", self.allow_uplink);
            problems.push(Problem::new("spec.allowUplink", message, "write `shared`, or leave it out"));
        }
        self.check_mtu(&mut problems);
        problems
    }
}

fn plugin(plugin: &PluginSpec, problems: &mut Vec<Problem>) {
    let parts: Vec<&str> = plugin.cni_version.split('.').collect();
    if parts.len() != 3 || !parts.iter().all(|part| part.parse::<u16>().is_ok()) {
        let message = format!("`{}` is no CNI version", plugin.cni_version);
        problems.push(Problem::new("spec.plugin.cniVersion", message, "write one like \"1.0.0\", in quotes"));
    }
    let name = plugin.kind.as_str();
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(inside) {
        let fix = "write ipvlan, macvlan, sriov, host-device, or the name of a CNI plugin";
        problems.push(Problem::new("spec.plugin.type", format!("`{name}` is no name of a plugin"), fix));
    }
    let Some(arguments) = PluginType::of(name).arguments() else { return };
    for (key, text) in &plugin.args {
        let path = format!("spec.plugin.args.{key}");
        match arguments.iter().find(|(known, _)| known == key) {
            Some((_, form)) => {
                if let Some(wanted) = form.wants(text) {
                    problems.push(Problem::new(
                        path,
                        format!("`{text}` is not allowed"),
                        format!("write {wanted}"),
                    ));
                }
            }
            None if arguments.is_empty() => {
                let message = format!("{name} takes no arguments");
                problems.push(Problem::new(path, message, "leave it out"));
            }
            None => {
                let known: Vec<&str> = arguments.iter().map(|(known, _)| *known).collect();
                let message = format!("{name} has no such argument");
                problems.push(Problem::unknown(path, &message, key, &known));
            }
        }
    }
}

fn policy(policy: &AttachPolicy, problems: &mut Vec<Problem>) {
    let AttachPolicy { strategy, target, class, manager } = policy;
    if !strategy.is_empty() && !STRATEGIES.contains(&strategy.as_str()) {
        let message = format!("`{strategy}` is not known");
        let path = "spec.attachPolicy.strategy".to_owned();
        problems.push(Problem::unknown(path, &message, strategy, &STRATEGIES));
    }
    if !target.is_empty() && bandwidth_mbps(target).is_none() {
        let message = format!("`{target}` is no bandwidth");
        problems.push(Problem::new("spec.attachPolicy.target", message, "write it like 100Gbps"));
    }
    if !class.is_empty() && strategy != "devClass" {
        let message = format!("class {class} counts only with strategy devClass");
        problems.push(Problem::new("spec.attachPolicy.class", message, "write `strategy: devClass`"));
    }
    if !["", "operator", "agent"].contains(&manager.as_str()) {
        let message = format!("`{manager}` is not known");
        let path = "spec.attachPolicy.manager".to_owned();
        problems.push(Problem::unknown(path, &message, manager, &["operator", "agent"]));
    }
}
