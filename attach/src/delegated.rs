//! Other plugins: what they are told, and what they told.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use cni::error::code;
use cni::protocol::{DelegateCall, Outcome};
use cni::{CniResult, Command, Environment, Error, delegate_file, note, plugin_run};

use crate::engine::Engine;
use crate::gate::Pass;
use crate::record::{Attachment, Delegate, Key, Phase};

/// Milliseconds that one plugin may take.
const TIMEOUT_MS: u64 = 60_000;

/// How long a debt that was handed to a caller is not handed to another one.
const HANDED: Duration = Duration::from_secs(5);

/// How often it is looked whether a debt is paid.
const HANDED_LOOK: Duration = Duration::from_millis(20);

/// Debts that a caller is handed at most.
const DEBTS: usize = 4;

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
}

/// For calls that no executable made.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoConversation;

impl Conversation for NoConversation {
    fn run(&mut self, calls: Vec<DelegateCall>) -> Result<Vec<Outcome>, Gone> {
        let plugin = calls.into_iter().next().map(|call| call.plugin).unwrap_or_default();
        Err(Gone { plugin, why: "the call did not come from the executable multi-nic".to_owned() })
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
fn deletions(attachment: &Attachment) -> Vec<DelegateCall> {
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

/// Runs delegates' DELs; those that failed or could not be run stay in the record.
pub(crate) fn del(attachment: &mut Attachment, conversation: &mut dyn Conversation) -> Result<(), Error> {
    if attachment.delegates.is_empty() {
        return Ok(());
    }
    let outcomes = conversation.run(deletions(attachment));
    let outcomes = outcomes.map_err(|gone| Error::new(code::TRY_AGAIN, gone.to_string()))?;
    settle(attachment, &outcomes)
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

impl Engine {
    /// DELs that are owed: of attachments that are otherwise taken apart.
    pub(crate) fn debts(&self) -> Vec<DelegateCall> {
        let book = self.book();
        let mut owed = book
            .attachments
            .values()
            .filter(|attachment| attachment.phase == Phase::Detaching && !attachment.delegates.is_empty());
        let Some(first) = owed.next() else { return Vec::new() };
        let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        handed.retain(|_, since| now.duration_since(*since) < HANDED);
        // Many callers at once must not all pay the same, and nobody what a call for the key is about to settle.
        let is_free = |key: &Key| !handed.contains_key(key) && self.is_idle(key);
        let mine: Vec<_> = std::iter::once(first)
            .chain(owed)
            .filter(|attachment| is_free(&attachment.key))
            .take(DEBTS)
            .collect();
        handed.extend(mine.iter().map(|attachment| (attachment.key.clone(), now)));
        mine.into_iter().flat_map(|attachment| deletions(attachment)).take(DEBTS).collect()
    }

    /// The one call at a time for a key that is attached or detached. Somebody may still run DELs of the key's plugins:
    /// they would undo what this call makes or the next one, so they are waited for.
    pub(crate) fn alone_for(&self, key: &Key) -> Result<Pass<'_, Key>, Error> {
        let end = Instant::now() + HANDED * 4;
        loop {
            let pass = self.one_for(key)?;
            let since = self.handed.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied();
            if since.is_none_or(|since| since.elapsed() >= HANDED) {
                return Ok(pass);
            }
            drop(pass);
            if Instant::now() > end {
                let words = format!("plugins' DELs of an earlier attachment of {key} are being run");
                return Err(Error::new(code::TRY_AGAIN, words));
            }
            std::thread::sleep(HANDED_LOOK);
        }
    }

    /// Whoever was handed debts by an agent that was killed may still be at them.
    pub(crate) fn debts_are_handed(&self) {
        let owed = self.attachments();
        let owed = owed.iter().filter(|one| one.phase == Phase::Detaching && !one.delegates.is_empty());
        let now = Instant::now();
        let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        handed.extend(owed.map(|attachment| (attachment.key.clone(), now)));
    }

    /// Takes in how debts went. Outcomes are in the order of the calls that were handed out.
    pub fn paid(&self, debts: &[DelegateCall], outcomes: &[Outcome]) {
        self.take_in(debts, outcomes);
        let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        handed.retain(|key, _| {
            let file = note::file_name(&key.network, &key.container_id, &key.ifname);
            debts.iter().all(|debt| debt.file != file)
        });
    }

    fn take_in(&self, debts: &[DelegateCall], outcomes: &[Outcome]) {
        for (debt, outcome) in debts.iter().zip(outcomes) {
            if outcome.error.is_some() {
                continue;
            }
            let owed = self.attachments().into_iter().find(|attachment| {
                attachment.phase == Phase::Detaching
                    && note::file_name(
                        &attachment.key.network,
                        &attachment.key.container_id,
                        &attachment.key.ifname,
                    ) == debt.file
            });
            let Some(owed) = owed else { continue };
            let Ok(_one) = self.one_for(&owed.key) else { continue };
            // Whoever held the key before may have settled it.
            let Some(owed) = self.attachment(&owed.key) else { continue };
            if owed.phase != Phase::Detaching {
                continue;
            }
            let mut owed = (*owed).clone();
            let before = owed.delegates.len();
            owed.delegates.retain(|delegate| {
                delegate.plugin != debt.plugin || delegate.ifname != debt.environment.ifname
            });
            if owed.delegates.len() < before {
                self.finish_detach(owed);
            }
        }
    }
}
