//! The executables that ship: static and small, from a plain release build.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes that an executable stays below (issue "Pods get NICs" §1).
const SIZE: usize = 1_500_000;

/// Types of program headers that only a dynamic executable has (`PT_DYNAMIC`, `PT_INTERP`, elf.h).
const DYNAMIC: [u32; 2] = [2, 3];

/// Types of the program headers of a 64-bit executable of this machine's byte order.
fn program_headers(file: &[u8]) -> Vec<u32> {
    assert_eq!(&file[..5], b"\x7fELF\x02", "a 64-bit executable");
    let number = |at: usize, length: usize| {
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(&file[at..at + length]);
        usize::try_from(u64::from_le_bytes(bytes)).unwrap()
    };
    // e_phoff, e_phentsize, e_phnum; p_type comes first in each header.
    let (start, size, count) = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
    assert!(count > 0);
    (0..count).map(|i| u32::try_from(number(start + i * size, 4)).unwrap()).collect()
}

fn is_static(path: &Path) -> bool {
    let headers = program_headers(&fs::read(path).unwrap());
    !headers.iter().any(|kind| DYNAMIC.contains(kind))
}

/// The file of a plain release build, which is made where it is not fresh.
fn released(name: &str) -> PathBuf {
    let debug = Path::new(env!("CARGO_BIN_EXE_multi-nic"));
    let target = debug.ancestors().nth(2).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--offline", "--package", "cni", "--bins", "--target-dir"]);
    let built = cargo.arg(target).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("release").join(name)
}

#[test]
fn what_ships_is_static_and_small_and_runs() {
    for name in ["multi-nic", "multi-nic-ipam"] {
        let path = released(name);
        let size = fs::read(&path).unwrap().len();
        println!("{name}: {size} bytes");
        assert!(is_static(&path), "{name} needs shared libraries: see cni/build.rs");
        assert!(size < SIZE, "{name} has {size} bytes");

        let output = Command::new(&path).env_clear().env("CNI_COMMAND", "VERSION").output().unwrap();
        assert!(output.status.success());
        assert!(output.stdout.starts_with(b"{\"cniVersion\":"));
    }
}

#[test]
fn what_is_tested_is_static_too_and_a_dynamic_file_is_known_as_one() {
    assert!(is_static(Path::new(env!("CARGO_BIN_EXE_multi-nic"))));
    // This test itself and every proc macro stay dynamic.
    assert!(!is_static(&std::env::current_exe().unwrap()));
}
