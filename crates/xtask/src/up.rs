//! `cargo xtask up`: the stack and all services, until Ctrl-C or SIGTERM.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use cap_stack::{Services, Stack};
use tokio::signal::unix::{SignalKind, signal};

use crate::build;
use crate::progress::Progress;

/// How often it is checked that all services still run.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Keeps everything up; the addresses are in `env_file`, or in `.local/env`.
pub(crate) fn run(env_file: Option<PathBuf>, built: bool) -> anyhow::Result<()> {
    let binaries = build::services(built)?;
    let env_file = env_file.unwrap_or_else(|| build::root().join(".local/env"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting")?;
    runtime.block_on(keep_up(&binaries, &env_file))
}

async fn keep_up(binaries: &Path, env_file: &Path) -> anyhow::Result<()> {
    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let progress = Progress::new();
    let step = progress.step("Starting PostgreSQL, an SQS broker and DynamoDB");
    let stack = Stack::start().await?;
    let installation = stack.install("", &build::root().join("config")).await?;
    step.done();
    let step = progress.step("Starting clearing, position and account");
    let folder = env_file.parent().context("the env file is in no folder")?;
    let mut services = Services::start(binaries, &installation, &folder.join("logs")).await?;
    step.done();

    let lines = installation.environment.iter().fold(String::new(), |mut lines, (name, value)| {
        let _ = writeln!(lines, "{name}={value}");
        lines
    });
    write_whole(env_file, &lines)?;
    let shown = env_file.strip_prefix(build::root()).unwrap_or(env_file).display().to_string();
    eprintln!("\n  CAP is up after {:.1?}. Its addresses are in {shown}:\n", progress.elapsed());
    eprint!("{}", lines.lines().fold(String::new(), |shown, line| shown + "    " + line + "\n"));
    eprintln!("\n  Use them in another terminal:  set -a; . {shown}; set +a");
    eprintln!("  Logs are in {}. Ctrl-C stops everything.", folder.join("logs").display());

    let ended = loop {
        tokio::select! {
            _ = interrupted.recv() => break None,
            _ = terminated.recv() => break None,
            () = tokio::time::sleep(LOOK_EVERY) => {
                if let Some(stage) = services.ended() {
                    break Some(stage);
                }
            }
        }
    };
    std::fs::remove_file(env_file).with_context(|| format!("removing {}", env_file.display()))?;
    if let Some(stage) = ended {
        bail!(
            "{stage} has ended by itself; see {}",
            folder.join("logs").join(format!("{stage}.log")).display()
        );
    }
    eprintln!("\n  Stopping …");
    services.stop().await?;
    drop(stack);
    eprintln!("  ✓ Stopped");
    Ok(())
}

/// Writes a file so that nobody ever reads half of it.
fn write_whole(file: &Path, text: &str) -> anyhow::Result<()> {
    let partial = file.with_extension("partial");
    let written = std::fs::write(&partial, text).and_then(|()| std::fs::rename(&partial, file));
    written.with_context(|| format!("writing {}", file.display()))
}
