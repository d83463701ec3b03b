//! `capctl` asks whoever sits at a terminal before it changes anything.

use std::process::Stdio;
use std::time::Duration;

use cap_domain::lane::{LaneStatus, StageName};
use cap_tests::{World, binaries};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::desk::{deposits, lane, refuse, tells, tells_parked};
use crate::events::{SPOT, funded};
use crate::tools::verified;

/// How long a question or an end is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// `capctl` at a terminal, which util-linux's `script` makes.
struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: ChildStdout,
    seen: String,
}

impl Terminal {
    /// None where there is no `script`.
    fn open(world: &World, line: &str) -> Option<Self> {
        let command = format!("{} {line}", binaries().join("capctl").display());
        let environment = world.installation.environment.iter();
        let child = Command::new("script")
            .args(["-q", "-f", "-e", "-c", &command, "/dev/null"])
            .envs(environment.map(|(name, value)| (name, value)))
            .env("USER", "e2e")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                eprintln!("skipped: there is no `script` to make a terminal with: {error}");
                return None;
            }
        };
        let (keyboard, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Some(Self { child, keyboard, screen, seen: String::new() })
    }

    /// Waits until a question is on the screen, and gives what is there.
    async fn question(&mut self) -> String {
        let reading = async {
            while !self.seen.contains("[y/N] ") {
                let mut bytes = [0; 4096];
                let count = self.screen.read(&mut bytes).await.unwrap();
                assert_ne!(count, 0, "it ended without a question: {}", self.seen);
                self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("a question is asked");
        std::mem::take(&mut self.seen)
    }

    async fn types(&mut self, answer: &str) {
        self.keyboard.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
    }

    /// Waits for the end: the exit code, and what is on the screen.
    async fn ends(mut self) -> (i32, String) {
        let mut rest = Vec::new();
        tokio::time::timeout(PATIENCE, self.screen.read_to_end(&mut rest)).await.unwrap().unwrap();
        let status = self.child.wait().await.unwrap();
        (status.code().unwrap(), self.seen + &String::from_utf8_lossy(&rest))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_means_no_and_what_was_parked_meanwhile_is_asked_about_again() {
    let (world, stages) = World::running().await;
    funded(&world.upstream, SPOT, "acme_spot").await;
    refuse(&world, StageName::Account, &["r-1"]).await;
    deposits(&world, SPOT, &["r-1", "r-2"]).await;
    tells_parked(&world, "acme_spot", &["r-1", "r-2"]).await;
    refuse(&world, StageName::Account, &[]).await;

    let line = format!("redrive {SPOT}");
    let Some(mut terminal) = Terminal::open(&world, &line) else { return };
    let asked = terminal.question().await;
    assert!(asked.contains("is suspended at account: redrive numbers 1 to 2 (2)?"), "{asked}");
    terminal.types("n").await;
    let (code, told) = terminal.ends().await;
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("nothing was done: the answer was not yes"), "{told}");
    assert_eq!(lane(&world, StageName::Account, SPOT).await.status, LaneStatus::Suspended);

    let Some(mut terminal) = Terminal::open(&world, &line) else { return };
    terminal.question().await;
    deposits(&world, SPOT, &["r-3"]).await;
    tells_parked(&world, "acme_spot", &["r-3"]).await;
    terminal.types("y").await;
    let asked = terminal.question().await;
    assert!(asked.contains("1 more were parked meanwhile"), "{asked}");
    assert!(asked.contains("redrive numbers 1 to 3 (3)?"), "{asked}");
    terminal.types("yes").await;
    let (code, told) = terminal.ends().await;
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("numbers 1 to 3 redriven; the lane is open"), "{told}");
    tells(&world, "acme_spot", &[("r-1", "posted", 3), ("r-2", "posted", 4), ("r-3", "posted", 5)])
        .await;
    stages.stop().await;
    verified(&world, 10).await;
}
