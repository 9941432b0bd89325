//! Networks without a subnet: pods have addresses of the hosts' own NIC networks (CONTRACTS §5.3). Pure.
//!
//! Hosts' own addresses lie between the blocks of pods there. A host that is in another one's block is still reached
//! without it: its own route is narrower than that to the block. Machines that are in no cluster object are not known
//! here; `excludeCIDRs` keeps blocks away from them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::slice::Peer;

/// The ways to other hosts' blocks, without blocks that this host has a part of, and the ways to hosts in them. `blocks`:
/// ways to blocks of the same interface; `neighbours`: all hosts on the same NIC network.
pub(super) fn ways<'a>(
    mine: &[IpNet],
    blocks: Vec<(IpNet, IpAddr)>,
    neighbours: impl Iterator<Item = &'a Peer>,
) -> Vec<(IpNet, IpAddr)> {
    let apart = |block: &IpNet| !mine.iter().any(|own| own.contains(block) || block.contains(own));
    let mut ways: Vec<(IpNet, IpAddr)> = blocks.into_iter().filter(|(block, _)| apart(block)).collect();
    let blocks: BTreeSet<IpNet> = ways.iter().map(|(block, _)| *block).collect();
    let lengths: BTreeSet<u8> = blocks.iter().map(IpNet::prefix_len).collect();
    let is_inside = |host: &IpAddr| {
        lengths
            .iter()
            .any(|length| IpNet::new(*host, *length).is_ok_and(|around| blocks.contains(&around.trunc())))
    };
    let hosts: BTreeSet<IpAddr> = neighbours.flat_map(Peer::ways).map(|(_, host)| host).collect();
    ways.extend(hosts.into_iter().filter(is_inside).map(|host| (IpNet::from(host), host)));
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(block: &str, host: &str) -> Peer {
        Peer { v4: Some((block.parse().unwrap(), host.parse().unwrap())), v6: None }
    }

    fn told(mine: &[&str], peers: &[Peer]) -> Vec<String> {
        let mine: Vec<IpNet> = mine.iter().map(|net| net.parse().unwrap()).collect();
        let blocks = peers.iter().flat_map(Peer::ways).collect();
        let found = ways(&mine, blocks, peers.iter());
        found.iter().map(|(to, via)| format!("{to} via {via}")).collect()
    }

    #[test]
    fn a_host_in_the_block_of_another_one_is_reached_without_it() {
        let peers = [peer("10.0.1.16/28", "10.0.1.2"), peer("10.0.1.32/28", "10.0.1.20")];

        assert_eq!(
            told(&["10.0.1.0/28"], &peers),
            ["10.0.1.16/28 via 10.0.1.2", "10.0.1.32/28 via 10.0.1.20", "10.0.1.20/32 via 10.0.1.20"]
        );
    }

    #[test]
    fn a_block_that_all_hosts_share_needs_no_way() {
        assert_eq!(told(&["10.0.1.0/24"], &[peer("10.0.1.0/24", "10.0.1.2")]), [""; 0]);
    }
}
