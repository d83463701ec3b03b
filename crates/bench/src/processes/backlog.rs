//! A million messages that wait: memory of the services, and whether they are as fast as without.

use std::sync::Arc;

use cap_pipeline::system_time;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::drive::{Answers, Ledger, Pace, drive, read};
use super::{ACCOUNTS, PER_SECOND, Running};
use crate::arena::Arena;
use crate::machine::resident_mib;
use crate::report::{Bound, Figure, Section};
use crate::traffic::{COMPANY, Mix, Spread, Traders};
use crate::{Plan, Told};

const MEMORY_MIB_BOUND: f64 = 150.0;
const RATE_LEFT_MIN: f64 = 0.9;

/// Messages that wait.
const BACKLOG: usize = 1_000_000;

/// Messages of a round: with the backlog a part of it, without it all there are.
const EVENTS: usize = 40_000;

pub(crate) async fn backlog(
    arena: &Arena,
    plan: &Plan,
    told: &Told<'_>,
) -> anyhow::Result<Section> {
    let mut section = Section::new("backlog", "a million messages wait, spot, reserve and release");
    let mut few = Side::open(arena, "bench-few", told).await?;
    let mut many = Side::open(arena, "bench-many", told).await?;
    told("backlog: putting a million messages into the queue");
    let backlog = plan.scaled(BACKLOG);
    let events = plan.scaled(EVENTS);
    // What the rounds take is there beyond it, so that never less than the backlog waits.
    let all = backlog + events * (plan.rounds + 1);
    many.put(all, events)?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..=plan.rounds {
        told(&format!("with a backlog, {}", plan.name_of(round)));
        many.resume(arena).await?;
        let answered = many.ledger.answered();
        let rate = many.next(answered, events).await?;
        many.pause().await?;
        told(&format!("without one, {}", plan.name_of(round)));
        few.resume(arena).await?;
        // The first are answered before the last are put.
        let answered = few.ledger.answered();
        few.put(events, events)?;
        let rate_without = few.next(answered, events).await?;
        few.pause().await?;
        if round > 0 {
            with.push(rate);
            without.push(rate_without);
        }
    }
    let with = Figure::new("with a backlog", PER_SECOND, with);
    let without = Figure::new("without one", PER_SECOND, without);
    let left = with.over(&without, "with a backlog over without");
    section.tell(with);
    section.tell(without);
    section.check(left, Bound::AtLeast(RATE_LEFT_MIN));
    for (stage, mib) in std::mem::take(&mut many.memory) {
        let figure = Figure::new(format!("memory of {stage}, the most"), "MiB", vec![mib]);
        section.check(figure, Bound::Below(MEMORY_MIB_BOUND));
    }
    Ok(section)
}

struct Side {
    running: Running,
    traders: Traders,
    ledger: Arc<Ledger>,
    stop: Arc<Notify>,
    reading: Option<tokio::task::JoinHandle<()>>,
    /// The most memory each service had while it was measured.
    memory: Vec<(String, f64)>,
}

impl Side {
    async fn open(arena: &Arena, prefix: &str, told: &Told<'_>) -> anyhow::Result<Self> {
        told("backlog: starting the services");
        let mut running = Running::start(arena, prefix).await?;
        let clients = running.queues().await?;
        let traders = Traders::new(Mix::ReserveRelease, Spread::Uniform, 0, ACCOUNTS, prefix);
        let opening = traders.opening(system_time());
        drive(&clients, opening, Pace::Full, Answers::Posted).await?;
        let services = std::mem::take(&mut running.services);
        for service in services {
            service.stop().await?;
        }
        let ledger = Ledger::new(usize::MAX, Answers::Counted);
        let stop = Arc::new(Notify::new());
        Ok(Self { running, traders, ledger, stop, reading: None, memory: Vec::new() })
    }

    /// Puts `count` messages into clearing's queue, so many at a time.
    fn put(&mut self, count: usize, chunk: usize) -> anyhow::Result<()> {
        let mut left = count;
        while left > 0 {
            let now = left.min(chunk);
            let events = self.traders.events(now, system_time());
            self.running.put(&events, &format!("{COMPANY}_spot"))?;
            left -= now;
        }
        Ok(())
    }

    /// Starts the services, and reads outcomes.
    async fn resume(&mut self, arena: &Arena) -> anyhow::Result<()> {
        arena.settle().await?;
        let clients = self.running.queues().await?;
        self.reading = Some(read(clients, &self.ledger, &self.stop));
        for stage in cap_domain::lane::StageName::ALL {
            let service = self.running.service(arena, stage).await?;
            self.running.services.push(service);
        }
        Ok(())
    }

    /// The rate of the `count` outcomes behind the `before` first, once one of them is there.
    async fn next(&mut self, before: usize, count: usize) -> anyhow::Result<f64> {
        self.ledger.answers(before + 1).await?;
        let begun = Instant::now();
        let first = self.ledger.answered();
        for part in 1..=10 {
            self.ledger.answers(before + count * part / 10).await?;
            self.weigh();
        }
        let taken = self.ledger.answered() - first;
        Ok(taken as f64 / begun.elapsed().as_secs_f64())
    }

    fn weigh(&mut self) {
        for service in &self.running.services {
            let Some(mib) = service.process_id().and_then(resident_mib) else { continue };
            let stage = service.stage.to_string();
            match self.memory.iter_mut().find(|(name, _)| *name == stage) {
                Some((_, most)) => *most = most.max(mib),
                None => self.memory.push((stage, mib)),
            }
        }
    }

    /// Stops the services: what waits goes on waiting.
    async fn pause(&mut self) -> anyhow::Result<()> {
        for service in std::mem::take(&mut self.running.services) {
            service.stop().await?;
        }
        self.stop.notify_waiters();
        if let Some(reading) = self.reading.take() {
            reading.await?;
        }
        Ok(())
    }
}
