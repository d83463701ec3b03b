//! What must hold after a run, whatever went wrong in it.

mod positions;

use std::collections::{BTreeMap, HashMap};

use anyhow::Context;
use cap_domain::account::{Accounts, Balance};
use cap_domain::clearing::Clearing;
use cap_domain::ids::AccountKey;
use cap_domain::lane::{Lane, LaneStatus, StageName};
use cap_domain::position::Positions;
use cap_pipeline::lane_store::{LaneStore, Wanted};
use cap_reference::model::{Expected, Model, first_tellings};
use cap_reference::script::{Account, Message, Script, Stage};
use cap_store::verify::{VerifyOptions, verify};
use cap_store::{PostgresLanes, StateTables};
use rust_decimal::Decimal;
use serde_json::Value;

use crate::arena::{Arena, stage_name};
use crate::aside::Aside;
use crate::upstream::{Extra, Outcomes};

/// The invariants, as reports name them.
pub mod invariant {
    /// Outcomes are the model's, in the lane's order.
    pub const OUTCOMES: &str = "outcomes equal the model's, in order";
    /// Published = posted + rejected + expired + parked.
    pub const COUNTED: &str = "published = posted + rejected + expired + parked, each counted once";
    /// Balances and positions are the model's.
    pub const BOOKS: &str = "balances and positions equal the model's";
    /// Lanes' numbers are the model's.
    pub const SEQUENCES: &str = "lane sequences equal the model's";
    /// All lanes are open, nothing waits.
    pub const OPEN: &str = "every lane is open again";
    /// `capctl verify` finds nothing.
    pub const REPLAY: &str = "replay equals state, hash chains whole, stages agree";
    /// The trial balance is zero.
    pub const BALANCED: &str = "legs balance: the trial balance is zero";
    /// Transfers move money and make none: what was not sent on came back.
    pub const CONSERVED: &str = "transfers conserve money, and in the end nothing is in transit";
    /// What account holds for positions is what they have, and nothing that raises it is under way.
    pub const MARGINS: &str = "positions have the margin that account holds for them";
    /// Nothing is left in a queue.
    pub const QUIET: &str = "nothing is left in any queue";
    /// Suspended lanes stand still; lanes are suspended by poison alone.
    pub const SUSPENSION: &str = "only poison suspends, and nothing is applied behind it";
    /// SIGTERM ends a service in time.
    pub const SHUTDOWN: &str = "SIGTERM under load ends a service with 0 within 10 s";
    /// Other lanes go on while one is suspended.
    pub const OTHERS: &str = "other lanes go on during a suspension";
}

/// Something that does not hold.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// A sentence with the figures.
    pub what: String,
}

/// What does not hold, and all there is to find out why.
#[derive(Debug, Default)]
pub struct Findings {
    /// What does not hold.
    pub violations: Vec<Violation>,
    /// By account concerned: its outcomes, journals and parked messages.
    pub evidence: Vec<String>,
}

/// The script's messages of one account, with what must come of them.
struct Told<'a> {
    account: &'a Account,
    model: Model,
    expected: Vec<(&'a Message, usize, Expected)>,
}

/// Everything that does not hold of `script` in `arena`, after what was `found` on the way, also of what is
/// `beside` it.
///
/// # Errors
/// If a database does not answer.
pub async fn check(
    arena: &Arena,
    script: &Script,
    extra: &Extra,
    beside: &[&Aside],
    outcomes: &Outcomes,
    found: Vec<Violation>,
) -> anyhow::Result<Findings> {
    let mut violations = found;
    for (index, account) in script.accounts.iter().enumerate() {
        let mut model = Model::new(account);
        let messages = script.messages.iter().enumerate();
        let messages = messages.filter(|(_, message)| message.account == index);
        let expected = messages.map(|(place, message)| (message, place, model.take(message)));
        let expected = expected.collect();
        let told = Told { account, model, expected };
        let found = outcomes.of(&account.name);
        check_outcomes(&told, extra, &found, &mut violations);
        check_books(arena, &told, &mut violations).await?;
    }
    prove(arena, script, &mut violations).await?;
    let mut evidence = Vec::new();
    let beside = beside.iter().flat_map(|aside| &aside.accounts);
    for account in script.accounts.iter().chain(beside) {
        let key = account.key();
        if violations.iter().any(|violation| violation.what.contains(&key)) {
            let outcomes = outcomes.of(&account.name);
            evidence.push(crate::evidence::evidence(arena, &key, &outcomes).await);
        }
    }
    Ok(Findings { violations, evidence })
}

fn check_outcomes(
    told: &Told<'_>,
    extra: &Extra,
    found: &[Value],
    violations: &mut Vec<Violation>,
) {
    let key = told.account.key();
    let mut wrong = |invariant, what: String| {
        violations.push(Violation { invariant, what: format!("{key}: {what}") });
    };
    let numbered = told.expected.iter().filter(|(.., expected)| expected.lane_seq().is_some());
    let mut first_told = first_tellings(found).into_iter();
    for due in numbered.flat_map(|(message, _, expected)| expected.due(&message.request_id)) {
        let request = due.request_id;
        let Some(outcome) = first_told.next() else {
            wrong(invariant::COUNTED, format!("request {request} has no outcome"));
            continue;
        };
        if outcome["request_id"] != request {
            let came = &outcome["request_id"];
            wrong(
                invariant::OUTCOMES,
                format!("request {request} was due, the outcome of {came} came"),
            );
            return;
        }
        if let Err(what) = due.matches(outcome) {
            wrong(invariant::OUTCOMES, format!("request {request}: {what}"));
        }
    }
    if let Some(outcome) = first_told.next() {
        let (request, seq) = (&outcome["request_id"], &outcome["lane_seq"]);
        wrong(invariant::COUNTED, format!("an outcome too many: {request} at number {seq}"));
    }
    let again = extra.again.iter().filter_map(|place| {
        let (message, _, expected) = told.expected.iter().find(|(_, at, _)| at == place)?;
        let replayed = match expected {
            Expected::Conflict | Expected::Replayed(_) => expected.clone(),
            first => Expected::Replayed(Box::new(first.clone())),
        };
        Some((*message, replayed))
    });
    let echoes = told.expected.iter().filter(|(.., expected)| expected.lane_seq().is_none());
    let echoes = echoes.map(|(message, _, expected)| (*message, expected.clone()));
    for (message, expected) in echoes.chain(again) {
        let request = &message.request_id;
        let of = |outcome: &&Value| outcome["request_id"] == request.as_str();
        let answered = found.iter().filter(of).any(|outcome| {
            expected.matches(outcome).is_ok() || expected.is_answered_as_parked(outcome)
        });
        if !answered {
            wrong(
                invariant::COUNTED,
                format!("request {request}, sent again or parked, was not told: {expected:?}"),
            );
        }
    }
}

async fn check_books(
    arena: &Arena,
    told: &Told<'_>,
    violations: &mut Vec<Violation>,
) -> anyhow::Result<()> {
    let account: AccountKey = told.account.key().parse()?;
    let (clearing, _) = load::<Clearing>(arena, &account).await?;
    let (positions, position_state) = load::<Positions>(arena, &account).await?;
    let (accounts, account_state) = load::<Accounts>(arena, &account).await?;
    let mut wrong = |invariant, what: String| {
        violations.push(Violation { invariant, what: format!("{account}: {what}") });
    };
    for (stage, lane) in
        [(Stage::Clearing, clearing), (Stage::Position, positions), (Stage::Account, accounts)]
    {
        let (name, due) = (stage_name(stage), told.model.seq(stage));
        if lane.seq != due {
            wrong(
                invariant::SEQUENCES,
                format!("{name} is at number {}, the model at {due}", lane.seq),
            );
        }
        if lane.status != LaneStatus::Active || lane.waiting() > 0 {
            wrong(invariant::OPEN, format!("{name} is {}, {} wait", lane.status, lane.waiting()));
        }
    }
    let due = told.model.balances();
    let found: BTreeMap<String, &Balance> =
        account_state.balances.iter().map(|(code, balance)| (code.to_string(), balance)).collect();
    let currencies = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>().join(" ");
    if !due.keys().eq(found.keys()) {
        let (found, due) = (currencies(found.keys().collect()), currencies(due.keys().collect()));
        wrong(invariant::BOOKS, format!("it holds {found}, the model {due}"));
    }
    for (code, due) in &due {
        let Some(found) = found.get(code) else { continue };
        let found = serde_json::to_value(found)?;
        let declared = due.declared.iter().map(|(name, amount)| (*name, amount.as_str()));
        for (name, amount) in due.amounts().into_iter().chain(declared) {
            if found[name] != amount {
                let held = &found[name];
                wrong(invariant::BOOKS, format!("{code} {name} is {held}, the model has {amount}"));
            }
        }
    }
    for what in positions::differences(&told.model.positions(), &position_state)? {
        wrong(invariant::BOOKS, what);
    }
    Ok(())
}

/// A lane, and what the stage keeps of its account.
///
/// # Errors
/// If the database does not answer.
pub(crate) async fn load<S: StateTables>(
    arena: &Arena,
    account: &AccountKey,
) -> anyhow::Result<(Lane, S::State)> {
    let lanes = PostgresLanes::<S>::new(arena.database(S::NAME).clone());
    let wanted = Wanted::of::<()>(account, &[]);
    let mut loaded: HashMap<_, _> = lanes.load(&[wanted]).await?;
    let loaded = loaded.remove(account).context("a lane that was asked for is answered")?;
    Ok((loaded.lane.unwrap_or_default(), S::State::clone(&loaded.state)))
}

async fn prove(
    arena: &Arena,
    script: &Script,
    violations: &mut Vec<Violation>,
) -> anyhow::Result<()> {
    for account in &script.accounts {
        let options = VerifyOptions { settled: true, account: Some(account.key().parse()?) };
        let report = verify(&arena.databases, &options).await?;
        for mismatch in report.mismatches {
            let at = mismatch.seq.map(|seq| format!(" at {seq}")).unwrap_or_default();
            let what = format!("{} of {}{at}: {}", mismatch.account, mismatch.stage, mismatch.what);
            violations.push(Violation { invariant: invariant::REPLAY, what });
        }
    }
    let balance =
        cap_store::trial_balance::trial_balance(arena.database(StageName::Account)).await?;
    if !balance.is_zero() {
        let what = format!("the trial balance is {:?}", balance.totals);
        violations.push(Violation { invariant: invariant::BALANCED, what });
    }
    let in_transit = balance.subjects.iter().filter(|one| one.subject == "transit");
    let in_transit: Decimal = in_transit.map(|one| one.sum).sum();
    if !in_transit.is_zero() {
        let what = format!("{in_transit} USDT are in transit over all companies");
        violations.push(Violation { invariant: invariant::CONSERVED, what });
    }
    Ok(())
}
