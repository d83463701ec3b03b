//! One account that receives everything: its events wait, and are taken in order.

use std::time::Duration;

use anyhow::{Context, ensure};
use cap_client::OutcomeReader;
use cap_domain::outcome::OutcomeStatus;
use cap_pipeline::system_time;
use tokio::time::{Instant, timeout};

use super::drive::{Answers, Pace, drive};
use super::steps::Means;
use super::{PER_SECOND, Running};
use crate::arena::Arena;
use crate::report::{Bound, Figure, Section};
use crate::traffic::{COMPANY, Mix, Spread, Traders};
use crate::{Plan, Told};

const EVENTS_PER_SECOND_MIN: f64 = 2_500.0;

/// Events of a round.
const EVENTS: usize = 15_000;

/// How long the reader lets outcomes gather. One that asks for each as soon as it is there makes as many calls as
/// account, and takes from it the processor that a trade service would have to itself; one that waits longer gets
/// ten at a time and no more, and is what limits the rate.
const GATHER: Duration = Duration::from_millis(1);

/// How long without an outcome means that something is wrong.
const SILENCE_MAX: Duration = Duration::from_secs(20);

pub(crate) async fn hot(arena: &Arena, plan: &Plan, told: &Told<'_>) -> anyhow::Result<Section> {
    let mut section = Section::new(
        "hot",
        "one account receives everything, in order, from a queue in which it waits",
    );
    told("hot: starting the services");
    let running = Running::start(arena, "bench-hot").await?;
    let clients = running.queues().await?;
    let mut traders = Traders::new(Mix::ReserveRelease, Spread::Uniform, 0, 1, "hot");
    let opening = traders.opening(system_time());
    let mut last_seq = opening.len() as u64;
    drive(&clients, opening, Pace::Full, Answers::Posted).await?;
    let (mut rates, mut means) = (Vec::new(), Means::default());
    for round in 0..=plan.rounds {
        told(&format!("one hot account, {}", plan.name_of(round)));
        arena.settle().await?;
        let count = plan.scaled(EVENTS);
        let events = traders.events(count, system_time());
        let mut reader = OutcomeReader::new(clients.clone());
        let before = running.totals().await?;
        let begun = Instant::now();
        running.put(&events, &format!("{COMPANY}_spot"))?;
        let mut read = 0;
        while read < count {
            let batch = timeout(SILENCE_MAX, reader.next_batch()).await;
            let batch =
                batch.with_context(|| format!("{read} of {count} outcomes, then silence"))??;
            for outcome in &batch.outcomes {
                let outcome = outcome.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
                ensure!(outcome.outcome.status == OutcomeStatus::Posted, "{outcome:?}");
                let seq = outcome.outcome.lane_seq;
                ensure!(seq == last_seq + 1, "{seq} came after {last_seq}");
                let id = outcome.header.request_id.as_str();
                ensure!(id == events[read].request_id, "{id} came out of its turn");
                (last_seq, read) = (seq, read + 1);
            }
            batch.delete().await?;
            tokio::time::sleep(GATHER).await;
        }
        if round > 0 {
            rates.push(count as f64 / begun.elapsed().as_secs_f64());
            means.add(&before, &running.totals().await?);
        }
    }
    running.stop().await?;
    let rate = Figure::new("one hot account", PER_SECOND, rates);
    section.check(rate, Bound::AtLeast(EVENTS_PER_SECOND_MIN));
    means.tell(&mut section, "");
    Ok(section)
}
