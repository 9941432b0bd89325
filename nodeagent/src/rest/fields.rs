//! The parameter `fields`: which members of each NIC the answer has.

use std::sync::OnceLock;

use hwprobe::Nic;
use serde_json::{Map, Value};
use utoipa::{PartialSchema, ToSchema};

use super::problem::Refusal;

/// Chosen members: a tree of names; a leaf stands for everything below it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Fields {
    members: std::collections::BTreeMap<String, Fields>,
}

impl Fields {
    /// Reads a comma list of dotted paths, like `name,link.operState`.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let known = known_paths();
        let mut all = Self::default();
        for path in text.split(',') {
            if !known.iter().any(|one| one == path) {
                let mut refusal = Refusal::value("fields", path, Vec::new());
                let near = crate::nearest::nearest(path, known.iter().map(String::as_str));
                refusal.0.nearest = near.into_iter().map(str::to_owned).collect();
                refusal.0.allowed = known.iter().filter(|one| !one.contains('.')).cloned().collect();
                return Err(refusal);
            }
            // Asking for a member and for a part of it is asking for the member.
            let covered = |other: &str| path.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'));
            if text.split(',').any(covered) {
                continue;
            }
            let mut here = &mut all;
            for part in path.split('.') {
                here = here.members.entry(part.to_owned()).or_default();
            }
        }
        Ok(all)
    }

    /// The chosen members of `value`; lists are gone through.
    pub(crate) fn select(&self, value: &Value) -> Value {
        match value {
            _ if self.members.is_empty() => value.clone(),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.select(item)).collect()),
            Value::Object(object) => {
                // In the object's own order, so that the answer does not depend on the order asked in.
                let chosen = object.iter().filter_map(|(key, member)| {
                    self.members.get(key).map(|below| (key.clone(), below.select(member)))
                });
                Value::Object(chosen.collect::<Map<_, _>>())
            }
            plain => plain.clone(),
        }
    }
}

/// Every path that a NIC can have, from its schema.
pub(crate) fn known_paths() -> &'static [String] {
    static PATHS: OnceLock<Vec<String>> = OnceLock::new();
    PATHS.get_or_init(|| {
        let mut schemas = Vec::new();
        <Nic as ToSchema>::schemas(&mut schemas);
        let written = |schema| serde_json::to_value(schema).unwrap_or(Value::Null);
        let named: Vec<(String, Value)> =
            schemas.into_iter().map(|(name, schema)| (name, written(schema))).collect();
        let mut paths = Vec::new();
        walk(&written(Nic::schema()), &named, "", &mut paths);
        paths.sort();
        paths.dedup();
        paths
    })
}

fn walk(schema: &Value, named: &[(String, Value)], prefix: &str, paths: &mut Vec<String>) {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or_default();
        if let Some((_, target)) = named.iter().find(|(known, _)| known == name) {
            walk(target, named, prefix, paths);
        }
    }
    for key in ["oneOf", "allOf", "anyOf"] {
        for part in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
            walk(part, named, prefix, paths);
        }
    }
    if let Some(items) = schema.get("items") {
        walk(items, named, prefix, paths);
    }
    for (key, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        walk(property, named, &path, paths);
        paths.push(path);
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, known_paths};
    use serde_json::json;

    #[test]
    fn chosen_members_are_kept_also_inside_lists() {
        let nic = json!({ "id": "a", "link": { "mtu": 1500, "operState": "up" }, "sriov": { "vfs": [{ "index": 0, "mac": "m" }] } });

        let fields = Fields::parse("sriov.vfs.index,link.mtu,id").unwrap();

        assert_eq!(
            fields.select(&nic),
            json!({ "id": "a", "link": { "mtu": 1500 }, "sriov": { "vfs": [{ "index": 0 }] } })
        );
    }

    #[test]
    fn whole_member_wins_over_a_part_of_it_in_any_order() {
        let nic = json!({ "link": { "mtu": 1500, "operState": "up" } });

        for text in ["link,link.mtu", "link.mtu,link"] {
            assert_eq!(Fields::parse(text).unwrap().select(&nic), nic, "{text}");
        }
    }

    #[test]
    fn path_that_no_nic_has_is_refused_with_the_nearest() {
        let refusal = Fields::parse("id,link.operStat").unwrap_err().0;

        assert_eq!(refusal.value.as_deref(), Some("link.operStat"));
        assert_eq!(refusal.nearest.first().map(String::as_str), Some("link.operState"));
        assert!(Fields::parse("").is_err());
    }

    #[test]
    fn every_member_of_the_example_is_a_known_path() {
        fn check(value: &serde_json::Value, prefix: &str) {
            match value {
                serde_json::Value::Object(members) => {
                    for (key, member) in members {
                        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                        assert!(known_paths().contains(&path), "{path}");
                        check(member, &path);
                    }
                }
                serde_json::Value::Array(items) => items.iter().for_each(|item| check(item, prefix)),
                _ => {}
            }
        }
        for nic in openapi::example_inventory().unwrap().nics {
            check(&serde_json::to_value(nic).unwrap(), "");
        }
    }
}
