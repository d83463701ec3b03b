//! One seed in this process: the real pipelines over the real broker and PostgreSQL, in trouble.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use cap_domain::lane::StageName;
use cap_local::sqs::{Fault, FaultPlan, FaultRule, LostReply, Operation};
use cap_reference::script::{Script, Shape};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::arena::{Arena, patiently};
use crate::check::{Findings, Violation, check, invariant};
use crate::crew::Crew;
use crate::fleet::Fleet;
use crate::gremlin;
use crate::margins::Margins;
use crate::quiet::{others_left, quiet};
use crate::support::Support;
use crate::transfers::Transfers;
use crate::trouble::{Odds, Trouble};
use crate::upstream::{Outcomes, haunt, listen, publish};
use crate::yard::Yard;

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Messages published, the script's and those sent again.
    pub published: usize,
    /// Outcomes read, copies included.
    pub outcomes: usize,
    /// What went wrong on purpose, and how often.
    pub struck: BTreeMap<&'static str, u64>,
    /// What does not hold.
    pub findings: Findings,
    /// How long it took.
    pub took: Duration,
}

/// What becomes of DynamoDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DynamoDb {
    /// It answers.
    Stays,
    /// It is gone for good, before the first message.
    Ends,
}

/// Who does the work.
pub enum Workers {
    /// Pipelines in this process, whose calls are troubled.
    InProcess(Crew),
    /// The services as processes, killed at labelled places.
    Processes(Fleet),
}

impl Workers {
    async fn stop(self) -> anyhow::Result<Vec<String>> {
        match self {
            Self::InProcess(crew) => crew.stop().await.map(|()| Vec::new()),
            Self::Processes(fleet) => fleet.stop().await,
        }
    }
}

/// Runs `seed` in `arena`: in this process, or with the processes of `yard`.
///
/// # Errors
/// If the arena itself breaks down: that is no finding.
pub async fn run(
    arena: &Arc<Arena>,
    seed: u64,
    tag: &str,
    yard: Option<&Arc<Yard>>,
    dynamodb: DynamoDb,
) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let script = Arc::new(Script::generate(seed, &shape(), tag)?);
    let trouble = Trouble::new(seed, Odds::default());
    arena.stack.broker.set_faults(faults(seed))?;
    let outcomes = Arc::new(Outcomes::default());
    let (stop, support_may_act) = (CancellationToken::new(), CancellationToken::new());
    let workers = match yard {
        None => Workers::InProcess(Crew::start(arena, &trouble)),
        Some(yard) => Workers::Processes(Fleet::start(arena, &trouble, yard).await?),
    };
    let yard = yard.cloned();
    let (transfers, margins) = (Transfers::of(seed, tag), Margins::of(seed, tag));
    let beside = [&transfers.aside, &margins.aside];
    let support =
        Support::new(arena.clone(), script.clone(), &beside, trouble.clone(), yard.clone());
    let support = Arc::new(support);
    let listening = arena
        .queues_of("outcome")
        .into_iter()
        .map(|queue| tokio::spawn(listen(arena.clone(), queue, outcomes.clone(), stop.clone())));
    let listening: Vec<_> = listening.collect();
    let haunting = tokio::spawn(haunt(arena.clone(), trouble.clone(), stop.clone()));
    let supporting = tokio::spawn({
        let (support, from, stop) = (support.clone(), support_may_act.clone(), stop.clone());
        async move { support.run(from, stop).await }
    });
    // Every third time support comes late: until then the others must get on by themselves.
    let late = trouble.below(3) == 0;
    if !late {
        support_may_act.cancel();
    }
    let gremlin = yard.as_ref().map(|yard| {
        let (arena, trouble, stop) = (arena.clone(), trouble.clone(), stop.clone());
        tokio::spawn(gremlin::haunt(arena, trouble, yard.clone(), stop))
    });
    if dynamodb == DynamoDb::Ends {
        // What clearing once decided under is kept beside its journal: it needs that from here on.
        patiently(async || {
            let kept = cap_store::configurations::latest(arena.database(StageName::Clearing));
            kept.await?.context("clearing keeps no configuration yet")
        })
        .await?;
        trouble.count("DynamoDB gone");
        arena.stack.stop_dynamodb();
    }
    let extra = publish(arena, &script, &beside, &trouble).await?;
    let mut violations = Vec::new();
    tokio::time::sleep(Duration::from_millis(300 + trouble.below(700))).await;
    if late {
        trouble.calm_down();
        arena.stack.broker.set_faults(FaultPlan::default())?;
        if let Some(left) = others_left(&script, &outcomes).await {
            violations.push(Violation { invariant: invariant::OTHERS, what: left });
        }
        support_may_act.cancel();
    }
    trouble.calm_down();
    if let Some(gremlin) = gremlin {
        gremlin.await??;
    }
    arena.stack.broker.set_faults(FaultPlan::default())?;
    if let Some(left) = quiet(arena, &support).await? {
        violations.push(Violation { invariant: invariant::QUIET, what: left });
    }
    for what in workers.stop().await? {
        violations.push(Violation { invariant: invariant::SHUTDOWN, what });
    }
    stop.cancel();
    for task in listening.into_iter().chain([haunting, supporting]) {
        task.await?;
    }
    violations.extend(
        support
            .violations()
            .into_iter()
            .map(|what| Violation { invariant: invariant::SUSPENSION, what }),
    );
    transfers.check(arena, &mut violations).await?;
    margins.check(arena, &outcomes, &mut violations).await?;
    let findings = check(arena, &script, &extra, &beside, &outcomes, violations).await?;
    let published_beside: usize = beside.iter().map(|aside| aside.count()).sum();
    Ok(Report {
        seed,
        published: script.messages.len() + extra.again.len() + published_beside,
        outcomes: outcomes.count(),
        struck: trouble.struck(),
        findings,
        took: begun.elapsed(),
    })
}

/// Enough messages for every kind of trouble, few enough for hundreds of seeds.
///
/// Without changes of margin: what CAP sends itself after them comes at no certain place among the
/// account's messages, and the model knows only one. [`Margins`] are of accounts that have them.
fn shape() -> Shape {
    let of = Shape::everything();
    let of = Shape { margin_per_mille: 0, declared_per_mille: 250, ..of };
    Shape { accounts: 10, messages: 110, poison_per_mille: 45, ..of }
}

/// Faults of the broker itself, over the wire.
fn faults(seed: u64) -> FaultPlan {
    let rule = |fault, probability, operation| FaultRule {
        fault,
        probability,
        queue_prefix: None,
        operation,
    };
    let lost = |seen| Fault::LostReply { seen };
    FaultPlan {
        seed,
        rules: vec![
            rule(Fault::Duplicate, 0.3, None),
            rule(lost(LostReply::ConnectionClosed), 0.01, None),
            rule(lost(LostReply::InternalError), 0.01, None),
            rule(Fault::Throttle, 0.01, None),
            rule(Fault::PartialFailure, 0.03, None),
            rule(Fault::Delay { millis: 40 }, 0.02, None),
            rule(Fault::ExpiredReceive, 0.02, Some(Operation::ReceiveMessage)),
        ],
    }
}
