//! Other plugins: what they are told, and what they told.

use cni::error::code;
use cni::protocol::{DelegateCall, Outcome};
use cni::{CniResult, Command, Environment, Error, delegate_file, note, plugin_run};

use crate::engine::Engine;
use crate::record::{Attachment, Delegate, Key};

/// Milliseconds that one plugin may take.
const TIMEOUT_MS: u64 = 60_000;

/// Who runs plugins for the engine: the executable at the other end of the socket.
pub trait Conversation {
    /// Runs plugins one after the other; ADDs end at the first failure.
    ///
    /// # Errors
    /// When nobody is there to run them.
    fn run(&mut self, calls: Vec<DelegateCall>) -> Result<Vec<Outcome>, Gone>;
}

/// Nobody runs plugins: the executable has gone, or there never was one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nobody is there to run plugin {plugin}: {why}")]
pub struct Gone {
    /// The plugin.
    pub plugin: String,
    /// Why.
    pub why: String,
    /// It went in the middle: the plugin that it had begun may still run.
    pub in_the_middle: bool,
}

/// For calls that no executable made.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoConversation;

impl Conversation for NoConversation {
    fn run(&mut self, calls: Vec<DelegateCall>) -> Result<Vec<Outcome>, Gone> {
        let plugin = calls.into_iter().next().map(|call| call.plugin).unwrap_or_default();
        let why = "the call did not come from the executable multi-nic".to_owned();
        Err(Gone { plugin, why, in_the_middle: false })
    }
}

/// The call of a delegate for an attachment.
pub(crate) fn call(key: &Key, netns: &str, delegate: &Delegate, command: Command, id: usize) -> DelegateCall {
    DelegateCall {
        id: u32::try_from(id).unwrap_or(u32::MAX),
        plugin: delegate.plugin.clone(),
        environment: Environment {
            command,
            container_id: key.container_id.clone(),
            netns: netns.to_owned(),
            ifname: delegate.ifname.clone(),
            args: delegate.args.clone(),
            path: delegate.path.clone(),
            netns_override: false,
        },
        config: delegate.config.clone(),
        timeout_ms: TIMEOUT_MS,
        file: note::file_name(&key.network, &key.container_id, &key.ifname),
    }
}

/// The DELs that undo an attachment's delegates, last ADD first.
pub(crate) fn deletions(attachment: &Attachment) -> Vec<DelegateCall> {
    let each = attachment.delegates.iter().enumerate().rev();
    each.map(|(id, delegate)| {
        let add = call(&attachment.key, &attachment.netns, delegate, Command::Add, id);
        let result = delegate.result.as_deref().and_then(|text| serde_json::from_str(text).ok());
        delegate_file::deletion(&add, result.as_ref())
    })
    .collect()
}

/// Runs delegates' ADDs of an attachment from the `from`-th on, and keeps what they answered.
pub(crate) fn add(
    attachment: &mut Attachment,
    from: usize,
    conversation: &mut dyn Conversation,
) -> Result<Vec<CniResult>, Error> {
    let calls: Vec<DelegateCall> = attachment
        .delegates
        .iter()
        .enumerate()
        .skip(from)
        .map(|(id, delegate)| call(&attachment.key, &attachment.netns, delegate, Command::Add, id))
        .collect();
    let wanted = calls.len();
    let outcomes = conversation.run(calls).map_err(|gone| Error::new(code::TRY_AGAIN, gone.to_string()))?;
    let mut results = Vec::new();
    for outcome in outcomes {
        if let Some(error) = outcome.error {
            return Err(error);
        }
        let delegate = usize::try_from(outcome.id).ok().and_then(|id| attachment.delegates.get_mut(id));
        let delegate = delegate.ok_or_else(|| Error::new(code::DECODE, "an answer is to no call of ours"))?;
        let output = outcome.output.unwrap_or_default();
        results.push(CniResult::parse(&plugin_run::printed(&delegate.plugin, &output)?)?);
        delegate.result = Some(output);
    }
    if results.len() != wanted {
        return Err(Error::new(code::DELEGATE, "not every plugin was run"));
    }
    Ok(results)
}

impl Engine {
    /// Runs delegates' DELs; those that failed or could not be run stay in the record, and are owed.
    pub(crate) fn delete_delegates(&self, attachment: &mut Attachment, conversation: &mut dyn Conversation) {
        if attachment.delegates.is_empty() {
            return;
        }
        let settled = match conversation.run(deletions(attachment)) {
            Ok(outcomes) => settle(attachment, &outcomes),
            Err(gone) => {
                if gone.in_the_middle {
                    self.may_still_run(&attachment.key);
                }
                Err(Error::new(code::TRY_AGAIN, gone.to_string()))
            }
        };
        if let Err(error) = settled {
            tracing::warn!(key = %attachment.key, %error, "a plugin's DEL is owed");
        }
    }
}

/// Runs delegates' CHECKs, each with what its ADD answered, where the version has that command.
pub(crate) fn check(attachment: &Attachment, conversation: &mut dyn Conversation) -> Result<(), Error> {
    let each = attachment.delegates.iter().enumerate().filter(|(_, delegate)| has_check(&delegate.config));
    let calls: Vec<DelegateCall> = each
        .map(|(id, delegate)| {
            let add = call(&attachment.key, &attachment.netns, delegate, Command::Add, id);
            let result = delegate.result.as_deref().and_then(|text| serde_json::from_str(text).ok());
            delegate_file::check(&add, result.as_ref())
        })
        .collect();
    if calls.is_empty() {
        return Ok(());
    }
    let outcomes = conversation.run(calls).map_err(|gone| Error::new(code::TRY_AGAIN, gone.to_string()))?;
    outcomes.into_iter().find_map(|outcome| outcome.error).map_or(Ok(()), Err)
}

/// Versions before 0.4.0 have no CHECK.
fn has_check(config: &str) -> bool {
    let config: Option<serde_json::Value> = serde_json::from_str(config).ok();
    let version = config.as_ref().and_then(|config| config.get("cniVersion")?.as_str());
    version.is_some_and(|version| !matches!(version, "" | "0.1.0" | "0.2.0" | "0.3.0" | "0.3.1"))
}

/// Strikes out the delegates whose DEL went well.
fn settle(attachment: &mut Attachment, outcomes: &[Outcome]) -> Result<(), Error> {
    let ended =
        |id: usize| outcomes.iter().any(|outcome| outcome.id as usize == id && outcome.error.is_none());
    let mut id = 0;
    attachment.delegates.retain(|_| {
        id += 1;
        !ended(id - 1)
    });
    match outcomes.iter().find_map(|outcome| outcome.error.clone()) {
        Some(error) => Err(error),
        None if attachment.delegates.is_empty() => Ok(()),
        None => Err(Error::new(code::DELEGATE, "not every plugin was run")),
    }
}
