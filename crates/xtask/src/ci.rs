//! `cargo xtask ci`: what continuous integration runs.

use crate::{build, test};

/// Formatting, lints, tests: the cheapest first.
pub(crate) fn run() -> anyhow::Result<()> {
    build::cargo("the formatting check", &["fmt", "--all", "--check"], &[])?;
    let lints = ["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"];
    build::cargo("the lints", &lints, &[])?;
    test::run(None)
}
