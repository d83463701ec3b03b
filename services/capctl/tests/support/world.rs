//! The real stack, and an installation on it that `capctl` itself makes.

#![allow(dead_code, reason = "no test uses all of it")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::position::Positions;
use cap_pipeline::Limits;
use cap_stack::Stack;
use cap_stage::{Connections, Wired, pipeline};
use serde_json::Value;
use sqlx::Postgres;
use sqlx::migrate::MigrateDatabase as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::Tool;

/// How long something may take to come true, and how often it is looked at.
const SETTLE_SECS_MAX: u64 = 30;
const LOOK_MILLIS: u64 = 200;

/// The repository's configuration.
pub(crate) fn configuration() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config")
}

/// A stack, and the settings of an installation that does not exist yet.
pub(crate) struct World {
    stack: Stack,
    pub(crate) tool: Tool,
    pub(crate) prefix: String,
}

/// The three stages, running in this process.
pub(crate) struct Stages {
    stop: CancellationToken,
    running: Vec<JoinHandle<()>>,
}

impl World {
    pub(crate) async fn start(name: &str) -> Self {
        let stack = match std::env::var("CAP_TEST_POSTGRES_URL") {
            Ok(url) => Stack::start_with(url).await.unwrap(),
            Err(_) => Stack::start().await.unwrap(),
        };
        let prefix = format!("{name}-{}", std::process::id());
        // An installation beside the one that is tested: neither must see the other.
        let other = stack.install(&format!("{prefix}-other"), &configuration()).await.unwrap();
        let mine = |value: &str| value.replace("-other", "").replace("_other", "");
        let settings = other.environment.iter().map(|(name, value)| (name.clone(), mine(value)));
        let mut environment: Vec<_> = settings.collect();
        environment.push(("USER".to_owned(), "ann".to_owned()));
        for name in ["CLEARING", "POSITION", "ACCOUNT"] {
            let url =
                &other.environment.iter().find(|(found, _)| found.starts_with(name)).unwrap().1;
            Postgres::force_drop_database(url).await.unwrap();
        }
        Self { stack, tool: Tool { environment }, prefix }
    }

    pub(crate) fn setting(&self, name: &str) -> &str {
        let found = self.tool.environment.iter().find(|(found, _)| found == name);
        &found.unwrap().1
    }

    pub(crate) async fn run_stages(&self) -> Stages {
        let stop = CancellationToken::new();
        let running = vec![
            self.run_stage::<Clearing>(&stop).await,
            self.run_stage::<Positions>(&stop).await,
            self.run_stage::<Accounts>(&stop).await,
        ];
        Stages { stop, running }
    }

    async fn run_stage<S: Wired>(&self, stop: &CancellationToken) -> JoinHandle<()> {
        let database = cap_store::connect(self.setting(S::DATABASE_URL), "test", 4).unwrap();
        let aws = self.stack.connect().await;
        let connections = Connections { aws, database, prefix: self.prefix.clone() };
        let limits = Limits { receive_wait_secs: 1, ..Limits::default() };
        tokio::spawn(pipeline::<S>(&connections, limits).await.unwrap().run(stop.clone()))
    }

    /// Waits until the answer to `line` is as wanted.
    pub(crate) async fn comes_true(&self, line: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let line = format!("{line} --json");
        let mut ended = self.tool.run(&line).await;
        for _ in 0..SETTLE_SECS_MAX * 1_000 / LOOK_MILLIS {
            if ended.code == 0 && wanted(&ended.json()) {
                return ended.json();
            }
            tokio::time::sleep(Duration::from_millis(LOOK_MILLIS)).await;
            ended = self.tool.run(&line).await;
        }
        panic!("capctl {line} did not come true: {ended:?}");
    }

    pub(crate) async fn drop_databases(&self) {
        for name in ["CLEARING", "POSITION", "ACCOUNT", "QUERY"] {
            let url = self.setting(&format!("{name}_DATABASE_URL"));
            Postgres::force_drop_database(url).await.unwrap();
        }
    }
}

impl Stages {
    /// Drains and ends them.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        for stage in self.running {
            stage.await.unwrap();
        }
    }
}
