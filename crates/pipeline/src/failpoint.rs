//! Places where a test may stop the process dead, as `kill -9` or a power cut would.
//!
//! `CAP_FAILPOINTS="after_commit=abort@3,before_delete=abort"` aborts at the third commit or the
//! first deletion, whichever comes first. Release builds have none of it.

/// Every place there is, in the order a message passes them.
pub const NAMES: &[&str] = &[
    "after_receive",
    "after_load",
    "after_prepare",
    "before_commit",
    "after_commit",
    "mid_forward",
    "after_forward",
    "after_dead_letter",
    "before_delete",
    "mid_delete",
    "after_delete",
];

/// Stops the process here, if it was asked to.
#[cfg(debug_assertions)]
pub fn hit(name: &'static str) {
    armed::hit(name);
}

/// Does nothing in a release build.
#[cfg(not(debug_assertions))]
pub const fn hit(_name: &'static str) {}

#[cfg(debug_assertions)]
mod armed {
    use std::collections::HashMap;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Remaining passes until the process stops, by failpoint.
    static ARMED: OnceLock<HashMap<&'static str, AtomicU32>> = OnceLock::new();

    pub(super) fn hit(name: &'static str) {
        let armed =
            ARMED.get_or_init(|| read(&std::env::var("CAP_FAILPOINTS").unwrap_or_default()));
        let Some(remaining) = armed.get(name) else {
            return;
        };
        if remaining.fetch_sub(1, Ordering::SeqCst) == 1 {
            eprintln!("failpoint {name}: aborting");
            std::process::abort();
        }
    }

    fn read(text: &str) -> HashMap<&'static str, AtomicU32> {
        let mut armed = HashMap::new();
        for entry in text.split(',').filter(|entry| !entry.is_empty()) {
            let parsed = entry.split_once('=').and_then(|(name, action)| {
                let name = super::NAMES.iter().find(|known| **known == name)?;
                let passes = match action.strip_prefix("abort")? {
                    "" => 1,
                    passes => passes.strip_prefix('@')?.parse().ok()?,
                };
                Some((*name, AtomicU32::new(passes)))
            });
            match parsed {
                Some((name, passes)) => {
                    armed.insert(name, passes);
                }
                // A test that arms nothing would pass for the wrong reason.
                None => panic!(
                    "CAP_FAILPOINTS: {entry:?} is not name=abort or name=abort@N of {:?}",
                    super::NAMES
                ),
            }
        }
        armed
    }
}
