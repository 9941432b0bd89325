//! `multi-nic` as the last plugin of the cluster network's list: what a pod gets, its annotation says (TRAPS C1).
//!
//! ```json
//! {"type": "multi-nic", "fromAnnotations": true, "capabilities": {"io.kubernetes.cri.pod-annotations": true}}
//! ```
//! The runtime puts the pod's annotations into `runtimeConfig` under the capability's name (containerd: all of them;
//! CRI-O the same). A pod that asks for nothing is answered without the agent.

use serde_json::Value;

use crate::error::{Error, code};

/// Key of the plugin's entry that makes it such a one.
pub const FROM_ANNOTATIONS: &str = "fromAnnotations";

/// The capability under which a runtime hands over the pod's annotations.
pub const CAPABILITY: &str = "io.kubernetes.cri.pod-annotations";

/// Annotation that lists networks (FOREIGN §2.2).
pub const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";

/// What such an entry gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Chained {
    /// What the pod asks for.
    pub asked: Asked,
    /// What the plugins before it made.
    pub prev_result: Option<Value>,
}

/// What a pod asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Nothing.
    Nothing,
    /// The networks of its annotation, as it is written.
    Networks(String),
    /// The runtime does not hand annotations over; the API server knows.
    Unknown,
}

impl Chained {
    /// Reads a configuration; absent when it is no such entry.
    ///
    /// # Errors
    /// Code 6 when it is no JSON, 7 naming the key that is wrong.
    pub fn read(config: &str) -> Result<Option<Self>, Error> {
        // Every call of the executable comes by here: one look tells nearly all of them.
        if !config.contains(FROM_ANNOTATIONS) {
            return Ok(None);
        }
        let mut whole: Value = serde_json::from_str(config)
            .map_err(|error| Error::new(code::DECODE, format!("the configuration is no JSON: {error}")))?;
        match whole.get(FROM_ANNOTATIONS) {
            Some(Value::Bool(true)) => {}
            None | Some(Value::Bool(false)) => return Ok(None),
            Some(_) => {
                let words = format!("{FROM_ANNOTATIONS}: is neither true nor false");
                return Err(Error::new(code::INVALID_CONFIG, words));
            }
        }
        // Absent: the runtime does not know the capability. Null: a pod without annotations, as Go writes it.
        let asked = match whole.get("runtimeConfig").and_then(|runtime| runtime.get(CAPABILITY)) {
            None => Asked::Unknown,
            Some(annotations) => match annotations.get(NETWORKS).and_then(Value::as_str) {
                Some(text) if !text.trim().is_empty() => Asked::Networks(text.to_owned()),
                _ => Asked::Nothing,
            },
        };
        let prev_result = whole.get_mut("prevResult").map(Value::take).filter(|result| !result.is_null());
        Ok(Some(Self { asked, prev_result }))
    }

    /// The result of the plugins before it.
    ///
    /// # Errors
    /// Code 7 when there is none.
    pub fn before(&self) -> Result<&Value, Error> {
        self.prev_result.as_ref().ok_or_else(|| {
            Error::new(code::INVALID_CONFIG, "prevResult: is missing")
                .with_details("an entry with fromAnnotations goes behind the plugins of the cluster network")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(runtime: &str) -> Asked {
        let config = format!(r#"{{"fromAnnotations": true, "runtimeConfig": {runtime}}}"#);
        Chained::read(&config).unwrap().unwrap().asked
    }

    #[test]
    fn what_a_runtime_hands_over_is_told_from_what_it_does_not() {
        let with = |annotations: &str| asked(&format!(r#"{{"{CAPABILITY}": {annotations}}}"#));

        assert_eq!(asked("{}"), Asked::Unknown);
        assert_eq!(asked("null"), Asked::Unknown);
        assert_eq!(with("null"), Asked::Nothing);
        assert_eq!(with(r#"{"other": "net"}"#), Asked::Nothing);
        assert_eq!(with(&format!(r#"{{"{NETWORKS}": "  "}}"#)), Asked::Nothing);
        assert_eq!(with(&format!(r#"{{"{NETWORKS}": "a,b"}}"#)), Asked::Networks("a,b".into()));
    }

    #[test]
    fn other_configurations_are_none_of_these() {
        assert_eq!(Chained::read(r#"{"runtimeConfig": 1}"#).unwrap(), None);
        assert_eq!(Chained::read(r#"{"fromAnnotations": false}"#).unwrap(), None);
        assert_eq!(Chained::read(r#"["fromAnnotations""#).unwrap_err().code, 6);
        assert_eq!(Chained::read(r#"{"fromAnnotations": "yes"}"#).unwrap_err().code, 7);
        let entry = Chained::read(r#"{"fromAnnotations": true, "prevResult": null}"#).unwrap().unwrap();
        assert_eq!(entry.before().unwrap_err().msg, "prevResult: is missing");
    }
}
