//! A private machine for one test: network namespace, own `/sys`, own folders, and a real agent in it.
//!
//! `Lab::new` moves the *calling thread* into a fresh network and mount namespace; whatever it starts (the agent,
//! `ip`, `curl`) is in there too, and so are sockets that it opens. REQUIRES: root.

#![allow(dead_code, reason = "each test file uses its own part of the harness")]

pub(crate) mod api_way;
pub(crate) mod events;
pub(crate) mod http;
pub(crate) mod pods;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// How long a test waits for what has to come. Only a failing test waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The private machine.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    /// Moves the calling thread into a fresh machine whose loopback link is up.
    pub(crate) fn new() -> Self {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("own namespaces (needs root)");
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
        // /sys shows the network namespace of whoever mounted it.
        mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none).expect("own /sys");
        // An agent in a cluster names its route tables there, for every `ip` of this host to see.
        let names = "/etc/iproute2/rt_tables.d";
        if std::path::Path::new(names).exists() {
            mount(Some("tmpfs"), names, Some("tmpfs"), MsFlags::empty(), none).expect("own names of tables");
        }
        let lab = Self { folder: tempfile::tempdir().expect("a folder") };
        lab.ip("link set lo up");
        lab
    }

    /// Stays in the machine that the test was started in (the lab VM).
    pub(crate) fn here() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    /// A path in the test's own folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `ip` and gives its output.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        run("ip", arguments)
    }

    /// Starts an agent with an open re-probe interval `off` and a TCP port of the kernel's choice; waits until it is ready.
    pub(crate) fn agent(&self) -> Agent {
        self.agent_with(&["--reprobe-interval", "off", "--listen", "127.0.0.1:0"])
    }

    /// Starts an agent with these flags beside its folders; waits until it is ready.
    pub(crate) fn agent_with(&self, flags: &[&str]) -> Agent {
        let mut agent = self.start(flags);
        agent.wait_until_ready();
        agent
    }

    /// Starts an agent that is told its mode by `mode`; waits until it is ready.
    pub(crate) fn agent_in(&self, mode: &[&str], flags: &[&str]) -> Agent {
        let log = self.new_log();
        let mut command = self.command_in(mode, flags);
        command.stderr(fs::File::create(&log).expect("the log"));
        let mut agent = self.spawn(command, log);
        agent.wait_until_ready();
        agent
    }

    /// The agent's command with its folders and these flags, without a cluster.
    pub(crate) fn command(&self, flags: &[&str]) -> Command {
        self.command_in(&["--standalone"], flags)
    }

    /// The agent's command with its mode, its folders and these flags.
    fn command_in(&self, mode: &[&str], flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_multi-nicd"));
        command
            .args(mode)
            .arg("--config")
            .arg(self.path("config"))
            .arg("--state-dir")
            .arg(self.path("state"))
            .arg("--run-dir")
            .arg(self.path("run"))
            .args(flags)
            .env_remove("NOTIFY_SOCKET")
            .env_remove("JOURNAL_STREAM")
            .env_remove("INVOCATION_ID")
            .process_group(0);
        command
    }

    /// Writes `agent.yaml`.
    pub(crate) fn configure(&self, text: &str) {
        fs::create_dir_all(self.path("config")).expect("the folder");
        fs::write(self.path("config/agent.yaml"), text).expect("agent.yaml");
    }

    /// Starts an agent without waiting for it.
    pub(crate) fn start(&self, flags: &[&str]) -> Agent {
        self.start_failing(flags, "")
    }

    /// Starts an agent that fails where `MULTI_NIC_FAIL` says, without waiting for it.
    pub(crate) fn start_failing(&self, flags: &[&str], fail: &str) -> Agent {
        let log = self.new_log();
        let file = fs::File::create(&log).expect("the log");
        let mut command = self.command(flags);
        command.env("MULTI_NIC_FAIL", fail).stderr(file);
        self.spawn(command, log)
    }

    fn new_log(&self) -> PathBuf {
        self.path(&format!("log-{}", fs::read_dir(self.folder.path()).expect("the folder").count()))
    }

    /// Starts an agent that runs as another user, to whom all of the test's folder is given.
    pub(crate) fn start_as(&self, uid: u32, flags: &[&str]) -> Agent {
        let log = self.path("log");
        let file = fs::File::create(&log).expect("the log");
        // The folder that it was built in may be root's alone.
        let program = self.within_reach(Path::new(env!("CARGO_BIN_EXE_multi-nicd")));
        let usual = self.command(flags);
        let mut command = Command::new(program);
        command.args(usual.get_args()).process_group(0).uid(uid).gid(uid).stderr(file);
        run("chown", &format!("-R {uid}:{uid} {}", self.folder.path().display()));
        self.spawn(command, log)
    }

    fn spawn(&self, mut command: Command, log: PathBuf) -> Agent {
        command.args(["--log-format", "text"]).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().expect("start multi-nicd");
        Agent { child, socket: self.path("run/api.sock"), log }
    }

    /// A program at a path that every user can come to.
    pub(crate) fn within_reach(&self, program: &Path) -> PathBuf {
        let place = self.path("bin").join(program.file_name().expect("a name"));
        fs::create_dir_all(self.path("bin")).expect("a folder");
        fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o755)).expect("an open folder");
        fs::File::create(&place).expect("a file");
        let none: Option<&str> = None;
        mount(Some(program), &place, none, MsFlags::MS_BIND, none)
            .unwrap_or_else(|error| panic!("{}: {error}: is it built?", program.display()));
        place
    }
}

/// A running agent. Killed when dropped; its log is printed when the test fails.
pub(crate) struct Agent {
    child: Child,
    pub(crate) socket: PathBuf,
    log: PathBuf,
}

impl Agent {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("its state")
    }

    /// Waits until it is ready; no when it has ended instead.
    pub(crate) fn gets_ready(&mut self) -> bool {
        wait_for("the agent to be ready or dead", || {
            let reply = http::unix(&self.socket, "GET", "/readyz", &[]);
            let ready = reply.is_ok_and(|reply| reply.status == 200);
            (ready || self.ended().is_some()).then_some(ready)
        })
    }

    fn wait_until_ready(&mut self) {
        wait_for("the agent to be ready", || {
            if let Some(status) = self.child.try_wait().expect("its state") {
                panic!("the agent ended: {status}");
            }
            http::unix(&self.socket, "GET", "/readyz", &[]).ok().filter(|reply| reply.status == 200)
        });
    }

    /// `GET` over the Unix socket.
    pub(crate) fn get(&self, path: &str) -> http::Reply {
        self.get_with(path, &[])
    }

    /// `GET` over the Unix socket with header fields.
    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> http::Reply {
        http::unix(&self.socket, "GET", path, headers).expect("an answer")
    }

    /// A request with a JSON body over the Unix socket.
    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> http::Reply {
        http::unix_with(&self.socket, method, path, &body.to_string()).expect("an answer")
    }

    /// The NIC that a name, id or address names.
    pub(crate) fn nic(&self, name: &str) -> Option<Value> {
        let reply = self.get(&format!("/v1/nics/{name}"));
        (reply.status == 200).then(|| reply.json())
    }

    /// Waits until `/v1/nics` shows what is wanted of a NIC.
    pub(crate) fn wait_for_nic(&self, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for(&format!("{name}: {what}"), || self.nic(name).filter(|nic| wanted(nic)))
    }

    /// The TCP address that it listens on. It opens right after the Unix socket.
    pub(crate) fn tcp(&self) -> std::net::SocketAddr {
        wait_for("an open port", || {
            let ready = self.get("/readyz").json();
            let open = ready["listeners"].as_array()?.iter().filter(|one| one["state"] == "open");
            open.filter_map(|one| one["address"].as_str()?.parse().ok()).next()
        })
    }

    /// Follows `/v1/events` over the Unix socket.
    pub(crate) fn events(&self, query: &str, headers: &[(&str, &str)]) -> events::Events {
        events::Events::open(&self.socket, query, headers)
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("the signal");
    }

    /// Ends it with SIGTERM and gives its status and how long it took.
    pub(crate) fn stop(&mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        self.signal(Signal::SIGTERM);
        (self.wait(), begun.elapsed())
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("the agent to end", || self.child.try_wait().expect("its state"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the agent\n{}---", self.log());
        }
    }
}

/// Waits until `look` finds something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {} s for {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a program and gives its output; it has to succeed.
pub(crate) fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program).args(arguments.split_whitespace()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// Writes a file of `/sys`.
pub(crate) fn write(path: impl AsRef<Path>, text: &str) {
    let path = path.as_ref();
    fs::write(path, text).unwrap_or_else(|error| panic!("{} ← {text}: {error}", path.display()));
}
