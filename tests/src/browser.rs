//! A real browser without a window, for the pages that people get.
//!
//! Chromium is driven over the DevTools protocol, <https://chromedevtools.github.io/devtools-protocol/>,
//! through a pipe: no port is opened, no driver has to match its version, and it ends when the pipe closes,
//! even if this process is killed. The messages are JSON, each ended by a zero byte.

mod accessible;

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::Result;

/// How long the browser may take to answer. Only a hanging one does.
const PATIENCE: Duration = Duration::from_secs(60);

/// The programs that are looked for, in this order, where the environment has no `CHROMIUM`.
const PROGRAMS: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// It asks nobody for anything by itself, and starts without a past.
const FLAGS: [&str; 10] = [
    "--headless",
    // It shows files of this checkout's own making, and runs as root in containers.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
];

/// A browser with one tab.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    messages: Receiver<Value>,
    /// What came while something else was waited for.
    events: VecDeque<Value>,
    last_id: u64,
    session: Option<String>,
    /// What the page that is open asked for or complained of.
    problems: Vec<String>,
    address: String,
    _profile: tempfile::TempDir,
}

/// What a page is shown on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    Desktop,
    /// Dark, as the reader's system asks for.
    Dark,
    /// 360 pixels wide.
    Phone,
    Paper,
}

impl Medium {
    pub const ALL: [Self; 4] = [Self::Desktop, Self::Dark, Self::Phone, Self::Paper];

    /// In pixels of CSS. A4 is about 794 of them wide.
    fn width(self) -> u32 {
        match self {
            Self::Desktop | Self::Dark => 1280,
            Self::Phone => 360,
            Self::Paper => 794,
        }
    }
}

impl Browser {
    pub fn start() -> Result<Self> {
        let profile = tempfile::tempdir()?;
        // Chromium reads messages from descriptor 3 and writes them to 4.
        let mut process = Command::new("sh")
            .args(["-c", r#"exec "$@" 3<&0 4>&1 0</dev/null 1>/dev/null"#, "sh"])
            .arg(program()?)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let messages = read(process.stdout.take().ok_or("no output")?);
        let mut browser = Self {
            process,
            messages,
            events: VecDeque::new(),
            last_id: 0,
            session: None,
            problems: Vec::new(),
            address: String::new(),
            _profile: profile,
        };
        let tab = browser.call("Target.createTarget", json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": tab["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach)?;
        browser.session = attached["sessionId"].as_str().map(ToOwned::to_owned);
        for domain in [
            "Page",
            "Runtime",
            "Log",
            "Network",
            "Audits",
            "Accessibility",
        ] {
            browser.call(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(browser)
    }

    /// Opens a file and waits until it is there, with what its script does at once.
    pub fn open(&mut self, file: &Path) -> Result {
        let file = file.canonicalize()?;
        self.call("Page.navigate", json!({ "url": "about:blank" }))?;
        self.wait_for("Page.loadEventFired")?;
        self.problems.clear();
        self.address = format!("file://{}", file.display());
        let opened = self.call("Page.navigate", json!({ "url": self.address }))?;
        if let Some(error) = opened["errorText"].as_str() {
            return Err(format!("{}: {error}", file.display()).into());
        }
        self.wait_for("Page.loadEventFired")
    }

    /// Shows the page on `medium` from now on.
    pub fn show_on(&mut self, medium: Medium) -> Result {
        let size = json!({
            "width": medium.width(), "height": 800, "deviceScaleFactor": 1,
            "mobile": medium == Medium::Phone,
        });
        self.call("Emulation.setDeviceMetricsOverride", size)?;
        let scheme = if medium == Medium::Dark {
            "dark"
        } else {
            "light"
        };
        let media = json!({
            "media": if medium == Medium::Paper { "print" } else { "screen" },
            "features": [{ "name": "prefers-color-scheme", "value": scheme }],
        });
        self.call("Emulation.setEmulatedMedia", media).map(drop)
    }

    /// The value of an expression in the page.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let ask = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", ask)?;
        match answer.get("exceptionDetails") {
            Some(details) => Err(format!("{expression}: {details}").into()),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// The text that a reader sees.
    pub fn text(&mut self) -> Result<String> {
        let text = self.evaluate("document.body.innerText")?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Presses a key and lets it go: `Tab`, `Enter`, `Space`, `Escape`, `ArrowDown`, `ArrowUp`.
    pub fn press(&mut self, key: &str) -> Result {
        let (key, code, number, text) = match key {
            "Tab" => ("Tab", "Tab", 9, ""),
            "Enter" => ("Enter", "Enter", 13, "\r"),
            "Space" => (" ", "Space", 32, " "),
            "Escape" => ("Escape", "Escape", 27, ""),
            "ArrowDown" => ("ArrowDown", "ArrowDown", 40, ""),
            "ArrowUp" => ("ArrowUp", "ArrowUp", 38, ""),
            other => return Err(format!("no key {other}").into()),
        };
        let mut event =
            json!({ "key": key, "code": code, "windowsVirtualKeyCode": number, "text": text });
        for kind in ["keyDown", "keyUp"] {
            event["type"] = kind.into();
            self.call("Input.dispatchKeyEvent", event.clone())?;
        }
        Ok(())
    }

    /// Types text into what has the focus.
    pub fn write(&mut self, text: &str) -> Result {
        self.call("Input.insertText", json!({ "text": text }))
            .map(drop)
    }

    /// What the page asked the network for, what its policy refused, and what its scripts complained of.
    pub fn problems(&mut self) -> Result<Vec<String>> {
        // Whatever came before the answer has been read with it.
        self.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")?;
        Ok(self.problems.clone())
    }

    /// Ends the browser and waits until it is gone.
    pub fn stop(mut self) -> Result {
        self.session = None;
        self.call("Browser.close", json!({}))?;
        self.process.wait()?;
        Ok(())
    }

    fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.last_id += 1;
        let id = self.last_id;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let to = self.process.stdin.as_mut().ok_or("no input")?;
        to.write_all(format!("{message}\0").as_bytes())?;
        to.flush()?;
        loop {
            let mut message = self.receive()?;
            if message["id"] != id {
                self.note(&message);
                self.events.push_back(message);
                continue;
            }
            return match message.get("error") {
                Some(error) => Err(format!("{method}: {error}").into()),
                None => Ok(message["result"].take()),
            };
        }
    }

    fn wait_for(&mut self, event: &str) -> Result {
        loop {
            let message = match self.events.pop_front() {
                Some(message) => message,
                None => {
                    let message = self.receive()?;
                    self.note(&message);
                    message
                }
            };
            if message["method"] == event {
                return Ok(());
            }
        }
    }

    fn receive(&self) -> Result<Value> {
        self.messages
            .recv_timeout(PATIENCE)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => "the browser does not answer".into(),
                RecvTimeoutError::Disconnected => "the browser has ended".into(),
            })
    }

    fn note(&mut self, message: &Value) {
        let told = &message["params"];
        let problem = match message["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                let url = told["request"]["url"].as_str().unwrap_or_default();
                let own = url == self.address || url.starts_with("about:");
                (!own).then(|| format!("asked for {url}"))
            }
            "Runtime.exceptionThrown" => Some(format!("threw {}", told["exceptionDetails"])),
            "Runtime.consoleAPICalled" => Some(format!("wrote to the console {}", told["args"])),
            "Log.entryAdded" => Some(format!("was logged {}", told["entry"]["text"])),
            "Audits.issueAdded" => Some(format!("has an issue {}", told["issue"])),
            "Page.javascriptDialogOpening" => Some(format!("opened a dialog {}", told["message"])),
            _ => None,
        };
        self.problems.extend(problem);
    }
}

/// The browser of this machine.
fn program() -> Result<PathBuf> {
    if let Ok(program) = std::env::var("CHROMIUM") {
        return Ok(program.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let mut candidates = PROGRAMS
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    candidates.find(|program| program.is_file()).ok_or_else(|| {
        "there is no Chromium for the tests of the pages: install it (Debian: apt-get install \
         chromium), or set CHROMIUM to the path of Chromium or Chrome"
            .into()
    })
}

fn read(from: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let messages = BufReader::new(from).split(0);
        let messages = messages.map_while(std::result::Result::ok);
        for message in messages.filter_map(|bytes| serde_json::from_slice(&bytes).ok()) {
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    receiver
}
