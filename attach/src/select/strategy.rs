//! Which of the NICs that fit a pod gets: by number, by bandwidth, or near its GPUs (CONTRACTS §8, its edge cases mended).

mod bandwidth;
mod nearness;

use hwprobe::{Nic, NicId, SpeedMbps};
use serde::{Deserialize, Serialize};

use super::{Known, LeftOut, Rule, SelectError, Wish};
use crate::network::Strategy;

/// Bandwidth of a NIC that a pod counts on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Promise {
    /// The NIC: of a VF its PF.
    pub nic: NicId,
    /// How much.
    pub speed: SpeedMbps,
}

/// A NIC that was chosen, with what is promised of it.
pub(super) type Picked<'a> = (&'a Nic, Option<SpeedMbps>);

impl Wish {
    /// Whether the strategy chooses by bandwidth. Without a target it is all NICs, as with the predecessor.
    pub(super) fn bandwidth(&self) -> Option<SpeedMbps> {
        let by_bandwidth = matches!(self.strategy, Strategy::CostOpt | Strategy::PerfOpt);
        // Names are a choice of their own.
        self.target.filter(|_| by_bandwidth && self.masters.is_empty())
    }
}

/// Chooses among NICs that fit, which are in their usual order.
pub(super) fn choose<'a>(
    known: &Known<'_>,
    wish: &Wish,
    fitting: Vec<&'a Nic>,
    left_out: &mut Vec<LeftOut>,
) -> Result<Vec<Picked<'a>>, SelectError> {
    let count = wish.count.filter(|count| *count > 0).map(|count| count as usize);
    if let Some(target) = wish.bandwidth() {
        let by = bandwidth::By { target, count, most_headroom: wish.strategy == Strategy::PerfOpt };
        return by.choose(known.usage, fitting, left_out);
    }
    let most = count.unwrap_or(usize::MAX);
    let near = wish.strategy == Strategy::Topology && wish.masters.is_empty() && !wish.gpus.is_empty();
    if near && most < fitting.len() {
        let chosen = nearness::nearest(&fitting, &wish.gpus, most);
        let rest = fitting.iter().filter(|nic| !chosen.iter().any(|one| one.id == nic.id));
        for nic in rest {
            let words = nearness::words(nic, &wish.gpus);
            left_out.push(LeftOut::new(
                nic,
                Rule::FartherFromGpus,
                format!("{words}; {most} others are nearer"),
            ));
        }
        return Ok(chosen.into_iter().map(|nic| (nic, None)).collect());
    }
    let (chosen, more) = fitting.split_at(fitting.len().min(most));
    for nic in more {
        left_out.push(LeftOut::new(nic, Rule::EnoughChosen, format!("the pod asks for {most} only")));
    }
    Ok(chosen.iter().map(|nic| (*nic, None)).collect())
}
