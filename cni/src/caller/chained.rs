//! A call in the cluster network's list that needs no agent: an agent that is away must not keep a pod from starting
//! that asks for nothing (TRAPS C1).

use super::print;
use crate::chained::{Asked, Chained};
use crate::environment::Command;
use crate::error::Error;

/// The exit status of such a call; absent when the agent has to be asked.
pub(super) fn alone(config: &str, command: Command) -> Result<Option<i32>, Error> {
    let Some(chained) = Chained::read(config)? else { return Ok(None) };
    match command {
        // It would make the whole node unready; what is wrong with a network is said to those who ask for it.
        Command::Status => Ok(Some(0)),
        Command::Add if chained.asked == Asked::Nothing => {
            print(&chained.before()?.to_string());
            Ok(Some(0))
        }
        Command::Del | Command::Check if chained.asked == Asked::Nothing => Ok(Some(0)),
        _ => Ok(None),
    }
}
