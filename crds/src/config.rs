//! Settings of the operator and of the agents that it deploys (CONTRACTS §1.5, §9.3).

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[cfg(feature = "cluster")]
use crate::condition::EmptyStatus;

/// Settings of the operator and of the agents that it deploys. The object that counts is named `multi-nicd`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "cluster", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "cluster",
    kube(
        group = "multinic.fms.io",
        version = "v1",
        kind = "Config",
        plural = "configs",
        shortname = "mnconfig",
        category = "multinic",
        status = "EmptyStatus",
        doc = "Settings of the operator and of the agents that it deploys. The object that counts is named multi-nicd.",
        printcolumn = r#"{"name": "Image", "type": "string", "jsonPath": ".spec.daemon.image"}"#,
        printcolumn = r#"{"name": "Port", "type": "integer", "jsonPath": ".spec.daemon.port"}"#,
        printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
    )
)]
pub struct ConfigSpec {
    /// Name of the CNI executable, the `type` in attachment definitions: `multi-nic`.
    #[schemars(length(max = 64), regex(pattern = r"^[a-zA-Z0-9_-][a-zA-Z0-9_.-]*$"))]
    pub cni_type: String,
    /// Name of the IPAM executable: `multi-nic-ipam`. Stored only.
    pub ipam_type: String,
    /// The agents.
    pub daemon: DaemonSpec,
    /// Path at the predecessor's agent: `/join`. Stored only.
    pub join_path: String,
    /// Path at the predecessor's agent: `/interface`. Stored only.
    pub get_interface_path: String,
    /// Path at the predecessor's agent: `/addl3`. Stored only. Default: empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub add_route_path: String,
    /// Path at the predecessor's agent: `/deletel3`. Stored only. Default: empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub delete_route_path: String,
    /// Seconds until something urgent is tried again. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub urgent_reconcile_seconds: Option<i32>,
    /// Minutes until something is tried again. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1440))]
    pub normal_reconcile_minutes: Option<i32>,
    /// Minutes until everything is looked at again. Default: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1440))]
    pub long_reconcile_minutes: Option<i32>,
    /// Minutes until a request counts as lost. Default: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1440))]
    pub context_timeout_minutes: Option<i32>,
    /// How much is logged, 1 to 127. Default: 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 127))]
    pub log_level: Option<i32>,
}

/// The agents that the operator deploys.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DaemonSpec {
    /// Labels that a node must have. Default: any node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Container image.
    pub image: String,
    /// Secret to pull the image with. Default: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image_pull_secret_name: String,
    /// `Always`, `IfNotPresent` or `Never`. Default: the cluster's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("enum" = ["", "Always", "IfNotPresent", "Never"]))]
    pub image_pull_policy: String,
    /// Security context of the container, as in a pod. Default: the cluster's.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(schema_with = "free")]
    pub security_context: Value,
    /// Environment variables, as in a pod. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "free_list")]
    pub env: Vec<Value>,
    /// Sources of environment variables, as in a pod. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "free_list")]
    pub env_from: Vec<Value>,
    /// Folders of the host in the container. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<HostPathMount>,
    /// TCP port of the agents' REST API, on loopback: 11000.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Requests and limits, as in a pod. Default: none.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(schema_with = "free")]
    pub resources: Value,
    /// Taints that are tolerated, as in a pod. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "free_list")]
    pub tolerations: Vec<Value>,
}

/// A folder of the host in the agent's container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostPathMount {
    /// Name of the volume.
    pub name: String,
    /// Path in the container.
    pub podpath: String,
    /// Path on the host.
    pub hostpath: String,
}

/// Kubernetes' own types, which grow without us.
fn free(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

fn free_list(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}})
}
