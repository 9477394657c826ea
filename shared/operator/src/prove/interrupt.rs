//! Ctrl-C: the first ends the proof in order, the second immediately.

use std::io;
use std::sync::Arc;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::Notify;

use crate::output;

/// The exit status after a second Ctrl-C, as shells have it for that signal.
const AT_ONCE: i32 = 130;

/// Catches Ctrl-C, the end of the terminal and the request to end, until the process ends.
#[derive(Debug)]
pub(super) struct Interrupt(Arc<Notify>);

impl Interrupt {
    /// From now on. `to_clean` is the command that removes what is left.
    ///
    /// # Errors
    /// If the system does not let signals be caught.
    pub(super) fn caught(to_clean: String) -> io::Result<Self> {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
        let notify = Arc::new(Notify::new());
        let told = Arc::clone(&notify);
        thread::spawn(move || {
            let mut came = signals.forever();
            if came.next().is_some() {
                output::complain(
                    "stopping, and removing the resources of the proof; a second Ctrl-C leaves them",
                );
                told.notify_one();
            }
            if came.next().is_some() {
                output::complain(&format!(
                    "stopped; to remove the resources left: {to_clean}"
                ));
                std::process::exit(AT_ONCE);
            }
        });
        Ok(Self(notify))
    }

    /// Is ready at the first one, also if it came before this was asked.
    pub(super) async fn first(&self) {
        self.0.notified().await;
    }
}
