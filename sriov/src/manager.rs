//! Who else manages a PF: the SR-IOV operator's daemon, by the files that it leaves on the node. Two managers would undo
//! one another's work for ever, so such a PF is read-only here (TRAPS V5).
//!
//! ```text
//! /etc/sriov-operator/pci/<PF address>   what was applied last, as in SriovNetworkNodeState's spec.interfaces (JSON);
//!                                        newer versions take it away with the last policy, older ones leave it
//! ```

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;

use serde::Deserialize;

use crate::Roots;

/// The SR-IOV operator's daemon, which manages a PF.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manager {
    /// The file that says so.
    pub file: PathBuf,
    /// VFs that it made, or found there (`numVfs`); absent when the file cannot be read.
    pub count: Option<u16>,
    /// It leaves making the VFs to somebody else, and gives them out (`externallyManaged`).
    pub external: bool,
    /// Names of its policies, in order.
    pub policies: Vec<String>,
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sriov-network-operator manages it")?;
        if !self.policies.is_empty() {
            write!(f, " for its policy {}", self.policies.join(", "))?;
        }
        write!(
            f,
            ": change its SriovNetworkNodePolicy, or remove {} if the operator is gone",
            self.file.display()
        )
    }
}

/// What of the file is read. Everything may be missing: versions differ, and the file's being there says enough.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Applied {
    num_vfs: Option<u16>,
    externally_managed: bool,
    vf_groups: Option<Vec<Group>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Group {
    policy_name: String,
}

/// Who manages the PF with this address; none when nobody says so. A file that cannot be read or understood says so, too.
pub(crate) fn of(roots: &Roots, pf: &str) -> Option<Manager> {
    let file = roots.operator_state.join("pci").join(pf);
    let applied = match fs::read(&file) {
        Ok(text) => serde_json::from_slice(&text).unwrap_or_default(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return None;
        }
        Err(_) => Applied::default(),
    };
    let mut policies: Vec<String> =
        applied.vf_groups.into_iter().flatten().map(|group| group.policy_name).collect();
    policies.retain(|name| !name.is_empty());
    policies.sort_unstable();
    policies.dedup();
    Some(Manager { file, count: applied.num_vfs, external: applied.externally_managed, policies })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PF: &str = "0000:01:00.0";

    fn roots_with(text: &[u8]) -> (tempfile::TempDir, Roots) {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::below(folder.path());
        fs::create_dir_all(roots.operator_state.join("pci")).unwrap();
        fs::write(roots.operator_state.join("pci").join(PF), text).unwrap();
        (folder, roots)
    }

    #[test]
    fn the_operators_file_names_it_and_its_policies() {
        let text = br#"{"pciAddress":"0000:01:00.0","numVfs":4,"mtu":9000,"name":"eth1","linkType":"eth",
            "vfGroups":[{"resourceName":"b","deviceType":"vfio-pci","vfRange":"2-3","policyName":"dpdk"},
            {"resourceName":"a","vfRange":"0-1","policyName":"nets","isRdma":true}]}"#;
        let (folder, roots) = roots_with(text);

        let manager = of(&roots, PF).unwrap();

        assert_eq!((manager.count, manager.external), (Some(4), false));
        let file = folder.path().join("etc/sriov-operator/pci/0000:01:00.0");
        assert_eq!(
            manager.to_string(),
            format!(
                "sriov-network-operator manages it for its policy dpdk, nets: change its SriovNetworkNodePolicy, or \
                 remove {} if the operator is gone",
                file.display()
            )
        );
        assert_eq!(of(&roots, "0000:02:00.0"), None);
    }

    #[test]
    fn a_pf_that_the_operator_only_gives_out_is_its_too() {
        let (_folder, roots) = roots_with(br#"{"numVfs":2,"externallyManaged":true,"vfGroups":null}"#);

        let manager = of(&roots, PF).unwrap();

        assert_eq!((manager.count, manager.external, manager.policies.len()), (Some(2), true, 0));
    }

    #[test]
    fn a_file_that_cannot_be_understood_still_says_that_somebody_manages_the_pf() {
        for text in [&b""[..], b"{", b"7", b"{\"numVfs\":-1}", b"\xff\xfe"] {
            let (_folder, roots) = roots_with(text);

            assert_eq!(of(&roots, PF).map(|manager| manager.count), Some(None), "{text:?}");
        }
    }

    #[test]
    fn a_node_without_the_operator_has_no_other_manager() {
        let folder = tempfile::tempdir().unwrap();

        assert_eq!(of(&Roots::below(folder.path()), PF), None);
    }
}
