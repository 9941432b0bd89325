//! One pod at a time: every contender in turn, and what nobody can avoid between them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::caller::{Caller, add, del, links};
use super::floor::{Bare, Log};
use super::place::Place;
use super::table::Table;
use super::{Contender, MANY, empty};
use crate::bench::measure::{median, milliseconds, percentile, time};
use crate::output;

/// Times of one contender.
#[derive(Debug, Default, Clone)]
struct Times {
    add: Vec<Duration>,
    del: Vec<Duration>,
}

impl Times {
    fn line(&self, name: &str, rest: &str) -> String {
        format!(
            "  {name:<26} ADD {:>10}  p99 {:>10}   DEL {:>10}{rest}",
            milliseconds(median(&self.add)),
            milliseconds(percentile(&self.add, 99)),
            milliseconds(median(&self.del)),
        )
    }
}

/// A pod with one NIC: medians and ratios. Returns each contender's median ADD.
pub(super) fn one_nic(
    place: &Place,
    bare: &dyn Fn(usize) -> Result<Bare>,
    contenders: &[&Contender],
    empty: &Path,
    turns: usize,
    table: &mut Table,
) -> Result<Vec<Duration>> {
    output::line(&format!("one NIC, {turns} turns, medians"));
    let (mut bare, mut log) = (bare(1)?, Log::new(place)?);
    let (mut kernel, mut start, mut write) = (Times::default(), Vec::new(), Vec::new());
    let mut times = vec![Times::default(); contenders.len()];
    for turn in 0..=turns {
        let counts = turn > 0;
        let (added, deleted) = bare_once(&mut bare, place, 1, !counts)?;
        let (started, written) = (time(|| empty::run(empty))?, time(|| log.append())?);
        if counts {
            kernel.add.push(added);
            kernel.del.push(deleted);
            start.push(started);
            write.push(written);
        }
        for ((position, contender), times) in contenders.iter().enumerate().zip(&mut times) {
            let (added, deleted) = once(&contender.one, place, position, turn, 1)?;
            if counts {
                times.add.push(added);
                times.del.push(deleted);
            }
        }
    }
    let sum = median(&kernel.add) + median(&start) + median(&write);
    output::line(&kernel.line("bare kernel work", ""));
    output::line(&format!("  {:<26}     {:>10}", "empty static process", milliseconds(median(&start))));
    output::line(&format!("  {:<26}     {:>10}", "append and fdatasync", milliseconds(median(&write))));
    output::line(&format!("  {:<26} ADD {:>10}", "unavoidable sum", milliseconds(sum)));
    compare(contenders, &times, Some((sum, "the sum")));
    table.times("1 NIC, ADD", Some(sum), adds(&times));
    table.times("1 NIC, DEL", Some(median(&kernel.del)), dels(&times));
    Ok(times.iter().map(|times| median(&times.add)).collect())
}

/// A pod with [`MANY`] NICs, and what each further one costs.
pub(super) fn many_nics(
    place: &Place,
    bare: &dyn Fn(usize) -> Result<Bare>,
    contenders: &[&Contender],
    turns: usize,
    table: &mut Table,
) -> Result<()> {
    output::line(&format!("{MANY} NICs, {turns} turns, medians"));
    let (mut bare_one, mut bare_many) = (bare(1)?, bare(MANY)?);
    let mut bare = [Times::default(), Times::default()];
    let mut times = vec![[Times::default(), Times::default()]; contenders.len()];
    for turn in 0..=turns {
        let counts = turn > 0;
        for ((bare, nics), times) in [(&mut bare_one, 1), (&mut bare_many, MANY)].into_iter().zip(&mut bare) {
            let (added, deleted) = bare_once(bare, place, nics, !counts)?;
            if counts {
                times.add.push(added);
                times.del.push(deleted);
            }
        }
        for ((position, contender), times) in contenders.iter().enumerate().zip(&mut times) {
            for ((callers, nics), times) in
                [(&contender.one, 1), (&contender.many, MANY)].into_iter().zip(times)
            {
                let (added, deleted) = once(callers, place, position, turn, nics)?;
                if counts {
                    times.add.push(added);
                    times.del.push(deleted);
                }
            }
        }
    }
    let further = |times: &[Times; 2]| {
        median(&times[1].add).saturating_sub(median(&times[0].add)) / u32::try_from(MANY - 1).unwrap_or(1)
    };
    let least = further(&bare);
    output::line(&bare[1].line("bare kernel work", &format!("   each further NIC {}", milliseconds(least))));
    for (contender, times) in contenders.iter().zip(&times) {
        let each = further(times);
        output::line(&format!(
            "  {:<26} each further NIC {} (× {:.2} of the kernel's), DEL × {:.2} of one NIC's",
            contender.name,
            milliseconds(each),
            ratio(each, least),
            ratio(median(&times[1].del), median(&times[0].del)),
        ));
    }
    table.times("each further NIC, ADD", Some(least), times.iter().map(further));
    let many: Vec<Times> = times.into_iter().map(|[_, many]| many).collect();
    compare(contenders, &many, None);
    table.times(&format!("{MANY} NICs, ADD"), Some(median(&bare[1].add)), adds(&many));
    table.times(&format!("{MANY} NICs, DEL"), Some(median(&bare[1].del)), dels(&many));
    Ok(())
}

fn bare_once(bare: &mut Bare, place: &Place, nics: usize, look: bool) -> Result<(Duration, Duration)> {
    let pod = place.pod(place.pods().len() - 1)?;
    let added = time(|| bare.add(pod))?;
    if look {
        ensure!(links(&pod.path)? == nics, "the kernel made other links than were asked for");
    }
    Ok((added, time(|| bare.del(pod))?))
}

/// Attaches and detaches; the first time it is looked at what became of it.
fn once(
    callers: &[Caller],
    place: &Place,
    pod: usize,
    turn: usize,
    nics: usize,
) -> Result<(Duration, Duration)> {
    let (pod, container) = (place.pod(pod)?, format!("turn{turn}-{nics}"));
    let added = add(callers, &container, pod)?;
    if turn == 0 {
        ensure!(links(&pod.path)? == nics, "{container}: not {nics} links with an address");
    }
    let deleted = del(callers, &container, pod)?;
    if turn == 0 {
        ensure!(links(&pod.path)? == 0, "{container}: links are left after DEL");
    }
    Ok((added, deleted))
}

/// A line for each, beside the sum and beside the first one.
fn compare(contenders: &[&Contender], times: &[Times], sum: Option<(Duration, &str)>) {
    let first = times.first().map(|times| median(&times.add)).unwrap_or_default();
    for (position, (contender, times)) in contenders.iter().zip(times).enumerate() {
        let mut rest = String::new();
        if let Some((sum, name)) = sum {
            rest.push_str(&format!("   × {:.2} of {name}", ratio(median(&times.add), sum)));
        }
        if position > 0 {
            rest.push_str(&format!(
                "   {:.1} times faster than the Go pair",
                ratio(first, median(&times.add))
            ));
        }
        output::line(&times.line(contender.name, &rest));
    }
}

fn adds(times: &[Times]) -> impl Iterator<Item = Duration> {
    times.iter().map(|times| median(&times.add))
}

fn dels(times: &[Times]) -> impl Iterator<Item = Duration> {
    times.iter().map(|times| median(&times.del))
}

pub(super) fn ratio(of: Duration, to: Duration) -> f64 {
    of.as_secs_f64() / to.as_secs_f64()
}
