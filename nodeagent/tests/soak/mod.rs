//! Pods that come and go many at a time, while the agent is killed at every step that it has.

pub(crate) mod caller;
pub(crate) mod invariants;
pub(crate) mod model;
pub(crate) mod networks;
pub(crate) mod pod;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use attach::STEPS;
use serde_json::json;
use store::{Identity, Store, Table};

use crate::harness::{Agent, Lab, run};
use caller::Caller;
use invariants::compare;
use model::{Model, Random};
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
    /// Where luck begins.
    pub(crate) seed: u64,
}

/// Flags of every agent: nothing but pods.
pub(crate) const FLAGS: [&str; 3] = ["--reprobe-interval", "off", "--no-tcp"];

/// How long a step may not be reached.
const DROUGHT: Duration = Duration::from_secs(20);

/// Which steps the agent was killed at.
struct Kills {
    times: BTreeMap<&'static str, u64>,
    order: Vec<&'static str>,
    wanted: u64,
    random: Random,
    /// Which one the running agent dies at.
    next: Option<&'static str>,
}

impl Kills {
    fn new(size: Size) -> Self {
        let times = STEPS.into_iter().map(|step| (step, 0)).collect();
        let random = Random(size.seed);
        Self { times, order: STEPS.to_vec(), wanted: size.kills, random, next: None }
    }

    /// Starts an agent that dies at the step that had the fewest kills, or lives when there were enough.
    fn start(&mut self, lab: &Lab) -> Agent {
        let is_enough = self.is_enough();
        let next = self.order.iter().min_by_key(|step| self.times[*step]).copied().unwrap();
        self.next = (!is_enough).then_some(next);
        // Some are reached seldom.
        let most = match next {
            "flushed" => 3,
            "add.delegated" => 6,
            _ => 40,
        };
        let time = self.random.below(most) + 1;
        let fail = if is_enough { String::new() } else { format!("{next}=kill:{time}") };
        lab.start_failing(&FLAGS, &fail)
    }

    fn is_enough(&self) -> bool {
        let each = self.wanted.div_ceil(self.times.len() as u64);
        self.times.values().all(|times| *times >= each)
    }

    /// An agent has ended: by our hand, or something is wrong.
    fn count(&mut self, agent: &mut Agent, model: &Model) {
        use std::os::unix::process::ExitStatusExt;
        let status = agent.wait();
        match self.next {
            Some(step) if status.signal() == Some(9) => *self.times.get_mut(step).unwrap() += 1,
            _ => model.is_wrong(format!("the agent ended: {status}\n{}", agent.log())),
        }
    }

    fn table(&self) -> String {
        let row = |(step, times): (&&str, &u64)| format!("{step:<16} {times:>6}\n");
        self.times.iter().map(row).collect::<String>()
            + &format!("{:<16} {:>6}\n", "all", self.times.values().sum::<u64>())
    }
}

/// Runs it, and panics with all that was wrong.
pub(crate) fn soak(size: Size) {
    let lab = Lab::new();
    networks::write(&lab);
    let begun = Instant::now();
    let mut kills = Kills::new(size);
    let mut agent = lab.start_failing(&FLAGS, "");
    assert!(agent.gets_ready(), "{}", agent.log());
    let caller = Caller::new(&lab);
    let model = Model::new(caller, networks::read(&lab), lab.path("pods"), size.width, size.seed);
    let before = (links_here(), rest_of_the_host());
    let mut seen = BTreeSet::new();
    drop(agent);
    agent = kills.start(&lab);
    let mut most = (0, 0, 0);

    std::thread::scope(|scope| {
        let model = &model;
        for number in 0..model.places.len() {
            scope.spawn(move || model.work(number));
        }
        let done = || model.counts.cycles.load(Ordering::Relaxed) >= size.cycles;
        while !(kills.is_enough() && done()) && model.wrong.lock().unwrap().is_empty() {
            let ended = wait_for_the_end(&mut agent, || kills.is_enough() && done());
            if ended {
                kills.count(&mut agent, model);
            } else if !kills.is_enough() {
                model.is_wrong(format!("{:?} was not reached in {} s", kills.next, DROUGHT.as_secs()));
                break;
            }
            if kills.random.below(16) == 0 {
                // Long enough for calls that find nobody.
                std::thread::sleep(Duration::from_millis(200));
            }
            model.ask_to_rest();
            if let Some(found) = settle(&lab, model, &mut kills, &mut agent, &before.0, &mut seen) {
                most = (most.0.max(found.attachments), most.1.max(found.to_be_swept), most.2.max(found.owed));
            }
            model.go_on();
        }
        if !model.take_apart() {
            model.is_wrong("not every pod could be taken apart".to_owned());
        }
        model.finish();
    });

    if model.wrong.lock().unwrap().is_empty() {
        end(&lab, &model, &mut kills, &mut agent, &before.1);
    }
    report(&model, &kills, begun, most);
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

/// Waits until the agent has ended; false when it goes on for long, or all is done.
fn wait_for_the_end(agent: &mut Agent, done: impl Fn() -> bool) -> bool {
    let end = Instant::now() + DROUGHT;
    while agent.ended().is_none() {
        if done() || Instant::now() > end {
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
) -> Option<invariants::Compared> {
    let end = Instant::now() + Duration::from_secs(90);
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
    model.is_wrong("no rest in 90 s".to_owned());
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

fn report(model: &Model, kills: &Kills, begun: Instant, most: (usize, usize, usize)) {
    let counts = &model.counts;
    let [cycles, adds, repeats, checks, dels, late, away] = [
        &counts.cycles,
        &counts.adds,
        &counts.repeats,
        &counts.checks,
        &counts.dels,
        &counts.late,
        &counts.away,
    ]
    .map(|count| count.load(Ordering::Relaxed));
    println!("{}", kills.table());
    println!(
        "{cycles} cycles ({adds} ADDs, {repeats} repeated, {checks} CHECKs, {dels} DELs, {late} after the \
         namespace; {away} calls without an agent) in {:.1} s; after a kill at most {} attached, {} \
         left to the sweep, {} debts",
        begun.elapsed().as_secs_f64(),
        most.0,
        most.1,
        most.2
    );
}
