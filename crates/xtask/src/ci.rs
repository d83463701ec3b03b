//! `cargo xtask ci`: what continuous integration runs, which is `.ci/run` and nothing else.

use std::process::Command;

use anyhow::{Context, ensure};

use crate::build;

/// Runs `.ci/run`.
pub(crate) fn run() -> anyhow::Result<()> {
    let status = Command::new("bash").arg(".ci/run").current_dir(build::root()).status();
    ensure!(status.context("starting .ci/run")?.success(), "continuous integration would fail");
    Ok(())
}
