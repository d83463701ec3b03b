//! The message upstream publishes: `{"header": …, "event": …}` (T49).
//!
//! Reading an envelope checks the header fully and leaves the event as it came: what is wrong
//! with the header is poison, what is wrong with a request's event is an outcome.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::ids::{AccountKey, AccountName, Company, CustomerGroup, Product, RequestId};
use crate::json::{read_text, unambiguous_value};
use crate::text::hex_text;
use crate::time::Timestamp;

/// The version of the contract this build speaks.
pub const CONTRACT_VERSION: u32 = 1;

/// The longest body CAP takes, in bytes. SQS would take 1 MiB; no event comes near.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Function parameters of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Always [`CONTRACT_VERSION`].
    #[serde(deserialize_with = "supported_version")]
    pub version: u32,
    /// The idempotency key.
    pub request_id: RequestId,
    /// When the caller first made the request (C4).
    pub initiated_at: Timestamp,
    /// The white-label broker.
    pub company: Company,
    /// The kind of trading.
    pub product: Product,
    /// The customer group.
    pub customer_group: CustomerGroup,
    /// The account.
    pub account: AccountName,
    /// The W3C trace the message belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
}

impl Header {
    /// The lane the message belongs to.
    pub fn account_key(&self) -> AccountKey {
        AccountKey::new(&self.company, &self.product, &self.customer_group, &self.account)
    }

    /// Whether that is `lane`.
    pub fn is_of(&self, lane: &AccountKey) -> bool {
        lane.is_of(&self.company, &self.product, &self.customer_group, &self.account)
    }
}

fn supported_version<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    if version == CONTRACT_VERSION {
        Ok(version)
    } else {
        Err(serde::de::Error::custom(format!(
            "version {version} is not {CONTRACT_VERSION}, the only one there is"
        )))
    }
}

/// A W3C `traceparent`, version 00.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent(Arc<str>);

impl TraceParent {
    /// A trace of its own for a message that came without: the ids are the request's fingerprint,
    /// so that every redelivery is in the same trace.
    pub fn derived(fingerprint: Fingerprint, request_id: &RequestId) -> Self {
        let digest =
            Sha256::new().chain_update(fingerprint.0).chain_update(request_id.as_str()).finalize();
        Self(
            ["00-", &hex_text(&digest[..16]), "-", &hex_text(&digest[16..24]), "-01"]
                .concat()
                .into(),
        )
    }
}

impl Serialize for TraceParent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

fn is_trace_context(text: &str) -> bool {
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let mut parts = text.split('-');
    let four = [parts.next(), parts.next(), parts.next(), parts.next()];
    let ([Some("00"), Some(trace), Some(parent), Some(flags)], None) = (four, parts.next()) else {
        return false;
    };
    hex(trace, 32) && hex(parent, 16) && hex(flags, 2)
}

impl<'de> Deserialize<'de> for TraceParent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, |text| {
            if is_trace_context(text) {
                Ok(Self(text.into()))
            } else {
                Err(format!("traceparent {text:?} is not a W3C trace context of version 00"))
            }
        })
    }
}

/// What the content of a request is, whatever its id and time: its account and its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    /// Of `event` for `account`; white space and the order of fields do not count.
    pub fn of(account: &AccountKey, event: &serde_json::Value) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(account.as_str());
        hash_canonical(&mut hasher, event);
        let digest = hasher.finalize();
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&digest[..16]);
        Self(fingerprint)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex_text(&self.0))
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, |text| {
            let mut fingerprint = [0; 16];
            hex::decode_to_slice(text, &mut fingerprint).map(|()| Self(fingerprint))
        })
    }
}

/// Feeds `value` to `hasher` with object keys in order and every text with its length, so that
/// two different values never feed the same bytes.
fn hash_canonical(hasher: &mut Sha256, value: &serde_json::Value) {
    use serde_json::Value;
    let mut text = |tag: u8, text: &str| hash_text(hasher, tag, text);
    match value {
        Value::Null => text(b'n', ""),
        Value::Bool(truth) => text(b'b', if *truth { "1" } else { "0" }),
        Value::Number(number) => text(b'#', &number.to_string()),
        Value::String(string) => text(b's', string),
        Value::Array(items) => {
            text(b'[', &items.len().to_string());
            items.iter().for_each(|item| hash_canonical(hasher, item));
        }
        Value::Object(fields) => {
            text(b'{', &fields.len().to_string());
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            for (name, field) in fields {
                hash_text(hasher, b's', name);
                hash_canonical(hasher, field);
            }
        }
    }
}

fn hash_text(hasher: &mut Sha256, tag: u8, text: &str) {
    hasher.update([tag]);
    hasher.update((text.len() as u64).to_be_bytes());
    hasher.update(text);
}

/// A message whose header is usable; its event is not read yet.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The checked header.
    pub header: Header,
    /// The event as it came.
    pub event: serde_json::Value,
}

/// A body that no request id or account can be read from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableEnvelope {
    /// Not JSON at all.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// JSON, but not an envelope with a valid header.
    #[error("the envelope is not usable: {0}")]
    Header(String),
    /// Longer than [`BODY_BYTES_MAX`].
    #[error("the body has {0} bytes, {BODY_BYTES_MAX} is the most")]
    TooLong(usize),
}

impl Envelope {
    /// Reads a message body.
    pub fn read(body: &str) -> Result<Self, UnusableEnvelope> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire<'a> {
            header: Header,
            #[serde(borrow)]
            event: &'a RawValue,
        }
        if body.len() > BODY_BYTES_MAX {
            return Err(UnusableEnvelope::TooLong(body.len()));
        }
        let wire: Wire<'_> = match serde_json::from_str(body) {
            Ok(wire) => wire,
            // Only what is wrong has a place to be told.
            Err(_) => at_its_place(body)?,
        };
        let event = unambiguous_value(wire.event.get())
            .map_err(|error| UnusableEnvelope::Header(format!("event: {error}")))?;
        Ok(Self { header: wire.header, event })
    }

    /// The content's fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.header.account_key(), &self.event)
    }
}

/// Reads `body`, and says of what is wrong with it where that is.
fn at_its_place<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, UnusableEnvelope> {
    let mut json = serde_json::Deserializer::from_str(body);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let place = error.path().to_string();
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data if place != "." => {
                UnusableEnvelope::Header(format!("{place}: {inner}"))
            }
            serde_json::error::Category::Data => UnusableEnvelope::Header(inner.to_string()),
            _ => UnusableEnvelope::NotJson(inner.to_string()),
        }
    })?;
    json.end().map_err(|error| UnusableEnvelope::NotJson(error.to_string()))?;
    Ok(read)
}

/// The request id of a body that is otherwise not usable, if one can be made out: so that the
/// `parked` outcome can be told to whom it belongs.
pub fn salvage_request_id(body: &str) -> Option<RequestId> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    // Between stages an envelope's header is within an item.
    let header = body.get("header").or_else(|| body.get("item")?.get("header"))?;
    RequestId::new(header.get("request_id")?.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"header":{"version":1,"request_id":"r-1","initiated_at":"2026-11-21T10:00:00.123Z",
        "company":"acme","product":"spot","customer_group":"retail","account":"A-1001"},
        "event":{"type":"deposit.received","currency":"USDT","amount":"100.00","reference":"tx-1"}}"#;

    #[test]
    fn a_header_is_read_and_the_event_left_as_it_came() {
        let envelope = Envelope::read(BODY).unwrap();
        assert_eq!(envelope.header.account_key().as_str(), "acme_spot_retail_A-1001");
        assert_eq!(envelope.event["amount"], "100.00");
    }

    #[test]
    fn an_unusable_envelope_says_where_and_why() {
        let cases = [
            ("nonsense".to_owned(), "the body is not JSON: expected ident"),
            (
                BODY.replace("\"version\":1", "\"version\":2"),
                "the envelope is not usable: header.version: version 2 is not 1",
            ),
            (
                BODY.replace("acme", "ACME"),
                "the envelope is not usable: header.company: company \"ACME\" is not 1 to 16",
            ),
            (
                BODY.replace("\"request_id\":\"r-1\",", ""),
                "the envelope is not usable: header: missing field `request_id`",
            ),
            (
                BODY.replace("\"event\"", "\"extra\":1,\"event\""),
                "the envelope is not usable: extra: unknown field `extra`",
            ),
            (
                BODY.replace("2026-11-21T10:00:00.123Z", "yesterday"),
                "the envelope is not usable: header.initiated_at: \"yesterday\" is not an RFC 3339",
            ),
        ];
        for (body, reason) in cases {
            let error = Envelope::read(&body).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{error}");
        }
    }

    #[test]
    fn the_fingerprint_is_of_the_content_alone() {
        let fingerprint = |body: &str| Envelope::read(body).unwrap().fingerprint();
        let same = BODY.replace("r-1", "r-2").replace("10:00:00", "11:00:00");
        let reordered = BODY.replace(
            r#""currency":"USDT","amount":"100.00""#,
            r#""amount":"100.00",  "currency":"USDT""#,
        );
        assert_eq!(fingerprint(BODY), fingerprint(&same));
        assert_eq!(fingerprint(BODY), fingerprint(&reordered));
        assert_ne!(fingerprint(BODY), fingerprint(&BODY.replace("100.00", "100.01")));
        assert_ne!(fingerprint(BODY), fingerprint(&BODY.replace("A-1001", "A-1002")));
    }
}
