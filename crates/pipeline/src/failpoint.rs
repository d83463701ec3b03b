//! Places where a test may kill the process with signal 9, as a power cut would stop it, or freeze
//! it until SIGCONT, as a host that hangs would.
//!
//! `CAP_FAILPOINTS="after_commit=kill@3,before_delete=kill"` kills it at the third commit or the
//! first deletion, whichever comes first; `freeze` instead of `kill` freezes it there. Release builds
//! have none of it.

/// Every place there is, in the order a message passes them.
pub const NAMES: &[&str] = &[
    "after_receive",
    "after_load",
    // Request ids are claimed.
    "after_prepare",
    "before_begin",
    "after_begin",
    // Each statement of the transaction.
    "after_fence",
    "after_rows",
    "after_states",
    "after_park",
    "after_redriven",
    "before_commit",
    // COMMIT is on its way, its reply is not here.
    "commit_sent",
    "after_commit",
    "mid_forward",
    // Everything is sent but the dead letters of the lane.
    "before_dead_letter",
    "after_dead_letter",
    "after_forward",
    "before_delete",
    "mid_delete",
    "after_delete",
    // The signal to stop has come, and messages are being given back.
    "in_drain",
    // A letter of a resolved message is found, and not deleted yet.
    "in_janitor",
    // `capctl redrive`: the lane is redriving, nothing is sent; the first copy is; it is over.
    "redrive_begun",
    "mid_redrive",
    "redrive_ended",
];

/// Stops the process here, dead or frozen, if it was asked to.
#[cfg(debug_assertions)]
pub fn hit(name: &'static str) {
    armed::hit(name);
}

/// Does nothing in a release build.
#[cfg(not(debug_assertions))]
pub const fn hit(_name: &'static str) {}

/// Waits for `future`, and stops the process once what it asked for is on its way, if it was asked to.
pub async fn while_waiting<F: Future>(name: &'static str, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut asked = false;
    std::future::poll_fn(move |context| {
        let polled = future.as_mut().poll(context);
        if !std::mem::replace(&mut asked, true) {
            hit(name);
        }
        polled
    })
    .await
}

#[cfg(debug_assertions)]
mod armed {
    use std::collections::HashMap;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use nix::sys::signal::{Signal, raise};

    /// What is done at a failpoint.
    #[derive(Clone, Copy)]
    enum Action {
        Kill,
        Freeze,
    }

    /// What is done, and after how many more passes, by failpoint.
    type Armed = HashMap<&'static str, (Action, AtomicU32)>;

    static ARMED: OnceLock<Armed> = OnceLock::new();

    pub(super) fn hit(name: &'static str) {
        let armed =
            ARMED.get_or_init(|| read(&std::env::var("CAP_FAILPOINTS").unwrap_or_default()));
        let Some((action, remaining)) = armed.get(name) else {
            return;
        };
        if remaining.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        match action {
            Action::Kill => {
                eprintln!("failpoint {name}: killed");
                raise(Signal::SIGKILL).ok();
                std::process::abort();
            }
            Action::Freeze => {
                eprintln!("failpoint {name}: frozen");
                raise(Signal::SIGSTOP).ok();
            }
        }
    }

    fn read(text: &str) -> Armed {
        let mut armed = HashMap::new();
        for entry in text.split(',').filter(|entry| !entry.is_empty()) {
            let parsed = entry.split_once('=').and_then(|(name, action)| {
                let name = super::NAMES.iter().find(|known| **known == name)?;
                let (action, passes) = action.split_once('@').unwrap_or((action, "1"));
                let action = match action {
                    "kill" => Action::Kill,
                    "freeze" => Action::Freeze,
                    _ => return None,
                };
                Some((*name, (action, AtomicU32::new(passes.parse().ok()?))))
            });
            match parsed {
                Some((name, action)) => {
                    armed.insert(name, action);
                }
                // A test that arms nothing would pass for the wrong reason.
                None => panic!(
                    "CAP_FAILPOINTS: {entry:?} is not name=kill, name=freeze or one of them with @N, of {:?}",
                    super::NAMES
                ),
            }
        }
        armed
    }
}
