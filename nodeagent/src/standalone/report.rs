//! What is wrong with the folder of networks, for the person who fills it.

use std::fmt;

use crds::Problem;
use openapi::{NetworkReport, ReportGravity};

/// Kind of a policy for PFs.
pub(crate) const POLICY: &str = "SriovNetworkNodePolicy";

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Name of the file; empty: the folder itself.
    pub(crate) file: String,
    /// Number of the document in it, from 1; 0: the file as a whole.
    pub(crate) document: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// Where.
    pub(crate) place: Place,
    /// Kind and name, as far as they can be read.
    pub(crate) object: Option<(String, String)>,
    /// What.
    pub(crate) problem: Problem,
    /// How grave it is.
    pub(crate) gravity: Gravity,
}

/// How grave a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gravity {
    /// Something that was meant is not there.
    Error,
    /// Something is there that does nothing.
    Warning,
}

impl Place {
    pub(crate) fn file(name: &str) -> Self {
        Self { file: name.to_owned(), document: 0 }
    }
}

impl Report {
    /// The network that it is about.
    pub(crate) fn network(&self) -> Option<&str> {
        self.object_of("MultiNicNetwork")
    }

    /// The policy for PFs that it is about.
    pub(crate) fn policy(&self) -> Option<&str> {
        self.object_of(POLICY)
    }

    fn object_of(&self, wanted: &str) -> Option<&str> {
        let object = self.object.as_ref().filter(|(kind, name)| kind == wanted && !name.is_empty());
        object.map(|(_, name)| name.as_str())
    }

    /// As the API shows it.
    pub(crate) fn shown(&self) -> NetworkReport {
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        NetworkReport {
            gravity: match self.gravity {
                Gravity::Error => ReportGravity::Error,
                Gravity::Warning => ReportGravity::Warning,
            },
            network: self.network().map(str::to_owned),
            policy: self.policy().map(str::to_owned),
            file: some(&self.place.file),
            document: Some(self.place.document).filter(|number| *number > 0),
            field: some(&self.problem.path),
            message: self.problem.message.clone(),
            fix: some(&self.problem.fix),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.document) {
            ("", _) => f.write_str("the folder"),
            (file, 0) => f.write_str(file),
            (file, document) => write!(f, "{file}, document {document}"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)?;
        if let Some((kind, name)) = &self.object {
            let blank = if name.is_empty() { "" } else { " " };
            write!(f, " ({kind}{blank}{name})")?;
        }
        write!(f, ": {}", self.problem)
    }
}
