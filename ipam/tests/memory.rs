//! What a large block takes of the memory.
#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

use ipam::{Allocator, Owner, Wish};

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn fill(allocator: &mut Allocator, block: &str, count: u32) {
    let block = block.parse().unwrap();
    let mut owner =
        Owner { network: "n".to_owned(), container_id: String::new(), ifname: "net1".to_owned(), index: 0 };
    for number in 0..count {
        owner.container_id = format!("{number:064x}");
        allocator.reserve(block, &owner, Wish::Any, 0).unwrap();
    }
}

#[test]
fn a_million_live_addresses_of_a_twelve_take_less_than_64_mb() {
    let mut allocator = Allocator::default();
    allocator.set_block("n", "10.0.0.0/12".parse().unwrap(), &[]);
    let before = resident();

    fill(&mut allocator, "10.0.0.0/12", 1_000_000);

    let taken = resident() - before;
    assert!((1_000_000..64 << 20).contains(&taken), "{taken} bytes");
    assert_eq!(allocator.usage("n", "10.0.0.0/12".parse().unwrap()).unwrap().used, 1_000_000);
}

#[test]
fn a_large_ipv6_block_takes_what_is_in_it() {
    let mut allocator = Allocator::default();
    let before = resident();
    for number in 0..256 {
        let block = format!("fd10:20:0:0:{number:x}00::/72");
        allocator.set_block("n", block.parse().unwrap(), &[]);
        fill(&mut allocator, &block, 100);
    }

    let taken = resident().saturating_sub(before);
    assert!(taken < 16 << 20, "{taken} bytes");
}
