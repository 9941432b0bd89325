//! `--pay-debts`: DELs of delegates that nobody could run before, by hand (TRAPS P1).

use std::time::{Duration, Instant};

use super::conversation::Work;
use super::{PATIENCE, eprint, folders};
use crate::environment::{Command, Environment};
use crate::protocol::{Call, Connection, DelegateCall, PROTOCOL, Ran, Tool};

/// How long all debts may take that are handed over at once: the agent holds up calls for the same containers.
const TIME: Duration = Duration::from_secs(20);

/// Asks for debts as long as some can be paid; the exit status is 0 when none is left.
pub(super) fn pay(tool: Tool) -> i32 {
    let path = std::env::var("CNI_PATH").unwrap_or_else(|_| "/opt/cni/bin:/usr/lib/cni".to_owned());
    let environment = Environment {
        command: Command::Status,
        container_id: String::new(),
        netns: String::new(),
        ifname: String::new(),
        args: String::new(),
        path,
        netns_override: false,
    };
    let call = Call { protocol: PROTOCOL, tool, environment, config: String::new(), pay_debts: true };
    let (run_dir, state_dir) = folders();
    let socket = run_dir.join(crate::SOCKET);
    let mut work = Work { call, netns: None, network: String::new(), version: None, socket, state_dir };
    let mut paid = 0_usize;
    loop {
        let debts = match ask(&mut work) {
            Ok((connection, debts)) => (connection, debts),
            Err(words) => {
                eprint(&format!("multi-nic: {words}\n"));
                return 1;
            }
        };
        let (connection, debts) = debts;
        if debts.is_empty() {
            eprint(&format!("multi-nic: {paid} debts were paid, none is left\n"));
            return 0;
        }
        let outcomes = work.pay(&debts, Some(Instant::now() + TIME));
        let failed: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.error.as_ref()).collect();
        for error in &failed {
            eprint(&format!("multi-nic: {error}\n"));
        }
        let some = failed.len() < outcomes.len();
        paid += outcomes.len() - failed.len();
        let told = connection.send(&Ran { outcomes }, None).is_ok();
        if !some || !told {
            eprint(&format!("multi-nic: {paid} debts were paid, the others cannot be\n"));
            return 1;
        }
    }
}

fn ask(work: &mut Work) -> Result<(Connection, Vec<DelegateCall>), String> {
    let connection = Connection::connect_within(&work.socket, PATIENCE).map_err(|error| {
        format!("the agent multi-nicd does not answer at {}: {error}", work.socket.display())
    })?;
    match work.ask(&connection) {
        Ok((_, debts, 0)) => Ok((connection, debts)),
        Ok((output, ..)) => Err(format!("the agent refuses: {}", output.unwrap_or_default())),
        Err(error) => Err(format!("the agent multi-nicd went away in the middle: {error}")),
    }
}
