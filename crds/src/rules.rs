//! What the API server refuses by itself: CEL rules (`x-kubernetes-validations`, Kubernetes 1.25 and newer). Older
//! servers do not know them; `validate` says the same there, in conditions.
//!
//! No rule uses a function that is younger than 1.25, and no backslash: the texts pass through Rust, JSON, YAML and CEL.

use serde_json::{Value, json};

use crate::arguments::PluginType;

/// One rule: what must hold, what is said otherwise, and the field that is meant.
fn rule(rule: &str, message: &str, field: &str) -> Value {
    json!({"rule": rule, "message": message, "fieldPath": field, "reason": "FieldValueInvalid"})
}

/// Bits that the `ipam` text of `object` gives to a key; 0 when it gives none. CEL cannot read JSON, so this finds the
/// key by its look: `"hostBlock": 6`.
fn bits(object: &str, key: &str) -> String {
    let found = format!(r#"{object}.ipam.find('"{key}"[[:space:]]*:[[:space:]]*[0-9]+').find('[0-9]+$')"#);
    format!("(size({found}) == 0 ? 0 : int({found}))")
}

fn prefix(text: &str) -> String {
    format!("int({text}.find('[0-9]+$'))")
}

/// Rules of a network's `spec`.
pub(crate) fn network() -> Value {
    let sum = [prefix("self.subnet"), bits("self", "hostBlock"), bits("self", "interfaceBlock")].join(" + ");
    let ours = r#"self.ipam.matches('"type"[[:space:]]*:[[:space:]]*"multi-nic-ipam"')"#;
    let has_subnet = "has(self.subnet) && size(self.subnet) > 0";
    let has_subnets = "has(self.subnets) && size(self.subnets) > 0";
    let has_mtu = "has(self.mtu) && size(self.mtu) > 0";
    json!([
        rule(
            r#"self.ipam.matches('"type"[[:space:]]*:[[:space:]]*"[^"]+"')"#,
            r#"ipam names no type: write a JSON object like {"type": "multi-nic-ipam", "hostBlock": 6, "interfaceBlock": 2}"#,
            ".ipam",
        ),
        rule(
            &format!("!({has_subnet} && {ours}) || {sum} <= 30"),
            "subnet, hostBlock and interfaceBlock leave no addresses for pods: the prefix length and both blocks may be \
             at most 30 together; lower a block or take a larger subnet",
            ".subnet",
        ),
        rule(
            &format!("!({has_subnet} && {has_subnets})"),
            "subnets stands beside subnet: write all of them in subnets",
            ".subnets",
        ),
        rule(
            &format!("!({has_subnets}) || {ours}"),
            "subnets is of use only with ipam type multi-nic-ipam: leave it out, or change the type",
            ".subnets",
        ),
        rule(
            &format!(
                "!({has_subnets}) || (self.subnets.filter(s, s.cidr.contains(':')).size() <= 1 && \
                 self.subnets.filter(s, !s.cidr.contains(':')).size() <= 1)"
            ),
            "two subnets of one family: give one IPv4 and one IPv6 subnet at most",
            ".subnets",
        ),
        rule(
            &format!(
                "!({has_mtu}) || !self.mtu.matches('^[0-9]+$') || (int(self.mtu) <= 65535 && int(self.mtu) >= \
                 ({has_subnets} && self.subnets.exists(s, s.cidr.contains(':')) ? 1280 : 68))"
            ),
            "mtu is out of range: write auto, or bytes from 68 (with an IPv6 subnet 1280) to 65535, in quotes",
            ".mtu",
        ),
        rule(
            &format!("!({has_mtu}) || !has(self.plugin.args) || !('mtu' in self.plugin.args)"),
            "mtu stands beside plugin.args.mtu: leave one of both out",
            ".mtu",
        ),
        rule(
            &format!("!({has_mtu}) || !(self.plugin.type in ['mellanox', 'host-device'])"),
            "mtu does nothing for whole devices, which keep their own: leave it out, and set the MTU of the NICs",
            ".mtu",
        ),
    ])
}

/// Rules of a change of a network, as a whole: once hosts have blocks, what divides the addresses stays.
#[cfg(feature = "cluster")]
pub(crate) fn network_update() -> Value {
    let assigned = "has(oldSelf.status) && has(oldSelf.status.computeResults) && \
                    oldSelf.status.computeResults.exists(r, r.numOfHosts > 0)";
    let text = |object: &str| format!("(has({object}.spec.subnet) ? {object}.spec.subnet : '')");
    let blocks = |key: &str| format!("{} == {}", bits("self.spec", key), bits("oldSelf.spec", key));
    let number = |object: &str, key: &str| format!("(has({object}.{key}) ? {object}.{key} : 0)");
    let same = |key: &str| format!("{} == {}", number("n", key), number("o", key));
    json!([
        rule(
            &format!("!({assigned}) || {} == {}", text("self"), text("oldSelf")),
            "subnet cannot change while hosts have addresses of it: delete the network and make it again",
            ".spec.subnet",
        ),
        rule(
            &format!("!({assigned}) || ({} && {})", blocks("hostBlock"), blocks("interfaceBlock")),
            "hostBlock and interfaceBlock cannot change while hosts have addresses: delete the network and make it again",
            ".spec.ipam",
        ),
        rule(
            &format!(
                "!({assigned}) || !has(oldSelf.spec.subnets) || oldSelf.spec.subnets.all(o, has(self.spec.subnets) && \
                 self.spec.subnets.exists(n, n.cidr == o.cidr && {} && {}))",
                same("hostBlock"),
                same("interfaceBlock")
            ),
            "a subnet cannot go or be divided otherwise while hosts have addresses of it; a second family may be added",
            ".spec.subnets",
        ),
    ])
}

/// Rules of an item of `subnets`.
pub(crate) fn subnet() -> Value {
    let number = |key: &str| format!("(has(self.{key}) ? self.{key} : 0)");
    let sum = [prefix("self.cidr"), number("hostBlock"), number("interfaceBlock")].join(" + ");
    json!([rule(
        &format!("{sum} <= (self.cidr.contains(':') ? 120 : 30)"),
        "cidr, hostBlock and interfaceBlock leave no addresses for pods: the prefix length and both blocks may be at most \
         30 together (IPv6: 120); lower a block or take a larger network",
        ".cidr",
    )])
}

/// Rules of `plugin`: each type takes its own arguments (the table that also writes them).
pub(crate) fn plugin() -> Value {
    let types = ["ipvlan", "macvlan", "aws-ipvlan", "sriov", "mellanox"];
    let of_type = types.iter().filter_map(|name| {
        let known = PluginType::of(name).arguments()?;
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let list = names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
        let message = match names.as_slice() {
            [] => format!("{name} takes no args: leave them out"),
            names => format!("args of {name} are {}", names.join(", ")),
        };
        let holds = format!("self.type != '{name}' || !has(self.args) || self.args.all(k, k in [{list}])");
        Some(rule(&holds, &message, ".args"))
    });
    of_type.collect()
}

/// Rules of `attachPolicy`.
pub(crate) fn attach_policy() -> Value {
    json!([rule(
        "!has(self.class) || size(self.class) == 0 || self.strategy == 'devClass'",
        "class counts only with strategy devClass: write `strategy: devClass`",
        ".class",
    )])
}
