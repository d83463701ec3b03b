//! Every account as the stages have it and as the model has it, and what is on its way between them.

use std::collections::BTreeMap;
use std::sync::Arc;

use cap_domain::configuration::Configuration;
use cap_domain::ids::RequestId;
use cap_reference::model::{Done, Due, Errand, Expected, Taken};
use cap_reference::script::{Account, Content, Message, Script, Stage, Step};
use serde_json::Value;

use crate::common::story::Sent;
use crate::envelopes::{closing, envelope, sound};
use crate::ledger::units;
use crate::side::Side;
use crate::tally::Tally;

/// All accounts of a case.
pub(crate) struct World {
    configuration: Arc<Configuration>,
    seed: u64,
    sides: BTreeMap<String, Side>,
    /// What CAP has sent itself, in this order, with its envelope; what has come is none.
    sent: Vec<Option<(Errand, String)>>,
    published: usize,
    waited_secs: u32,
}

impl World {
    pub(crate) fn new(configuration: &Arc<Configuration>, seed: u64) -> Self {
        Self {
            configuration: Arc::clone(configuration),
            seed,
            sides: BTreeMap::new(),
            sent: Vec::new(),
            published: 0,
            waited_secs: 0,
        }
    }

    /// Goes through a script, step by step.
    pub(crate) fn play(&mut self, script: &Script, tally: &mut Tally) {
        for step in &script.steps {
            match step {
                Step::Publish(number) => {
                    let message = &script.messages[*number];
                    let account = &script.accounts[message.account];
                    let expected = self.publish(account, message);
                    tally.count_message(message, account, &expected);
                }
                Step::Deliver(number) => {
                    let (errand, done) = self.deliver(*number);
                    tally.count_errand(&errand, &done);
                }
                Step::Wait(secs) => self.wait(*secs),
            }
        }
        assert!(self.under_way().next().is_none(), "seed {}: everything has come", self.seed);
    }

    pub(crate) fn side(&mut self, account: &Account) -> &mut Side {
        let side = self.sides.entry(account.key());
        side.or_insert_with(|| {
            let mut side = Side::new(account, &self.configuration);
            side.pass(self.waited_secs);
            side
        })
    }

    /// Nothing comes for so many seconds.
    pub(crate) fn wait(&mut self, secs: u32) {
        self.waited_secs += secs;
        self.sides.values_mut().for_each(|side| side.pass(secs));
    }

    /// The number of what was sent last.
    pub(crate) fn last_sent(&self) -> usize {
        self.sent.len() - 1
    }

    fn under_way(&self) -> impl Iterator<Item = &Errand> {
        self.sent.iter().flatten().map(|(errand, _)| errand)
    }

    /// A message comes; what the stages say of it is what the model says.
    pub(crate) fn publish(&mut self, account: &Account, message: &Message) -> Expected {
        self.published += 1;
        let (number, seed) = (self.published, self.seed);
        let side = self.side(account);
        let sent = Sent {
            message_id: format!("m-{number}"),
            deduplication_id: RequestId::new(&message.deduplication_id).ok(),
            sent_at: side.story.now,
            receives: 1,
            body: message.body_at(side.story.now.millis()),
        };
        let place =
            format!("seed {seed}, message {number} {:?} {}", message.nature, message.body_at(0));
        let (told, suspended) = side.deliver(&sent);
        let Taken { expected, errand } = side.model.take_apart(message);
        let place = format!("{place}\n{expected:#?}\n{told:#?}");
        assert_eq!(expected == Expected::Skipped, message.nature.is_skipped(), "{place}");
        let due: Vec<Due<'_>> = expected.due(&message.request_id).collect();
        assert_eq!(due.len(), told.len(), "{place}");
        for (due, (request_id, outcome)) in due.iter().zip(&told) {
            assert!(due.is_told_under(request_id), "{request_id}: {place}");
            due.matches(outcome).unwrap_or_else(|difference| panic!("{difference}\n{place}"));
        }
        tells_of_transfer(message, &expected, told.last().map(|(_, outcome)| outcome), &place);
        let found_at = message.nature.found_at(account).filter(|_| message.nature.is_skipped());
        assert_eq!(suspended.as_deref(), found_at.map(Stage::name), "{place}");
        self.collect(account, errand, &place);
        self.check(account, &place);
        expected
    }

    /// What was sent under this number comes.
    pub(crate) fn deliver(&mut self, number: usize) -> (Errand, Done) {
        let (errand, body) = self.sent[number].take().unwrap();
        let place = format!("seed {}, errand {number} {body}", self.seed);
        let envelope: Value = serde_json::from_str(&body).unwrap();
        let request_id = envelope["header"]["request_id"].as_str().unwrap();
        let side = self.side(&errand.to);
        let message = side.story.sent_aside(&format!("own-{request_id}"), &body);
        let (told, suspended) = side.deliver(&message);
        let Taken { expected, errand: next } = side.run(&errand);
        let place = format!("{place}\n{expected:#?}\n{told:#?}");
        let found_at = (expected == Done::Poisoned).then_some(Stage::Account);
        assert_eq!(suspended.as_deref(), found_at.map(Stage::name), "{place}");
        let (own, cancelled) = told.split_last().unwrap();
        assert_eq!(own.0, request_id, "{place}");
        expected.matches(&errand, &own.1).unwrap_or_else(|wrong| panic!("{wrong}\n{place}"));
        let due: &[_] = match &expected {
            Done::Posted(follow_up) => &follow_up.cancelled,
            _ => &[],
        };
        assert_eq!(due.len(), cancelled.len(), "{place}");
        for (due, (request_id, outcome)) in due.iter().zip(cancelled) {
            assert_eq!(&due.request_id, request_id, "{place}");
            due.matches(outcome).unwrap_or_else(|wrong| panic!("{wrong}\n{place}"));
        }
        if expected != Done::Poisoned {
            self.comes_again(&errand, &body, &own.1, &place);
        }
        let to = errand.to.clone();
        self.collect(&to, next, &place);
        self.check(&to, &place);
        (errand, expected)
    }

    /// The same once more, under another SQS id: it is answered with the first outcome, and nothing
    /// follows from it.
    fn comes_again(&mut self, errand: &Errand, body: &str, first: &Value, place: &str) {
        let followed = self.side(&errand.to).story.followed.len();
        let side = self.side(&errand.to);
        let message = side.story.sent_aside(&format!("again-{}", side.story.now.millis()), body);
        let (told, suspended) = side.deliver(&message);
        assert_eq!((told.len(), suspended), (1, None), "{place}\n{told:#?}");
        assert_eq!(told[0].1["replayed"], true, "{place}\n{told:#?}");
        for field in ["status", "lane_seq", "balances", "transfer_id", "position"] {
            assert_eq!(told[0].1[field], first[field], "{place}: {field} again\n{told:#?}");
        }
        assert_eq!(side.story.followed.len(), followed, "{place}");
    }

    /// What CAP sent itself now is what the model has.
    fn collect(&mut self, account: &Account, errand: Option<Errand>, place: &str) {
        let followed = std::mem::take(&mut self.side(account).story.followed);
        let sent = |body: &str| -> Value { serde_json::from_str::<Value>(body).unwrap() };
        let theirs: Vec<(String, String)> = followed
            .iter()
            .map(|(to, body)| {
                (to.to_string(), sent(body)["event"]["type"].as_str().unwrap().to_owned())
            })
            .collect();
        let ours: Vec<(String, String)> =
            errand.iter().map(|errand| (errand.to.key(), errand.kind().to_owned())).collect();
        assert_eq!(ours, theirs, "{place}");
        let bodies = followed.into_iter().map(|(_, body)| body);
        self.sent.extend(errand.into_iter().zip(bodies).map(Some));
    }

    /// What must hold of one account, and of all together.
    fn check(&mut self, account: &Account, place: &str) {
        let key = account.key();
        let mut margin: BTreeMap<String, i128> = BTreeMap::new();
        let mut in_transit: BTreeMap<&str, i128> = BTreeMap::new();
        for errand in self.under_way() {
            if let Some((currency, units)) = errand.in_transit() {
                *in_transit.entry(currency).or_default() += units;
            }
            if let Some((currency, units)) = errand.margin().filter(|_| errand.to.key() == key) {
                *margin.entry(currency.to_owned()).or_default() += units;
            }
        }
        self.sides.get_mut(&key).unwrap().check(margin, place);
        let mut found: BTreeMap<&str, i128> = BTreeMap::new();
        for (currency, units) in self.sides.values().flat_map(|side| side.ledger.of("transit")) {
            *found.entry(currency).or_default() += units;
        }
        found.retain(|_, units| *units != 0);
        assert_eq!(found, in_transit, "what is in transit is on its way: {place}");
    }

    /// Closes all that is open, and nothing is left in margin but what is there for good.
    pub(crate) fn close_everything(&mut self) {
        let accounts: Vec<Account> = self.sides.values().map(|side| side.account.clone()).collect();
        for account in accounts {
            for (name, position) in self.side(&account).model.positions() {
                if position.side != "flat" {
                    let event = closing(&position, &account.product);
                    let message = sound(&format!("end {name}").replace(' ', "-"), event);
                    let message = envelope(&account, message);
                    let expected = self.publish(&account, &message);
                    assert!(matches!(expected, Expected::Posted { .. }), "{expected:?}");
                }
            }
            let seed = self.seed;
            let side = self.side(&account);
            for (code, balance) in &side.story.account.state.balances {
                let stranded = side.stranded.get(&code.to_string()).copied().unwrap_or_default();
                let margin = units(&balance.margin.amount());
                assert_eq!(margin, stranded, "seed {seed} {account:?} {balance:?}");
            }
            side.story.clearing.prove();
            side.story.position.prove();
            side.story.account.prove();
        }
        self.check_sum();
    }

    /// What all accounts have and what the world outside of them has come to nothing together.
    fn check_sum(&self) {
        let mut sums: BTreeMap<String, i128> = BTreeMap::new();
        for side in self.sides.values() {
            for (currency, units) in side.held().into_iter().chain(side.outside()) {
                *sums.entry(currency).or_default() += units;
            }
        }
        assert!(sums.values().all(|sum| *sum == 0), "seed {}: {sums:?}", self.seed);
    }
}

/// The outcome of a transfer says which it is, if it is posted or the account stage refuses it: what is
/// refused before has no such field.
fn tells_of_transfer(message: &Message, expected: &Expected, outcome: Option<&Value>, place: &str) {
    let Content::Envelope { event, .. } = &message.content else { return };
    let by_account = match expected {
        Expected::Posted { .. } => true,
        Expected::Rejected { code, .. } => {
            matches!(code.as_str(), "insufficient_funds" | "account_closed")
        }
        _ => false,
    };
    if by_account && event["type"] == "transfer.requested" {
        assert_eq!(outcome.unwrap()["transfer_id"], event["transfer_id"], "{place}");
    }
}
