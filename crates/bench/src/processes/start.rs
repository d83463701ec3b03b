//! How soon a service works, and what it takes while it has nothing to do.

use std::time::Duration;

use anyhow::{Context, ensure};
use cap_domain::lane::StageName;
use cap_pipeline::system_time;
use cap_stack::Stack;
use tokio::time::Instant;

use super::Running;
use crate::arena::Arena;
use crate::machine::resident_mib;
use crate::report::{Bound, Figure, Section};
use crate::traffic::{COMPANY, Mix, Spread, Traders};
use crate::{Plan, Told};

const START_MILLIS_BOUND: f64 = 300.0;
const IDLE_MIB_BOUND: f64 = 30.0;

/// How long a service has been idle when its memory is looked at.
const IDLE: Duration = Duration::from_secs(3);

/// How often the journal is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// How long the first message may take at all.
const FIRST_MAX: Duration = Duration::from_secs(10);

pub(crate) async fn start(arena: &Arena, plan: &Plan, told: &Told<'_>) -> anyhow::Result<Section> {
    let mut section = Section::new(
        "start",
        "process start → first message committed, of a message that waits; idle memory",
    );
    let stack = Stack::start_with(arena.postgres_url()).await?;
    let installation = stack.install("bench-start", &arena.configuration).await?;
    let (services, metrics) = (Vec::new(), Vec::new());
    let running = Running { stack, installation, services, metrics };
    let mut millis: [Vec<f64>; 3] = Default::default();
    let mut mib: [Vec<f64>; 3] = Default::default();
    for round in 0..=plan.rounds {
        // A fresh account, which clearing, position and account get to see one after the other.
        let traders =
            Traders::new(Mix::PerpetualOrders, Spread::Uniform, round, 1, &format!("start{round}"));
        let opening = traders.opening(system_time());
        running.put(&opening, &format!("{COMPANY}_perpetual"))?;
        for (index, stage) in StageName::ALL.into_iter().enumerate() {
            told(&format!("start of {stage}, {}", plan.name_of(round)));
            let (took, service) = first_commit(arena, &running, stage, opening.len()).await?;
            tokio::time::sleep(IDLE).await;
            let idle = service.process_id().and_then(resident_mib).context("its memory")?;
            service.stop().await?;
            if round > 0 {
                millis[index].push(took.as_secs_f64() * 1e3);
                mib[index].push(idle);
            }
        }
    }
    for (stage, (millis, mib)) in StageName::ALL.into_iter().zip(millis.into_iter().zip(mib)) {
        let took = Figure::new(format!("{stage}: start to first commit"), "ms", millis);
        section.check(took, Bound::Below(START_MILLIS_BOUND));
        let idle = Figure::new(format!("{stage}: idle memory"), "MiB", mib);
        section.check(idle, Bound::Below(IDLE_MIB_BOUND));
    }
    Ok(section)
}

/// Starts the service of `stage`, for which messages wait; how long until it has committed some.
async fn first_commit(
    arena: &Arena,
    running: &Running,
    stage: StageName,
    waiting: usize,
) -> anyhow::Result<(Duration, cap_stack::Service)> {
    let database = cap_store::connect(running.installation.databases.of(stage), "bench", 1)?;
    let journaled = "select count(*) from journal";
    let before: i64 = sqlx::query_scalar(journaled).fetch_one(&database).await?;
    let begun = Instant::now();
    let starting = running.service(arena, stage);
    let committed = async {
        loop {
            let now: i64 = sqlx::query_scalar(journaled).fetch_one(&database).await?;
            if now > before {
                return anyhow::Ok(begun.elapsed());
            }
            ensure!(begun.elapsed() < FIRST_MAX, "{stage} has not committed within {FIRST_MAX:?}");
            tokio::time::sleep(LOOK).await;
        }
    };
    let (service, took) = tokio::join!(starting, committed);
    let (service, took) = (service?, took?);
    loop {
        let now: i64 = sqlx::query_scalar(journaled).fetch_one(&database).await?;
        if now == before + waiting as i64 {
            break;
        }
        ensure!(begun.elapsed() < FIRST_MAX, "{stage} has not taken all {waiting} messages");
        tokio::time::sleep(LOOK).await;
    }
    database.close().await;
    Ok((took, service))
}
