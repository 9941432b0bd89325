//! What happens to clusters, and what must not happen to pods and routes meanwhile.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::cluster::{NETWORKS, NODES};
use crate::harness::run;
use crate::node::Node;
use crate::world::World;
use crate::{ROUTED, wait_for};

/// All routes of all networks.
fn all_routes(node: &Node) -> BTreeSet<String> {
    ROUTED.iter().flat_map(|network| node.routes(network)).collect()
}

/// A cable that is out for longer than the agent waits before it tells, and a NIC that somebody sets down and up (O3).
pub(crate) fn nics_flap(world: &World) {
    let places = |world: &World| ROUTED.map(|network| world.cluster.places(network));
    let state = |name: &str| -> Option<Value> {
        let published = world.cluster.host(name)?;
        let nics = published["spec"]["interfaces"].as_array()?.clone();
        Some(nics.into_iter().find(|one| one["interfaceName"] == "eth1")?["state"].clone())
    };
    let (before, others) = (places(world), &world.nodes[2..]);
    let routes: Vec<_> = others.iter().map(all_routes).collect();
    let watches: Vec<_> = others.iter().map(Node::watch_routes).collect();

    run("ip", "link set sw1-n2 down");
    world.nodes[0].ip("link set eth1 down");
    wait_for("the loss to be told", || (state("n2")?.as_str() == Some("suspended")).then_some(()));
    assert_eq!(before, places(world), "nobody lost or moved a block");
    run("ip", "link set sw1-n2 up");
    world.nodes[0].ip("link set eth1 up");
    wait_for("the return to be told", || (state("n2")?.as_str() != Some("suspended")).then_some(()));

    for ((node, routes), watch) in others.iter().zip(routes).zip(watches) {
        assert_eq!(all_routes(node), routes, "on {}", node.name);
        assert_eq!(watch.changes(), Vec::<String>::new(), "on {}", node.name);
    }
    world.routes_are_as_wanted();
    world.reach(&["four", "six"]);
}

/// By SIGKILL, while packets of its pod are under way.
pub(crate) fn an_agent_is_killed(world: &mut World) {
    let routes = all_routes(&world.nodes[0]);
    let watch = world.nodes[0].watch_routes();
    let target = world.pods[1].addresses("four", 1)[0];
    let ping = world.pods[0].ping(target, 40);

    world.nodes[0].kill_agent();
    world.nodes[0].start_agent();

    let said = ping.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("40 packets transmitted, 40 packets received"), "{said}");
    assert_eq!(all_routes(&world.nodes[0]), routes);
    assert_eq!(watch.changes(), Vec::<String>::new());
}

/// Pods begin, an agent begins, and what was decided meanwhile is caught up with.
pub(crate) fn the_api_server_is_away(world: &mut World) {
    let routes = all_routes(&world.nodes[1]);
    world.way.cut(true);
    world.nodes[1].kill_agent();
    let watch = world.nodes[1].watch_routes();
    world.nodes[1].start_agent();
    world.pod(1, &ROUTED);
    world.reach(&["dual"]);
    assert_eq!(all_routes(&world.nodes[1]), routes);
    assert_eq!(watch.changes(), Vec::<String>::new());
    world.create("late");
    world.way.cut(false);
    world.cluster.wait_ready("late");
    world.routes_are_as_wanted();
}

/// Its routes, rules and tables go, those of others stay.
pub(crate) fn a_network_is_deleted_and_made_again(world: &mut World) {
    for pod in &mut world.pods {
        pod.detach(&world.nodes[pod.host], |network| network == "four");
    }
    let six: Vec<_> = world.nodes.iter().map(|node| node.routes("six")).collect();
    world.cluster.delete(&format!("{NETWORKS}/four"));
    for (node, six) in world.nodes.iter().zip(six) {
        wait_for("the rule of the network to go", || (!node.rules().contains("four")).then_some(()));
        wait_for("its table to go", || node.routes("four").is_empty().then_some(()));
        assert_eq!(node.routes("six"), six, "on {}", node.name);
    }
    world.networks.retain(|name| name != "four");
    world.make(&["four"]);
    world.routes_are_as_wanted();
    for pod in &mut world.pods {
        pod.attach(&world.cluster, &world.nodes[pod.host], "four");
    }
    world.reach(&["four"]);
}

/// Its Node is deleted, and made again later.
pub(crate) fn a_host_leaves_and_comes_again(world: &mut World) {
    let last = world.nodes.len() - 1;
    let name = world.nodes[last].name.clone();
    let others = |world: &World| {
        ROUTED.map(|network| {
            let places = world.cluster.places(network);
            places.into_iter().filter(|place| place.host != name).collect::<Vec<_>>()
        })
    };
    let before = others(world);
    world.end_pods_of(last);
    world.nodes[last].stop_agent();
    world.cluster.delete(&format!("{NODES}/{name}"));
    wait_for("its blocks to be free", || {
        let has = |network: &str| world.cluster.places(network).iter().any(|place| place.host == name);
        (!ROUTED.iter().any(|network| has(network))).then_some(())
    });
    world.routes_are_as_wanted();
    assert_eq!(others(world), before, "nobody else moved");

    world.join(last);
    wait_for("its blocks", || {
        let has_all = |network: &str| {
            let places = world.cluster.places(network);
            places.iter().filter(|place| place.host == name).count() == world.nodes[last].nics as usize
        };
        ROUTED.iter().all(|network| has_all(network)).then_some(())
    });
    for network in ROUTED {
        world.cluster.wait_ready(network);
    }
    assert_eq!(others(world), before, "nobody else moved");
    world.routes_are_as_wanted();
    world.pod(last, &ROUTED);
    world.reach(&["six", "bare"]);
}
