//! A rulebook: what a product does, as data (C3, C9).
//!
//! For each kind of event it lists the legs that move money, each amount a name. Reading a
//! rulebook checks everything that can be checked without an event ([`check`]): a rulebook that
//! loads cannot name a subject or a figure that is not there, leave a kind of event out, or
//! forget to move a figure that the event brings.

mod check;
mod division;
mod margin;
mod vocabulary;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use check::RulebookError;
pub(crate) use check::check_new;
pub use vocabulary::vocabulary;

use crate::division::{Source, Target};
use crate::event::EventKind;
use crate::ids::{Product, Symbol};
use crate::instrument::{Contract, Pair};
use crate::json::unique_keys;
use crate::lane::StageName;
use crate::money::CurrencyCode;
use crate::plan::{AmountName, Shortfall};
use crate::subject::Subject;

/// The most legs a rule may have.
pub const LEGS_MAX: usize = 32;

/// The most subjects of the account that a rulebook may declare beside the five of every account.
pub const DECLARED_MAX: usize = 8;

/// The rulebook's JSON, as it is written by hand and pushed with `capctl config push`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulebookDocument {
    /// The product it is for.
    pub product: Product,
    /// Grows with every change.
    pub version: u32,
    /// What the product is, for people.
    pub about: String,
    /// The stages every message of the product goes through, in order.
    pub path: Vec<StageName>,
    /// Whether it trades pairs or contracts.
    pub instruments: InstrumentKind,
    /// Whether accounts may be opened in hedge mode. Where it is not said they may not: so answered
    /// every release before there was hedge mode, and its journals must replay.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hedge_mode: bool,
    /// Whether what follows from an event is tracked: a leverage by the number of its change, unpaid
    /// funding until it has come back (ADR 11). Where it is not said it is not: so did every release
    /// before, and its journals must replay.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tracks_follow_ups: bool,
    /// Whether cross positions are told a liquidation price (ADR 14). Then maintenance tiers go with
    /// every fill, and short; else with isolated ones alone, as a list, as every release before did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cross_liquidation_prices: bool,
    /// The currencies its accounts may hold.
    pub currencies: Vec<CurrencyCode>,
    /// Every subject the rules may use, and what it is in the books.
    #[serde(deserialize_with = "unique_keys")]
    pub subjects: BTreeMap<String, SubjectKind>,
    /// What each kind of event does.
    #[serde(deserialize_with = "unique_keys")]
    pub events: BTreeMap<String, RuleDocument>,
}

/// What a product trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstrumentKind {
    /// One currency for another, at once.
    Pairs,
    /// Contracts that make positions.
    Contracts,
}

/// What a subject is in the platform's books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    /// Owed to the platform, or held by it.
    Asset,
    /// Owed by the platform, above all to its customers.
    Liability,
}

/// What a kind of event does: its legs in order, or why the product has no such event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum RuleDocument {
    /// The legs, in order.
    Legs(Vec<LegDocument>),
    /// The product has no such event, and why.
    Refused(String),
}

/// One leg of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegDocument {
    /// Whose money goes down: a subject, or a list of them that is drawn from in its order.
    pub from: FromDocument,
    /// Whose money goes up; none where it is split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The parts, in order, that the amount is split into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Vec<PartDocument>>,
    /// The name of the figure.
    pub amount: String,
    /// What if `available` is short: stated on every leg from `available`, or from it in the end, and
    /// on no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortfall: Option<LegShortfall>,
}

/// Where a leg's money comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "from is neither a subject nor a list of subjects")]
pub enum FromDocument {
    /// One subject.
    One(String),
    /// Several: each gives what it has, in this order, and the last one answers for the rest.
    InOrder(Vec<String>),
}

/// A part of an amount that is split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartDocument {
    /// Whose money goes up.
    pub to: String,
    /// How much of the amount: a decimal between 0 and 1, or of the last part `remainder`: all that
    /// the others leave, and with it whatever rounding does.
    pub share: String,
}

/// A leg's shortfall policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LegShortfall {
    /// The request is rejected.
    Reject,
    /// Borrowed within the credit line, else rejected.
    Borrow,
    /// Becomes liability.
    Force,
    /// What is there is paid, the rest falls on the isolated position (`funding.unpaid`, ADR 11).
    Position,
    /// As the event says (`may_borrow`, `shortfall`).
    Event,
}

/// A rulebook that passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rulebook {
    /// The product it is for.
    pub product: Product,
    /// Its version, journaled with every decision made by it.
    pub version: u32,
    /// Whether the product's messages go by the position stage.
    pub has_positions: bool,
    /// What it trades.
    pub instruments: Instruments,
    /// Whether accounts may be opened in hedge mode.
    pub hedge_mode: bool,
    /// Whether what follows from an event is tracked (ADR 11).
    pub tracks_follow_ups: bool,
    /// Whether cross positions are told a liquidation price.
    pub cross_liquidation_prices: bool,
    /// Whether it has a rule for `transfer.landed`, so that transfers can be kept under way until
    /// their landing is told, and may go to other companies. Rulebooks that are older have none:
    /// what was decided by them has to replay.
    pub acknowledges: bool,
    /// The currencies its accounts may hold.
    pub currencies: BTreeSet<CurrencyCode>,
    /// What each subject is in the books.
    pub subjects: BTreeMap<Subject, SubjectKind>,
    rules: BTreeMap<EventKind, Rule>,
    /// What CAP may send itself and the document does not mention: it is older.
    unstated: BTreeSet<EventKind>,
}

/// What a product trades, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruments {
    /// Pairs of currencies.
    Pairs(BTreeSet<Pair>),
    /// Contracts by symbol.
    Contracts(BTreeMap<Symbol, Contract>),
}

/// A checked rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// The legs, in order.
    Legs(Vec<RuleLeg>),
    /// The product has no such event, and why.
    Refused(String),
}

/// A checked leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleLeg {
    /// Whose money goes down.
    pub from: Source,
    /// Whose money goes up.
    pub to: Target,
    /// The figure.
    pub amount: AmountName,
    /// The policy; `None`: as the event says.
    pub shortfall: Option<Shortfall>,
}

impl Rulebook {
    /// Whether the other version says the same of every event.
    pub fn same_rules(&self, other: &Self) -> bool {
        self.rules == other.rules
            && self.subjects == other.subjects
            && self.hedge_mode == other.hedge_mode
            && self.tracks_follow_ups == other.tracks_follow_ups
            && self.cross_liquidation_prices == other.cross_liquidation_prices
            && self.acknowledges == other.acknowledges
    }

    /// Whether all that the other version does is done alike here. What it refused may be done now,
    /// and there may be more subjects. What it switched on stays on; what it did not may be now.
    pub fn keeps_rules_of(&self, other: &Self) -> bool {
        let kept = |(kind, rule): (&EventKind, &Rule)| {
            matches!(rule, Rule::Refused(_)) || self.rules.get(kind) == Some(rule)
        };
        other.rules.iter().all(kept)
            && other.subjects.iter().all(|(name, kind)| self.subjects.get(name) == Some(kind))
            && (self.hedge_mode || !other.hedge_mode)
            && (self.tracks_follow_ups || !other.tracks_follow_ups)
            && (self.cross_liquidation_prices || !other.cross_liquidation_prices)
    }

    /// Whether it says itself what `kind` does, or why there is no such event. A rulebook that is older
    /// than an event of CAP's own does not; a later one may.
    pub fn states(&self, kind: EventKind) -> bool {
        !self.unstated.contains(&kind)
    }

    /// What `kind` does. Every kind is covered: that is checked on reading.
    pub fn rule(&self, kind: EventKind) -> Option<&Rule> {
        self.rules.get(&kind)
    }
}
