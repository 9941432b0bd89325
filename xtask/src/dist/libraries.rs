//! The shared libraries that an executable needs, as the loader of this machine finds them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Paths of the libraries, the loader among them; none for a static executable.
///
/// # Errors
/// When a library is not there, or the loader cannot be started.
pub(super) fn of(executable: &Path) -> Result<Vec<PathBuf>> {
    let Some(loader) = loader(&std::fs::read(executable)?) else { return Ok(Vec::new()) };
    let output = Command::new(&loader)
        .arg("--list")
        .arg(executable)
        .output()
        .with_context(|| format!("start {}", loader.display()))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("{} --list {}: {}", loader.display(), executable.display(), words.trim());
    }
    let mut found = vec![loader];
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        // `NAME => PATH (ADDRESS)`; the loader and the kernel's own have no arrow.
        let Some((name, place)) = line.split_once(" => ") else { continue };
        match place.split_whitespace().next() {
            Some(path) if path.starts_with('/') => found.push(path.into()),
            _ => bail!("{} needs {}, which is not on this machine", executable.display(), name.trim()),
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Path of the loader that an ELF file of 64 bits and little endian asks for (`PT_INTERP`, elf(5)).
fn loader(elf: &[u8]) -> Option<PathBuf> {
    let number = |at: usize, size: usize| -> Option<usize> {
        let bytes = elf.get(at..at + size)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    if elf.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let header = (0..count).map(|index| table + index * size).find(|at| number(*at, 4) == Some(3))?;
    let (offset, length) = (number(header + 8, 8)?, number(header + 32, 8)?);
    let path = elf.get(offset..offset.checked_add(length)?)?.split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(path).into_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_needs_the_c_library_and_its_loader() {
        let found = of(&std::env::current_exe().unwrap()).unwrap();

        assert!(found.iter().any(|path| path.ends_with("libc.so.6")), "{found:?}");
        assert!(found.iter().any(|path| path.to_string_lossy().contains("ld-linux")), "{found:?}");
        assert!(found.iter().all(|path| path.is_file()), "{found:?}");
    }

    #[test]
    fn a_static_program_and_what_is_no_program_need_nothing() {
        assert!(of(Path::new("/bin/busybox")).unwrap().is_empty());
        assert_eq!(loader(b"#!/bin/sh\n"), None);
        assert_eq!(loader(b"\x7fELF\x02\x01"), None);
    }
}
