//! From publication to outcome through all services, beside the same hops as a bare relay.

use std::collections::BTreeMap;

use cap_aws::SqsQueues;
use cap_domain::lane::StageName;
use cap_pipeline::system_time;
use cap_stack::Stack;

use super::drive::{Answers, Pace, drive};
use super::steps::Means;
use super::{ACCOUNTS, PER_SECOND, Running, queues, relay};
use crate::arena::Arena;
use crate::machine::cpu_secs;
use crate::report::{Bound, Figure, Section};
use crate::traffic::{Mix, Spread, Traders};
use crate::{Plan, Told};

/// Operations with fewer requests an event are not told: they are those of starting.
const TOLD_REQUESTS_MIN: f64 = 0.01;

const OF_RELAY_MIN: f64 = 0.5;

/// One product's way through the services.
struct Path {
    name: &'static str,
    mix: Mix,
    stages: &'static [StageName],
    rate_min: f64,
    /// Events of a round.
    events: usize,
}

const PATHS: [Path; 2] = [
    Path {
        name: "spot",
        mix: Mix::SpotOrders,
        stages: &[StageName::Clearing, StageName::Account],
        rate_min: 5_000.0,
        events: 50_000,
    },
    Path {
        name: "perpetual",
        mix: Mix::PerpetualOrders,
        stages: &StageName::ALL,
        rate_min: 3_500.0,
        events: 40_000,
    },
];

/// A path, and what was measured of it.
struct Measured {
    path: &'static Path,
    traders: Traders,
    relayed: Traders,
    rates: Vec<f64>,
    relay_rates: Vec<f64>,
    /// Requests of SQS, by operation, over all rounds that count.
    requests: BTreeMap<&'static str, u64>,
    /// Processor time, by process, over all rounds that count, in seconds.
    cpu: BTreeMap<String, f64>,
    /// What the services' batches took.
    means: Means,
}

pub(crate) async fn pipeline(
    arena: &Arena,
    plan: &Plan,
    told: &Told<'_>,
) -> anyhow::Result<Section> {
    let mut section = Section::new(
        "pipeline",
        "publish → outcome: reserve and fill on 10,000 accounts, all processes on this machine",
    );
    told("starting the services");
    let running = Running::start(arena, "bench").await?;
    let clients = running.queues().await?;
    let relay_stack = Stack::start_with(arena.postgres_url()).await?;
    let relay_installation = relay_stack.install("bench-relay", &arena.configuration).await?;
    let relay_clients = queues(&relay_stack, "bench-relay").await?;
    let mut measured = Vec::new();
    for path in &PATHS {
        let traders = Traders::new(path.mix, Spread::Uniform, 0, ACCOUNTS, path.name);
        told(&format!("{}: opening accounts", path.name));
        let opening = traders.opening(system_time());
        drive(&clients, opening, Pace::Full, Answers::Posted).await?;
        measured.push(Measured {
            path,
            traders,
            relayed: Traders::new(path.mix, Spread::Uniform, 0, ACCOUNTS, path.name),
            rates: Vec::new(),
            relay_rates: Vec::new(),
            requests: BTreeMap::new(),
            cpu: BTreeMap::new(),
            means: Means::default(),
        });
    }
    for round in 0..=plan.rounds {
        for of in &mut measured {
            told(&format!("{}, {}", of.path.name, plan.name_of(round)));
            arena.settle().await?;
            of.measure(arena, plan, &running, &clients, round > 0).await?;
            told(&format!("relay of {}, {}", of.path.name, plan.name_of(round)));
            let relays = relay::start_all(arena, &relay_installation, of.path.stages)?;
            of.measure_relay(plan, &relay_clients, round > 0).await?;
            for mut relay in relays {
                relay.kill().await?;
            }
        }
    }
    running.stop().await?;
    for of in measured {
        of.tell(plan, &mut section);
    }
    Ok(section)
}

impl Measured {
    async fn measure(
        &mut self,
        arena: &Arena,
        plan: &Plan,
        running: &Running,
        clients: &SqsQueues,
        counts: bool,
    ) -> anyhow::Result<()> {
        let count = plan.scaled(self.path.events);
        let events = self.traders.events(count, system_time());
        let requests = running.stack.broker.requests();
        let cpu = cpu_of(arena, running);
        let before = running.totals().await?;
        let driven = drive(clients, events, Pace::Full, Answers::Posted).await?;
        if !counts {
            return Ok(());
        }
        self.rates.push(driven.rate(count));
        for (operation, now) in running.stack.broker.requests() {
            let before = requests.get(operation).copied().unwrap_or_default();
            *self.requests.entry(operation).or_default() += now - before;
        }
        for (process, now) in cpu_of(arena, running) {
            let before = cpu.get(&process).copied().unwrap_or_default();
            *self.cpu.entry(process).or_default() += now - before;
        }
        self.means.add(&before, &running.totals().await?);
        Ok(())
    }

    async fn measure_relay(
        &mut self,
        plan: &Plan,
        clients: &SqsQueues,
        counts: bool,
    ) -> anyhow::Result<()> {
        let count = plan.scaled(self.path.events);
        let events = self.relayed.events(count, system_time());
        let driven = drive(clients, events, Pace::Full, Answers::Counted).await?;
        if counts {
            self.relay_rates.push(driven.rate(count));
        }
        Ok(())
    }

    fn tell(self, plan: &Plan, section: &mut Section) {
        let Path { name, rate_min, events, .. } = *self.path;
        let events = (plan.scaled(events) * plan.rounds) as f64;
        let rate = Figure::new(name, PER_SECOND, self.rates);
        let relay = Figure::new(format!("bare relay, {name}"), PER_SECOND, self.relay_rates);
        let of_relay = rate.over(&relay, format!("{name} over the bare relay"));
        section.check(rate, Bound::AtLeast(rate_min));
        section.tell(relay);
        section.check(of_relay, Bound::AtLeast(OF_RELAY_MIN));
        for (process, secs) in self.cpu {
            let micros = secs * 1e6 / events;
            let of = format!("processor time an event, {name}: {process}");
            section.tell(Figure::new(of, "µs", vec![micros]));
        }
        let all: u64 = self.requests.values().sum();
        let each = |requests: u64| vec![requests as f64 / events];
        section.tell(Figure::new(format!("SQS requests an event, {name}"), "requests", each(all)));
        let often = |requests: &u64| *requests as f64 >= events * TOLD_REQUESTS_MIN;
        for (operation, requests) in
            self.requests.into_iter().filter(|(_, requests)| often(requests))
        {
            let of = format!("SQS requests an event, {name}: {operation}");
            section.tell(Figure::new(of, "requests", each(requests)));
        }
        self.means.tell(section, &format!("{name}, "));
    }
}

/// The processor time of every process so far, in seconds.
fn cpu_of(arena: &Arena, running: &Running) -> BTreeMap<String, f64> {
    let mut cpu = BTreeMap::new();
    for service in &running.services {
        let secs = service.process_id().and_then(cpu_secs).unwrap_or_default();
        cpu.insert(service.stage.to_string(), secs);
    }
    cpu.insert("PostgreSQL".to_owned(), arena.postgres_cpu_secs());
    let own = cpu_secs(std::process::id()).unwrap_or_default();
    cpu.insert("broker, DynamoDB, upstream".to_owned(), own);
    cpu
}
