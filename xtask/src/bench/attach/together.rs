//! Many pods at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::caller::{Caller, add, del};
use super::one_by_one::ratio;
use super::place::{Place, Pod};
use super::table::Table;
use super::{Contender, cores};
use crate::bench::measure::{median, milliseconds, percentile};
use crate::output;

/// Runtimes start as many pods at a time.
const LANES: usize = 8;

/// Rounds of each contender, in turn.
const ROUNDS: usize = 3;

/// What a crowd took.
#[derive(Debug, Default, Clone)]
struct Crowd {
    /// Of each call.
    each: Vec<Duration>,
    /// From the first to the last, of each round.
    all: Vec<Duration>,
}

/// Pods arrive, eight at a time.
pub(super) fn arrivals(
    place: &Place,
    contenders: &[&Contender],
    pods: usize,
    table: &mut Table,
) -> Result<()> {
    output::line(&format!("{pods} pods arrive, {LANES} at a time, {ROUNDS} rounds in turn"));
    let crowds = rounds(place, contenders, pods, LANES)?;
    let rate = |crowd: &Crowd| pods as f64 / median(&crowd.all).as_secs_f64();
    let first = crowds.first().map(rate).unwrap_or_default();
    for (contender, crowd) in contenders.iter().zip(&crowds) {
        let rate = rate(crowd);
        output::line(&format!("{}   {rate:.0} ADDs/s (× {:.1})", line(contender, crowd), rate / first));
    }
    let what = format!("{pods} pods, {LANES} at a time, ADDs/s");
    table.words(&what, None, crowds.iter().map(|crowd| format!("{:.0}", rate(crowd))));
    table.words("… p50 and p99 of one ADD", None, crowds.iter().map(spread));
    Ok(())
}

/// As many at once as a large node starts after a reboot.
pub(super) fn at_once(
    place: &Place,
    contenders: &[&Contender],
    one: &[Duration],
    table: &mut Table,
) -> Result<()> {
    const PODS: usize = 64;
    output::line(&format!("{PODS} pods at once, {ROUNDS} rounds in turn"));
    let crowds = rounds(place, contenders, PODS, PODS)?;
    for ((contender, crowd), one) in contenders.iter().zip(&crowds).zip(one) {
        let share = *one * u32::try_from(PODS).unwrap_or(1) / u32::try_from(cores()).unwrap_or(1);
        let bound = ratio(percentile(&crowd.each, 99), share);
        output::line(&format!("{}   p99 × {bound:.2} of {PODS} × one ÷ cores", line(contender, crowd)));
    }
    table.words(&format!("{PODS} ADDs at once, p50 and p99"), None, crowds.iter().map(spread));
    Ok(())
}

/// Pods leave all at once.
pub(super) fn departures(place: &Place, contenders: &[&Contender], table: &mut Table) -> Result<()> {
    const PODS: usize = 100;
    output::line(&format!("{PODS} pods leave at once, {ROUNDS} rounds in turn"));
    let mut crowds = vec![(Crowd::default(), Vec::new()); contenders.len()];
    for _ in 0..ROUNDS {
        for (contender, (crowd, one)) in contenders.iter().zip(&mut crowds) {
            crowd_of(place, &contender.one, PODS, LANES, add)?;
            let left = crowd_of(place, &contender.one, PODS, PODS, del)?;
            crowd.each.extend(left.each);
            crowd.all.extend(left.all);
            let pod = place.pod(0)?;
            add(&contender.one, "alone", pod)?;
            one.push(del(&contender.one, "alone", pod)?);
        }
    }
    for (contender, (crowd, one)) in contenders.iter().zip(&crowds) {
        output::line(&format!(
            "{}   × {:.1} of one DEL",
            line(contender, crowd),
            ratio(median(&crowd.all), median(one))
        ));
    }
    table.times(&format!("{PODS} DELs at once"), None, crowds.iter().map(|(crowd, _)| median(&crowd.all)));
    Ok(())
}

fn line(contender: &Contender, crowd: &Crowd) -> String {
    format!(
        "  {:<26} all {:>10}  p50 {:>10}  p99 {:>10}",
        contender.name,
        milliseconds(median(&crowd.all)),
        milliseconds(percentile(&crowd.each, 50)),
        milliseconds(percentile(&crowd.each, 99)),
    )
}

fn spread(crowd: &Crowd) -> String {
    format!("{}, {}", milliseconds(percentile(&crowd.each, 50)), milliseconds(percentile(&crowd.each, 99)))
}

/// Attaches all pods, `lanes` at a time, and detaches them; only the first is measured.
fn rounds(place: &Place, contenders: &[&Contender], pods: usize, lanes: usize) -> Result<Vec<Crowd>> {
    let mut crowds = vec![Crowd::default(); contenders.len()];
    for _ in 0..ROUNDS {
        for (contender, crowd) in contenders.iter().zip(&mut crowds) {
            let came = crowd_of(place, &contender.one, pods, lanes, add)?;
            crowd.each.extend(came.each);
            crowd.all.extend(came.all);
            crowd_of(place, &contender.one, pods, lanes, del)?;
        }
    }
    Ok(crowds)
}

/// The same call for every pod, `lanes` at a time. One that fails fails all.
fn crowd_of(
    place: &Place,
    callers: &[Caller],
    pods: usize,
    lanes: usize,
    call: fn(&[Caller], &str, &Pod) -> Result<Duration>,
) -> Result<Crowd> {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    let lane = || -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= pods {
                return Ok(times);
            }
            times.push(call(callers, &format!("crowd{index}"), place.pod(index)?)?);
        }
    };
    let each = thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
        let times = lanes.into_iter().map(|lane| lane.join().map_err(|_| anyhow!("a thread panicked"))?);
        times.collect::<Result<Vec<_>>>()
    })?;
    Ok(Crowd { each: each.into_iter().flatten().collect(), all: vec![start.elapsed()] })
}
