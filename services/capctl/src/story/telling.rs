//! A story as people read it.

use std::fmt;

use cap_domain::account::{AccountRuling, Balance, CancelledWithdrawal, Leg};
use cap_domain::clearing::ClearingRuling;
use cap_domain::event::EventKind;
use cap_domain::outcome::{Outcome, OutcomeStatus};
use cap_domain::plan::{PlannedAmount, PlannedLeg};
use cap_domain::position::{PositionChange, PositionRuling, PositionSide};
use cap_domain::refusal::Refusal;
use serde::Serialize;
use serde_json::Value;

use super::{Cause, Chapter, EventTold, Figure, Followed, Hop, Story, by_position};
use crate::table::{Align, shortened};

/// The most characters of one field of an event.
const FIELD_CHARS_MAX: usize = 100;

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.event.as_ref().map_or("not journaled yet", |event| event.kind.as_str());
        writeln!(f, "{} · {kind} · {}\n", self.request_id, self.account)?;
        if let Some(event) = &self.event {
            self.led_to(f, &event.kind)?;
            event.fmt(f)?;
        }
        if let Some(chapter) = &self.clearing {
            self.opening(f, "clearing", chapter)?;
            clearing(f, &chapter.ruling, kind)?;
            self.figures_of(f, "event.")?;
            if let ClearingRuling::Planned { legs, .. } = &chapter.ruling {
                planned(f, legs)?;
            }
        }
        match (&self.position, &self.clearing) {
            (Some(chapter), _) => {
                self.opening(f, "position", chapter)?;
                if let Some(before) = &self.positions_before {
                    held_before(f, before)?;
                }
                self.figures_of(f, "position.")?;
                position(f, &chapter.ruling)?;
            }
            (None, Some(chapter)) if !by_position(&chapter.ruling) => {
                writeln!(f, "\nposition  not on the road of this product")?;
            }
            (None, _) => {}
        }
        if let Some(chapter) = &self.posting {
            self.opening(f, "account", chapter)?;
            for balance in self.balances_before.iter().flatten() {
                balance_told(f, "had", balance)?;
            }
            posting(f, &chapter.ruling)?;
        }
        for followed in &self.followed_by {
            write!(f, "\n{followed}")?;
        }
        for parked in &self.parked {
            let now = match (parked.waits, parked.skipped) {
                (true, _) => "waits",
                (false, true) => "was skipped",
                (false, false) => "was redriven",
            };
            let (stage, number, at) = (parked.stage, parked.parked_seq, parked.parked_at);
            writeln!(f, "\nparked    {at}  at {stage} as message {number}, {now}")?;
            writeln!(f, "            {}", parked.error)?;
        }
        write!(f, "\nending    {}", self.ending)?;
        match self.followed_by.last() {
            Some(Followed { kind, ending, .. }) => writeln!(f, "; {kind} {ending}"),
            None => writeln!(f),
        }
    }
}

impl fmt::Display for EventTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "made      {}", self.initiated_at)?;
        let age = self.sent_at.millis_since(self.initiated_at);
        writeln!(f, "queued    {}  {age} ms after it was made", self.sent_at)?;
        let fields = self.fields.as_object().into_iter().flatten();
        for (name, value) in fields.filter(|(name, _)| *name != "type") {
            writeln!(f, "            {name} {}", shortened(&field(value), FIELD_CHARS_MAX))?;
        }
        Ok(())
    }
}

/// A field of an event, without the signs of JSON.
fn field(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name} {}", field(value)));
            fields.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

impl fmt::Display for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, request_id, kind, made_at, queued_at, hops, .. } = self;
        writeln!(f, "followed  {request_id} · {kind} · {account}")?;
        writeln!(f, "            made      {made_at}")?;
        if let Some(queued_at) = queued_at {
            let age = queued_at.millis_since(*made_at);
            writeln!(f, "            queued    {queued_at}  {age} ms after it was made")?;
        }
        for Hop { stage, seq, decided_at } in hops {
            write!(f, "            {:<10}{decided_at}", stage.as_str())?;
            if let Some(queued_at) = queued_at {
                write!(f, "  {} ms after it was queued", decided_at.millis_since(*queued_at))?;
            }
            writeln!(f, ", row {seq}")?;
        }
        if let Some(position) = &self.position {
            changed(f, position)?;
        }
        if let Some(ruling) = &self.posting {
            posting(f, ruling)?;
        }
        match &self.posting {
            // What it was refused for has just been told.
            Some(AccountRuling::Refused(_)) => Ok(()),
            _ => writeln!(f, "            {}", self.ending),
        }
    }
}

impl Story {
    /// What a request of CAP's own followed from.
    fn led_to(&self, f: &mut fmt::Formatter<'_>, kind: &str) -> fmt::Result {
        if self.causes.is_empty() && EventKind::is_from_cap_by_name(kind) {
            return writeln!(f, "cause     not found: no lane is seen to have sent it");
        }
        self.causes.iter().try_for_each(|cause| {
            let Cause { account, request_id, kind, seq, decided_at } = cause;
            writeln!(f, "cause     {request_id} · {kind} · {account}")?;
            writeln!(f, "            account   {decided_at}, row {seq}")
        })
    }

    /// The figures that one stage computed, by their names.
    fn figures_of(&self, f: &mut fmt::Formatter<'_>, stage: &str) -> fmt::Result {
        let of_stage = |figure: &&Figure| figure.name.text().starts_with(stage);
        let figures: Vec<&Figure> = self.figures.iter().filter(of_stage).collect();
        let width = figures.iter().map(|figure| figure.name.text().len()).max().unwrap_or_default();
        figures.iter().try_for_each(|Figure { name, amount }| {
            writeln!(f, "            {:<width$}  {amount}", name.text())
        })
    }

    fn opening<R>(
        &self,
        f: &mut fmt::Formatter<'_>,
        stage: &str,
        chapter: &Chapter<R>,
    ) -> fmt::Result {
        let Chapter { seq, decided_at, configuration, .. } = chapter;
        write!(f, "\n{stage:<10}{decided_at}")?;
        if let Some(event) = &self.event {
            write!(f, "  {} ms after it was queued", decided_at.millis_since(event.sent_at))?;
        }
        write!(f, ", row {seq}")?;
        match configuration {
            0 => writeln!(f),
            revision => writeln!(f, ", configuration {revision}"),
        }
    }
}

/// An outcome in a sentence.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    let status = match outcome.status {
        OutcomeStatus::Posted => "posted",
        OutcomeStatus::Rejected => "rejected",
        OutcomeStatus::Expired => "expired",
        OutcomeStatus::Parked => "parked",
    };
    let payable = outcome.payable_at.map(|at| format!(", payable at {at}")).unwrap_or_default();
    match &outcome.reason {
        None => format!("{status}{payable}"),
        Some(reason) => format!("{status}, {}: {}", word(&reason.code), reason.detail),
    }
}

fn clearing(f: &mut fmt::Formatter<'_>, ruling: &ClearingRuling, kind: &str) -> fmt::Result {
    match ruling {
        ClearingRuling::Planned { rulebook, rates, .. } => {
            writeln!(
                f,
                "            planned by rulebook version {rulebook}, by its rule for {kind}"
            )?;
            if !rates.is_empty() {
                writeln!(f, "            at the rates {rates}")?;
            }
            Ok(())
        }
        ClearingRuling::Refused { refusal, .. } => refused(f, refusal),
    }
}

fn position(f: &mut fmt::Formatter<'_>, ruling: &PositionRuling) -> fmt::Result {
    match ruling {
        PositionRuling::Passed => writeln!(f, "            nothing to do here"),
        PositionRuling::Changed { legs, position, .. } => {
            if let Some(position) = position {
                changed(f, position)?;
            }
            planned(f, legs)
        }
        PositionRuling::Refused(refusal) => refused(f, refusal),
    }
}

fn posting(f: &mut fmt::Formatter<'_>, ruling: &AccountRuling) -> fmt::Result {
    match ruling {
        AccountRuling::Posted { legs, balances, cancelled, liquidation_price, .. } => {
            for CancelledWithdrawal { withdrawal_id, request_id, amount } in cancelled {
                let what = format!("withdrawal {withdrawal_id} of {amount}, request {request_id}");
                writeln!(f, "            {what}, was cancelled: its money was needed for losses")?;
            }
            if legs.is_empty() {
                writeln!(f, "            no money moved")?;
            }
            let moves = legs
                .iter()
                .map(|Leg { from, to, money }| (from.name(), to.name(), money.to_string()));
            moved(f, Align::Right, &moves.collect::<Vec<_>>())?;
            balances.iter().try_for_each(|balance| balance_after(f, balance))?;
            match liquidation_price {
                Some(price) => writeln!(f, "            the position's liquidation at {price}"),
                None => Ok(()),
            }
        }
        AccountRuling::Refused(refusal) => refused(f, refusal),
    }
}

fn refused(f: &mut fmt::Formatter<'_>, refusal: &Refusal) -> fmt::Result {
    match refusal {
        Refusal::Rejected { code, detail } => {
            writeln!(f, "            rejected, {}: {detail}", word(code))
        }
        Refusal::Expired { detail } => writeln!(f, "            expired: {detail}"),
    }
}

fn planned(f: &mut fmt::Formatter<'_>, legs: &[PlannedLeg]) -> fmt::Result {
    if legs.is_empty() {
        return writeln!(f, "            no money is to move");
    }
    let is_known = |leg: &PlannedLeg| matches!(leg.amount, PlannedAmount::Known(_));
    let align = if legs.iter().all(is_known) { Align::Right } else { Align::Left };
    let moves = legs.iter().map(|leg| {
        let amount = match &leg.amount {
            PlannedAmount::Known(money) => money.to_string(),
            PlannedAmount::Named(name) => name.to_string(),
        };
        (leg.from.to_string(), leg.to.to_string(), amount)
    });
    let moves: Vec<_> = moves.collect();
    let moves = moves.iter().map(|(from, to, amount)| (from.as_str(), to.as_str(), amount.clone()));
    moved(f, align, &moves.collect::<Vec<_>>())
}

/// From, to and amount, in columns.
fn moved(f: &mut fmt::Formatter<'_>, align: Align, moves: &[(&str, &str, String)]) -> fmt::Result {
    let widest = |cells: &mut dyn Iterator<Item = usize>| cells.max().unwrap_or_default();
    let from_width = widest(&mut moves.iter().map(|(from, ..)| from.len()));
    let to_width = widest(&mut moves.iter().map(|(_, to, _)| to.len()));
    let width = widest(&mut moves.iter().map(|(.., amount)| amount.len()));
    moves.iter().try_for_each(|(from, to, amount)| {
        write!(f, "            {from:<from_width$} → {to:<to_width$}  ")?;
        match align {
            Align::Left => writeln!(f, "{amount}"),
            Align::Right => writeln!(f, "{amount:>width$}"),
        }
    })
}

/// What was held of the symbol before.
fn held_before(f: &mut fmt::Formatter<'_>, before: &[PositionChange]) -> fmt::Result {
    if before.is_empty() {
        return writeln!(f, "            nothing was held before");
    }
    before.iter().try_for_each(|held| writeln!(f, "            before: {}", in_words(held)))
}

fn changed(f: &mut fmt::Formatter<'_>, position: &PositionChange) -> fmt::Result {
    let realised_profit = &position.realised_profit;
    writeln!(f, "            {}, realised {realised_profit}", in_words(position))
}

fn in_words(position: &PositionChange) -> String {
    let PositionChange { symbol, side, quantity, entry_price, margin, .. } = position;
    let of_two = position.position_side.map(|of_two| format!(" {of_two}")).unwrap_or_default();
    match side {
        PositionSide::Flat => format!("{symbol}{of_two} is closed"),
        PositionSide::Long | PositionSide::Short => {
            let price = entry_price.map(|price| format!(" at {price}")).unwrap_or_default();
            let liquidation = position.liquidation_price;
            let liquidation =
                liquidation.map(|price| format!(", liquidation at {price}")).unwrap_or_default();
            let side = word(side);
            format!("{symbol} is {side} {quantity}{price}, margin {margin}{liquidation}")
        }
    }
}

/// What an account has afterwards: the shares that are not empty.
pub(crate) fn balance_after(f: &mut fmt::Formatter<'_>, balance: &Balance) -> fmt::Result {
    balance_told(f, "then", balance)
}

fn balance_told(f: &mut fmt::Formatter<'_>, when: &str, balance: &Balance) -> fmt::Result {
    let there = balance.shares().filter(|(_, money)| !money.is_zero());
    let there: Vec<String> =
        there.map(|(name, money)| format!("{name} {}", money.amount())).collect();
    let told = if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
    writeln!(f, "            {when} {}: {told}", balance.available.currency())
}

/// The word that the contract has for `value`.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        other => format!("{other:?}"),
    }
}
