//! From publication to outcome while the system has room.

use cap_pipeline::system_time;

use super::drive::{Answers, Pace, drive};
use super::steps::Means;
use super::{ACCOUNTS, PER_SECOND, Running};
use crate::arena::Arena;
use crate::report::{Bound, Figure, Section};
use crate::traffic::{Mix, Spread, Traders};
use crate::{Plan, Told};

const P50_MILLIS_MAX: f64 = 25.0;
const P99_MILLIS_MAX: f64 = 80.0;

/// Events by which the top rate is found.
const TOP_EVENTS: usize = 40_000;

/// How long a round is, in seconds.
const ROUND_SECS: f64 = 10.0;

pub(crate) async fn latency(
    arena: &Arena,
    plan: &Plan,
    told: &Told<'_>,
) -> anyhow::Result<Section> {
    let mut section = Section::new(
        "latency",
        "publish → outcome, spot, at a third of the top rate; due times count, so waiting does too",
    );
    told("latency: starting the services");
    let running = Running::start(arena, "bench-latency").await?;
    let clients = running.queues().await?;
    let mut traders = Traders::new(Mix::SpotOrders, Spread::Uniform, 0, ACCOUNTS, "latency");
    let opening = traders.opening(system_time());
    drive(&clients, opening, Pace::Full, Answers::Posted).await?;
    told("latency: finding the top rate");
    let count = plan.scaled(TOP_EVENTS);
    let events = traders.events(count, system_time());
    let top = drive(&clients, events, Pace::Full, Answers::Posted).await?.rate(count);
    let rate = top / 3.0;
    let (mut p50, mut p99, mut means) = (Vec::new(), Vec::new(), Means::default());
    for round in 0..=plan.rounds {
        told(&format!("latency at {rate:.0} events/s, {}", plan.name_of(round)));
        arena.settle().await?;
        let count = plan.scaled((rate * ROUND_SECS) as usize);
        let events = traders.events(count, system_time());
        let before = running.totals().await?;
        let driven = drive(&clients, events, Pace::PerSecond(rate), Answers::Posted).await?;
        if round > 0 {
            p50.push(driven.percentile_millis(0.5));
            p99.push(driven.percentile_millis(0.99));
            means.add(&before, &running.totals().await?);
        }
    }
    running.stop().await?;
    section.tell(Figure::new("top rate", PER_SECOND, vec![top]));
    section.check(Figure::new("p50", "ms", p50), Bound::AtMost(P50_MILLIS_MAX));
    section.check(Figure::new("p99", "ms", p99), Bound::AtMost(P99_MILLIS_MAX));
    means.tell(&mut section, "");
    Ok(section)
}
