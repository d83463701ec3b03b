//! What account has put aside for a position, or could not pay for it, goes to the position stage as
//! an event of CAP's own: margin goes up here first (ADR 11).

use serde_json::{Value, json};

use super::AccountRuling;
use super::state::Leg;
use crate::event::{Event, EventKind};
use crate::ids::{AccountKey, RequestId};
use crate::lane::{Body, Item, Output, Row};
use crate::money::{Money, MoneyError};
use crate::position::{HedgeSide, replay_item};
use crate::refusal::Poison;
use crate::subject::Subject;
use crate::transfer::{derived_id, follow_up};

/// The word in the request id of unpaid funding.
const FUNDING: &str = "funding";

/// The request id under which what the `funding.charged` of `request_id` left unpaid comes back.
pub(super) fn unpaid_id(account: &AccountKey, request_id: &RequestId) -> Result<RequestId, Poison> {
    derived_id(FUNDING, account, request_id)
}

/// The event that follows from a row of the account stage for a position, if one does.
pub(super) fn what_follows(account: &AccountKey, row: &Row) -> Result<Option<Output>, Poison> {
    let kinds = [EventKind::MarginChanged, EventKind::LeverageChanged, EventKind::FundingCharged];
    if !kinds.iter().any(|kind| row.kind == kind.name()) {
        return Ok(None);
    }
    let Some((ruled, item)) = posted(row)? else { return Ok(None) };
    let Item { header, clearing_seq, body: Body::Planned { event, rates, .. }, .. } = item else {
        return Ok(None);
    };
    let (word, mut event) = match (*event, ruled.put_aside, ruled.unpaid) {
        (Event::MarginChanged { contract, position_side, .. }, Some(amount), _) => {
            let mut event = of_symbol(EventKind::MarginPosted, &contract.symbol, amount);
            if let Some(side) = position_side {
                event["position_side"] = json!(side);
            }
            ("margin", event)
        }
        (Event::LeverageChanged { contract, leverage }, Some(amount), _) => {
            let mut event = of_symbol(EventKind::MarginPosted, &contract.symbol, amount);
            event["leverage"] = json!(leverage.to_string());
            if let Some(seq) = clearing_seq {
                event["leverage_seq"] = json!(seq);
            }
            ("margin", event)
        }
        (Event::FundingCharged { contract, rate, .. }, _, Some(amount)) => {
            let mut event = of_symbol(EventKind::FundingUnpaid, &contract.symbol, amount);
            let longs_owe = rate.is_sign_positive();
            event["owed_by"] = json!(if longs_owe { HedgeSide::Long } else { HedgeSide::Short });
            (FUNDING, event)
        }
        _ => return Ok(None),
    };
    if !rates.is_empty() {
        event["rates"] = json!(rates);
    }
    follow_up(word, account, row, &header, account, &event).map(Some)
}

fn of_symbol(kind: EventKind, symbol: &crate::ids::Symbol, amount: Money) -> Value {
    json!({
        "type": kind, "symbol": symbol,
        "currency": amount.currency().code, "amount": amount.amount(),
    })
}

/// By how much a row of the account stage changes the margin that account has put aside and no
/// position has yet: above zero where it puts some aside, below where `margin.posted` brings it.
///
/// # Errors
/// If the row cannot be read.
pub fn margin_under_way(row: &Row) -> Result<Option<Money>, Poison> {
    let is = |kind: EventKind| row.kind == kind.name();
    if is(EventKind::MarginChanged) || is(EventKind::LeverageChanged) {
        return Ok(posted(row)?.and_then(|(ruled, _)| ruled.put_aside));
    }
    if !is(EventKind::MarginPosted) {
        return Ok(None);
    }
    Ok(posted(row)?.and_then(|(_, item)| match item.body {
        Body::Planned { event, .. } => match *event {
            Event::MarginPosted { amount, .. } => Some(amount.negated()),
            _ => None,
        },
        Body::Refused(_) => None,
    }))
}

/// What follows from a posting is made of.
struct Ruled {
    put_aside: Option<Money>,
    unpaid: Option<Money>,
}

/// The row's posting and its item, if it was posted.
fn posted(row: &Row) -> Result<Option<(Ruled, Item)>, Poison> {
    let ruling: AccountRuling =
        serde_json::from_str(&row.result).map_err(|error| Poison::Unreadable(error.to_string()))?;
    let AccountRuling::Posted { legs, unpaid, .. } = ruling else { return Ok(None) };
    Ok(Some((Ruled { put_aside: put_aside(&legs)?, unpaid }, replay_item(row)?.input)))
}

fn put_aside(legs: &[Leg]) -> Result<Option<Money>, MoneyError> {
    let mut sum: Option<Money> = None;
    for leg in legs.iter().filter(|leg| leg.to == Subject::Margin) {
        sum = Some(match sum {
            None => leg.money,
            Some(sum) => sum.plus(leg.money)?,
        });
    }
    Ok(sum)
}
