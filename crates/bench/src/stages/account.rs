//! The account stage: reserves and releases, spot fills; uniform and Zipf; beside raw SQL and a
//! conventional ledger.

use cap_domain::account::Accounts;
use std::sync::Arc;

use super::{PER_SECOND, Pair, rounds};
use crate::arena::Arena;
use crate::conventional::{self, Transfer};
use crate::report::{Bound, Figure, Section};
use crate::traffic::{Mix, Spread, Traders};
use crate::{Plan, Told};

const RESERVES_PER_SECOND_MIN: f64 = 30_000.0;
const FILLS_PER_SECOND_MIN: f64 = 18_000.0;
const OF_RAW_MIN: f64 = 0.6;
const OF_CONVENTIONAL_MIN: f64 = 4.0;

/// Messages of a round, and of the slower conventional ledger's.
const MESSAGES: usize = 120_000;
const CONVENTIONAL_MESSAGES: usize = 15_000;

struct Workload {
    name: &'static str,
    mix: Mix,
    spread: Spread,
    /// What the rate has to be; a Zipf spread has no target of its own.
    rate_min: Option<f64>,
}

const WORKLOADS: [Workload; 4] = [
    Workload {
        name: "reserve and release",
        mix: Mix::ReserveRelease,
        spread: Spread::Uniform,
        rate_min: Some(RESERVES_PER_SECOND_MIN),
    },
    Workload {
        name: "spot fill",
        mix: Mix::SpotFill,
        spread: Spread::Uniform,
        rate_min: Some(FILLS_PER_SECOND_MIN),
    },
    Workload {
        name: "reserve and release, Zipf",
        mix: Mix::ReserveRelease,
        spread: Spread::Zipf,
        rate_min: None,
    },
    Workload { name: "spot fill, Zipf", mix: Mix::SpotFill, spread: Spread::Zipf, rate_min: None },
];

pub(crate) async fn account(
    arena: &Arena,
    plan: &Plan,
    told: &Told<'_>,
) -> anyhow::Result<Section> {
    let mut section =
        Section::new("account", "the account stage alone, decide and store, 10,000 accounts");
    for workload in &WORKLOADS {
        measure(arena, plan, told, workload, &mut section).await?;
    }
    Ok(section)
}

async fn measure(
    arena: &Arena,
    plan: &Plan,
    told: &Told<'_>,
    workload: &Workload,
    section: &mut Section,
) -> anyhow::Result<()> {
    let Workload { name, mix, spread, rate_min } = *workload;
    told(&format!("{name}: opening accounts"));
    let mut pair = Pair::open(arena, Arc::new(Accounts::default()), mix, spread).await?;
    let database = format!("conventional_{mix:?}_{spread:?}").to_lowercase();
    let ledger = arena.empty_database(&database).await?;
    let mut traders = Traders::new(mix, spread, 0, super::ACCOUNTS, "c");
    let accounts: Vec<String> = traders.keys().map(ToString::to_string).collect();
    conventional::open(&ledger, &accounts).await?;
    let mut conventional = Vec::new();
    let messages = plan.scaled(CONVENTIONAL_MESSAGES);
    let beside = async |round: usize| {
        let transfers = transfers(&mut traders, mix, messages);
        arena.settle().await?;
        let took = conventional::post_all(&ledger, transfers).await?;
        if round > 0 {
            conventional.push(messages as f64 / took.as_secs_f64());
        }
        Ok(())
    };
    let (cap, raw) =
        rounds(&mut pair, arena, plan, plan.scaled(MESSAGES), name, told, beside).await?;
    let conventional =
        Figure::new(format!("conventional ledger, {name}"), PER_SECOND, conventional);
    let of_raw = cap.over(&raw, format!("{name} over raw SQL"));
    let of_conventional = cap.over(&conventional, format!("{name} over the conventional ledger"));
    match rate_min {
        Some(rate_min) => {
            section.check(cap, Bound::AtLeast(rate_min));
            section.tell(raw);
            section.tell(conventional);
            section.check(of_raw, Bound::AtLeast(OF_RAW_MIN));
            section.check(of_conventional, Bound::AtLeast(OF_CONVENTIONAL_MIN));
        }
        None => [cap, raw, conventional, of_raw, of_conventional]
            .into_iter()
            .for_each(|figure| section.tell(figure)),
    }
    pair.close(arena).await?;
    arena.drop_database(ledger, &database).await
}

/// The same events as the conventional ledger knows them.
fn transfers(traders: &mut Traders, mix: Mix, count: usize) -> Vec<Transfer> {
    let events = traders.events(count, cap_pipeline::system_time());
    let transfers = events.into_iter().enumerate().map(|(index, event)| {
        let (account, request_id) = (event.account.to_string(), event.request_id);
        match mix {
            Mix::ReserveRelease => conventional::reserve(account, request_id),
            _ => conventional::spot_fill(account, request_id, index.is_multiple_of(2)),
        }
    });
    transfers.collect()
}
