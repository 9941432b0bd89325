//! A class of devices by PCI ids (CONTRACTS §1.6), by speed and by an expression.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(feature = "cluster")]
use crate::condition::EmptyStatus;
use crate::multi_nic_network::bandwidth_mbps;
use crate::object::{ApiVersion, Metadata, check_name};
use crate::problem::Problem;
use crate::shape::{Field, Shape, optional, required};

/// A class of devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceClass {
    /// Group and version.
    pub api_version: ApiVersion,
    /// Its name.
    pub metadata: Metadata,
    /// Which devices are in it.
    pub spec: DeviceClassSpec,
}

/// Which devices are in a class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "cluster", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "cluster",
    kube(
        group = "multinic.fms.io",
        version = "v1",
        kind = "DeviceClass",
        root = "DeviceClassResource",
        plural = "deviceclasses",
        shortname = "mnclass",
        category = "multinic",
        status = "EmptyStatus",
        doc = "A class of devices by PCI ids, by speed and by an expression.",
        printcolumn = r#"{"name": "Vendors", "type": "string", "jsonPath": ".spec.ids[*].vendor"}"#,
        printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
    )
)]
#[serde(rename_all = "camelCase")]
pub struct DeviceClassSpec {
    /// Devices by vendor. Default: all that fit the rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub ids: Vec<DeviceIds>,
    /// Least speed of a device, like `100Gbps`. Default: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(regex(pattern = r"^$|^[0-9]+(Gbps|Mbps|Kbps)$"))]
    pub min_speed: String,
    /// Speed class of a device: `low`, `standard` or `high`. Default: any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("enum" = ["", "low", "standard", "high"]))]
    pub class: String,
    /// What must be true of a device, as an expression of the Common Expression Language (CEL) over `nic` as the agent's API
    /// shows it, like `nic.driver.name == "mlx5_core"`. A device without the member that it asks for does not fit; `has(nic.numaNode)`
    /// asks beforehand. Default: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    pub expression: String,
}

/// Speed classes that a device class may name.
const CLASSES: [&str; 3] = ["low", "standard", "high"];

/// Devices of a vendor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceIds {
    /// PCI vendor id, four hexadecimal digits, like `15b3`.
    #[schemars(regex(pattern = r"^[0-9a-fA-F]{4}$"))]
    pub vendor: String,
    /// PCI device ids, four hexadecimal digits each, like `101d`.
    #[schemars(length(max = 1024), inner(regex(pattern = r"^[0-9a-fA-F]{4}$")))]
    pub products: Vec<String>,
}

/// The fields of the specification.
pub(crate) const FIELDS: &[Field] = &[
    optional("ids", Shape::Objects(&[required("vendor", Shape::Text), required("products", Shape::Texts)])),
    optional("minSpeed", Shape::Text),
    optional("class", Shape::Text),
    optional("expression", Shape::Text),
];

impl DeviceClassSpec {
    /// Whether a device is in the class by what it is: its vendor and device id (four hexadecimal digits), its speed in
    /// Mb/s and its speed class, as far as they are known. Whether the expression is true only the device's agent can tell.
    pub fn has(&self, (vendor, device): (&str, &str), speed_mbps: Option<u32>, class: &str) -> bool {
        let listed = self.ids.iter().any(|ids| {
            ids.vendor.eq_ignore_ascii_case(vendor)
                && ids.products.iter().any(|product| product.eq_ignore_ascii_case(device))
        });
        let fast = self.min_speed.is_empty()
            || bandwidth_mbps(&self.min_speed)
                .is_some_and(|least| speed_mbps.is_some_and(|speed| speed >= least));
        (listed || self.ids.is_empty()) && fast && (self.class.is_empty() || self.class == class)
    }
}

impl DeviceClass {
    /// What is wrong with its values; empty: nothing.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        check_name(&self.metadata.name, &mut problems);
        let mut id = |path: String, text: &str| {
            if text.len() != 4 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let fix = "write four hexadecimal digits in quotes, without 0x";
                problems.push(Problem::new(path, format!("`{text}` is no PCI id"), fix));
            }
        };
        for (index, ids) in self.spec.ids.iter().enumerate() {
            id(format!("spec.ids[{index}].vendor"), &ids.vendor);
            for (position, product) in ids.products.iter().enumerate() {
                id(format!("spec.ids[{index}].products[{position}]"), product);
            }
        }
        for (index, ids) in self.spec.ids.iter().enumerate().filter(|(_, ids)| ids.products.is_empty()) {
            let path = format!("spec.ids[{index}].products");
            let message = format!("names no device of vendor {}, so none is in the class", ids.vendor);
            problems.push(Problem::new(path, message, "list the devices"));
        }
        let DeviceClassSpec { ids, min_speed, class, expression } = &self.spec;
        if ids.is_empty() && [min_speed, class, expression].into_iter().all(String::is_empty) {
            let fix = "give ids, minSpeed, class or expression";
            problems.push(Problem::new(
                "spec",
                "says nothing of its devices, so all would be in the class",
                fix,
            ));
        }
        if !min_speed.is_empty() && bandwidth_mbps(min_speed).is_none() {
            let message = format!("`{min_speed}` is no bandwidth");
            problems.push(Problem::new("spec.minSpeed", message, "write it like 100Gbps"));
        }
        if !class.is_empty() && !CLASSES.contains(&class.as_str()) {
            let message = format!("`{class}` is not known");
            problems.push(Problem::unknown("spec.class".to_owned(), &message, class, &CLASSES));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_to_fit_everything_that_a_class_says() {
        let ids = vec![DeviceIds { vendor: "15b3".into(), products: vec!["101D".into()] }];
        let class = DeviceClassSpec { ids, min_speed: "100Gbps".into(), ..DeviceClassSpec::default() };
        assert!(class.has(("15B3", "101d"), Some(100_000), "high"));
        assert!(!class.has(("15b3", "101d"), Some(25_000), "standard"));
        assert!(!class.has(("15b3", "101d"), None, ""), "nobody knows its speed");
        assert!(!class.has(("15b3", "1019"), Some(200_000), "high"));
        let fast = DeviceClassSpec { class: "high".into(), ..DeviceClassSpec::default() };
        assert!(fast.has(("8086", "1592"), None, "high") && !fast.has(("8086", "1592"), None, "standard"));
    }

    #[test]
    fn speeds_and_classes_that_are_none_are_named() {
        let mut class = DeviceClass::default();
        class.metadata.name = "fast".into();
        (class.spec.min_speed, class.spec.class) = ("fast".into(), "highest".into());
        let told: Vec<String> = class.validate().iter().map(|problem| problem.path.clone()).collect();
        assert_eq!(told, ["spec.minSpeed", "spec.class"]);
    }
}
