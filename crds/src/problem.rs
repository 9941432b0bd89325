//! What is wrong with an object, for the person who wrote it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Path of the field, like `spec.subnets[0].cidr`; empty: the whole object.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do.
    pub fix: String,
}

impl Problem {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), fix: fix.into() }
    }

    /// A name that is not known, with the nearest of those that are, or all of them.
    pub(crate) fn unknown(path: String, message: &str, name: &str, known: &[&str]) -> Self {
        let fix = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", known.join(", ")),
        };
        Self::new(path, message, fix)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}; {}", self.message, self.fix)
    }
}

impl std::error::Error for Problem {}

/// The known name that somebody most likely meant; absent when none is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody mistypes kilobytes.
    if name.len() > 64 {
        return None;
    }
    let wanted = name.to_lowercase();
    let most = (wanted.chars().count() / 3).max(1);
    let distance = |known: &str| strsim::osa_distance(&wanted, &known.to_lowercase());
    let near = known.into_iter().map(|known| (distance(known), known));
    near.filter(|(distance, _)| *distance <= most).min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_misspelt_name_finds_the_known_one_and_a_foreign_one_finds_none() {
        let known = ["subnet", "subnets", "ipam", "multiNICIPAM"];

        assert_eq!(nearest("subnett", known), Some("subnet"));
        assert_eq!(nearest("multiNicIPAM", known), Some("multiNICIPAM"));
        assert_eq!(nearest("replicas", known), None);
        assert_eq!(nearest(&"subnet".repeat(1000), known), None);
    }
}
