//! The services as processes: two of each side by side, killed at labelled places, killed
//! anywhere, told to stop, and started again.

use std::sync::Arc;
use std::time::Duration;

use cap_domain::lane::StageName;
use cap_stack::Service;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::arena::Arena;
use crate::trouble::Trouble;
use crate::yard::Yard;

/// Processes of each stage.
const REPLICAS: usize = 2;

/// How long a service may take from SIGTERM to its end (C20).
const STOP_MAX: Duration = Duration::from_secs(10);

/// The longest a process lives before something is done to it, in milliseconds.
const LIFE_MILLIS_MAX: u64 = 6_000;

/// The same of one that is to be killed while it drains.
const DRAIN_SOON_MILLIS_MAX: u64 = 900;

/// What the services are told, so that a run is quick.
const SETTINGS: [(&str, &str); 4] = [
    ("CAP_VISIBILITY_SECS", "3"),
    ("CAP_JANITOR_MILLIS", "700"),
    ("CAP_RECEIVERS_PER_QUEUE", "1"),
    ("CAP_LOG", "warn,cap_service=info"),
];

/// Services at work until they are told to stop.
pub struct Fleet {
    stop: CancellationToken,
    berths: JoinSet<anyhow::Result<Vec<String>>>,
}

impl Fleet {
    /// Starts all services.
    ///
    /// # Errors
    /// If one cannot be started.
    pub async fn start(
        arena: &Arc<Arena>,
        trouble: &Arc<Trouble>,
        yard: &Arc<Yard>,
    ) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let mut berths = JoinSet::new();
        for stage in StageName::ALL {
            for replica in 0..REPLICAS {
                let berth = Berth {
                    arena: arena.clone(),
                    trouble: trouble.clone(),
                    yard: yard.clone(),
                    stage,
                    replica,
                };
                berths.spawn(berth.run(stop.clone()));
            }
        }
        Ok(Self { stop, berths })
    }

    /// Drains and ends them all; what did not end as it must.
    ///
    /// # Errors
    /// If one could not be started again.
    pub async fn stop(mut self) -> anyhow::Result<Vec<String>> {
        self.stop.cancel();
        let mut wrong = Vec::new();
        while let Some(ended) = self.berths.join_next().await {
            wrong.extend(ended??);
        }
        Ok(wrong)
    }
}

/// One place of a service.
struct Berth {
    arena: Arc<Arena>,
    trouble: Arc<Trouble>,
    yard: Arc<Yard>,
    stage: StageName,
    replica: usize,
}

impl Berth {
    async fn run(self, stop: CancellationToken) -> anyhow::Result<Vec<String>> {
        let mut wrong = Vec::new();
        while !stop.is_cancelled() {
            let log = self.yard.logs.join(format!(
                "{}-{}-{}.log",
                self.arena.installation.prefix, self.stage, self.replica
            ));
            let failpoints = self.yard.failpoints(&self.trouble);
            let mut settings = SETTINGS.to_vec();
            settings.push(("CAP_FAILPOINTS", &failpoints));
            let started = Service::start(
                self.stage,
                &self.yard.binaries,
                &self.arena.installation,
                &settings,
                log.clone(),
            );
            let service = match started.await {
                Ok(service) => service,
                // Killed before it had started, or the database is away: as in real life, again.
                Err(error) => {
                    self.yard.kill_points.note(&Yard::tail(&log));
                    tracing::debug!(error = %error, "a service did not start");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            let drains = failpoints.starts_with("in_drain");
            wrong.extend(self.live(service, drains, &stop).await?);
            self.yard.kill_points.note(&Yard::tail(&log));
            let _ = std::fs::remove_file(&log);
            if self.trouble.strikes("visibility over at once", 400) {
                self.arena.stack.broker.advance(Duration::from_secs(4));
            }
        }
        Ok(wrong)
    }

    /// One life of a service; what was wrong with its end.
    async fn live(
        &self,
        mut service: Service,
        drains: bool,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<String>> {
        // One that is to be killed while it drains is told to stop soon, under load.
        let life_max = if drains { DRAIN_SOON_MILLIS_MAX } else { LIFE_MILLIS_MAX };
        let life = Duration::from_millis(300 + self.trouble.below(life_max));
        let was_calm = self.trouble.is_calm();
        tokio::select! {
            ended = service.ended(Duration::from_secs(3_600)) => {
                ended?;
                self.trouble.count("killed at a labelled place");
                return Ok(None);
            }
            () = tokio::time::sleep(life), if !was_calm => {}
            () = stop.cancelled() => {}
        }
        if !drains && !stop.is_cancelled() && self.trouble.strikes("kill -9", 500) {
            service.kill().await?;
            return Ok(None);
        }
        self.trouble.count("SIGTERM");
        let asked = Instant::now();
        let ended = service.stop().await;
        let took = asked.elapsed();
        // A place in the drain may have killed it: then its log says so.
        let killed = ended.as_ref().is_err_and(|error| error.to_string().contains("signal: 9"));
        Ok(match ended {
            _ if killed => None,
            Err(error) => Some(error.to_string()),
            Ok(()) if took > STOP_MAX => {
                Some(format!("{} took {took:?} from SIGTERM to its end", self.stage))
            }
            Ok(()) => None,
        })
    }
}
