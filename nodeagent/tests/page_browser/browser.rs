//! Chromium, driven by ChromeDriver's WebDriver API (W3C WebDriver 2), which needs no more than HTTP and JSON.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Longest wait for anything that will come, if it works at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// ChromeDriver's port; the network namespace is ours alone.
const PORT: u16 = 9515;

/// What keeps Chromium from asking anybody but us.
const SWITCHES: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
];

/// A browser with one tab; it ends with this value.
pub(crate) struct Browser {
    driver: Child,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Starts ChromeDriver and Chromium in the namespaces of this thread.
    pub(crate) fn start() -> Self {
        let profile = TempDir::new().unwrap();
        let driver = Command::new("chromedriver")
            .args([&format!("--port={PORT}"), "--log-level=SEVERE"])
            .env("TMPDIR", profile.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("the Debian package chromium-driver");
        let mut browser = Self { driver, session: String::new(), _profile: profile };
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, PORT)).is_err() {
            assert!(start.elapsed() < PATIENCE, "chromedriver does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut switches = SWITCHES.map(str::to_owned).to_vec();
        switches.push(format!("--user-data-dir={}", browser._profile.path().join("profile").display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": switches},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let session = browser.ask("POST", "/session", &wanted);
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        // The tab that Chromium begins with is a page of its own, with requests and messages of its own.
        browser.command("/url", &json!({"url": "about:blank"}));
        browser.log("browser");
        browser.log("performance");
        browser
    }

    /// Opens `url` and waits for the page's script to say that it is live.
    pub(crate) fn open(&self, url: &str) {
        self.show(url);
        self.wait_for("the page is live", "return document.getElementById('live').textContent === 'live'");
    }

    /// Opens `url` and waits until it is loaded.
    pub(crate) fn show(&self, url: &str) {
        self.command("/url", &json!({"url": url}));
    }

    /// Runs `script` in the page; its `return` value.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.command("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// The same, for a script that returns a text.
    pub(crate) fn text(&self, script: &str) -> String {
        self.run(script).as_str().unwrap_or_else(|| panic!("no text: {script}")).to_owned()
    }

    /// Runs `script` until it returns true.
    pub(crate) fn wait_for(&self, what: &str, script: &str) {
        let start = Instant::now();
        loop {
            let answer = self.run(script);
            if answer == true {
                return;
            }
            if start.elapsed() > PATIENCE {
                let shown = self.text("return document.body.innerText");
                panic!(
                    "waited in vain until {what}: {answer}; messages {:?}; the page:\n{shown}",
                    self.messages()
                );
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// A window of this size, CSS pixels.
    pub(crate) fn size(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// What the person's system prefers: `light` or `dark`.
    pub(crate) fn prefers(&self, scheme: &str) {
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &media);
    }

    /// Presses and releases keys, one after the other.
    pub(crate) fn press(&self, keys: &str) {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()})))
            .collect();
        self.command("/actions", &json!({"actions": [{"type": "key", "id": "keys", "actions": strokes}]}));
    }

    /// Messages of the browser's console since the last call.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.log("browser")
            .iter()
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Addresses that the page asked for since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        let sent = |entry: &Value| {
            let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &message["message"];
            (message["method"] == "Network.requestWillBeSent")
                .then(|| message["params"]["request"]["url"].as_str().map(str::to_owned))
                .flatten()
        };
        self.log("performance").iter().filter_map(sent).collect()
    }

    /// What every test ends with: no message in the console, and no request to anybody but the agent.
    pub(crate) fn asked_only(&self, origin: &str) {
        let requests = self.requests();
        assert!(requests.iter().any(|url| url.starts_with(origin)), "no request was recorded: {requests:?}");
        let others: Vec<&String> =
            requests.iter().filter(|url| !url.starts_with(origin) && !url.starts_with("data:")).collect();
        assert!(others.is_empty(), "asked others: {others:?}");
        assert_eq!(self.messages(), Vec::<String>::new());
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        self.command("/se/log", &json!({"type": kind})).as_array().cloned().unwrap_or_default()
    }

    fn devtools(&self, command: &str, parameters: &Value) {
        self.command("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}));
    }

    fn command(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}{path}", self.session), body)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = http(PORT, method, path, Some(body)).unwrap();
        assert_eq!(status, 200, "{method} {path}: {}", answer["value"]["message"]);
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // Chromium is chromedriver's child: ended before its parent, it leaves nobody behind.
            let path = format!("/session/{}", self.session);
            let _ = http(PORT, "DELETE", &path, None);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// One request to a port of the loopback address; status and JSON body (null when it is none).
pub(crate) fn http(port: u16, method: &str, path: &str, body: Option<&Value>) -> io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE * 2))?;
    let body = body.map(Value::to_string).unwrap_or_default();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let mut length = 0;
    while {
        line.clear();
        stream.read_line(&mut line)? > 2
    } {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let status = status.ok_or_else(|| io::Error::other("no status"))?;
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}
