//! From the document to a [`Rulebook`], or an error that names the place.

use std::collections::{BTreeMap, BTreeSet};

use super::division::{check_declared, check_source, check_target, check_ways_out};
use super::margin::{came_later, check_margin};
use super::{
    InstrumentKind, Instruments, LEGS_MAX, LegDocument, LegShortfall, Rule, RuleDocument, RuleLeg,
    Rulebook, RulebookDocument, SubjectKind, vocabulary,
};
use crate::division::{Source, Target};
use crate::event::{EventClass, EventKind};
use crate::lane::StageName;
use crate::money::{Currency, CurrencyCode};
use crate::plan::{AmountName, Shortfall};
use crate::subject::Subject;

/// What is wrong with a rulebook, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct RulebookError {
    /// A path into the document, such as `events.trade.filled.legs[2].amount`.
    pub place: String,
    /// What is wrong there, in words.
    pub reason: String,
}

pub(super) fn wrong<T>(
    place: impl Into<String>,
    reason: impl Into<String>,
) -> Result<T, RulebookError> {
    Err(RulebookError { place: place.into(), reason: reason.into() })
}

pub(super) fn wrong_unmoved<T>(place: String, figure: AmountName) -> Result<T, RulebookError> {
    wrong(place, format!("{figure} is moved by no leg: the money would be lost from sight"))
}

pub(super) type Subjects = BTreeMap<Subject, SubjectKind>;

impl Rulebook {
    /// Checks `document` against the currencies there are and takes it as the product's rules.
    pub fn check(
        document: RulebookDocument,
        currencies: &BTreeMap<CurrencyCode, Currency>,
        instruments: Instruments,
    ) -> Result<Self, RulebookError> {
        if document.version == 0 {
            return wrong("version", "versions start at 1");
        }
        let has_positions = check_path(&document)?;
        if document.hedge_mode && !has_positions {
            return wrong("hedge_mode", "is allowed, but position is not in the path");
        }
        if document.tracks_follow_ups && !has_positions {
            return wrong("tracks_follow_ups", "is said, but position is not in the path");
        }
        if document.cross_liquidation_prices && !has_positions {
            return wrong(
                "cross_liquidation_prices",
                "are wanted, but position is not in the path",
            );
        }
        let mut held = BTreeSet::new();
        for (index, code) in document.currencies.iter().enumerate() {
            if !currencies.contains_key(code) {
                return wrong(
                    format!("currencies[{index}]"),
                    format!("{code} is not in currencies.json"),
                );
            }
            if !held.insert(*code) {
                return wrong(format!("currencies[{index}]"), format!("{code} is listed twice"));
            }
        }
        check_instruments(&instruments, &held)?;
        let subjects = check_subjects(&document.subjects)?;
        let rules = check_rules(&document, &subjects)?;
        let unstated = rules
            .keys()
            .copied()
            .filter(|kind| !document.events.contains_key(kind.name()))
            .filter(|kind| matches!(rules.get(kind), Some(Rule::Refused(_))))
            .collect();
        Ok(Self {
            product: document.product,
            version: document.version,
            has_positions,
            hedge_mode: document.hedge_mode,
            tracks_follow_ups: document.tracks_follow_ups,
            cross_liquidation_prices: document.cross_liquidation_prices,
            acknowledges: document.events.contains_key(EventKind::TransferLanded.name()),
            instruments,
            currencies: held,
            subjects,
            rules,
            unstated,
        })
    }
}

/// What a rulebook has to have that is pushed from now on; those that were pushed before stay valid,
/// because what they decided has to be proved.
pub(crate) fn check_new(rulebook: &Rulebook) -> Result<(), RulebookError> {
    let exchange = Subject::house_exchange();
    if !rulebook.subjects.contains_key(&exchange) {
        return wrong(
            "subjects",
            format!("{exchange} is missing: borrowing in a card's currency goes through it"),
        );
    }
    check_ways_out(rulebook)?;
    check_transfers(rulebook)?;
    check_margin(rulebook)
}

/// Account sends a transfer on because it is in transit, and gives it back out of transit: rules
/// that move it otherwise would lose it, or make it twice.
fn check_transfers(rulebook: &Rulebook) -> Result<(), RulebookError> {
    let transfers = [
        (EventKind::TransferRequested, "available", "transit"),
        (EventKind::TransferArrived, "transit", "available"),
        (EventKind::TransferReturned, "transit", "available"),
    ];
    let has_legs = |kind| matches!(rulebook.rule(kind), Some(Rule::Legs(_)));
    if !transfers.iter().any(|(kind, ..)| has_legs(*kind)) {
        return Ok(());
    }
    let free = |subject: &Subject| subject.is_free();
    for (kind, from, to) in transfers {
        let moves_so = match rulebook.rule(kind) {
            Some(Rule::Legs(legs)) => match legs.as_slice() {
                [leg] if to == "transit" => {
                    leg.from.subjects().iter().all(free)
                        && matches!(&leg.to, Target::One(one) if one.name() == to)
                }
                [leg] => {
                    matches!(&leg.from, Source::One(one) if one.name() == from)
                        && leg.to.subjects().all(|subject| free(&subject))
                }
                _ => false,
            },
            _ => false,
        };
        if !moves_so {
            return wrong(
                format!("events.{kind}"),
                format!(
                    "a transfer moves from {from} to {to} here, or with declared subjects for available, with one leg: it would be lost, or made twice"
                ),
            );
        }
    }
    match rulebook.rule(EventKind::TransferLanded) {
        Some(Rule::Legs(_)) if rulebook.acknowledges => Ok(()),
        _ => {
            wrong("events", "transfer.landed is missing: a transfer would stay under way for ever")
        }
    }
}

fn check_path(document: &RulebookDocument) -> Result<bool, RulebookError> {
    use StageName::{Account, Clearing, Position};
    let has_positions = match document.path.as_slice() {
        [Clearing, Account] => false,
        [Clearing, Position, Account] => true,
        _ => {
            return wrong(
                "path",
                "is neither [clearing, account] nor [clearing, position, account]",
            );
        }
    };
    match (document.instruments, has_positions) {
        (InstrumentKind::Contracts, false) => {
            wrong("path", "contracts make positions, but position is not in the path")
        }
        (InstrumentKind::Pairs, true) => {
            wrong("path", "pairs make no positions, but position is in the path")
        }
        _ => Ok(has_positions),
    }
}

fn check_instruments(
    instruments: &Instruments,
    held: &BTreeSet<CurrencyCode>,
) -> Result<(), RulebookError> {
    let need = |code: CurrencyCode, what: String| match held.contains(&code) {
        true => Ok(()),
        false => wrong("currencies", format!("{code} is missing, which {what} needs")),
    };
    match instruments {
        Instruments::Pairs(pairs) => pairs.iter().try_for_each(|pair| {
            let what = || format!("pair {}/{}", pair.base, pair.quote);
            need(pair.base, what())?;
            need(pair.quote, what())
        }),
        Instruments::Contracts(contracts) => contracts.values().try_for_each(|contract| {
            need(contract.settled_in.code, format!("symbol {}", contract.symbol))
        }),
    }
}

fn check_subjects(document: &BTreeMap<String, SubjectKind>) -> Result<Subjects, RulebookError> {
    let mut subjects = Subjects::new();
    for (name, kind) in document {
        match name.parse::<Subject>() {
            Ok(subject) => subjects.insert(subject, *kind),
            Err(error) => return wrong(format!("subjects.{name}"), error.to_string()),
        };
    }
    for subject in Subject::OF_ACCOUNT {
        let due =
            if subject == Subject::Borrowed { SubjectKind::Asset } else { SubjectKind::Liability };
        match subjects.get(&subject) {
            Some(kind) if *kind == due => {}
            Some(_) => {
                return wrong(
                    format!("subjects.{subject}"),
                    format!("{subject} is of the other kind"),
                );
            }
            None => {
                return wrong("subjects", format!("{subject} is missing: every account has it"));
            }
        }
    }
    check_declared(&subjects)?;
    Ok(subjects)
}

fn check_rules(
    document: &RulebookDocument,
    subjects: &Subjects,
) -> Result<BTreeMap<EventKind, Rule>, RulebookError> {
    let mut rules = BTreeMap::new();
    for (name, rule) in &document.events {
        let kind: EventKind = match name.parse() {
            Ok(kind) => kind,
            Err(_) => return wrong(format!("events.{name}"), "is not the type of any event"),
        };
        let rule = match rule {
            RuleDocument::Refused(reason) if reason.trim().is_empty() => {
                return wrong(format!("events.{name}.refused"), "says no reason");
            }
            RuleDocument::Refused(reason) => Rule::Refused(reason.clone()),
            RuleDocument::Legs(legs) => {
                Rule::Legs(check_legs(kind, legs, document.instruments, subjects)?)
            }
        };
        rules.insert(kind, rule);
    }
    for kind in EventKind::ALL.iter().filter(|kind| kind.is_from_cap()) {
        // A rulebook that is older than transfers between accounts is still a rulebook. Landing
        // moves nothing, so there is but one rule for it.
        rules.entry(*kind).or_insert_with(|| match kind {
            EventKind::TransferLanded => Rule::Legs(Vec::new()),
            _ => Rule::Refused(format!("there is no rule for {kind}")),
        });
    }
    match EventKind::ALL.iter().find(|kind| !rules.contains_key(kind)) {
        Some(kind) => wrong(
            "events",
            format!(
                "{kind} is missing: every kind of event has its legs, or a reason to refuse it"
            ),
        ),
        None => Ok(rules),
    }
}

fn check_legs(
    kind: EventKind,
    legs: &[LegDocument],
    instruments: InstrumentKind,
    subjects: &Subjects,
) -> Result<Vec<RuleLeg>, RulebookError> {
    let place = format!("events.{kind}.legs");
    if legs.len() > LEGS_MAX {
        return wrong(place, format!("has {} legs, {LEGS_MAX} is the most", legs.len()));
    }
    let words = vocabulary(kind, instruments);
    let legs: Vec<RuleLeg> = legs
        .iter()
        .enumerate()
        .map(|(index, leg)| check_leg(kind, leg, &format!("{place}[{index}]"), words, subjects))
        .collect::<Result<_, _>>()?;
    for word in words {
        match legs.iter().filter(|leg| leg.amount == *word).count() {
            0 if came_later(kind, *word) => {}
            0 => return wrong_unmoved(place, *word),
            1 => {}
            times => return wrong(place, format!("{word} is moved by {times} legs")),
        }
    }
    Ok(legs)
}

fn check_leg(
    kind: EventKind,
    leg: &LegDocument,
    place: &str,
    words: &[AmountName],
    subjects: &Subjects,
) -> Result<RuleLeg, RulebookError> {
    let from = check_source(kind, &leg.from, place, subjects)?;
    let to = check_target(leg, place, subjects)?;
    if let Some(both) = to.subjects().find(|subject| from.subjects().contains(subject)) {
        return wrong(place, format!("moves money from {both} to itself"));
    }
    if let (Source::One(from), Some(to)) = (&from, to.subjects().find(Subject::is_contra))
        && from.is_contra()
    {
        return wrong(
            place,
            format!("moves money from {from} to {to} without touching the account"),
        );
    }
    let amount = match leg.amount.parse::<AmountName>() {
        Ok(amount) if words.contains(&amount) => amount,
        _ => {
            let known: Vec<_> = words.iter().map(|word| word.text()).collect();
            let known =
                if known.is_empty() { "no amount at all".to_owned() } else { known.join(", ") };
            return wrong(
                format!("{place}.amount"),
                format!("{:?} is not an amount of {kind}, which brings {known}", leg.amount),
            );
        }
    };
    let last = from.subjects().last().copied().unwrap_or(Subject::Available);
    let shortfall = check_shortfall(kind, last, amount, leg.shortfall, place)?;
    Ok(RuleLeg { from, to, amount, shortfall })
}

fn check_shortfall(
    kind: EventKind,
    from: Subject,
    amount: AmountName,
    shortfall: Option<LegShortfall>,
    place: &str,
) -> Result<Option<Shortfall>, RulebookError> {
    let place = || format!("{place}.shortfall");
    let event_says = matches!(kind, EventKind::OrderReserved | EventKind::AdjustmentPosted);
    match (from, shortfall, kind.class()) {
        (Subject::Available, None, _) => {
            wrong(place(), "is missing: a leg from available says reject, borrow, force or event")
        }
        (Subject::Available, Some(LegShortfall::Force), _) => Ok(Some(Shortfall::Force)),
        (Subject::Available, Some(LegShortfall::Position), _) => match amount {
            AmountName::IsolatedFundingPaid => Ok(Some(Shortfall::Position)),
            _ => wrong(
                place(),
                format!("no position pays {amount}, only {}", AmountName::IsolatedFundingPaid),
            ),
        },
        (Subject::Available, Some(_), EventClass::Fact) => wrong(
            place(),
            format!("{kind} has happened and cannot be rejected: the shortfall is force"),
        ),
        (Subject::Available, Some(LegShortfall::Reject), _) => Ok(Some(Shortfall::Reject)),
        (Subject::Available, Some(LegShortfall::Borrow), _) => Ok(Some(Shortfall::Borrow)),
        (Subject::Available, Some(LegShortfall::Event), _) if event_says => Ok(None),
        (Subject::Available, Some(LegShortfall::Event), _) => {
            wrong(place(), format!("{kind} does not say what to do on shortfall"))
        }
        (_, Some(_), _) => {
            wrong(place(), format!("only available can fall short and be made good, not {from}"))
        }
        // What comes back has happened, though a made-up return is refused: plans were made so.
        (_, None, EventClass::Request) if kind == EventKind::TransferReturned => {
            Ok(Some(Shortfall::Force))
        }
        (_, None, EventClass::Request) => Ok(Some(Shortfall::Reject)),
        (_, None, EventClass::Fact) => Ok(Some(Shortfall::Force)),
    }
}
