//! `multi-nicd uninstall`: takes away what the agent left on a node for its next start.
//!
//! A step of its own, since nobody who stops an agent can say whether it comes back (TRAPS C3). It does nothing while
//! something is held: the DEL of a pod that runs needs executable, records and agent. The list goes first and the
//! executables last: as long as a runtime may start them, they are there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use attach::is_about;
use attach::record::Attachment;
use cni::note::{self, Note};
use store::{Identity, Lock, LockError, Store, StoreError, Table};

use crate::agent::{IPROUTE2, chain};
use crate::chained;
use crate::cli::Cli;
use crate::plugins::EXECUTABLES;
use crate::routes;

/// How long an agent may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Attachments that a message names; the rest is counted.
const NAMED: usize = 5;

/// Why something is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UninstallError {
    /// An agent runs.
    #[error("delete the agent first (its DaemonSet, where there is one)")]
    Lock(#[source] LockError),
    /// What is held is not known.
    #[error("nobody can say what pods hold")]
    Store(#[source] StoreError),
    /// Pods hold something.
    #[error(
        "{count} attachments are held ({}): nothing is taken away; delete these pods while the agent runs, then try again",
        some.join(", ")
    )]
    Held {
        /// How many.
        count: usize,
        /// Some of them.
        some: Vec<String>,
    },
    /// Routes or rules stay.
    #[error("take away routes and rules: {0}")]
    Routes(String),
    /// A file stays.
    #[error("take away {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The kernel's word.
        #[source]
        source: io::Error,
    },
}

/// Takes it away; what was taken, a line each. What is gone already is no error.
///
/// # Errors
/// When something is held or cannot be taken away. What comes after it in the order is still there then.
pub fn uninstall(cli: &Cli) -> Result<Vec<String>, UninstallError> {
    with(cli, PATIENCE, |store| routes::remove_all(store, Path::new(IPROUTE2)))
}

fn with(
    cli: &Cli,
    patience: Duration,
    remove_routes: impl Fn(Option<&Store>) -> Result<usize, String>,
) -> Result<Vec<String>, UninstallError> {
    let mut done = Vec::new();
    let state = &cli.state_dir;
    let store = match state.is_dir() {
        false => None,
        true => {
            let lock = Lock::acquire_within(state, patience).map_err(UninstallError::Lock)?;
            let (store, _) =
                Store::open(state, &Identity::of_this_machine()).map_err(UninstallError::Store)?;
            refuse_if_held(&store, state)?;
            Some((lock, store))
        }
    };
    if let Some(folder) = &cli.chain {
        let file = folder.join(chained::FILE);
        take(&mut done, &file, |file| fs::remove_file(file))?;
    }
    let store = store.as_ref().map(|(_, store)| store);
    let count = remove_routes(store).map_err(UninstallError::Routes)?;
    if count > 0 {
        done.push(format!("{count} routes and rules"));
    }
    for folder in [state, &cli.run_dir] {
        take(&mut done, folder, |folder| fs::remove_dir_all(folder))?;
    }
    if let Some(folder) = &cli.install_plugins {
        for name in EXECUTABLES {
            take(&mut done, &folder.join(name), |file| fs::remove_file(file))?;
        }
    }
    Ok(done)
}

/// What DELs without an agent have left a note of is held by nobody any more, nor is anything of an earlier boot; but what other
/// plugins still have to undo is.
fn refuse_if_held(store: &Store, state: &Path) -> Result<(), UninstallError> {
    let held: store::All<Attachment> = store.all(Table::Attachments).map_err(UninstallError::Store)?;
    // One that cannot be read is held all the same.
    let unreadable = held.unreadable.iter().map(|(key, error)| format!("{key}: {}", chain(error)));
    let (notes, boot) = (Note::all(state), note::boot_id());
    let is_held = |one: &Attachment| {
        let note = notes.iter().map(|(_, note)| note).find(|note| is_about(note, one));
        let is_over = one.boot != boot || note.is_some();
        let is_owed = !one.delegates.is_empty() && !note.is_some_and(|note| note.delegates_done);
        !is_over || is_owed
    };
    let records = held.records.iter().filter(|(_, one)| is_held(one)).map(|(key, _)| key.clone());
    let mut some: Vec<String> = records.chain(unreadable).collect();
    let count = some.len();
    some.truncate(NAMED);
    if count == 0 { Ok(()) } else { Err(UninstallError::Held { count, some }) }
}

fn take(
    done: &mut Vec<String>,
    path: &Path,
    remove: impl Fn(&Path) -> io::Result<()>,
) -> Result<(), UninstallError> {
    match remove(path) {
        Ok(()) => done.push(path.display().to_string()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(UninstallError::File { path: path.to_owned(), source }),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// A node's folders with everything in them.
    fn node() -> (tempfile::TempDir, Cli) {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name).display().to_string();
        for folder in ["state", "run", "net.d", "bin"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        for file in [
            "run/cni.sock",
            "net.d/00-multi-nic.conflist",
            "net.d/10-x.conflist",
            "bin/multi-nic",
            "bin/bridge",
        ] {
            fs::write(root.path().join(file), "").unwrap();
        }
        let (state, run, lists, bin) = (path("state"), path("run"), path("net.d"), path("bin"));
        let words = [
            "multi-nicd",
            "--state-dir",
            &state,
            "--run-dir",
            &run,
            "--chain",
            &lists,
            "--install-plugins",
            &bin,
            "uninstall",
        ];
        let cli = Cli::parse_from(words);
        (root, cli)
    }

    fn left(root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                found.push(path.strip_prefix(root).unwrap().display().to_string());
                if path.is_dir() {
                    folders.push(path);
                }
            }
        }
        found.sort();
        found
    }

    /// Uninstalls without patience, and without this machine's routes: those are another test's.
    fn now(cli: &Cli) -> Result<Vec<String>, UninstallError> {
        with(cli, Duration::ZERO, |_| Ok(2))
    }

    fn opened(cli: &Cli) -> Store {
        Store::open(&cli.state_dir, &Identity::of_this_machine()).unwrap().0
    }

    #[test]
    fn only_what_is_ours_goes_and_a_second_time_nothing() {
        let (root, cli) = node();
        drop(opened(&cli));

        assert_eq!(now(&cli).unwrap().len(), 5);

        assert_eq!(left(root.path()), ["bin", "bin/bridge", "net.d", "net.d/10-x.conflist"]);
        assert_eq!(now(&cli).unwrap(), ["2 routes and rules"]);
    }

    #[test]
    fn while_something_is_held_nothing_goes_and_it_is_named() {
        let (root, cli) = node();
        let store = opened(&cli);
        // Whatever it is: a record that cannot be read holds something, too.
        let mut batch = store::Batch::new();
        batch.put(Table::Attachments, "red/c1/net1", &"?").unwrap();
        store.commit(batch).unwrap();
        drop(store);
        let before = left(root.path());

        let error = now(&cli).unwrap_err().to_string();

        assert!(error.contains("1 attachments") && error.contains("red/c1/net1"), "{error}");
        let after: Vec<String> =
            left(root.path()).into_iter().filter(|file| file != "state/agent.lock").collect();
        assert_eq!(after, before);
    }

    /// An attachment as the store has it.
    fn attachment(boot: &str, delegates: bool) -> Attachment {
        let one =
            serde_json::json!({"plugin": "x", "ifname": "net1", "args": "", "path": "", "config": "{}"});
        serde_json::from_value(serde_json::json!({
            "key": {"network": "red", "containerId": "c1", "ifname": "net1"}, "phase": "attached", "boot": boot,
            "netns": "/run/netns/x", "sweepable": true, "digest": 0, "config": "{}", "since": 5, "group": 1,
            "links": [], "delegates": if delegates { vec![one] } else { vec![] },
            "chain": {"network": "lab", "ifname": "eth0", "name": "pods/red", "position": 0, "cluster": {}},
        }))
        .unwrap()
    }

    fn put(cli: &Cli, one: &Attachment) {
        let store = opened(cli);
        let mut batch = store::Batch::new();
        batch.put(Table::Attachments, "red/c1/net1", one).unwrap();
        store.commit(batch).unwrap();
    }

    #[test]
    fn what_was_deleted_without_an_agent_is_held_by_nobody() {
        let (_root, cli) = node();
        put(&cli, &attachment(&note::boot_id(), true));
        assert!(matches!(now(&cli), Err(UninstallError::Held { count: 1, .. })));
        let mut note = Note {
            network: "lab".into(),
            container_id: "c1".into(),
            ifname: "eth0".into(),
            boot: note::boot_id(),
            cookie: None,
            time: 6,
            delegates_done: false,
        };
        note.write(&cli.state_dir).unwrap();
        assert!(now(&cli).is_err(), "another plugin still has something to undo");
        note.delegates_done = true;
        note.write(&cli.state_dir).unwrap();
        now(&cli).unwrap();

        let (_root, cli) = node();
        put(&cli, &attachment("an earlier boot", false));
        now(&cli).unwrap();
    }

    #[test]
    fn while_an_agent_runs_nothing_goes() {
        let (root, cli) = node();
        let _agent = Lock::acquire(&cli.state_dir).unwrap();
        let before = left(root.path());

        assert!(matches!(now(&cli), Err(UninstallError::Lock(LockError::Held { .. }))));
        assert_eq!(left(root.path()), before);
    }
}
