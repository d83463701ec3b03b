//! The real `capctl`, run as an operator would, with nothing in its environment but what a test
//! says.

#![allow(dead_code, reason = "no test uses all of it")]

use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// The longest that one command may take.
const COMMAND_SECS_MAX: u64 = 60;

/// `capctl` with an environment.
#[derive(Clone, Default)]
pub(crate) struct Tool {
    pub(crate) environment: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Tool {
    /// Runs `capctl` with the words of `line`.
    pub(crate) async fn run(&self, line: &str) -> Ended {
        self.run_with(line, "").await
    }

    /// The same, with something on stdin.
    pub(crate) async fn run_with(&self, line: &str, stdin: &str) -> Ended {
        let mut child = Command::new(env!("CARGO_BIN_EXE_capctl"))
            .args(line.split_whitespace())
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        // A command that reads no stdin may end before it is written.
        let _ = input.write_all(stdin.as_bytes()).await;
        drop(input);
        let limit = std::time::Duration::from_secs(COMMAND_SECS_MAX);
        let output = tokio::time::timeout(limit, child.wait_with_output()).await.unwrap().unwrap();
        Ended {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command that must succeed, and gives its text.
    pub(crate) async fn text(&self, line: &str) -> String {
        let ended = self.run(line).await;
        assert_eq!(ended.code, 0, "capctl {line}: {ended:?}");
        ended.stdout
    }

    /// Runs a command that must succeed, and gives its JSON.
    pub(crate) async fn json(&self, line: &str) -> Value {
        let ended = self.run(&format!("{line} --json")).await;
        assert_eq!(ended.code, 0, "capctl {line}: {ended:?}");
        ended.json()
    }

    /// Runs a command that must fail with `code`, and gives what it said on stderr.
    pub(crate) async fn refused(&self, line: &str, code: i32) -> String {
        let ended = self.run(line).await;
        assert_eq!(ended.code, code, "capctl {line}: {ended:?}");
        ended.stderr
    }
}

impl Ended {
    /// What is on stdout, which must be one JSON document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
