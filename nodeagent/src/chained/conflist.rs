//! The list that runtimes take: a copy of the cluster network's, with our entry behind its plugins (TRAPS C2).
//!
//! Cluster networks write their file anew whenever they start, so it is never edited: the lexically first file wins, and
//! ours comes first. It is there only while an agent has served, and goes when the source does.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cni::chained::{CAPABILITY, FROM_ANNOTATIONS};
use serde_json::{Map, Value, json};

/// Name of our file.
pub(crate) const FILE: &str = "00-multi-nic.conflist";

/// Names of executables that attach further networks themselves.
const OTHERS: [&str; 2] = ["multus", "multus-shim"];

/// Bytes of a list at most.
const SIZE: u64 = 1024 * 1024;

/// How the folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Derived {
    /// Our list is there, made from this file.
    From(PathBuf),
    /// There is no list to derive ours from, and ours is not there.
    NoSource,
}

/// Why ours cannot be there, or cannot be brought up to date.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConflistError {
    /// The folder or a file in it.
    #[error("{}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The source is no list; it may be in the middle of being written.
    #[error("{} cannot be read as a CNI configuration: {why}; ours stays as it is", path.display())]
    Unreadable { path: PathBuf, why: String },
    /// Multus does what we would do.
    #[error(
        "{} runs Multus, which attaches networks by annotation itself: take --chain away from the agent, or Multus' file out of the folder",
        path.display()
    )]
    Multus { path: PathBuf },
    /// Somebody's file is taken before ours.
    #[error("{} sorts before {FILE}, so runtimes take it: rename it, or list multi-nic in it by hand", path.display())]
    Before { path: PathBuf },
}

/// Brings our list up to date.
///
/// # Errors
/// When it is not, and why.
pub(crate) fn derive(folder: &Path) -> Result<Derived, ConflistError> {
    let source = match first_foreign(folder)? {
        Some(source) => source,
        None => {
            remove(folder)?;
            return Ok(Derived::NoSource);
        }
    };
    let list = read(&source)?;
    let ours = match with_entry(list, &source) {
        Ok(ours) => ours,
        Err(error) => {
            if !matches!(error, ConflistError::Unreadable { .. }) {
                remove(folder)?;
            }
            return Err(error);
        }
    };
    let Some(ours) = ours else {
        // It names us already: somebody wrote it so.
        remove(folder)?;
        return Ok(Derived::From(source));
    };
    if source.file_name().is_some_and(|name| name < FILE) {
        return Err(ConflistError::Before { path: source });
    }
    let path = folder.join(FILE);
    let text = format!("{:#}\n", ours);
    if fs::read(&path).is_ok_and(|now| now == text.as_bytes()) {
        return Ok(Derived::From(source));
    }
    cni::file::write(folder, FILE, text.as_bytes()).map_err(|error| at(&path, error))?;
    Ok(Derived::From(source))
}

/// Takes ours away; none there is fine.
///
/// # Errors
/// When it is there and cannot be removed.
pub(crate) fn remove(folder: &Path) -> Result<(), ConflistError> {
    let path = folder.join(FILE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&path, error)),
        _ => Ok(()),
    }
}

fn at(path: &Path, source: io::Error) -> ConflistError {
    ConflistError::File { path: path.to_owned(), source }
}

/// The file that runtimes would take without ours: the first by name, of those that they read.
fn first_foreign(folder: &Path) -> Result<Option<PathBuf>, ConflistError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(folder, error)),
    };
    let mut first: Option<PathBuf> = None;
    for entry in entries {
        let path = entry.map_err(|error| at(folder, error))?.path();
        let read = path
            .extension()
            .is_some_and(|extension| ["conf", "conflist", "json"].iter().any(|one| extension == *one));
        if read && path.file_name() != Some(FILE.as_ref()) && first.as_ref().is_none_or(|first| path < *first)
        {
            first = Some(path);
        }
    }
    Ok(first)
}

fn read(path: &Path) -> Result<Map<String, Value>, ConflistError> {
    let unreadable = |why: String| ConflistError::Unreadable { path: path.to_owned(), why };
    let length = fs::metadata(path).map_err(|error| at(path, error))?.len();
    if length > SIZE {
        return Err(unreadable(format!("it has {length} bytes")));
    }
    let bytes = fs::read(path).map_err(|error| at(path, error))?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(list)) => Ok(list),
        Ok(_) => Err(unreadable("it is no JSON object".to_owned())),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// The list with our entry; absent when it has one. A configuration of a single plugin becomes a list of one.
fn with_entry(source: Map<String, Value>, path: &Path) -> Result<Option<Value>, ConflistError> {
    let mut list = if source.contains_key("plugins") {
        source
    } else if source.contains_key("type") {
        let of_list = ["cniVersion", "name"];
        let mut list = Map::new();
        let mut plugin = source;
        for key in of_list {
            list.extend(plugin.remove(key).map(|value| (key.to_owned(), value)));
        }
        list.insert("plugins".to_owned(), json!([plugin]));
        list
    } else {
        let why = "it has neither plugins nor type".to_owned();
        return Err(ConflistError::Unreadable { path: path.to_owned(), why });
    };
    let Some(plugins) = list.get_mut("plugins").and_then(Value::as_array_mut).filter(|all| !all.is_empty())
    else {
        let why = "plugins is no list with at least one".to_owned();
        return Err(ConflistError::Unreadable { path: path.to_owned(), why });
    };
    let kind = |plugin: &Value| plugin.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if plugins.iter().any(|plugin| OTHERS.contains(&kind(plugin).as_str())) {
        return Err(ConflistError::Multus { path: path.to_owned() });
    }
    if plugins.iter().any(|plugin| plugin.get(FROM_ANNOTATIONS) == Some(&Value::Bool(true))) {
        return Ok(None);
    }
    plugins.push(json!({"type": "multi-nic", FROM_ANNOTATIONS: true, "capabilities": {CAPABILITY: true}}));
    Ok(Some(Value::Object(list)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const BRIDGE: &str = r#"{"cniVersion": "0.4.0", "name": "lab", "disableCheck": true,
        "plugins": [{"type": "bridge", "ipam": {"type": "host-local"}}, {"type": "portmap"}]}"#;

    fn ours(folder: &Path) -> Option<Value> {
        fs::read(folder.join(FILE)).ok().map(|bytes| serde_json::from_slice(&bytes).unwrap())
    }

    #[test]
    fn ours_is_the_first_foreign_list_with_our_entry_behind_it_and_nothing_else_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("10-lab.conflist"), BRIDGE).unwrap();
        fs::write(folder.join("20-other.conf"), r#"{"type": "x", "name": "y"}"#).unwrap();
        fs::write(folder.join("05-notes.txt"), "none").unwrap();

        assert_eq!(derive(folder).unwrap(), Derived::From(folder.join("10-lab.conflist")));
        let list = ours(folder).unwrap();
        assert_eq!(list["name"], "lab");
        assert_eq!(list["disableCheck"], true);
        let kinds: Vec<&str> =
            list["plugins"].as_array().unwrap().iter().map(|one| one["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["bridge", "portmap", "multi-nic"]);
        let mode = fs::metadata(folder.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_to_string(folder.join("10-lab.conflist")).unwrap(), BRIDGE);
        let before = fs::metadata(folder.join(FILE)).unwrap().modified().unwrap();
        derive(folder).unwrap();
        assert_eq!(fs::metadata(folder.join(FILE)).unwrap().modified().unwrap(), before, "not written again");
    }

    #[test]
    fn a_single_configuration_becomes_a_list() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(
            folder.join("20-other.conf"),
            r#"{"cniVersion": "0.3.1", "type": "x", "name": "y", "a": 1}"#,
        )
        .unwrap();
        derive(folder).unwrap();
        let list = ours(folder).unwrap();
        assert_eq!((&list["cniVersion"], &list["name"]), (&json!("0.3.1"), &json!("y")));
        assert_eq!(list["plugins"][0], json!({"type": "x", "a": 1}));
        assert_eq!(list["plugins"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn ours_goes_with_its_source_and_stays_while_that_is_half_written() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let source = folder.join("10-lab.conflist");
        assert_eq!(derive(folder).unwrap(), Derived::NoSource);
        fs::write(&source, BRIDGE).unwrap();
        derive(folder).unwrap();
        let before = ours(folder);
        fs::write(&source, &BRIDGE[..40]).unwrap();
        assert!(matches!(derive(folder), Err(ConflistError::Unreadable { .. })));
        assert_eq!(ours(folder), before);
        fs::remove_file(&source).unwrap();
        assert_eq!(derive(folder).unwrap(), Derived::NoSource);
        assert_eq!(ours(folder), None);
        assert_eq!(derive(&folder.join("away")).unwrap(), Derived::NoSource);
    }

    #[test]
    fn multus_files_before_ours_and_lists_that_name_us_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("00-multus.conf"), r#"{"type": "multus", "name": "m"}"#).unwrap();
        fs::write(folder.join("10-lab.conflist"), BRIDGE).unwrap();
        assert!(matches!(derive(folder), Err(ConflistError::Multus { .. })));
        assert_eq!(ours(folder), None);
        fs::rename(folder.join("10-lab.conflist"), folder.join("00-a.conflist")).unwrap();
        assert!(matches!(derive(folder), Err(ConflistError::Before { .. })));
        let named = r#"{"name": "lab", "plugins": [{"type": "bridge"}, {"type": "multi-nic", "fromAnnotations": true}]}"#;
        fs::write(folder.join("00-a.conflist"), named).unwrap();
        assert_eq!(derive(folder).unwrap(), Derived::From(folder.join("00-a.conflist")));
        assert_eq!(ours(folder), None);
    }
}
