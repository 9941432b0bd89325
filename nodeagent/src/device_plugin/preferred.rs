//! Which of the devices that are left a container should get: near each other, and over as many ports as can be. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::pool::Device;

/// Of `available` ids, `size` that belong together, `must` among them. Ids that are not known count as a port and a
/// node of their own.
///
/// All on one NUMA node when one has enough, and then on the node with the fewest to spare, so that larger requests
/// still find room; spread over ports, and first over those that fewest others use.
pub(crate) fn preferred(
    devices: &[Device],
    available: &[String],
    must: &[String],
    size: usize,
) -> Vec<String> {
    let by_id: BTreeMap<&str, &Device> = devices.iter().map(|device| (device.id.as_str(), device)).collect();
    let mut chosen: Vec<&str> = Vec::new();
    for id in must {
        if !chosen.contains(&id.as_str()) {
            chosen.push(id);
        }
    }
    let node = |id: &str| by_id.get(id).and_then(|device| device.numa);
    let mut left: BTreeSet<&str> = available.iter().map(String::as_str).collect();
    left.retain(|id| !chosen.contains(id));

    // How many of each node are to be had, with those that are chosen already.
    let mut nodes: BTreeMap<Option<u16>, (usize, usize)> = BTreeMap::new();
    for id in &chosen {
        nodes.entry(node(id)).or_default().0 += 1;
    }
    for id in &left {
        nodes.entry(node(id)).or_default().1 += 1;
    }
    // First nodes with chosen devices, then those that hold the whole rest, the tightest first, else the fullest.
    let rest = size.saturating_sub(chosen.len());
    let mut order: Vec<(Option<u16>, (usize, usize))> = nodes.into_iter().collect();
    order.sort_by_key(|(node, (taken, free))| {
        let whole = *free >= rest;
        let tight = if whole { *free } else { usize::MAX - *free };
        (std::cmp::Reverse(*taken), !whole, tight, *node)
    });

    let mut on_port: BTreeMap<&str, usize> = BTreeMap::new();
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    for device in devices.iter().filter(|device| device.held) {
        *used.entry(device.port.as_str()).or_default() += 1;
    }
    let port = |id: &str| by_id.get(id).map(|device| device.port.as_str());
    for id in &chosen {
        *on_port.entry(port(id).unwrap_or_default()).or_default() += 1;
    }
    for (of_node, _) in order {
        while chosen.len() < size {
            let next = left.iter().copied().filter(|id| node(id) == of_node).min_by_key(|id| {
                let port = port(id).unwrap_or(id);
                let count = |counts: &BTreeMap<&str, usize>| counts.get(port).copied().unwrap_or_default();
                (count(&on_port), count(&used), *id)
            });
            let Some(id) = next else { break };
            left.remove(id);
            chosen.push(id);
            *on_port.entry(port(id).unwrap_or(id)).or_default() += 1;
        }
    }
    chosen.truncate(size.max(must.len()));
    chosen.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::pool::Device;
    use super::preferred;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn device(node: u16, port: u16, number: u16) -> Device {
        Device {
            id: format!("{node}-{port}-{number:02}"),
            healthy: true,
            numa: Some(node),
            port: format!("{node}-{port}"),
            held: false,
            fault: None,
        }
    }

    fn ids(devices: &[Device]) -> Vec<String> {
        devices.iter().map(|device| device.id.clone()).collect()
    }

    #[test]
    fn a_pair_is_on_one_node_and_two_ports() {
        let devices: Vec<Device> = [(0, 0), (0, 0), (1, 0), (1, 0), (1, 1)]
            .iter()
            .zip(0..)
            .map(|((node, port), n)| device(*node, *port, n))
            .collect();

        let chosen = preferred(&devices, &ids(&devices), &[], 2);

        // Node 0 would be tighter, but both nodes hold two: the tighter one wins, whatever its ports.
        assert_eq!(chosen, ["0-0-00", "0-0-01"]);
        assert_eq!(preferred(&devices, &ids(&devices), &[], 3), ["1-0-02", "1-1-04", "1-0-03"]);
    }

    #[test]
    fn the_node_of_what_must_be_comes_first() {
        let devices = [device(0, 0, 0), device(0, 0, 1), device(1, 0, 2), device(1, 1, 3)];

        let chosen = preferred(&devices, &ids(&devices), &["1-0-02".to_owned()], 2);

        assert_eq!(chosen, ["1-0-02", "1-1-03"]);
    }

    #[test]
    fn a_port_that_others_use_less_comes_first() {
        let mut devices = [device(0, 0, 0), device(0, 0, 1), device(0, 1, 2)];
        devices[0].held = true;

        let chosen = preferred(&devices, &ids(&devices[1..]), &[], 1);

        assert_eq!(chosen, ["0-1-02"]);
    }

    proptest! {
        #[test]
        fn a_choice_is_of_the_size_from_what_is_left_on_one_node_where_that_can_be_and_even_over_ports(
            places in prop::collection::vec((0u16..3, 0u16..3), 1..24),
            size in 1usize..8,
            musts in 0usize..3,
        ) {
            let devices: Vec<Device> = places.iter().zip(0..).map(|((node, port), n)| device(*node, *port, n)).collect();
            let available = ids(&devices);
            let size = size.min(available.len());
            let must: Vec<String> = available.iter().take(musts.min(size)).cloned().collect();

            let chosen = preferred(&devices, &available, &must, size);

            prop_assert_eq!(chosen.len(), size);
            let set: BTreeSet<&String> = chosen.iter().collect();
            prop_assert_eq!(set.len(), size);
            prop_assert!(must.iter().all(|id| set.contains(id)));
            prop_assert!(chosen.iter().all(|id| available.contains(id)));
            prop_assert_eq!(&preferred(&devices, &available, &must, size), &chosen);
            if must.is_empty() {
                let node = |id: &str| id.split('-').next().unwrap().to_owned();
                let mut per_node: BTreeMap<String, usize> = BTreeMap::new();
                available.iter().for_each(|id| *per_node.entry(node(id)).or_default() += 1);
                let nodes: BTreeSet<String> = chosen.iter().map(|id| node(id)).collect();
                if per_node.values().any(|count| *count >= size) {
                    prop_assert_eq!(nodes.len(), 1);
                    let port = |id: &str| id.rsplit_once('-').unwrap().0.to_owned();
                    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
                    let mut total: BTreeMap<String, usize> = BTreeMap::new();
                    chosen.iter().for_each(|id| *taken.entry(port(id)).or_default() += 1);
                    available.iter().filter(|id| nodes.contains(&node(id))).for_each(|id| *total.entry(port(id)).or_default() += 1);
                    let most = taken.values().max().copied().unwrap_or_default();
                    for (port, total) in total {
                        let count = taken.get(&port).copied().unwrap_or_default();
                        prop_assert!(count == total || count + 1 >= most, "{port} gives {count} of {total}, another {most}");
                    }
                }
            }
        }
    }
}
