//! A rehearsal as people read it.

use std::fmt;

use cap_domain::outcome::{Outcome, OutcomeStatus};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;

use super::changes::Held;
use super::{BalanceChange, PositionChange, Rehearsal, RehearsedMessage};
use crate::table::shortened;

/// The most messages that are told one by one; `--json` has them all.
const TOLD_MAX: usize = 200;

/// The most characters of an error.
const ERROR_CHARS_MAX: usize = 300;

impl Rehearsal {
    /// How many messages upstream would be told so.
    pub fn count(&self, status: OutcomeStatus) -> usize {
        self.messages.iter().filter(|message| message.outcome.status == status).count()
    }
}

impl fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, stage, first, last, waiting, .. } = self;
        writeln!(f, "{account} · {stage} · {waiting} wait, numbers {first} to {last} rehearsed\n")?;
        for message in self.messages.iter().take(TOLD_MAX) {
            message.fmt(f)?;
        }
        if self.messages.len() > TOLD_MAX {
            writeln!(f, "… and {} more; --json shows all", self.messages.len() - TOLD_MAX)?;
        }
        if self.in_transit > 0 {
            let count = self.in_transit;
            writeln!(
                f,
                "\n{count} in transit between the stages, which come first: not rehearsed"
            )?;
        }
        writeln!(f, "\n{}", self.summary())?;
        writeln!(f, "nothing was written; a dry run cannot know {}", self.unknown)
    }
}

impl Rehearsal {
    fn summary(&self) -> String {
        let mut told: Vec<String> =
            vec![format!("{} would post", self.count(OutcomeStatus::Posted))];
        let others = [
            (OutcomeStatus::Rejected, "would be rejected"),
            (OutcomeStatus::Expired, "would be expired"),
            (OutcomeStatus::Parked, "would be parked at a stage behind"),
        ];
        told.extend(others.iter().filter_map(|(status, words)| match self.count(*status) {
            0 => None,
            count => Some(format!("{count} {words}")),
        }));
        told.push(match (&self.stops_at, self.opens) {
            (Some(stop), _) => {
                let error = shortened(&stop.error, ERROR_CHARS_MAX);
                format!("stops at number {} ({}): {error}", stop.parked_seq, stop.request_id)
            }
            (None, true) => "the lane would open".to_owned(),
            (None, false) => format!("the lane would wait after number {}", self.last),
        });
        told.join(", ")
    }
}

impl fmt::Display for RehearsedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parked_seq, request_id, kind, outcome, .. } = self;
        let kind = kind.as_deref().unwrap_or("an answer");
        writeln!(f, "{parked_seq:>6}  {request_id}  {kind}  {}", ended(outcome))?;
        for BalanceChange { currency, subject, before, after } in &self.balances {
            writeln!(f, "        {currency} {subject:<11}  {before} → {after}")?;
        }
        match &self.position {
            None => Ok(()),
            Some(position) => position.fmt(f),
        }
    }
}

impl fmt::Display for PositionChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { symbol, position_side, before, after } = self;
        let side = position_side.map(|side| format!(" {side}")).unwrap_or_default();
        let was = before.as_ref().map(figures);
        for (index, (name, is)) in figures(after).into_iter().enumerate() {
            let was = was.as_ref().map_or("none", |was| was[index].1.as_str());
            if was != is {
                writeln!(f, "        {symbol}{side} {name:<11}  {was} → {is}")?;
            }
        }
        Ok(())
    }
}

fn figures(held: &Held) -> [(&'static str, String); 3] {
    [
        ("quantity", held.quantity.to_string()),
        ("entry price", price(held.entry_price)),
        ("margin", held.margin.clone()),
    ]
}

fn price(price: Option<Decimal>) -> String {
    price.map_or_else(|| "none".to_owned(), |price| price.to_string())
}

/// How it would end, in a few words.
fn ended(outcome: &Outcome) -> String {
    let mut told = word(&outcome.status);
    if outcome.replayed {
        told.push_str(" before, told again");
    }
    if let Some(reason) = &outcome.reason {
        let detail = shortened(&reason.detail, ERROR_CHARS_MAX);
        told = match outcome.status {
            OutcomeStatus::Parked => format!("{told} at {}: {detail}", outcome.stage),
            _ => format!("{told}, {}: {detail}", word(&reason.code)),
        };
    }
    told
}

/// The word that the contract has for `value`.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        other => format!("{other:?}"),
    }
}
