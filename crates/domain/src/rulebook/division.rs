//! Checks of the subjects that a rulebook declares, and of the two ends of a leg: those that an amount
//! is drawn from, and those it is split over.

use rust_decimal::Decimal;

use super::check::{RulebookError, Subjects, wrong};
use super::{DECLARED_MAX, FromDocument, LegDocument, PartDocument, Rule, Rulebook, SubjectKind};
use crate::division::{DRAWN_MAX, PARTS_MAX, Share, Source, Split, Target};
use crate::event::{EventClass, EventKind};
use crate::money::exact::parse_decimal;
use crate::subject::{InvalidSubject, Subject};

/// What stands in the place of the last part's share.
const REMAINDER: &str = "remainder";

/// What a rulebook declares of its accounts is owed to them, as what is available is.
pub(super) fn check_declared(subjects: &Subjects) -> Result<(), RulebookError> {
    let declared = subjects.iter().filter(|(subject, _)| matches!(subject, Subject::Declared(_)));
    if let Some((subject, _)) = declared.clone().find(|(_, kind)| **kind == SubjectKind::Asset) {
        let reason = format!("{subject} is of the other kind: it is the account's money");
        return wrong(format!("subjects.{subject}"), reason);
    }
    match declared.count() {
        0..=DECLARED_MAX => Ok(()),
        count => wrong(
            "subjects",
            format!("declares {count} subjects of the account, {DECLARED_MAX} is the most"),
        ),
    }
}

/// What goes to a declared subject can leave it: else it would stay there, and keep its account open,
/// for ever.
pub(super) fn check_ways_out(rulebook: &Rulebook) -> Result<(), RulebookError> {
    let legs = || {
        rulebook.rules.iter().flat_map(|(kind, rule)| match rule {
            Rule::Legs(legs) => legs.iter().map(|leg| (*kind, leg)).collect(),
            Rule::Refused(_) => Vec::new(),
        })
    };
    for subject in rulebook.subjects.keys().filter(|name| matches!(name, Subject::Declared(_))) {
        let credits = legs().find(|(_, leg)| leg.to.subjects().any(|to| to == *subject));
        let leaves = legs().any(|(_, leg)| leg.from.subjects().contains(subject));
        if let (Some((kind, _)), false) = (credits, leaves) {
            return wrong(
                format!("subjects.{subject}"),
                format!(
                    "{kind} moves money to {subject}, and no leg takes any from it: it could never leave"
                ),
            );
        }
    }
    Ok(())
}

/// Where the money of a leg at `place` comes from.
pub(super) fn check_source(
    kind: EventKind,
    from: &FromDocument,
    place: &str,
    subjects: &Subjects,
) -> Result<Source, RulebookError> {
    let place = format!("{place}.from");
    let names = match from {
        FromDocument::One(name) => {
            let from = check_subject(name, &place, subjects)?;
            return match (from, kind.class()) {
                (Subject::Declared(_), EventClass::Fact) => wrong(place, no_way_out(kind, from)),
                _ => Ok(Source::One(from)),
            };
        }
        FromDocument::InOrder(names) => names,
    };
    if names.len() < 2 || names.len() > DRAWN_MAX {
        let count = names.len();
        return wrong(
            place,
            format!("lists {count} subjects, 2 to {DRAWN_MAX} can be drawn from in order"),
        );
    }
    let mut drawn = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let place = format!("{place}[{index}]");
        let subject = check_subject(name, &place, subjects)?;
        if !subject.is_free() {
            return wrong(
                place,
                format!("only available and declared subjects are drawn from, not {subject}"),
            );
        }
        if drawn.contains(&subject) {
            return wrong(place, format!("{subject} is listed twice"));
        }
        drawn.push(subject);
    }
    match (drawn.last(), kind.class()) {
        (Some(last), EventClass::Fact) if *last != Subject::Available => {
            wrong(place, no_way_out(kind, *last))
        }
        _ => Ok(Source::InOrder(drawn)),
    }
}

fn no_way_out(kind: EventKind, last: Subject) -> String {
    format!(
        "{kind} has happened and cannot be refused if {last} is short: it is drawn from available in the end, by force"
    )
}

/// Where the money of a leg at `place` goes.
pub(super) fn check_target(
    leg: &LegDocument,
    place: &str,
    subjects: &Subjects,
) -> Result<Target, RulebookError> {
    match (&leg.to, &leg.split) {
        (Some(to), None) => Ok(Target::One(check_subject(to, &format!("{place}.to"), subjects)?)),
        (None, Some(parts)) => {
            Ok(Target::Split(check_split(parts, &format!("{place}.split"), subjects)?))
        }
        (None, None) => wrong(place, "says neither to whom nor into which parts: to or split"),
        (Some(_), Some(_)) => wrong(place, "says both to and split: an amount goes one way"),
    }
}

fn check_split(
    parts: &[PartDocument],
    place: &str,
    subjects: &Subjects,
) -> Result<Split, RulebookError> {
    let Some((last, first)) = parts.split_last().filter(|_| (2..=PARTS_MAX).contains(&parts.len()))
    else {
        let count = parts.len();
        return wrong(
            place,
            format!("has {count} parts, an amount is split into 2 to {PARTS_MAX}"),
        );
    };
    let mut shares: Vec<Share> = Vec::with_capacity(first.len());
    let mut together = Decimal::ZERO;
    for (index, part) in first.iter().enumerate() {
        let to = check_part(part, &format!("{place}[{index}]"), &shares, subjects)?;
        let place = format!("{place}[{index}].share");
        if part.share == REMAINDER {
            return wrong(place, "the remainder is what all others leave: it stands last");
        }
        let share = match parse_decimal(&part.share) {
            Err(error) => return wrong(place, error.to_string()),
            Ok(share) if share <= Decimal::ZERO || share >= Decimal::ONE => {
                return wrong(place, format!("{share} is not between 0 and 1"));
            }
            Ok(share) => share,
        };
        together += share;
        if together >= Decimal::ONE {
            return wrong(
                place,
                format!("the shares up to here are {together} together, which leaves no remainder"),
            );
        }
        shares.push(Share { to, share });
    }
    let place = format!("{place}[{}]", first.len());
    let remainder = check_part(last, &place, &shares, subjects)?;
    if last.share != REMAINDER {
        return wrong(
            format!("{place}.share"),
            format!("{:?} is not {REMAINDER}: somebody takes what rounding leaves", last.share),
        );
    }
    Ok(Split { shares, remainder })
}

/// The subject of a part, which no part before it has.
fn check_part(
    part: &PartDocument,
    place: &str,
    before: &[Share],
    subjects: &Subjects,
) -> Result<Subject, RulebookError> {
    let place = format!("{place}.to");
    let to = check_subject(&part.to, &place, subjects)?;
    if to.is_held() {
        return wrong(
            place,
            format!("no part goes to {to}: whatever it is held for knows its amount"),
        );
    }
    if before.iter().any(|share| share.to == to) {
        return wrong(place, format!("{to} has a part already"));
    }
    Ok(to)
}

fn check_subject(name: &str, place: &str, subjects: &Subjects) -> Result<Subject, RulebookError> {
    match name.parse::<Subject>() {
        Err(error) => wrong(place, error.to_string()),
        Ok(Subject::Borrowed) => wrong(
            place,
            "borrowed is moved by account itself: move available, and state the shortfall",
        ),
        Ok(subject) if subjects.contains_key(&subject) => Ok(subject),
        // Any bare word could be declared; one that is not is most likely misspelt.
        Ok(Subject::Declared(_)) => wrong(place, InvalidSubject::named(name).to_string()),
        Ok(subject) => wrong(place, format!("{subject} is not declared in subjects")),
    }
}
