//! Times and what is said of them.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::output;

/// How long one call takes.
pub(super) fn time(mut call: impl FnMut() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    call()?;
    Ok(start.elapsed())
}

/// The value in the middle; the mean of both when two are. Zero of nothing.
pub(super) fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    let half = sorted.len() / 2;
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    if sorted.len().is_multiple_of(2) && half > 0 { (at(half - 1) + at(half)) / 2 } else { at(half) }
}

/// The value that `percent` of all do not exceed.
pub(super) fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// Milliseconds with two digits behind the point.
pub(super) fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// One contender: a name and something to time.
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) call: Box<dyn FnMut() -> Result<()>>,
}

/// Runs all contenders in turn, `runs` times after one run that is not counted, and prints medians
/// and how they compare to the first.
pub(super) fn interleaved(contenders: &mut [Contender], runs: usize) -> Result<()> {
    let mut times: Vec<Vec<Duration>> = contenders.iter().map(|_| Vec::new()).collect();
    for run in 0..=runs {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            let took = time(&mut contender.call)?;
            if run > 0 {
                times.push(took);
            }
        }
    }
    let first = median(times.first().map(Vec::as_slice).unwrap_or_default());
    for (contender, times) in contenders.iter().zip(&times) {
        let middle = median(times);
        output::line(&format!(
            "  {:<28} {:>11}   slowest {:>11}   × {:.2}",
            contender.name,
            milliseconds(middle),
            milliseconds(times.iter().max().copied().unwrap_or_default()),
            middle.as_secs_f64() / first.as_secs_f64(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(milliseconds: &[u64]) -> Vec<Duration> {
        milliseconds.iter().copied().map(Duration::from_millis).collect()
    }

    #[test]
    fn the_median_is_in_the_middle_of_any_order() {
        assert_eq!(median(&times(&[9, 1, 5])), Duration::from_millis(5));
        assert_eq!(median(&times(&[4, 2])), Duration::from_millis(3));
        assert_eq!(median(&[]), Duration::ZERO);
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let hundred: Vec<u64> = (1..=100).collect();

        assert_eq!(percentile(&times(&hundred), 99), Duration::from_millis(99));
        assert_eq!(percentile(&times(&[7]), 50), Duration::from_millis(7));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
