//! Packing units into messages between stages, and reading them back.

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use smol_str::{SmolStr, format_smolstr};

use super::{
    Arrival, Content, Item, Message, Output, PACK_BYTES_MAX, PACK_UNITS_MAX, RawMessage, StageName,
    Unit,
};
use crate::envelope::salvage_request_id;
use crate::ids::{AccountKey, RequestId};
use crate::json::{for_queues, written};
use crate::refusal::Poison;
use crate::text::hex_text;

/// Room for what is around the units of a pack.
const PACK_AROUND_BYTES_MAX: usize = 128;

/// Room for a unit; longer ones take more.
const UNIT_BYTES_USUAL: usize = 1_000;

/// What a [`Pack`](super::Pack) is written with, around its account and its units.
const PACK_ACCOUNT: &str = r#"{"account":""#;
const PACK_UNITS: &str = r#"","units":["#;
const PACK_END: &str = "]}";

/// `unit` on its way to the stage `to`.
pub fn forward(to: StageName, unit: &Unit) -> Result<Output, Poison> {
    let unit = for_queues(written(unit, UNIT_BYTES_USUAL)?);
    Ok(Output::Forward { to, unit })
}

/// Packs a lane's units, in order, into as few message bodies as the bounds allow, each with its
/// deduplication id: the hash of the body, so that the same units sent again are recognised and
/// different ones never are.
pub fn pack(account: &AccountKey, units: &[impl AsRef<str>]) -> Vec<(String, String)> {
    let mut packs = Vec::new();
    let mut rest = units;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest
            .iter()
            .take(PACK_UNITS_MAX)
            .take_while(|unit| {
                bytes += unit.as_ref().len() + 1;
                bytes <= PACK_BYTES_MAX
            })
            .count()
            .max(1);
        let (units, behind) = rest.split_at(fitting);
        let mut body = String::with_capacity(PACK_AROUND_BYTES_MAX + bytes.min(PACK_BYTES_MAX));
        body.extend([PACK_ACCOUNT, account.as_str(), PACK_UNITS]);
        for (index, unit) in units.iter().enumerate() {
            body.extend([if index > 0 { "," } else { "" }, unit.as_ref()]);
        }
        body.push_str(PACK_END);
        packs.push((hex_text(&Sha256::digest(&body)), body));
        rest = behind;
    }
    packs
}

/// A pack of one unit.
pub(super) fn packed_alone(account: &AccountKey, unit: &str) -> String {
    [PACK_ACCOUNT, account.as_str(), PACK_UNITS, unit, PACK_END].concat()
}

/// Reads a packed message that came in `lane`. A pack that cannot be read is one arrival; a unit
/// that cannot be read is one among its neighbours.
pub fn read_pack(lane: &AccountKey, message: RawMessage<'_>) -> Vec<Arrival<Item>> {
    /// A [`Pack`] whose units stay where they lie.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, expecting = "struct Pack")]
    struct Packed<'a> {
        account: AccountKey,
        #[serde(borrow)]
        units: Vec<&'a RawValue>,
    }

    if let Some(units) = packed_here(lane, message.body) {
        let arrivals = units.into_iter().enumerate();
        return arrivals
            .map(|(index, (raw, unit))| read_unit(lane, &message, index, raw, Ok(unit)))
            .collect();
    }
    let pack: Result<Packed<'_>, _> = serde_json::from_str(message.body);
    match pack {
        Err(error) => vec![unreadable(
            &message,
            message.body,
            message.message_id.into(),
            Poison::Unreadable(error.to_string()),
        )],
        Ok(pack) if pack.account != *lane => {
            let poison =
                Poison::WrongLane { header: pack.account.to_string(), lane: lane.to_string() };
            vec![unreadable(&message, message.body, message.message_id.into(), poison)]
        }
        Ok(pack) => pack
            .units
            .iter()
            .enumerate()
            .map(|(index, unit)| {
                read_unit(lane, &message, index, unit.get(), serde_json::from_str(unit.get()))
            })
            .collect(),
    }
}

/// The units of a pack as [`pack`] writes it, read where they lie: a reader of any JSON has to look for the end of
/// each first. None if it is not written so, or a unit cannot be read.
fn packed_here<'a>(lane: &AccountKey, body: &'a str) -> Option<Vec<(&'a str, Unit)>> {
    let rest = body.strip_prefix(PACK_ACCOUNT)?.strip_prefix(lane.as_str())?;
    let mut rest = rest.strip_prefix(PACK_UNITS)?;
    let mut units = Vec::with_capacity(1);
    loop {
        // Blanks before a unit are none of it.
        if !rest.starts_with('{') {
            return None;
        }
        let mut json = serde_json::Deserializer::from_str(rest).into_iter::<Unit>();
        let unit = json.next()?.ok()?;
        let (raw, behind) = rest.split_at(json.byte_offset());
        units.push((raw, unit));
        match behind.strip_prefix(',') {
            Some(next) => rest = next,
            None if behind == PACK_END => return Some(units),
            None => return None,
        }
    }
}

fn read_unit(
    lane: &AccountKey,
    message: &RawMessage<'_>,
    index: usize,
    raw: &str,
    unit: serde_json::Result<Unit>,
) -> Arrival<Item> {
    let poison = match unit {
        Ok(Unit::Item(item)) if item.header.is_of(lane) => {
            return Arrival {
                source_id: format_smolstr!("u{}", item.upstream_seq),
                unread_id: Some(format_smolstr!("{}:{index}", message.message_id)),
                request_id: item.header.request_id.clone(),
                raw: raw.to_owned(),
                packed: true,
                redriven: None,
                run: Vec::new(),
                repair: item.repair,
                sent_at: item.sent_at,
                receives: message.receives,
                refused: None,
                traceparent: item.header.traceparent.clone(),
                content: Content::Message(message_of(*item)),
            };
        }
        Ok(Unit::Echo(echo)) => {
            return Arrival {
                source_id: echo.source_id.clone(),
                unread_id: None,
                request_id: echo.request_id.clone(),
                raw: raw.to_owned(),
                packed: true,
                redriven: None,
                run: Vec::new(),
                repair: false,
                sent_at: message.sent_at,
                receives: message.receives,
                refused: None,
                traceparent: echo.traceparent.clone(),
                content: Content::Echo(echo),
            };
        }
        Ok(Unit::Item(item)) => Poison::WrongLane {
            header: item.header.account_key().to_string(),
            lane: lane.to_string(),
        },
        Err(error) => Poison::Unreadable(error.to_string()),
    };
    let source_id = format_smolstr!("{}:{index}", message.message_id);
    Arrival { packed: true, ..unreadable(message, raw, source_id, poison) }
}

/// The message that deciding an item needs.
pub(crate) fn message_of(item: Item) -> Message<Item> {
    Message {
        fingerprint: item.fingerprint,
        upstream_seq: Some(item.upstream_seq),
        kind: item.kind.clone(),
        sent_at: item.sent_at,
        input: item,
    }
}

/// An arrival that nobody can read, under the best request id that can be made out.
pub fn unreadable<I>(
    message: &RawMessage<'_>,
    raw: &str,
    source_id: SmolStr,
    poison: Poison,
) -> Arrival<I> {
    let from_ids =
        || message.deduplication_id.cloned().or_else(|| RequestId::new(message.message_id).ok());
    let request_id = salvage_request_id(raw).or_else(from_ids);
    Arrival {
        source_id,
        unread_id: None,
        request_id: request_id.unwrap_or_else(RequestId::unknown),
        raw: raw.to_owned(),
        packed: false,
        redriven: None,
        run: Vec::new(),
        repair: false,
        sent_at: message.sent_at,
        receives: message.receives,
        refused: None,
        traceparent: None,
        content: Content::Unreadable(poison),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::Pack;

    #[test]
    fn a_pack_keeps_the_order_of_its_units_and_within_its_bounds() {
        let account: AccountKey = "acme_spot_retail_A-1".parse().unwrap();
        let units: Vec<String> = (0..120).map(|n| format!("{{\"n\":{n}}}")).collect();
        let units: Vec<&str> = units.iter().map(String::as_str).collect();
        let packs = pack(&account, &units);
        assert_eq!(packs.len(), 3);
        let back: Vec<String> = packs
            .iter()
            .flat_map(|(_, body)| serde_json::from_str::<Pack>(body).unwrap().units)
            .map(|unit| unit.get().to_owned())
            .collect();
        assert_eq!(back, units);
        assert_eq!(pack(&account, &units), packs, "the same units are the same messages");
    }

    #[test]
    fn a_unit_larger_than_a_pack_travels_alone() {
        let account: AccountKey = "acme_spot_retail_A-1".parse().unwrap();
        let large = format!("\"{}\"", "x".repeat(PACK_BYTES_MAX));
        assert_eq!(pack(&account, &["1", &large, "2"]).len(), 3);
    }
}
