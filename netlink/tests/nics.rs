//! Ethtool answers of the links that every kernel can make, with `ethtool` as the witness. Real
//! NICs are in `vm_nics.rs`.
//!
//! REQUIRES: root (network namespaces); kinds veth, bridge.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod harness;

use harness::{enter_private_namespace, ethtool_words, ip};
use netlink::ethtool::{self, Answers, ModulePage};
use netlink::{Error, ErrorAttribute, Family, Socket, devlink, route};

fn indexes() -> Vec<(String, u32)> {
    let links = route::links(&mut Socket::open(Family::Route).unwrap()).unwrap().links;
    links.into_iter().map(|link| (link.name, link.index)).collect()
}

#[test]
fn every_answer_is_what_ethtool_says_and_asking_changes_nothing() {
    enter_private_namespace();
    ip("link add ve0 type veth peer name ve1");
    ip("link add br0 type bridge");
    ip("link set ve0 up");
    let names = indexes();
    let before: Vec<String> = names.iter().map(|(name, _)| ethtool_words::everything(name)).collect();
    let wanted: Vec<u32> = names.iter().map(|(_, index)| *index).collect();

    let answers = ethtool::answers(&mut Socket::open(Family::Generic).unwrap(), &wanted).unwrap();

    let after: Vec<String> = names.iter().map(|(name, _)| ethtool_words::everything(name)).collect();
    assert_eq!(before, after);
    assert_eq!(answers.iter().map(|(index, _)| *index).collect::<Vec<_>>(), wanted);
    let differences: Vec<String> = names
        .iter()
        .zip(&answers)
        .flat_map(|((name, _), (_, answers))| ethtool_words::differences_to_ethtool(name, answers))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let veth = &answers[names.iter().position(|(name, _)| name == "ve0").unwrap()].1;
    assert_eq!(veth.driver.as_ref().unwrap().driver, "veth");
    assert_eq!(veth.link_modes.as_ref().unwrap().speed, Some(10_000));
}

#[test]
fn a_nic_that_is_gone_has_no_answers_and_no_errors_and_hides_no_other() {
    enter_private_namespace();
    ip("link add ve0 type veth peer name ve1");
    let index = indexes().iter().find(|(name, _)| name == "ve0").unwrap().1;
    let mut socket = Socket::open(Family::Generic).unwrap();

    let answers = ethtool::answers(&mut socket, &[4_000_000, index, 4_000_001]).unwrap();

    assert_eq!(answers[0], (4_000_000, Answers::default()));
    assert!(answers[1].1.features.is_some() && answers[1].1.errors.is_empty());
    assert_eq!(answers[2].1, Answers::default());
}

#[test]
fn hundreds_of_nics_are_asked_in_one_call() {
    enter_private_namespace();
    let lines: String = (0..200).map(|n| format!("link add a{n} type veth peer name b{n}\n")).collect();
    harness::ip_batch(&lines);
    let wanted: Vec<u32> = indexes().into_iter().map(|(_, index)| index).collect();

    let answers = ethtool::answers(&mut Socket::open(Family::Generic).unwrap(), &wanted).unwrap();

    let veths: Vec<&Answers> = answers
        .iter()
        .map(|(_, answers)| answers)
        .filter(|answers| answers.driver.as_ref().is_some_and(|driver| driver.driver == "veth"))
        .collect();
    assert_eq!(veths.len(), 400);
    assert!(veths.iter().all(|answers| answers.errors.is_empty()));
    // Each is asked by its own index: all agree but in nothing that tells them apart.
    assert!(veths.iter().all(|answers| answers.channels == veths[0].channels && answers.channels.is_some()));
}

#[test]
fn a_module_read_across_a_half_page_is_refused_with_the_length_as_the_reason() {
    enter_private_namespace();
    ip("link add ve0 type veth peer name ve1");
    let index = indexes().iter().find(|(name, _)| name == "ve0").unwrap().1;
    let mut socket = Socket::open(Family::Generic).unwrap();
    let page = ModulePage { page: 0, bank: 0, i2c_address: 0x50, offset: 100, length: 100 };

    let error = ethtool::module_page(&mut socket, index, page).unwrap_err();

    let Error::Kernel { source, .. } = &error else { panic!("{error:?}") };
    // ETHTOOL_A_MODULE_EEPROM_LENGTH: the kernel has understood command and attributes.
    assert_eq!((source.errno, source.attribute), (22, Some(ErrorAttribute::Refused(3))));
    assert!(source.message.as_deref().unwrap().contains("half page"), "{source}");
    let whole = ModulePage { offset: 0, length: 128, ..page };
    assert_eq!(ethtool::module_page(&mut socket, index, whole).unwrap_err().errno(), Some(95));
}

#[test]
fn a_family_that_the_kernel_lacks_is_named() {
    let mut socket = Socket::open(Family::Generic).unwrap();

    match devlink::devices(&mut socket) {
        Err(Error::FamilyAbsent { name }) => assert_eq!(name, "devlink"),
        // A kernel with devlink answers with what it has; `vm_nics.rs` looks at that.
        other => assert!(other.is_ok(), "{other:?}"),
    }
}
