//! What the demo says to the person who watches it.

#![expect(clippy::print_stdout, reason = "the demo talks on standard output")]

use std::io::{IsTerminal as _, Write as _, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

#[derive(Clone, Copy)]
pub enum Mark {
    Good,
    Bad,
    Danger,
}

/// Numbers the stages and counts what went wrong.
#[derive(Default)]
pub struct Console {
    stage: usize,
    failures: usize,
}

impl Console {
    pub fn stage(&mut self, title: &str) {
        self.stage += 1;
        println!("\n{}", paint("1", &format!("{}. {title}", self.stage)));
    }

    /// One line; a bad one makes the demo fail.
    pub fn line(&mut self, mark: Mark, text: &str, evidence: &str) {
        let sign = match mark {
            Mark::Good => paint("32", "✓"),
            Mark::Danger => paint("33", "!"),
            Mark::Bad => {
                self.failures += 1;
                paint("31", "✗")
            }
        };
        println!("   {sign} {text} {}", paint("2", &format!("({evidence})")));
    }

    /// Good or bad, by whether what was seen is what must be.
    pub fn check(&mut self, holds: bool, text: &str, evidence: &str) {
        self.line(if holds { Mark::Good } else { Mark::Bad }, text, evidence);
    }

    pub fn heading(&self, text: &str) {
        println!("\n   {}", paint("1", text));
    }

    /// What the reader must know to follow.
    pub fn say(&self, text: &str) {
        println!("   {text}");
    }

    #[must_use]
    pub fn failures(&self) -> usize {
        self.failures
    }

    /// Text that belongs to the line before.
    pub fn detail(&self, text: &str) {
        println!("     - {text}");
    }
}

fn paint(code: &str, text: &str) -> String {
    if stdout().is_terminal() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// Shows that something is going on until it is dropped.
pub struct Busy {
    done: Arc<AtomicBool>,
    ticker: Option<JoinHandle<()>>,
}

impl Busy {
    #[must_use]
    pub fn with(text: &str) -> Self {
        print!("   {text} ");
        let done = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&done);
        let ticker = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                print!(".");
                // A closed standard output must not end the demo from here.
                let _closed = stdout().flush();
                std::thread::park_timeout(Duration::from_secs(1));
            }
            println!();
        });
        Self {
            done,
            ticker: Some(ticker),
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(ticker) = self.ticker.take() {
            ticker.thread().unpark();
            let _panicked = ticker.join();
        }
    }
}
