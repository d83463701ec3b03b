//! Progress on standard error: steps that say when they are done, and a bar.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// Shows progress to whoever looks; a pipe sees the finished steps only.
pub(crate) struct Progress {
    begun: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now() }
    }

    /// Begins a step.
    pub(crate) fn step(&self, what: &'static str) -> Step {
        let spinner = ProgressBar::new_spinner().with_message(what);
        spinner.enable_steady_tick(TICK);
        Step { what, spinner, begun: Instant::now() }
    }

    /// A bar up to `total`.
    pub(crate) fn bar(&self, what: &'static str, total: usize) -> ProgressBar {
        let style = ProgressStyle::with_template(
            "  {msg} [{bar:32}] {pos}/{len} {per_sec:>12} {eta:>4} left",
        );
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸ ");
        ProgressBar::new(total as u64).with_style(style).with_message(what)
    }

    /// Says that something is done.
    pub(crate) fn say(&self, what: &str) {
        eprintln!("  ✓ {what}");
    }

    /// How long it has been.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// A step under way.
pub(crate) struct Step {
    what: &'static str,
    spinner: ProgressBar,
    begun: Instant,
}

impl Step {
    /// Ends the step and says how long it took.
    pub(crate) fn done(self) {
        self.spinner.finish_and_clear();
        eprintln!("  ✓ {} ({:.1?})", self.what, self.begun.elapsed());
    }
}
