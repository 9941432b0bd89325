//! What is measured is what went over the wire that was asked for.

use std::process::Stdio;

use serde_json::Value;

use crate::wiring::{Lab, Program, agree, wait_for};

/// Measures from host 1 to 2 on a wire, and compares with the counters of every link on the way.
fn on_wire(lab: &Lab, wire: usize, from: &str, to: &str) -> Value {
    let other = 1 - wire;
    let counts = || {
        let port = |name: String| lab.wires.counters(&name);
        (
            lab.hosts[0].counters(&format!("net{wire}")).1,
            lab.hosts[1].counters(&format!("net{wire}")).0,
            port(format!("p1w{wire}")).0,
            lab.hosts[0].counters(&format!("net{other}")).1,
        )
    };
    let before = counts();

    let (code, outcome) = lab.measure(1, &["--from", from, "--to", to]);

    let after = counts();
    assert_eq!((code, &outcome["kind"]), (0, &"connected".into()), "{outcome}");
    let bytes = outcome["bytes"].as_u64().unwrap();
    assert!(bytes > 1_000_000, "{outcome}");
    // The try with large segments is on the wire too.
    for (name, moved) in
        [("sent", after.0 - before.0), ("received", after.1 - before.1), ("bridge", after.2 - before.2)]
    {
        assert!(agree(bytes, moved), "{name}: {moved} bytes of {bytes}");
    }
    assert!(after.3 - before.3 < 10_000, "the other wire carried {} bytes", after.3 - before.3);
    assert!(agree(bytes, outcome["sent"].as_u64().unwrap()), "{outcome}");
    assert!(agree(bytes, outcome["received"].as_u64().unwrap()), "{outcome}");
    assert_eq!(outcome["interface"], format!("net{wire}"));
    assert_eq!(outcome["peerInterface"], format!("net{wire}"));
    outcome
}

#[test]
fn bytes_agree_with_the_counters_of_each_wire_in_both_families() {
    let lab = Lab::new(2);
    let _listener = lab.serve(2);

    on_wire(&lab, 0, "10.7.0.1", "10.7.0.2");
    on_wire(&lab, 1, "10.7.1.1", "10.7.1.2");
    on_wire(&lab, 1, "fd07:1::1", "fd07:1::2");
}

#[test]
fn packets_leave_by_the_interface_that_was_asked_for_though_another_could_reach_there() {
    let lab = Lab::new(2);
    let _listener = lab.serve(2);
    // One subnet on both wires: by the route alone everything would leave by net0.
    for (host, number) in [(&lab.hosts[0], 1), (&lab.hosts[1], 2)] {
        host.must(&format!("ip addr add 10.9.0.{number}/24 dev net0"));
        host.must(&format!("ip addr add 10.9.0.1{number}/24 dev net1 noprefixroute"));
        host.must("ip route add 10.9.0.0/24 dev net1 metric 500");
    }
    // The answers of a pod leave by their address, as the agent sets it up.
    lab.hosts[1].must("ip route add 10.9.0.0/24 dev net1 table 100");
    lab.hosts[1].must("ip rule add from 10.9.0.12 table 100");

    let outcome = on_wire(&lab, 1, "10.9.0.11", "10.9.0.12");

    assert_eq!(outcome["boundToDevice"], true);
}

#[test]
fn it_measures_without_any_capability() {
    let lab = Lab::new(2);
    let _listener = lab.serve(2);
    let mut measure = lab.hosts[0].command("setpriv");
    measure.args([
        "--reuid",
        "65532",
        "--regid",
        "65532",
        "--clear-groups",
        "--bounding-set",
        "-all",
        "--no-new-privs",
    ]);
    // A container has it in a folder that everybody may read.
    let folder = tempfile::Builder::new().prefix("concheck").tempdir_in("/tmp").unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let executable = folder.path().join("multi-nic-concheck");
    std::fs::copy(env!("CARGO_BIN_EXE_multi-nic-concheck"), &executable).unwrap();
    measure.arg(&executable).args(["measure", "--from", "10.7.1.1", "--to", "10.7.1.2", "--seconds", "1"]);

    let output = measure.env("CONCHECK_TOKEN", crate::wiring::SECRET).output().unwrap();

    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let outcome: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{output:?}"));
    assert_eq!(outcome["boundToDevice"], true, "{outcome}");
}

#[test]
fn iperf3_on_the_same_wire_moves_what_its_counters_say_as_we_do() {
    let lab = Lab::new(2);
    let _listener = lab.serve(2);
    let mut server = lab.hosts[1].command("iperf3");
    let _server =
        Program(server.args(["-s", "-p", "5201"]).stdout(Stdio::null()).spawn().expect("Debian's iperf3"));
    lab.hosts[1].inside(|| wait_for("iperf3", || std::net::TcpStream::connect(("10.7.1.2", 5201)).ok()));

    let iperf3 = |more: &[&str]| -> Value {
        wait_for("iperf3 to be free", || {
            let mut client = lab.hosts[0].command("iperf3");
            client.args(["-J", "-c", "10.7.1.2", "-B", "10.7.1.1", "-P", "2", "-t", "1", "-p", "5201"]);
            let output = client.args(more).output().unwrap();
            output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
        })
    };

    // With small buffers: what lies in them when its time is over, iperf3 does not count.
    let before = lab.hosts[1].counters("net1").0;
    let counted = iperf3(&["-w", "64K"]);
    let moved = lab.hosts[1].counters("net1").0 - before;
    let theirs = iperf3(&[]);
    let ours = on_wire(&lab, 1, "10.7.1.1", "10.7.1.2");

    let bytes = counted["end"]["sum_received"]["bytes"].as_f64().unwrap() as u64;
    assert!(agree(bytes, moved), "iperf3 says {bytes} bytes, the counter {moved}");
    let speed = theirs["end"]["sum_received"]["bits_per_second"].as_f64().unwrap();
    let ratio = ours["bitsPerSecond"].as_f64().unwrap() / speed;
    eprintln!("speed by multi-nic-concheck / by iperf3 on the same wire: {ratio:.2}");
}
