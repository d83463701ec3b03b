//! A stage that only remembers what it applied, in order.

use std::fmt;
use std::str::FromStr;

use cap_domain::envelope::Fingerprint;
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{
    Arrival, Content, Echo, Lane, Message, Output, Pack, RawMessage, Row, Rules, Stage, StageName,
    unreadable,
};
use cap_domain::refusal::Poison;
use cap_domain::time::Timestamp;

/// The lane of every model.
pub(crate) fn account() -> AccountKey {
    "acme_spot_retail_A-1".parse().unwrap()
}

/// When everything happens.
pub(crate) fn noon() -> Timestamp {
    "2026-11-21T12:00:00.000Z".parse().unwrap()
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Flaw {
    /// Nothing.
    None,
    /// It is read, and cannot be applied until the stage is repaired.
    Undecidable,
    /// It cannot even be read until the stage is repaired.
    Unreadable,
    /// It can never be read.
    Garbage,
}

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Saying {
    /// Its place in the order of publishing, and its request.
    pub(crate) id: u8,
    pub(crate) flaw: Flaw,
    /// Whether it is applied though the lane be suspended.
    pub(crate) repair: bool,
    /// Whether another stage numbered it: then it travels in a pack.
    pub(crate) upstream: bool,
}

impl Saying {
    /// The body of a chained copy, which is only a ticket.
    pub(crate) fn ticket(upstream: bool) -> Self {
        Self { id: u8::MAX, flaw: Flaw::Garbage, repair: false, upstream }
    }

    pub(crate) fn request_id(self) -> RequestId {
        RequestId::new(&format!("r-{}", self.id)).unwrap()
    }

    /// The message's body in its queue.
    pub(crate) fn body(self) -> String {
        if self.upstream {
            format!("{{\"account\":\"{}\",\"units\":[\"{self}\"]}}", account())
        } else {
            self.to_string()
        }
    }

    /// What a body says.
    pub(crate) fn of(body: &str) -> Self {
        let packed = serde_json::from_str::<Pack>(body).ok();
        let unit = packed.map(|pack| serde_json::from_str::<String>(pack.units[0].get()).unwrap());
        unit.as_deref().unwrap_or(body).parse().unwrap()
    }
}

impl fmt::Display for Saying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, flaw, repair, upstream } = *self;
        write!(f, "{id} {} {} {}", flaw as u8, u8::from(repair), u8::from(upstream))
    }
}

impl FromStr for Saying {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Vec<u8> = text.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let flaws = [Flaw::None, Flaw::Undecidable, Flaw::Unreadable, Flaw::Garbage];
        Ok(Self {
            id: numbers[0],
            flaw: flaws[usize::from(numbers[1])],
            repair: numbers[2] == 1,
            upstream: numbers[3] == 1,
        })
    }
}

/// The stage, before or after the release that repairs it.
#[derive(Debug)]
pub(crate) struct Toy<const REPAIRED: bool>;

impl<const REPAIRED: bool> Stage for Toy<REPAIRED> {
    const NAME: StageName = StageName::Account;
    type State = Vec<u8>;
    type Input = Saying;
    type Ruling = u8;

    fn rules(&self) -> Rules {
        Rules { version: 1, configuration: 0 }
    }

    fn read(_: &AccountKey, message: RawMessage<'_>) -> Vec<Arrival<Saying>> {
        let saying = Saying::of(message.body);
        let raw = if saying.upstream { format!("\"{saying}\"") } else { saying.to_string() };
        let source_id = match saying.upstream {
            true => smol_str::format_smolstr!("{}:0", message.message_id),
            false => message.message_id.into(),
        };
        let unread_id = saying.upstream.then(|| source_id.clone());
        let unread = unreadable(&message, &raw, source_id, Poison::Unreadable("no".to_owned()));
        let readable = match saying.flaw {
            Flaw::Garbage => false,
            Flaw::Unreadable => REPAIRED,
            Flaw::None | Flaw::Undecidable => true,
        };
        if !readable {
            // Its header can be made out.
            let request_id = saying.request_id();
            return vec![Arrival { packed: saying.upstream, request_id, ..unread }];
        }
        let source_id = match saying.upstream {
            true => smol_str::format_smolstr!("u{}", saying.id),
            false => message.message_id.into(),
        };
        vec![Arrival {
            source_id,
            unread_id,
            request_id: saying.request_id(),
            packed: saying.upstream,
            repair: message.repair || (saying.upstream && saying.repair),
            content: Content::Message(Message {
                fingerprint: Fingerprint([saying.id; 16]),
                upstream_seq: saying.upstream.then_some(u64::from(saying.id)),
                kind: "toy".into(),
                sent_at: message.sent_at,
                input: saying,
            }),
            ..unread
        }]
    }

    fn journal_input(raw: &str, _: &Saying) -> String {
        raw.to_owned()
    }

    fn replay(row: &Row) -> Result<Message<Saying>, Poison> {
        Err(Poison::Unreadable(row.input.clone()))
    }

    fn decide(
        &self,
        _: &AccountKey,
        applied: &Vec<u8>,
        message: &Message<Saying>,
        _: Timestamp,
    ) -> Result<(u8, Vec<u8>), Poison> {
        let Saying { id, flaw, .. } = message.input;
        if flaw == Flaw::Undecidable && !REPAIRED {
            return Err(Poison::OutOfRange(format!("{id} is too much for this release")));
        }
        Ok((id, applied.iter().copied().chain([id]).collect()))
    }

    fn say(_: &AccountKey, row: &Row, _: &Message<Saying>, _: u8) -> Result<Vec<Output>, Poison> {
        Ok(of_row(row))
    }

    // It keeps no input that could be read back: its row alone is enough.
    fn outputs(_: &AccountKey, row: &Row) -> Result<Vec<Output>, Poison> {
        Ok(of_row(row))
    }

    fn answer(
        &self,
        _: &AccountKey,
        _: &Lane,
        echo: &Echo,
        _: Option<&Row>,
    ) -> Result<Output, Poison> {
        let body = echo.source_id.to_string();
        Ok(Output::Outcome { deduplication_id: body.clone(), body })
    }
}

fn of_row(row: &Row) -> Vec<Output> {
    let unit = format!("{} {}", row.seq, row.result);
    vec![Output::Forward { to: StageName::Position, unit }]
}
