//! The services as processes.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use cap_domain::lane::StageName;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::infrastructure::Installation;

/// How long a service may take from its start until it says it has started.
const START_SECS_MAX: u64 = 20;

/// How long it may take from SIGTERM to its end (C20).
const STOP_SECS_MAX: u64 = 12;

/// A running service.
pub struct Service {
    /// Which stage it runs.
    pub stage: StageName,
    child: Child,
}

impl Service {
    /// Starts the program of `stage` in `binaries` and waits until it has started. Its log goes
    /// to the file `log`; `extra` variables win over the installation's.
    pub async fn start(
        stage: StageName,
        binaries: &Path,
        installation: &Installation,
        extra: &[(&str, &str)],
        log: PathBuf,
    ) -> anyhow::Result<Self> {
        let program = binaries.join(stage.as_str());
        let mut child = Command::new(&program)
            .envs(installation.environment.iter().map(|(name, value)| (name, value)))
            .env("CAP_HTTP_ADDR", "127.0.0.1:0")
            .env("CAP_RECEIVE_WAIT_SECS", "1")
            .envs(extra.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            // A Ctrl-C is for the one who started us; it reaches the services as one SIGTERM.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let errors = child.stderr.take().context("reading the service's log")?;
        let (started_sender, started) = oneshot::channel();
        tokio::spawn(keep_log(BufReader::new(errors), log.clone(), started_sender));
        match timeout(Duration::from_secs(START_SECS_MAX), started).await {
            Ok(Ok(())) => Ok(Self { stage, child }),
            Ok(Err(_)) => bail!(
                "{stage} ended before it had started; its log is {}\n{}",
                log.display(),
                tail(&log)
            ),
            Err(_) => bail!(
                "{stage} had not started after {START_SECS_MAX} s; its log is {}\n{}",
                log.display(),
                tail(&log)
            ),
        }
    }

    /// The process's id, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Asks the service to drain and waits for its end, which must be in order.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let stage = self.stage;
        let id = self.child.id().with_context(|| format!("{stage} has ended already"))?;
        let status = Command::new("kill")
            .arg("-TERM")
            .arg(id.to_string())
            .status()
            .await
            .context("sending SIGTERM")?;
        ensure!(status.success(), "sending SIGTERM to {stage} failed");
        let ended = timeout(Duration::from_secs(STOP_SECS_MAX), self.child.wait()).await;
        let status = ended.with_context(|| {
            format!("{stage} did not end within {STOP_SECS_MAX} s of SIGTERM")
        })??;
        ensure!(status.success(), "{stage} ended with {status}");
        Ok(())
    }

    /// Kills the service as a power cut would (`kill -9`).
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("killing {}", self.stage))
    }

    /// Waits until the service ends by itself, and tells whether it ended well.
    pub async fn ended(&mut self, within: Duration) -> anyhow::Result<bool> {
        let ended = timeout(within, self.child.wait()).await;
        let status = ended.with_context(|| format!("{} is still running", self.stage))??;
        Ok(status.success())
    }
}

/// All services of an installation.
pub struct Services(Vec<Service>);

impl Services {
    /// Starts one service a stage.
    pub async fn start(
        binaries: &Path,
        installation: &Installation,
        logs: &Path,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(logs).with_context(|| format!("creating {}", logs.display()))?;
        let mut services = Vec::new();
        for stage in StageName::ALL {
            let log = logs.join(format!("{stage}.log"));
            services.push(Service::start(stage, binaries, installation, &[], log).await?);
        }
        Ok(Self(services))
    }

    /// The first service that has ended, if any has.
    pub fn ended(&mut self) -> Option<StageName> {
        let ended = |service: &mut Service| !matches!(service.child.try_wait(), Ok(None));
        self.0.iter_mut().find_map(|service| ended(service).then_some(service.stage))
    }

    /// Stops all, upstream first, so that nothing is left between them.
    pub async fn stop(self) -> anyhow::Result<()> {
        for service in self.0 {
            service.stop().await?;
        }
        Ok(())
    }
}

/// Copies the log to its file and tells when the service says it has started.
async fn keep_log(
    mut lines: BufReader<tokio::process::ChildStderr>,
    file: PathBuf,
    started: oneshot::Sender<()>,
) -> std::io::Result<()> {
    use tokio::io::AsyncWriteExt;
    let mut file = tokio::fs::OpenOptions::new().create(true).append(true).open(file).await?;
    let mut started = Some(started);
    let mut line = String::new();
    while lines.read_line(&mut line).await? > 0 {
        file.write_all(line.as_bytes()).await?;
        file.flush().await?;
        if line.contains("\"message\":\"started\"")
            && let Some(started) = started.take()
        {
            let _ = started.send(());
        }
        line.clear();
    }
    Ok(())
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
