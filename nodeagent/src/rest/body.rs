//! The body of a request: JSON of the wanted form, or a refusal that says where it is not.

use axum::body::Bytes;
use openapi::ProblemCode;
use serde::de::DeserializeOwned;

use super::problem::{Refusal, shown};

/// Reads a body.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        Refusal::new(
            ProblemCode::InvalidBody,
            format!("the body cannot be read: {}", shown(&error.to_string())),
        )
    })
}

/// A member of a body with a value that it cannot have.
pub(super) fn wrong(member: &str, value: &str, words: &str) -> Refusal {
    let detail = format!("{member}: `{}` {words}", shown(value));
    let mut refusal = Refusal::new(ProblemCode::InvalidBody, detail);
    refusal.0.parameter = Some(member.to_owned());
    refusal.0.value = Some(shown(value));
    refusal
}
