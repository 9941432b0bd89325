//! `NetworkAttachmentDefinition` of the multi-network specification (group `k8s.cni.cncf.io`, version `v1`; FOREIGN §2.1).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Annotation that names the device resources of a network, comma-joined.
pub const RESOURCE_NAME_ANNOTATION: &str = "k8s.v1.cni.cncf.io/resourceName";

/// What a secondary network is. The kind has no status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cluster", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "cluster",
    kube(
        group = "k8s.cni.cncf.io",
        version = "v1",
        kind = "NetworkAttachmentDefinition",
        plural = "network-attachment-definitions",
        namespaced,
        schema = "disabled"
    )
)]
pub struct NetworkAttachmentDefinitionSpec {
    /// A CNI configuration: a text that holds a JSON object. Empty: Multus looks for a file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub config: String,
    /// What we do not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}
