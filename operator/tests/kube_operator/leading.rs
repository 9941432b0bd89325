//! One operator leads.

use std::time::{Duration, Instant};

use crate::cluster::Cluster;

fn holder(cluster: &Cluster) -> Option<String> {
    let lease = cluster.get("lease", "5aaf67fd.fms.io", "multi-nic-cni-operator")?;
    lease["spec"]["holderIdentity"].as_str().filter(|name| !name.is_empty()).map(str::to_owned)
}

#[test]
#[ignore = "needs an API server"]
fn another_takes_over_when_the_leader_is_killed_and_at_once_when_it_is_stopped() {
    let cluster = Cluster::new();
    cluster.host("h1", 1, 1);
    let first = cluster.operator("first");
    cluster.until("the first leads", || holder(&cluster).filter(|name| name == "first"));
    let second = cluster.operator("second");
    cluster.network("one", &["default"]);
    cluster.until("it is there", || cluster.config("one", "default"));

    first.kill();
    let killed = Instant::now();
    cluster.network("two", &["default"]);
    cluster.until("the second leads", || holder(&cluster).filter(|name| name == "second"));
    println!("taken over {:.1} s after a SIGKILL (the Lease is good for 6)", killed.elapsed().as_secs_f64());
    cluster.until("and works", || cluster.config("two", "default"));

    let _third = cluster.operator("third");
    std::thread::sleep(Duration::from_secs(2));
    second.stop();
    let stopped = Instant::now();
    cluster.until("the third leads", || holder(&cluster).filter(|name| name == "third"));
    println!("taken over {:.1} s after a SIGTERM", stopped.elapsed().as_secs_f64());
}
