//! Pods that come and go many at a time, while the agent is killed at every step that it has.

pub(crate) mod caller;
pub(crate) mod invariants;
pub(crate) mod kills;
pub(crate) mod leaks;
pub(crate) mod model;
pub(crate) mod networks;
pub(crate) mod pod;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;
use store::{Identity, Store, Table};

use crate::harness::{Agent, Lab, run};
use caller::Caller;
use invariants::{Compared, compare};
use kills::Kills;
use leaks::Watch;
use model::Model;
use pod::links_here;

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// ADD to DEL, at least.
    pub(crate) cycles: u64,
    /// Kills at least, spread over every step.
    pub(crate) kills: u64,
    /// Pods at a time.
    pub(crate) width: u64,
    /// Every how many kills everybody comes to rest and all is compared; the other times the next agent starts in the
    /// middle of it all.
    pub(crate) rest: u64,
    /// Where luck begins.
    pub(crate) seed: u64,
}

impl Size {
    /// What the environment says of it counts more.
    fn as_told(self) -> Self {
        let number = |variable: &str, default: u64| {
            std::env::var(variable).map_or(default, |text| text.parse().expect(variable))
        };
        Self {
            cycles: number("MULTI_NIC_SOAK_CYCLES", self.cycles),
            kills: number("MULTI_NIC_SOAK_KILLS", self.kills),
            seed: number("MULTI_NIC_SOAK_SEED", self.seed),
            ..self
        }
    }
}

/// Flags of every agent: nothing but pods.
pub(crate) const FLAGS: [&str; 3] = ["--reprobe-interval", "off", "--no-tcp"];

/// How long a step may not be reached; only a failing test waits that long, even on an emulated processor.
const DROUGHT: Duration = Duration::from_secs(120);

/// How long it may take until an agent lives while everybody comes to rest.
const UNREST: Duration = Duration::from_secs(240);

/// Runs it over `nic1` and `nic2`, and panics with all that was wrong.
pub(crate) fn soak(lab: &Lab, plugin: &str, size: Size) {
    let size = size.as_told();
    networks::write(lab, plugin);
    let begun = Instant::now();
    let mut kills = Kills::new(size);
    let mut agent = lab.start_failing(&FLAGS, "");
    assert!(agent.gets_ready(), "{}", agent.log());
    let caller = Caller::new(lab);
    let model = Model::new(caller, networks::read(lab, plugin), lab.path("pods"), size.width, size.seed);
    let before = (links_here(), rest_of_the_host());
    let idle = leaks::Facts::of(&agent, lab);
    let mut seen = BTreeSet::new();
    drop(agent);
    agent = kills.start(lab);
    let mut most = Compared::default();
    let mut watch: Option<Watch> = None;

    std::thread::scope(|scope| {
        let model = &model;
        for number in 0..model.places.len() {
            scope.spawn(move || model.work(number));
        }
        let cycles = || model.counts.cycles.load(Ordering::Relaxed);
        while model.wrong.lock().unwrap().is_empty() {
            // The last tenth at least is one agent's, whose memory may not grow.
            let last = watch.as_ref().map(|watch| size.cycles.max(watch.cycles() + size.cycles / 10));
            if last.is_some_and(|last| cycles() >= last) {
                break;
            }
            let lives = kills.next.is_none();
            let ended = !(lives && last.is_none()) && wait_for_the_end(&mut agent, last, cycles);
            if ended {
                kills.count(&mut agent, model);
            } else if !lives {
                model.is_wrong(format!("{:?} was not reached in {} s", kills.next, DROUGHT.as_secs()));
                break;
            }
            if kills.random.below(16) == 0 {
                // Long enough for calls that find nobody.
                std::thread::sleep(Duration::from_millis(200));
            }
            if !kills.all().is_multiple_of(size.rest) && !kills.is_enough() {
                agent = kills.start(lab);
                continue;
            }
            model.ask_to_rest();
            if let Some(found) = settle(lab, model, &mut kills, &mut agent, &before.0, &mut seen) {
                most.take_most(&found);
            }
            model.go_on();
            if kills.next.is_none() && watch.is_none() {
                watch = Some(Watch::begin(&agent, lab, cycles()));
            }
        }
        if !model.take_apart() {
            model.is_wrong("not every pod could be taken apart".to_owned());
        }
        model.finish();
    });

    if model.wrong.lock().unwrap().is_empty() {
        if let Some(watch) = &watch {
            watch.end(&agent, lab, &idle, &model);
        }
        end(lab, &model, &mut kills, &mut agent, &before.1);
    }
    report(&model, &kills, begun, &most);
    let stories = model.stories();
    let wrong = model.wrong.lock().unwrap();
    assert!(
        wrong.is_empty(),
        "seed {}: {} things are wrong:\n{}\n{stories}",
        size.seed,
        wrong.len(),
        wrong.join("\n")
    );
}

/// Waits until the agent has ended; false when it goes on for long, or the last cycle is over.
fn wait_for_the_end(agent: &mut Agent, last: Option<u64>, cycles: impl Fn() -> u64) -> bool {
    let end = Instant::now() + DROUGHT;
    while agent.ended().is_none() {
        let is_over = last.map_or_else(|| Instant::now() > end, |last| cycles() >= last);
        if is_over {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// Agents are started until one lives while everybody comes to rest and all is compared.
fn settle(
    lab: &Lab,
    model: &Model,
    kills: &mut Kills,
    agent: &mut Agent,
    host: &pod::Links,
    seen: &mut BTreeSet<String>,
) -> Option<Compared> {
    let end = Instant::now() + UNREST;
    while Instant::now() < end {
        if agent.ended().is_some() {
            *agent = kills.start(lab);
        }
        if !agent.gets_ready() {
            kills.count(agent, model);
            continue;
        }
        while agent.ended().is_none() && !model.is_at_rest() {}
        if agent.ended().is_none()
            && let Ok(compared) = compare(lab, model, host, seen)
        {
            return Some(compared);
        }
        kills.count(agent, model);
    }
    model.is_wrong(format!("no rest in {} s", UNREST.as_secs()));
    None
}

/// After all pods: GC, debts, and then nothing is left.
fn end(lab: &Lab, model: &Model, kills: &mut Kills, agent: &mut Agent, host: &str) {
    kills.wanted = 0;
    if agent.ended().is_none() {
        agent.stop();
    }
    *agent = kills.start(lab);
    assert!(agent.gets_ready(), "{}", agent.log());
    for network in &model.networks {
        let mut network = network.clone();
        network.config["cniVersion"] = json!("1.1.0");
        let config = network.with("cni.dev/valid-attachments", json!([]));
        if let Err(failure) = model.caller.call("GC", &config, "", std::path::Path::new("")) {
            model.is_wrong(format!("GC of {}: {}", network.name, failure.text));
        }
    }
    let paid = Instant::now() + Duration::from_secs(30);
    while !model.caller.pay_debts() || agent.get("/v1/attachments").json()["total"] != 0 {
        if Instant::now() > paid {
            model.is_wrong(format!("left: {}", agent.get("/v1/attachments").text()));
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    for network in agent.get("/v1/addresses").json()["networks"].as_array().unwrap() {
        if network["totals"]["used"] != 0 {
            model.is_wrong(format!("still held: {network}"));
        }
    }
    if !agent.stop().0.success() {
        model.is_wrong(format!("the agent did not stop: {}", agent.log()));
    }
    let (store, _) = Store::open(&lab.path("state"), &Identity::of_this_machine()).unwrap();
    let attachments: store::All<serde_json::Value> = store.all(Table::Attachments).unwrap();
    let addresses: store::All<ipam::Change> = store.all(Table::Addresses).unwrap();
    let held = addresses.records.iter().filter(|(_, row)| matches!(row.state, ipam::State::Held { .. }));
    let left = (attachments.records.len() + attachments.unreadable.len(), held.count());
    if left != (0, 0) || !addresses.unreadable.is_empty() {
        model.is_wrong(format!("(attachments, held addresses) in the store: {left:?}"));
    }
    for (what, left) in [
        ("host-local holds", networks::held_by_host_local(lab)),
        ("files of plugins", invariants::names(&lab.path("state/delegates"))),
        ("notes", invariants::notes(lab)),
    ] {
        if !left.is_empty() {
            model.is_wrong(format!("{what}: {left:?}"));
        }
    }
    for place in &model.places {
        let place = place.lock().unwrap();
        let Some(pod) = &place.pod else { continue };
        let (links, rules) = (pod.links(), pod.rules());
        if !links.is_empty() || !rules.is_empty() {
            model.is_wrong(format!("{} has {links:?} and rules {rules:?}", place.container));
        }
    }
    let now = rest_of_the_host();
    if now != host {
        model.is_wrong(format!("the host was\n{host}\nand is\n{now}"));
    }
}

/// What the kernel has on the host, beside counters.
fn rest_of_the_host() -> String {
    ["-br link", "-br address", "route show table all", "-6 route show table all", "rule", "-6 rule"]
        .map(|what| run("ip", what))
        .concat()
}

fn report(model: &Model, kills: &Kills, begun: Instant, most: &Compared) {
    let counts = &model.counts;
    let [cycles, adds, repeats, checks, dels, late, away, executables] = [
        &counts.cycles,
        &counts.adds,
        &counts.repeats,
        &counts.checks,
        &counts.dels,
        &counts.late,
        &counts.away,
        &counts.executables,
    ]
    .map(|count| count.load(Ordering::Relaxed));
    println!("{}", kills.table());
    println!(
        "{cycles} cycles ({adds} ADDs, {repeats} repeated, {checks} CHECKs, {dels} DELs, {late} after the \
         namespace; {executables} calls by the executable; {away} without an agent) in {:.1} s; \
         {} comparisons: at most {} attached, {} left to the sweep, {} debts, {} pods left out",
        begun.elapsed().as_secs_f64(),
        model.compared.load(Ordering::Relaxed),
        most.attachments,
        most.to_be_swept,
        most.owed,
        most.slow
    );
}
