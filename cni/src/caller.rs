//! What the executables do: read, hand over, run what the agent names, print (issue "Pods get NICs" §1).

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::fstat;
use nix::sys::statfs::fstatfs;
use serde::Deserialize;

use crate::config::NetConf;
use crate::delegate_file::DelegateFile;
use crate::environment::{Command, Environment};
use crate::error::{Error, code};
use crate::note::{self, Note};
use crate::plugin_run;
use crate::protocol::{Answer, Call, Connection, DelegateCall, Outcome, PROTOCOL, Ran, Tool};
use crate::version;

/// How long an agent that is away is waited for.
const PATIENCE: Duration = Duration::from_millis(1000);

/// How long an agent may say nothing.
const SILENCE: Duration = Duration::from_secs(300);

/// How long debts may take.
const DEBT_TIME: Duration = Duration::from_secs(2);

/// Bytes of standard input at most.
const INPUT: u64 = 3 * 1024 * 1024;

/// Magic number of nsfs (`NSFS_MAGIC`, linux/magic.h).
const NSFS: i64 = 0x6e73_6673;

/// Runs an executable and gives its exit status.
pub fn main(tool: Tool) -> i32 {
    if std::env::args().nth(1).as_deref() == Some("--pay-debts") {
        return pay_debts(tool);
    }
    if std::env::var_os("CNI_COMMAND").is_none() && io::stdin().is_terminal() {
        eprint(&format!(
            "{} {}: CNI plugin of Multi-NIC\nCNI protocol versions supported: {}\n",
            name(tool),
            env!("CARGO_PKG_VERSION"),
            version::Version::ALL.map(version::Version::as_str).join(", ")
        ));
        return 0;
    }
    let mut printed_version = None;
    match serve(tool, &mut printed_version) {
        Ok(status) => status,
        Err(error) => {
            print(&error.print(printed_version.as_deref()));
            1
        }
    }
}

fn name(tool: Tool) -> &'static str {
    match tool {
        Tool::MultiNic => "multi-nic",
        Tool::MultiNicIpam => "multi-nic-ipam",
    }
}

fn print(text: &str) {
    let mut out = io::stdout().lock();
    drop(out.write_all(text.as_bytes()));
    drop(out.write_all(b"\n"));
    drop(out.flush());
}

fn eprint(text: &str) {
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

fn folder(variable: &str, default: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| PathBuf::from(default), PathBuf::from)
}

/// What is needed of the configuration before the agent has read it.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Head {
    #[serde(rename = "cniVersion")]
    version: Option<String>,
    name: Option<String>,
}

struct Work {
    call: Call,
    netns: Option<OwnedFd>,
    /// Name of the network, for the files.
    network: String,
    state_dir: PathBuf,
}

fn serve(tool: Tool, printed_version: &mut Option<String>) -> Result<i32, Error> {
    let environment =
        Environment::read(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))?;
    if environment.command == Command::Version {
        print(&version::supported());
        return Ok(0);
    }
    let mut config = String::new();
    io::stdin().lock().take(INPUT).read_to_string(&mut config).map_err(|error| {
        Error::new(code::IO, format!("read the configuration from standard input: {error}"))
    })?;
    let head: Head = serde_json::from_str(&config).unwrap_or_default();
    *printed_version = head.version;
    let netns = match namespace(&environment)? {
        Namespace::Open(fd) => Some(fd),
        Namespace::Away => None,
        Namespace::Own => return Ok(0),
    };
    let network = head.name.filter(|name| crate::environment::is_name(name)).unwrap_or_default();
    let call = Call { protocol: PROTOCOL, tool, environment, config, pay_debts: false };
    let work = Work { call, netns, network, state_dir: folder("MULTI_NIC_STATE_DIR", crate::STATE_DIR) };
    let socket = folder("MULTI_NIC_RUN_DIR", crate::RUN_DIR).join(crate::SOCKET);
    match connect(&socket, PATIENCE) {
        Some(connection) => work.converse(&connection).or_else(|gone| work.without_agent(&socket, gone)),
        None => work.without_agent(&socket, Gone::Away),
    }
}

enum Namespace {
    Open(OwnedFd),
    /// DEL of a namespace that is no more, or a command without one.
    Away,
    /// DEL in this program's own namespace: nothing of ours is there.
    Own,
}

/// Opens the namespace; the host's own is refused before anything is done.
fn namespace(environment: &Environment) -> Result<Namespace, Error> {
    let deleting = environment.command == Command::Del;
    if !environment.command.is_of_container() || environment.netns.is_empty() {
        return Ok(Namespace::Away);
    }
    let wrong = |words: String| {
        Error::new(code::INVALID_NAMESPACE, format!("CNI_NETNS: {}: {words}", environment.netns))
    };
    let file = match File::open(&environment.netns) {
        Ok(file) => file,
        Err(_) if deleting => return Ok(Namespace::Away),
        Err(error) => return Err(wrong(format!("cannot be opened: {error}"))),
    };
    // A dead bind mount leaves a plain file at the path.
    if fstatfs(&file).map_or(true, |found| found.filesystem_type().0 != NSFS) {
        return if deleting { Ok(Namespace::Away) } else { Err(wrong("is no network namespace".to_owned())) };
    }
    let own = File::open("/proc/thread-self/ns/net").and_then(|own| Ok(fstat(&own)?));
    let same = match (own, fstat(&file)) {
        (Ok(own), Ok(its)) => own.st_ino == its.st_ino && own.st_dev == its.st_dev,
        _ => false,
    };
    if same && !environment.netns_override {
        return if deleting {
            Ok(Namespace::Own)
        } else {
            Err(wrong("is the host's own network namespace".to_owned()))
        };
    }
    Ok(Namespace::Open(file.into()))
}

fn connect(socket: &Path, patience: Duration) -> Option<Connection> {
    let end = Instant::now() + patience;
    loop {
        if let Ok(connection) = Connection::connect(socket) {
            connection.set_deadline(SILENCE).ok()?;
            return Some(connection);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The agent is not there to answer.
enum Gone {
    Away,
    InTheMiddle(io::Error),
}

impl Work {
    fn converse(&self, connection: &Connection) -> Result<i32, Gone> {
        let gone = Gone::InTheMiddle;
        connection.send(&self.call, self.netns.as_ref().map(AsFd::as_fd)).map_err(gone)?;
        loop {
            let (answer, _) = connection.receive::<Answer>().map_err(Gone::InTheMiddle)?;
            match answer {
                Answer::Run(calls) => {
                    let outcomes = self.run(&calls);
                    connection.send(&Ran { outcomes }, None).map_err(Gone::InTheMiddle)?;
                }
                Answer::Done { output, debts } => {
                    if let Some(output) = output {
                        print(&output);
                    }
                    if self.call.environment.command == Command::Del {
                        DelegateFile::remove(&self.state_dir, &self.file());
                    }
                    self.pay(connection, &debts);
                    return Ok(0);
                }
                Answer::Failed { error, debts } => {
                    print(&error.print(error.version.as_deref()));
                    self.pay(connection, &debts);
                    return Ok(1);
                }
            }
        }
    }

    fn file(&self) -> String {
        let environment = &self.call.environment;
        note::file_name(&self.network, &environment.container_id, &environment.ifname)
    }

    /// Runs plugins. What an ADD gets is written down before it runs, what it answered after it.
    fn run(&self, calls: &[DelegateCall]) -> Vec<Outcome> {
        let adds = calls.iter().any(|call| call.environment.command == Command::Add);
        let mut file = DelegateFile::read(&self.state_dir, &self.file()).unwrap_or_default();
        if adds {
            file.add(calls);
            if let Err(error) = file.write(&self.state_dir, &self.file()) {
                let words = format!("write {} below {}: {error}", self.file(), self.state_dir.display());
                let error = Error::new(code::TRY_AGAIN, words);
                return calls
                    .iter()
                    .take(1)
                    .map(|call| Outcome { id: call.id, output: None, error: Some(error.clone()) })
                    .collect();
            }
        }
        let mut outcomes = Vec::new();
        for call in calls {
            let outcome = plugin_run::run(call, &self.call.environment);
            let failed = outcome.error.is_some();
            if let Some(output) = &outcome.output
                && let Some(known) = file.delegates.iter_mut().find(|known| known.call == *call)
            {
                known.result = serde_json::from_str(output).ok();
            }
            if !adds && !failed && call.file != self.file() {
                DelegateFile::remove(&self.state_dir, &call.file);
            }
            outcomes.push(outcome);
            if adds && failed {
                break;
            }
        }
        if adds {
            // Only DEL's convenience: the agent has the results, too.
            drop(file.write(&self.state_dir, &self.file()));
        }
        outcomes
    }

    fn pay(&self, connection: &Connection, debts: &[DelegateCall]) {
        if debts.is_empty() {
            return;
        }
        let end = Instant::now() + DEBT_TIME;
        let mut outcomes = Vec::new();
        for debt in debts {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let mut debt = debt.clone();
            debt.timeout_ms = debt.timeout_ms.min(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
            let outcome = plugin_run::run(&debt, &self.call.environment);
            if outcome.error.is_none() {
                DelegateFile::remove(&self.state_dir, &debt.file);
            }
            outcomes.push(outcome);
        }
        drop(connection.send(&Ran { outcomes }, None));
    }

    /// What can be answered without the agent.
    fn without_agent(&self, socket: &Path, gone: Gone) -> Result<i32, Error> {
        let words = match gone {
            Gone::Away => "the agent multi-nicd does not answer".to_owned(),
            Gone::InTheMiddle(error) => format!("the agent multi-nicd went away in the middle: {error}"),
        };
        let conf = NetConf::parse(&self.call.config)?;
        let command = self.call.environment.command;
        conf.version.allow(command)?;
        match command {
            Command::Del => self.remember_deletion(socket),
            Command::Gc => Ok(0),
            Command::Check | Command::Status => Err(Error::new(code::NOT_AVAILABLE, words)),
            Command::Add | Command::Version => Err(Error::new(code::TRY_AGAIN, words)
                .with_details(format!("it listens at {}", socket.display()))),
        }
    }

    fn remember_deletion(&self, socket: &Path) -> Result<i32, Error> {
        let file = DelegateFile::read(&self.state_dir, &self.file());
        let mut delegates_done = true;
        for call in file.iter().flat_map(DelegateFile::deletions) {
            let outcome = plugin_run::run(&call, &self.call.environment);
            if let Some(error) = outcome.error {
                eprint(&format!("{error}\n"));
                delegates_done = false;
            }
        }
        let environment = &self.call.environment;
        let note = Note {
            network: self.network.clone(),
            container_id: environment.container_id.clone(),
            ifname: environment.ifname.clone(),
            boot: note::boot_id(),
            cookie: self.netns.as_ref().and_then(|fd| cookie(fd).ok()),
            time: note::now(),
            delegates_done,
        };
        note.write(&self.state_dir).map_err(|error| {
            let words =
                format!("the agent multi-nicd does not answer, and no note for it can be written: {error}");
            Error::new(code::TRY_AGAIN, words).with_details(format!("in {}", self.state_dir.display()))
        })?;
        if delegates_done && file.is_some() {
            DelegateFile::remove(&self.state_dir, &self.file());
        }
        // It may have come back between our look and the note, after it had read the notes.
        if let Some(connection) = connect(socket, Duration::ZERO)
            && let Ok(status) = self.converse(&connection)
        {
            return Ok(status);
        }
        Ok(0)
    }
}

/// Cookie of the namespace. This program stays inside: it ends soon and has nothing else to do.
fn cookie(netns: &OwnedFd) -> io::Result<u64> {
    let home = File::open("/proc/thread-self/ns/net")?;
    setns(netns, CloneFlags::CLONE_NEWNET)?;
    let inside = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
    let found =
        inside.map_err(io::Error::from).and_then(|socket| crate::sys::namespace_cookie(socket.as_fd()));
    setns(&home, CloneFlags::CLONE_NEWNET)?;
    found
}

/// `--pay-debts`: asks for debts until there are none.
fn pay_debts(tool: Tool) -> i32 {
    let path = std::env::var("CNI_PATH").unwrap_or_else(|_| "/opt/cni/bin".to_owned());
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
    let state_dir = folder("MULTI_NIC_STATE_DIR", crate::STATE_DIR);
    let work = Work { call, netns: None, network: String::new(), state_dir };
    let socket = folder("MULTI_NIC_RUN_DIR", crate::RUN_DIR).join(crate::SOCKET);
    let Some(connection) = connect(&socket, PATIENCE) else {
        eprint(&format!("the agent multi-nicd does not answer at {}\n", socket.display()));
        return 1;
    };
    match work.converse(&connection) {
        Ok(status) => status,
        Err(_) => {
            eprint("the agent multi-nicd went away in the middle\n");
            1
        }
    }
}
