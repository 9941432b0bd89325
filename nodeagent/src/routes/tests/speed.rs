//! Thousands of routes. `cargo xtask bench routes` runs this with 40,000, as it is released, beside `ip`.
//! REQUIRES: root, veth.

use std::io::Write;

use super::*;

/// How many; as a plain test fewer.
fn amount() -> u32 {
    std::env::var("MULTI_NIC_ROUTES").map_or(2000, |text| text.parse().expect("a number"))
}

/// Destination number `number`: a block of 16 addresses, in `172.16.0.0/12` and what comes after.
fn block(number: u32) -> IpNet {
    let address = std::net::Ipv4Addr::from(0xac10_0000 + number * 16);
    IpNet::new(address.into(), 28).unwrap()
}

/// One of 250 hosts on a NIC.
fn gateway(number: u32) -> (IpAddr, &'static str) {
    let net = number % 2;
    let address = format!("10.0.{net}.{}", 2 + number / 2 % 250);
    (address.parse().unwrap(), if net == 0 { "m0" } else { "m1" })
}

fn many(count: u32) -> NetworkRoutes {
    let route = |number: u32| {
        let (gateway, link) = gateway(number);
        HostRoute { destination: block(number), gateway, link: link.into() }
    };
    NetworkRoutes { sources: vec!["172.16.0.0/12".parse().unwrap()], routes: (0..count).map(route).collect() }
}

/// Kilobytes: now, and at most so far.
fn memory() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// Routes in a table, counted outside of this process: its memory is measured.
fn lines(table: u32) -> usize {
    let count = format!("ip route show table {table} | wc -l");
    let output = Command::new("sh").args(["-c", &count]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[test]
fn thousands_of_routes_come_in_one_batch_and_a_second_look_changes_nothing() {
    let (host, count) = (Host::new(), amount());
    let before = memory().0;
    let parts =
        RouteParts { store: None, names: host.names().to_owned(), metrics: Arc::clone(&host.metrics) };
    let mut keeper = keeper::RouteKeeper::open(parts).unwrap();
    let network = many(count);
    keeper.wanted = Arc::new(Wanted { complete: true, networks: [("many".to_owned(), network)].into() });
    let mut timed = |what: &mut dyn FnMut(&mut keeper::RouteKeeper)| {
        let begun = Instant::now();
        what(&mut keeper);
        begun.elapsed()
    };
    let look = |changes: usize| {
        move |keeper: &mut keeper::RouteKeeper| {
            let done = keeper.reconcile().unwrap();
            assert_eq!(done.states["many"].present, done.states["many"].wanted);
            assert_eq!(done.changes, changes);
        }
    };

    let ours = timed(&mut look(count as usize + 1));
    let table = 0x4d_4e00;
    assert_eq!(lines(table), count as usize);
    let again = (0..5).map(|_| timed(&mut look(0))).min().unwrap();
    // One host has another address now.
    let mut changed = many(count);
    changed.routes[count as usize / 2].gateway = "10.0.0.254".parse().unwrap();
    changed.routes[count as usize / 2].link = "m0".into();
    let mut one = Duration::ZERO;
    timed(&mut |keeper| {
        keeper.wanted =
            Arc::new(Wanted { complete: true, networks: [("many".to_owned(), changed.clone())].into() });
        let begun = Instant::now();
        look(1)(keeper);
        one = begun.elapsed();
    });
    drop(changed);
    let (now, most) = memory();
    let mut socket = netlink::Socket::open(netlink::Family::Route).unwrap();
    let dump = (0..5)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(netlink::route::routes(&mut socket, Some(table)).unwrap().len(), count as usize);
            begun.elapsed()
        })
        .min()
        .unwrap();

    // The same by `ip`, elsewhere.
    let file = host.names().join("batch");
    let mut batch = std::io::BufWriter::new(fs::File::create(&file).unwrap());
    for number in 0..count {
        let (gateway, link) = gateway(number);
        writeln!(batch, "route add {} via {gateway} dev {link} table 777 proto 99", block(number)).unwrap();
    }
    drop(batch);
    let begun = Instant::now();
    ip(&format!("-batch {}", file.display()));
    let theirs = begun.elapsed();
    assert_eq!(lines(777), count as usize);

    println!(
        "{count} routes: ours {:.1} ms, ip -batch {:.1} ms (speed × {:.2} of ip's)",
        milliseconds(ours),
        milliseconds(theirs),
        theirs.as_secs_f64() / ours.as_secs_f64()
    );
    println!(
        "looked at again, unchanged: {:.1} ms; one dump {:.1} ms (× {:.2})",
        milliseconds(again),
        milliseconds(dump),
        again.as_secs_f64() / dump.as_secs_f64()
    );
    println!("one change among them: {:.1} ms", milliseconds(one));
    println!("memory: {now} kB, at most {most} kB ({before} kB before)");
}
