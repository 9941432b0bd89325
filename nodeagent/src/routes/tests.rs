//! On the kernel, in a private network namespace, with `ip` as the witness. REQUIRES: root, veth.

mod networkd;
mod speed;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use store::Identity;

use super::*;
use crate::metrics::Held;

/// A host with two NICs, m0 and m1, whose wires end in the same namespace.
struct Host {
    folder: tempfile::TempDir,
    metrics: Arc<Metrics>,
}

fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Numbers, not names: this host may have names for tables.
fn json(arguments: &str) -> Vec<Value> {
    let output = Command::new("ip").arg("-N").args(arguments.split_whitespace()).output().unwrap();
    let (text, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    // A table is there as long as it has a route.
    assert!(output.status.success() || errors.contains("table does not exist"), "ip {arguments}: {errors}");
    serde_json::from_str(if output.status.success() && !text.trim().is_empty() { &text } else { "[]" })
        .unwrap()
}

/// Rules of ours and the routes that they lead to, in the words of `ip`.
fn ours() -> Vec<String> {
    let mut lines = Vec::new();
    for family in ["-4", "-6"] {
        let rules = json(&format!("{family} -j rule"));
        for rule in rules.iter().filter(|rule| rule["protocol"] == "77") {
            let (priority, table) = (&rule["priority"], rule["table"].as_str().unwrap());
            let source = rule["src"].as_str().unwrap();
            lines.push(format!("{priority} from {source}/{} lookup {table}", rule["srclen"]));
            for route in json(&format!("{family} -j route show table {table}")) {
                let word = |name: &str| route[name].as_str().unwrap_or_default().to_owned();
                lines.push(format!(
                    "{} via {} dev {} {}",
                    word("dst"),
                    word("gateway"),
                    word("dev"),
                    word("protocol")
                ));
            }
        }
    }
    lines
}

fn until(what: &str, look: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !look() {
        assert!(Instant::now() < end, "waited for {what}; there is {:#?}", ours());
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Host {
    fn new() -> Self {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace (needs root)");
        for number in 0..2 {
            ip(&format!("link add m{number} type veth peer name w{number}"));
            ip(&format!("link set w{number} up"));
            ip(&format!("link set m{number} up"));
            ip(&format!("addr add 10.0.{number}.1/24 dev m{number}"));
            ip(&format!("addr add fd00:{number}::1/64 dev m{number} nodad"));
        }
        Self { folder: tempfile::tempdir().unwrap(), metrics: Arc::new(Metrics::new()) }
    }

    fn names(&self) -> &Path {
        self.folder.path()
    }

    fn start(&self, store: Option<&Arc<Store>>) -> (Routes, RouteThread) {
        let (names, metrics) = (self.names().to_owned(), Arc::clone(&self.metrics));
        Routes::start(RouteParts { store: store.cloned(), names, metrics }).unwrap()
    }

    fn store(&self) -> Arc<Store> {
        let identity = Identity { machine: "m".to_owned(), boot: "b".to_owned() };
        Arc::new(Store::open(self.folder.path(), &identity).unwrap().0)
    }
}

/// A metric of the routes.
fn metric(host: &Host, name: &str) -> u64 {
    let text = host.metrics.text(None, &Held::default()).unwrap();
    let line =
        text.lines().find(|line| line.starts_with(&format!("multi_nic_host_routes_{name}_total "))).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn state(routes: &Routes, network: &str) -> RouteState {
    routes.states().borrow().get(network).cloned().unwrap_or_default()
}

fn network(subnets: &[&str], routes: &[(&str, &str, &str)]) -> NetworkRoutes {
    let route = |(to, gateway, link): &(&str, &str, &str)| HostRoute {
        destination: to.parse().unwrap(),
        gateway: gateway.parse().unwrap(),
        link: (*link).into(),
    };
    let mut routes: Vec<HostRoute> = routes.iter().map(route).collect();
    routes.sort();
    NetworkRoutes { sources: subnets.iter().map(|net| net.parse().unwrap()).collect(), routes }
}

fn red() -> NetworkRoutes {
    network(
        &["192.168.0.0/16", "fd10::/64"],
        &[
            ("192.168.1.0/24", "10.0.0.2", "m0"),
            ("192.168.65.0/24", "10.0.1.2", "m1"),
            ("fd10:0:0:0:100::/72", "fd00:0::2", "m0"),
        ],
    )
}

fn wanted(complete: bool, networks: &[(&str, NetworkRoutes)]) -> Wanted {
    let networks = networks.iter().map(|(name, network)| ((*name).to_owned(), network.clone()));
    Wanted { complete, networks: networks.collect() }
}

const RED: [&str; 5] = [
    "30000 from 192.168.0.0/16 lookup 5066240",
    "192.168.1.0/24 via 10.0.0.2 dev m0 77",
    "192.168.65.0/24 via 10.0.1.2 dev m1 77",
    "30000 from fd10::/64 lookup 5066240",
    "fd10::100:0:0:0/72 via fd00::2 dev m0 77",
];

#[test]
fn routes_of_both_families_come_stay_over_a_restart_and_go_with_their_network() {
    let host = Host::new();
    let store = host.store();
    let (routes, thread) = host.start(Some(&store));

    routes.want(wanted(true, &[("red", red())]));
    until("the routes", || ours() == RED);
    let whole = RouteState { wanted: 3, present: 3, ..RouteState::default() };
    until("the state", || state(&routes, "red") == whole);

    drop(thread);
    assert_eq!(ours(), RED, "they stay when the agent ends");
    let (routes, _thread) = host.start(Some(&store));
    let other = network(&["172.16.0.0/16"], &[("172.16.1.0/24", "10.0.1.9", "m1")]);
    routes.want(wanted(false, &[("blue", other.clone())]));
    until("another network", || ours().len() == 7);
    assert!(ours().contains(&"30001 from 172.16.0.0/16 lookup 5066241".to_owned()), "{:#?}", ours());

    routes.want(wanted(true, &[("blue", other)]));
    until("red is gone", || ours().len() == 2);
    assert!(json("-j route show table 5066240").is_empty());
    assert!(
        fs::read_to_string(host.names().join("rt_tables.d/multi-nic.conf"))
            .unwrap()
            .ends_with("\n5066241\tblue\n")
    );
}

#[test]
fn an_agent_that_forgot_everything_takes_nothing_away_before_the_cluster_is_known() {
    let host = Host::new();
    let (routes, thread) = host.start(None);
    routes.want(wanted(true, &[("red", red())]));
    until("the routes", || ours() == RED);
    drop((thread, routes));

    let (routes, _thread) = host.start(None);
    routes.want(wanted(false, &[("blue", network(&["172.16.0.0/16"], &[]))]));
    until("the rule of blue", || ours().len() == 6);
    routes.want(wanted(true, &[]));

    until("nothing is left", || ours().is_empty());
}

#[test]
fn what_others_take_away_is_put_back_and_what_is_theirs_stays() {
    let host = Host::new();
    let (routes, _thread) = host.start(None);
    routes.want(wanted(true, &[("red", red())]));
    until("the routes", || ours() == RED);

    let begun = Instant::now();
    ip("route del 192.168.1.0/24 table 5066240");
    until("the route is back", || ours() == RED);
    ip("rule del priority 30000");
    until("the rule is back", || ours() == RED);
    ip("-6 route flush table 5066240");
    until("the IPv6 route is back", || ours() == RED);
    assert!(begun.elapsed() < Duration::from_secs(10), "by notification: {:?}", begun.elapsed());

    ip("route add 192.168.9.0/24 via 10.0.0.9 dev m0 table 5066240 proto 99");
    ip("rule add from 192.168.0.0/16 lookup 5066240 priority 30500");
    let moved = network(
        &["192.168.0.0/16"],
        &[("192.168.1.0/24", "10.0.1.7", "m1"), ("192.168.9.0/24", "10.0.1.8", "m1")],
    );
    routes.want(wanted(true, &[("red", moved)]));
    let left = [RED[0], "192.168.1.0/24 via 10.0.1.7 dev m1 77", "192.168.9.0/24 via 10.0.0.9 dev m0 99"];
    until("one moved", || ours() == left);
    until("one is refused", || {
        state(&routes, "red").message.contains("another program's route to 192.168.9.0/24")
    });
    routes.want(wanted(true, &[]));
    until("ours is gone", || ours().is_empty());
    assert_eq!(json("-j route show table 5066240").len(), 1, "the other program's route");
    assert!(json("-j rule").iter().any(|rule| rule["priority"] == 30_500));
}

#[test]
fn routes_come_back_with_their_link_and_its_address() {
    let host = Host::new();
    let (routes, _thread) = host.start(None);
    routes.want(wanted(true, &[("red", red())]));
    until("the routes", || ours() == RED);

    ip("link set m1 down");
    until("one waits", || state(&routes, "red").message.contains("1 wait for their link"));
    assert_eq!(ours().len(), 4);
    ip("link set m1 up");
    until("it is back with the link", || ours() == RED);

    ip("addr del 10.0.1.1/24 dev m1");
    until("it went with the address", || ours().len() == 4);
    ip("addr add 10.0.1.1/24 dev m1");
    until("it is back with the address", || ours() == RED);
}

#[test]
fn the_predecessors_table_is_taken_over_without_a_gap() {
    let host = Host::new();
    fs::write(host.names().join("rt_tables"), "255 local\n100\tred\n").unwrap();
    ip("route add 192.168.1.0/24 via 10.0.0.2 dev m0 table 100");
    ip("route add 192.168.200.0/24 via 10.0.0.3 dev m0 table 100");
    ip("rule add from 192.168.0.0/16 lookup 100");
    let (routes, _thread) = host.start(None);

    routes.want(wanted(true, &[("red", red())]));

    until("the take-over", || ours().len() == 6);
    let standing = ours();
    assert!(standing.contains(&"192.168.1.0/24 via 10.0.0.2 dev m0 77".to_owned()), "{standing:#?}");
    assert!(standing.contains(&"30000 from 192.168.0.0/16 lookup 100".to_owned()), "{standing:#?}");
    assert!(
        standing.iter().any(|line| line.starts_with("192.168.200.0/24 via 10.0.0.3 dev m0")),
        "{standing:#?}"
    );
}

#[test]
fn all_of_ours_goes_with_the_node_s_agent_and_nobody_else_s() {
    let host = Host::new();
    let store = host.store();
    let (routes, thread) = host.start(Some(&store));
    routes.want(wanted(true, &[("red", red())]));
    until("the routes", || ours() == RED);
    drop((thread, routes));
    ip("route add 10.9.0.0/24 via 10.0.0.2 dev m0 table 5066240");
    ip("rule add priority 30500 from 10.9.0.0/24 lookup 5066240");

    assert_eq!(remove_all(Some(&store), host.names()), Ok(5));

    assert_eq!(ours(), [""; 0]);
    assert_eq!(json("-j route show table 5066240").len(), 1);
    assert!(ip("rule").contains("30500:"), "{}", ip("rule"));
    assert!(!host.names().join("rt_tables.d/multi-nic.conf").exists());
    assert_eq!(remove_all(None, host.names()), Ok(0));
}
