//! Conditions of a status, as every Kubernetes kind has them (`metav1.Condition`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What holds of an object, why, and what to do about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What the condition is about, like `Ready`.
    #[serde(rename = "type")]
    #[schemars(length(max = 316))]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    #[schemars(extend("enum" = ["True", "False", "Unknown"]))]
    pub status: String,
    /// One word for programs, from docs/conditions.md.
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// For people: what is the matter and what to do.
    #[schemars(length(max = 32768))]
    pub message: String,
    /// `metadata.generation` that the condition was found for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` last changed, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
}

/// The status of a kind that says nothing beside its conditions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EmptyStatus {
    /// What holds of the object. Default: nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
