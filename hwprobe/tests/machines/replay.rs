//! Each machine gives its expected inventory, byte for byte, however it is read.

use std::fs;

use hwprobe::{Probe, Snapshot};

use crate::collection::{machines, text};

/// Set to write what the probe finds to `expected.json`. Then read the difference, line by line.
const UPDATE: &str = "UPDATE_EXPECTED";

#[test]
fn every_machine_gives_its_expected_inventory() {
    let update = std::env::var_os(UPDATE).is_some();
    assert!(!(update && std::env::var_os("CI").is_some()), "{UPDATE} is not for CI");
    let mut wrong = Vec::new();

    for machine in machines() {
        let found = text(&machine.inventory());
        let file = machine.expected_file();
        if update {
            fs::write(&file, &found).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if let Some((line, (got, want))) = first_difference(&found, &expected) {
            wrong.push(format!("{}: line {line}: found `{got}`, expected `{want}`", machine.name));
        }
    }

    assert!(wrong.is_empty(), "{}\n({UPDATE}=1 writes the files anew)", wrong.join("\n"));
}

fn first_difference<'a>(found: &'a str, expected: &'a str) -> Option<(usize, (&'a str, &'a str))> {
    if found == expected {
        return None;
    }
    let (mut got, mut want) = (found.lines(), expected.lines());
    let mut line = 0;
    loop {
        line += 1;
        match (got.next(), want.next()) {
            (Some(got), Some(want)) if got == want => {}
            (None, None) => return Some((line, ("", ""))),
            (got, want) => return Some((line, (got.unwrap_or("(end)"), want.unwrap_or("(end)")))),
        }
    }
}

#[test]
fn a_second_replay_gives_the_same_bytes() {
    for machine in machines() {
        let mut probe = Probe::of_snapshot(machine.snapshot(), machine.settings());

        let (first, second) = (text(&probe.inventory()), text(&probe.inventory()));

        assert_eq!(first, second, "{}", machine.name);
        let anew = text(&Probe::of_snapshot(machine.snapshot(), machine.settings()).inventory());
        assert_eq!(first, anew, "{}", machine.name);
    }
}

#[test]
fn a_saved_snapshot_gives_the_same_inventory_plain_or_compressed() {
    let dir = tempfile::tempdir().unwrap();
    for machine in machines() {
        let expected = text(&machine.inventory());
        let snapshot = machine.snapshot();

        for name in ["copy.json", "copy.json.gz"] {
            let path = dir.path().join(name);
            snapshot.save(&path).unwrap();

            let loaded = Snapshot::load(&path).unwrap();

            assert_eq!(loaded, snapshot, "{} {name}", machine.name);
            let replayed = text(&Probe::replay(&path, machine.settings()).unwrap().inventory());
            assert_eq!(replayed, expected, "{} {name}", machine.name);
        }
    }
}

/// Writing the file part of each snapshot to disk and reading it as a captured tree gives another inventory
/// (no netlink answers), but recording that tree and replaying the record must give the same again.
#[test]
fn a_recorded_tree_gives_the_inventory_of_the_tree() {
    for machine in machines() {
        let dir = if machine.is_tree() {
            machine.written_tree()
        } else {
            let dir = tempfile::tempdir().unwrap();
            crate::collection::write(&machine.snapshot().tree, dir.path());
            dir
        };
        let settings = machine.settings();
        let expected = text(&Probe::tree(dir.path(), settings.clone()).unwrap().inventory());

        let record = Probe::record(Some(dir.path()), &settings).unwrap();

        assert_eq!(text(&Probe::of_snapshot(record, settings).inventory()), expected, "{}", machine.name);
    }
}

#[test]
fn every_machine_says_where_it_comes_from() {
    for machine in machines() {
        let note = machine.note();

        assert!(
            note.starts_with("made by hand after ") || note.starts_with("recorded "),
            "{}: the note is `{note}`",
            machine.name
        );
    }
}
