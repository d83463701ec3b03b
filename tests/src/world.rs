//! An installation with its pipelines.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::lane::StageName;
use cap_domain::position::Positions;
use cap_pipeline::{Limits, Pipeline};
use cap_stack::{Installation, Stack};
use cap_stage::{Connections, Wired, pipeline};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::upstream::Upstream;

/// Connections a test's pipeline may have.
const CONNECTIONS_MAX: u32 = 6;

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of the built services: that of this test's profile.
pub fn binaries() -> PathBuf {
    let program = std::env::current_exe().expect("a test has a path");
    // target/<profile>/deps/<test>
    program.ancestors().nth(2).expect("a test lies in target/<profile>/deps").to_owned()
}

/// The stack of this test program. It lives on a runtime of its own, because each test's ends
/// with the test.
fn stack() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    STACK.get_or_init(|| {
        let starting = std::thread::spawn(|| {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let runtime = Box::leak(Box::new(runtime.expect("a runtime can be made")));
            runtime.block_on(async {
                match std::env::var("CAP_TEST_POSTGRES_URL") {
                    Ok(url) => Stack::start_with(url).await,
                    Err(_) => Stack::start().await,
                }
            })
        });
        starting.join().expect("starting the stack does not panic").expect("the stack starts")
    })
}

/// An installation of CAP that no other test sees.
pub struct World {
    /// Its databases, prefix and environment.
    pub installation: Installation,
    /// The AWS SDK's clients.
    pub aws: cap_aws::Aws,
    /// The trade service that talks to it.
    pub upstream: Upstream,
}

impl World {
    /// Installs CAP on the shared stack. No service runs yet.
    pub async fn install() -> Self {
        Self::install_on(stack()).await
    }

    /// Installs CAP on a stack of the test's own.
    pub async fn install_on(stack: &Stack) -> Self {
        let prefix = format!("t{}", &uuid::Uuid::new_v4().simple().to_string()[..10]);
        let installation = stack.install(&prefix, &repository().join("config")).await;
        let aws = stack.connect().await;
        let upstream = Upstream::new(aws.sqs.clone(), prefix);
        Self { installation: installation.expect("installs"), aws, upstream }
    }

    /// Installs CAP and runs its three stages in this process.
    pub async fn running() -> (Self, Stages) {
        let world = Self::install().await;
        let stages = world.run_stages().await;
        (world, stages)
    }

    /// Runs all three stages in this process.
    pub async fn run_stages(&self) -> Stages {
        let mut stages = Stages::default();
        stages.run(self.pipeline::<Clearing>(limits()).await);
        stages.run(self.pipeline::<Positions>(limits()).await);
        stages.run(self.pipeline::<Accounts>(limits()).await);
        stages
    }

    /// A pipeline of one stage, to be changed before it runs.
    pub async fn pipeline<S: Wired>(&self, limits: Limits) -> Pipeline<S> {
        let connections = Connections {
            aws: self.aws.clone(),
            database: self.database(S::NAME),
            prefix: self.installation.prefix.clone(),
        };
        pipeline::<S>(&connections, limits).await.expect("the pipeline is wired")
    }

    /// A stage's database.
    pub fn database(&self, stage: StageName) -> PgPool {
        cap_store::connect(self.installation.databases.of(stage), "test", CONNECTIONS_MAX)
            .expect("the URL is one")
    }

    /// How many messages of a queue are in somebody's hands.
    pub async fn in_flight(&self, queue: &str) -> u64 {
        let name = format!("{}-{queue}.fifo", self.installation.prefix);
        let queues =
            cap_aws::provision::list_queues(&self.aws.sqs, &self.installation.prefix).await;
        let queues = queues.expect("queues are listed");
        queues.iter().find(|listed| listed.name == name).expect("the queue exists").in_flight
    }

    /// Waits until nothing is left in any queue of the installation but outcomes and dead letters.
    pub async fn quiet(&self) {
        for _ in 0..300 {
            let queues = cap_aws::provision::list_queues(&self.aws.sqs, &self.installation.prefix)
                .await
                .expect("queues are listed");
            let busy = queues.iter().any(|listed| {
                !listed.queue.dead_letters
                    && listed.queue.channel != cap_domain::routing::Channel::Outcome
                    && listed.visible + listed.in_flight + listed.delayed > 0
            });
            if !busy {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the queues did not become quiet within 15 s");
    }
}

/// Limits that make tests quick: short polls, short visibility.
pub fn limits() -> Limits {
    Limits {
        receivers_per_queue: 2,
        receive_wait_secs: 1,
        visibility_secs: 10,
        janitor_every: Duration::from_millis(200),
        ..Limits::default()
    }
}

/// Pipelines that run in this process.
#[derive(Default)]
pub struct Stages {
    stop: CancellationToken,
    running: Vec<JoinHandle<()>>,
}

impl Stages {
    /// Runs one more pipeline.
    pub fn run<S: Wired>(&mut self, pipeline: Pipeline<S>) {
        self.running.push(tokio::spawn(pipeline.run(self.stop.clone())));
    }

    /// Drains and ends them all.
    pub async fn stop(self) {
        self.stop.cancel();
        for running in self.running {
            running.await.expect("a pipeline does not panic");
        }
    }

    /// Ends them in the middle of whatever they do, as a crash would.
    pub fn crash(self) {
        self.running.iter().for_each(JoinHandle::abort);
    }
}
