use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::{FIRST, Names, Place, choose, write_names};

fn place(table: u32, priority: u32) -> Place {
    Place { table, priority, take_over: false }
}

#[test]
fn the_predecessors_table_is_taken_and_otherwise_the_first_that_nobody_uses() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rt_tables.d")).unwrap();
    let predecessors = "#\n# reserved values\n255\tlocal\n254 main # usual\n100\tred\n0xff main2\nx y\n";
    fs::write(folder.path().join("rt_tables"), predecessors).unwrap();
    fs::write(folder.path().join("rt_tables.d/vpn.conf"), format!("{FIRST} vpn\n")).unwrap();
    let names = Names::read(folder.path());
    let (used, mut taken) = (BTreeSet::from([254, FIRST + 1]), BTreeMap::new());

    let red = choose("red", &names, &used, &taken).unwrap();
    assert_eq!(red, Place { table: 100, priority: 30_000, take_over: true });
    taken.insert("red".to_owned(), red);
    let blue = choose("blue", &names, &used, &taken).unwrap();
    assert_eq!(blue, place(FIRST + 2, 30_001));
    taken.insert("blue".to_owned(), blue);
    // Names of the kernel's own tables are nobody's.
    assert_eq!(choose("main", &names, &used, &taken), Some(place(FIRST + 3, 30_002)));
}

#[test]
fn there_are_as_many_networks_as_places_for_rules() {
    let taken = (0..1000).map(|number| (number.to_string(), place(number, 30_000 + number))).collect();

    assert_eq!(choose("one more", &Names::default(), &BTreeSet::new(), &taken), None);
}

#[test]
fn our_names_are_written_for_ip_and_do_not_count_as_others() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rt_tables.d/multi-nic.conf");
    let predecessors = Place { table: 100, priority: 30_001, take_over: true };
    let places =
        BTreeMap::from([("blue".to_owned(), predecessors), ("red".to_owned(), place(FIRST, 30_000))]);

    write_names(folder.path(), &places);
    assert!(fs::read_to_string(&file).unwrap().ends_with(&format!("\n{FIRST}\tred\n")));
    assert_eq!(Names::read(folder.path()), Names::default());

    write_names(folder.path(), &BTreeMap::new());
    assert!(!file.exists());
    // A folder that is not there or cannot be written costs nothing.
    write_names(std::path::Path::new("/proc/none"), &places);
}
