//! The files that say what a given-out device is: `dp/<resource with - for />-<device>-device.json`.
//!
//! Multus copies them for the CNI plugins of the pod. Its library refuses to overwrite, so one that a crash left is
//! replaced, and those of devices that no pod has are swept.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::Value;

/// Name of a device's file.
pub(crate) fn name(resource: &str, device: &str) -> String {
    format!("{}-{device}-device.json", resource.replace('/', "-"))
}

/// Writes a file, whole or not at all.
pub(crate) fn write(folder: &Path, name: &str, content: &Value) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let aside = folder.join(format!(".{name}.new"));
    let _ = fs::remove_file(&aside);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o444).open(&aside)?;
    file.write_all(content.to_string().as_bytes())?;
    drop(file);
    fs::rename(&aside, folder.join(name))
}

/// Removes the files of a resource whose devices are not in `kept`. How many went.
pub(crate) fn sweep(folder: &Path, resource: &str, kept: &BTreeSet<String>) -> usize {
    let beginning = format!("{}-", resource.replace('/', "-"));
    let kept: BTreeSet<String> = kept.iter().map(|device| name(resource, device)).collect();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let stale = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let device = name.strip_prefix(&beginning).and_then(|rest| rest.strip_suffix("-device.json"));
        // Another resource may begin with this one's name: what follows must be a device.
        device.is_some_and(|device| device.parse::<hwprobe::PciAddress>().is_ok())
            && !kept.contains(name.as_ref())
    });
    stale.filter(|entry| fs::remove_file(entry.path()).is_ok()).count()
}

#[cfg(test)]
mod tests {
    use super::{name, sweep, write};
    use serde_json::json;
    use std::collections::BTreeSet;
    use std::fs;

    const RESOURCE: &str = "multinic.fms.io/vfs";

    #[test]
    fn a_file_is_named_as_multus_looks_for_it_and_replaces_a_stale_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = name(RESOURCE, "0000:41:10.0");
        assert_eq!(file, "multinic.fms.io-vfs-0000:41:10.0-device.json");

        write(folder.path(), &file, &json!({ "type": "pci" })).unwrap();
        write(folder.path(), &file, &json!({ "type": "pci", "version": "1.1.0" })).unwrap();

        let text = fs::read_to_string(folder.path().join(&file)).unwrap();
        assert_eq!(text, r#"{"type":"pci","version":"1.1.0"}"#);
        assert!(fs::metadata(folder.path().join(&file)).unwrap().permissions().readonly());
    }

    #[test]
    fn only_files_of_this_resource_that_no_pod_has_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let stay = [
            name(RESOURCE, "0000:41:10.0"),
            name("multinic.fms.io/vfs2", "0000:41:10.2"),
            name("a.io/vfs", "0000:41:10.2"),
            "other".to_owned(),
        ];
        let goes = name(RESOURCE, "0000:41:10.2");
        for file in stay.iter().chain([&goes]) {
            write(folder.path(), file, &json!({})).unwrap();
        }

        let swept = sweep(folder.path(), RESOURCE, &BTreeSet::from(["0000:41:10.0".to_owned()]));

        assert_eq!(swept, 1);
        assert!(!folder.path().join(goes).exists());
        assert!(stay.iter().all(|file| folder.path().join(file).exists()));
    }
}
