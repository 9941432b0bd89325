//! Files that must outlive a loss of power: their names and how they are written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Longest part of a key that a name shows; the kernel allows 255 bytes for the whole name.
const SHOWN: usize = 100;

/// Name of a file for a key, `<network>-<container>-<ifname>.json`.
///
/// Two keys never share a name: where a dash inside the first two parts, a byte that does not belong into a file
/// name or a long part would make that possible, a hash of the key (FNV-1a, 64 bit) stands before the end.
pub(crate) fn name(network: &str, container_id: &str, ifname: &str) -> String {
    let parts = [network, container_id, ifname];
    let shown = parts.map(|part| {
        let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
        part.chars().map(safe).take(SHOWN).collect::<String>()
    });
    let exact =
        shown.iter().map(String::as_str).eq(parts) && !network.contains('-') && !container_id.contains('-');
    let [network, container_id, ifname] = shown;
    if exact {
        return format!("{network}-{container_id}-{ifname}.json");
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.join("\0").bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{network}-{container_id}-{ifname}.{hash:016x}.json")
}

/// Whether a text from elsewhere can be the name of such a file: it leads to no other folder.
pub(crate) fn is_name(text: &str) -> bool {
    text.ends_with(".json") && !text.starts_with('.') && !text.contains(['/', '\0'])
}

/// Writes a file beside its place, syncs it, and puts it there; readable by its owner alone (mode 0600). Gives its path.
///
/// # Errors
/// When the folder cannot be made or written; the file is then as it was.
pub fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    if !folder.is_dir() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // A folder that is lost with the power takes its files along.
        if let Some(above) = folder.parent() {
            File::open(above)?.sync_all()?;
        }
    }
    let aside = folder.join(format!(".{name}.{}", std::process::id()));
    let place = folder.join(name);
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, &place)?;
        File::open(folder)?.sync_all()
    };
    if let Err(error) = write() {
        drop(fs::remove_file(&aside));
        return Err(error);
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_usual_key_is_readable_in_its_name() {
        assert_eq!(name("netA", "0a1b", "net1"), "netA-0a1b-net1.json");
        assert_eq!(name("netA", "0a1b", "a-b"), "netA-0a1b-a-b.json");
    }

    #[test]
    fn keys_that_look_alike_when_joined_have_names_of_their_own() {
        assert_ne!(name("a-b", "c", "net1"), name("a", "b-c", "net1"));
        assert_ne!(name("a", "b", "é"), name("a", "b", "_"));
        assert_ne!(name(&"a".repeat(300), "b", "c"), name(&"a".repeat(301), "b", "c"));
        assert!(name(&"a".repeat(300), &"b".repeat(300), "net1").len() < 240);
    }

    #[test]
    fn a_file_is_for_its_owner_alone_and_nothing_lies_aside() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("deep").join("folder");

        let place = write(&inner, "x.json", b"1").unwrap();
        write(&inner, "x.json", b"22").unwrap();

        assert_eq!(fs::read(&place).unwrap(), b"22");
        assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&inner).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1);
    }

    proptest! {
        #[test]
        fn no_key_leads_out_of_its_folder(network in ".{0,40}", container in ".{0,40}", ifname in ".{0,15}") {
            // As they are checked before: a network's name begins with a letter or digit.
            let name = name(&format!("n{network}"), &container, &ifname);
            prop_assert!(is_name(&name), "{}", name);
        }

        #[test]
        fn different_keys_have_different_names(
            one in ("[a-c.-]{1,4}", "[a-c.-]{1,4}", "[a-c.-]{1,4}"),
            other in ("[a-c.-]{1,4}", "[a-c.-]{1,4}", "[a-c.-]{1,4}"))
        {
            let of = |key: &(String, String, String)| name(&key.0, &key.1, &key.2);
            prop_assert_eq!(one == other, of(&one) == of(&other));
        }
    }
}
