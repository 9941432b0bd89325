//! A class of devices by PCI ids (CONTRACTS §1.6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(feature = "cluster")]
use crate::condition::EmptyStatus;
use crate::object::{ApiVersion, Metadata, check_name};
use crate::problem::Problem;
use crate::shape::{Field, Shape, required};

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
        doc = "A class of devices by PCI ids.",
        printcolumn = r#"{"name": "Vendors", "type": "string", "jsonPath": ".spec.ids[*].vendor"}"#,
        printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
    )
)]
pub struct DeviceClassSpec {
    /// Devices by vendor.
    #[schemars(length(max = 256))]
    pub ids: Vec<DeviceIds>,
}

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
pub(crate) const FIELDS: &[Field] = &[required(
    "ids",
    Shape::Objects(&[required("vendor", Shape::Text), required("products", Shape::Texts)]),
)];

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
        problems
    }
}
