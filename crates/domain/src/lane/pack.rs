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
use crate::json::for_queues;
use crate::refusal::Poison;

/// `unit` on its way to the stage `to`.
pub fn forward(to: StageName, unit: &Unit) -> Result<Output, Poison> {
    let unit =
        serde_json::to_string(unit).map_err(|error| Poison::OutOfRange(error.to_string()))?;
    Ok(Output::Forward { to, unit: for_queues(unit) })
}

/// Packs a lane's units, in order, into as few message bodies as the bounds allow, each with its
/// deduplication id: the hash of the body, so that the same units sent again are recognised and
/// different ones never are.
pub fn pack(account: &AccountKey, units: &[&str]) -> Vec<(String, String)> {
    let mut packs = Vec::new();
    let mut rest = units;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest
            .iter()
            .take(PACK_UNITS_MAX)
            .take_while(|unit| {
                bytes += unit.len() + 1;
                bytes <= PACK_BYTES_MAX
            })
            .count()
            .max(1);
        let (units, behind) = rest.split_at(fitting);
        let body = format!("{{\"account\":\"{account}\",\"units\":[{}]}}", units.join(","));
        packs.push((hex::encode(Sha256::digest(&body)), body));
        rest = behind;
    }
    packs
}

/// A pack of one unit.
pub(super) fn packed_alone(account: &AccountKey, unit: &str) -> String {
    format!("{{\"account\":\"{account}\",\"units\":[{unit}]}}")
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
            .map(|(index, unit)| read_unit(lane, &message, index, unit))
            .collect(),
    }
}

fn read_unit(
    lane: &AccountKey,
    message: &RawMessage<'_>,
    index: usize,
    unit: &RawValue,
) -> Arrival<Item> {
    let raw = unit.get();
    let poison = match serde_json::from_str::<Unit>(raw) {
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
