//! Which step the agent is killed at, and how often it was.

use std::collections::BTreeMap;

use attach::STEPS;

use super::model::{Model, Random};
use super::{FLAGS, Size};
use crate::harness::{Agent, Lab};

/// Which steps the agent was killed at.
pub(crate) struct Kills {
    times: BTreeMap<&'static str, u64>,
    order: Vec<&'static str>,
    pub(crate) wanted: u64,
    pub(crate) random: Random,
    /// Which one the running agent dies at.
    pub(crate) next: Option<&'static str>,
}

impl Kills {
    /// None yet.
    pub(crate) fn new(size: Size) -> Self {
        let times = STEPS.into_iter().map(|step| (step, 0)).collect();
        let random = Random(size.seed);
        Self { times, order: STEPS.to_vec(), wanted: size.kills, random, next: None }
    }

    /// Starts an agent that dies at the step that had the fewest kills, or lives when there were enough.
    pub(crate) fn start(&mut self, lab: &Lab) -> Agent {
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

    /// Whether each step had its share.
    pub(crate) fn is_enough(&self) -> bool {
        let each = self.wanted.div_ceil(self.times.len() as u64);
        self.times.values().all(|times| *times >= each)
    }

    /// An agent has ended: by our hand, or something is wrong.
    pub(crate) fn count(&mut self, agent: &mut Agent, model: &Model) {
        use std::os::unix::process::ExitStatusExt;
        let status = agent.wait();
        match self.next {
            Some(step) if status.signal() == Some(9) => *self.times.get_mut(step).unwrap() += 1,
            _ => model.is_wrong(format!("the agent ended: {status}\n{}", agent.log())),
        }
    }

    /// How often it was killed.
    pub(crate) fn all(&self) -> u64 {
        self.times.values().sum()
    }

    /// Step by step.
    pub(crate) fn table(&self) -> String {
        let row = |step: &&str| format!("{step:<16} {:>6}\n", self.times[*step]);
        self.order.iter().map(row).collect::<String>() + &format!("{:<16} {:>6}\n", "all", self.all())
    }
}
