//! Every account as the stages have it and as the model has it, and what is on its way between them.

use std::collections::BTreeMap;
use std::sync::Arc;

use cap_domain::configuration::Configuration;
use cap_domain::ids::RequestId;
use cap_domain::lane::{LaneStatus, Stage as DomainStage};
use cap_domain::position::{COST_DECIMALS, HedgeSide};
use cap_reference::model::{Done, Due, Errand, Expected, Model, Taken};
use cap_reference::script::{Account, Content, Message, Nature, Script, Stage, Step};
use serde_json::{Value, json};

use crate::common::story::{LaneOf, Sent, Story, Told};
use crate::ledger::{Ledger, units};
use crate::tally::Tally;

/// One account.
pub(crate) struct Side {
    pub(crate) account: Account,
    pub(crate) story: Story,
    pub(crate) model: Model,
    ledger: Ledger,
}

/// All accounts of a case.
pub(crate) struct World {
    configuration: Arc<Configuration>,
    seed: u64,
    sides: BTreeMap<String, Side>,
    /// What CAP has sent itself, in this order, with its envelope; what has come is none.
    sent: Vec<Option<(Errand, String)>>,
    published: usize,
}

impl World {
    pub(crate) fn new(configuration: &Arc<Configuration>, seed: u64) -> Self {
        Self {
            configuration: Arc::clone(configuration),
            seed,
            sides: BTreeMap::new(),
            sent: Vec::new(),
            published: 0,
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
            }
        }
        assert!(self.under_way().next().is_none(), "seed {}: everything has come", self.seed);
    }

    pub(crate) fn side(&mut self, account: &Account) -> &mut Side {
        let side = self.sides.entry(account.key());
        side.or_insert_with(|| Side::new(account, &self.configuration))
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
        let Taken { expected, errand: next } = side.model.run(&errand);
        let place = format!("{place}\n{expected:#?}\n{told:#?}");
        assert_eq!((suspended, &expected == &Done::Poisoned), (None, false), "{place}");
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
        self.comes_again(&errand, &body, &own.1, &place);
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

    /// Closes all that is open, and nothing is left in margin or in transit.
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
            let side = self.side(&account);
            for balance in side.story.account.state.balances.values() {
                assert!(balance.margin.is_zero(), "seed {} {balance:?}", self.seed);
            }
            let side = self.side(&account);
            side.story.clearing.prove();
            side.story.position.prove();
            side.story.account.prove();
        }
    }
}

impl Side {
    fn new(account: &Account, configuration: &Arc<Configuration>) -> Self {
        Self {
            account: account.clone(),
            story: Story::account_under(&account.key(), Arc::clone(configuration)),
            model: Model::new(account),
            ledger: Ledger::default(),
        }
    }

    /// What the stages say of a message, with the requests they say it of, and the stage it suspends.
    /// There support skips it at once.
    fn deliver(&mut self, sent: &Sent) -> (Vec<(String, Value)>, Option<String>) {
        let story = &mut self.story;
        let told = story.deliver(std::slice::from_ref(sent));
        let suspended = story.suspended().first().map(|stage| stage.as_str().to_owned());
        skip(&mut story.clearing);
        skip(&mut story.position);
        skip(&mut story.account);
        story.now = story.now.plus_seconds(1);
        let read = |told: &Told| {
            let mut said: Value = serde_json::from_str(&told.body).unwrap();
            (told.request_id().to_owned(), said["outcome"].take())
        };
        (told.iter().map(read).collect(), suspended)
    }

    /// Balances, positions and legs are the model's and each other's; `margin` is what is posted and in
    /// no position yet.
    fn check(&mut self, mut margin: BTreeMap<String, i128>, place: &str) {
        self.ledger.read(&self.story.account.journal, place);
        let seqs = [
            self.story.clearing.lane.seq,
            self.story.position.lane.seq,
            self.story.account.lane.seq,
        ];
        assert_eq!(Stage::ALL.map(|stage| self.model.seq(stage)), seqs, "{place}");
        for (currency, units) in self.check_positions(place) {
            *margin.entry(currency).or_default() += units;
        }
        let (ours, theirs) = (self.model.balances(), &self.story.account.state.balances);
        let codes: Vec<String> = theirs.keys().map(ToString::to_string).collect();
        assert_eq!(ours.keys().collect::<Vec<_>>(), codes.iter().collect::<Vec<_>>(), "{place}");
        let mut sums = self.ledger.sums.clone();
        for (code, balance) in theirs {
            let shown = json!(balance);
            let shown = shown.as_object().unwrap();
            let due = &ours[&code.to_string()];
            let declared = due.declared.iter().map(|(name, amount)| (*name, amount.as_str()));
            let mut due: BTreeMap<&str, &str> = due.amounts().into_iter().chain(declared).collect();
            due.insert("currency", code.as_str());
            let found: BTreeMap<&str, &str> =
                shown.iter().map(|(name, found)| (name.as_str(), found.as_str().unwrap())).collect();
            assert_eq!(found, due, "{place}");
            for (name, amount) in found.into_iter().filter(|(name, _)| *name != "currency") {
                let held = units(amount);
                assert!(held >= 0, "{code} {name} is below zero: {place}");
                let moved = sums.remove(&(code.to_string(), name.to_owned())).unwrap_or_default();
                let sign = if name == "borrowed" { -1 } else { 1 };
                assert_eq!(sign * held, moved, "{code} {name} is what its legs are: {place}");
            }
            let both = balance.available.is_zero() || balance.borrowed.is_zero();
            assert!(both, "{code} is available and borrowed: {place}");
            let posted = margin.remove(&code.to_string()).unwrap_or_default();
            assert_eq!(units(&balance.margin.amount()), posted, "margin of positions: {place}");
        }
        assert!(margin.values().all(|units| *units == 0), "{margin:?}: {place}");
        let ours: BTreeMap<(String, String), i128> = self
            .model
            .contra()
            .into_iter()
            .map(|((subject, currency), amount)| ((currency, subject), units(&amount)))
            .filter(|(_, units)| *units != 0)
            .collect();
        sums.retain(|_, units| *units != 0);
        assert_eq!(ours, sums, "contra subjects: {place}");
    }

    /// Positions are the model's; the margin they have, by currency.
    fn check_positions(&self, place: &str) -> BTreeMap<String, i128> {
        let mut margin: BTreeMap<String, i128> = BTreeMap::new();
        let ours = self.model.positions();
        let theirs = &self.story.position.state.positions;
        assert_eq!(ours.len(), theirs.len(), "{place}");
        for (key, held) in theirs {
            let side = key.side.map(HedgeSide::as_str);
            let due = ours.values().find(|due| {
                due.symbol == key.symbol.as_str() && due.position_side.as_deref() == side
            });
            let due = due.unwrap_or_else(|| panic!("{key}: {place}"));
            let one = 10_i128.pow(COST_DECIMALS);
            let cost = format!("{}.{:0width$}", held.cost / one, held.cost % one, width = 12);
            let found = [
                held.quantity.normalize().to_string(),
                cost,
                held.margin.amount(),
                held.margin_mode.as_str().to_owned(),
                held.realised_profit.amount(),
            ];
            let due =
                [&due.quantity, &due.cost, &due.margin, &due.margin_mode, &due.realised_profit];
            assert_eq!(found.each_ref(), due, "{key}: {place}");
            let currency = held.margin.currency().to_string();
            *margin.entry(currency).or_default() += units(&held.margin.amount());
        }
        margin
    }
}

/// Support skips what suspended the lane.
fn skip<S: DomainStage>(lane: &mut LaneOf<S>) {
    lane.lane.status = LaneStatus::Active;
    lane.lane.suspension = None;
}

/// The outcome of a transfer says which it is, posted or refused, if it can be read.
fn tells_of_transfer(message: &Message, expected: &Expected, outcome: Option<&Value>, place: &str) {
    let Content::Envelope { event, .. } = &message.content else { return };
    let decided = matches!(expected, Expected::Posted { .. })
        || matches!(expected, Expected::Rejected { code, .. } if code != "invalid_request" && code != "initiated_in_the_future");
    if decided && event["type"] == "transfer.requested" {
        assert_eq!(outcome.unwrap()["transfer_id"], event["transfer_id"], "{place}");
    }
}

/// An event that nothing is the matter with.
pub(crate) fn sound(request_id: &str, event: Value) -> Message {
    Message {
        account: 0,
        request_id: request_id.to_owned(),
        deduplication_id: request_id.to_owned(),
        nature: Nature::Sound,
        initiated_at_offset_secs: 0,
        content: Content::Envelope { header: json!({}), event },
    }
}

/// The same, from an account, under a request id of its own.
pub(crate) fn envelope(account: &Account, message: Message) -> Message {
    let Content::Envelope { event, .. } = message.content else { return message };
    let request_id = format!("{}-{}", account.name, message.request_id);
    let header = json!({
        "version": 1, "request_id": request_id, "company": account.company,
        "product": account.product, "customer_group": account.customer_group,
        "account": account.name,
    });
    let content = Content::Envelope { header, event };
    Message { deduplication_id: request_id.clone(), request_id, content, ..message }
}

/// The fill that closes a position, at a price where much is gained or lost.
fn closing(position: &cap_reference::model::Position, product: &str) -> Value {
    let settled_in = match (position.symbol.as_str(), product) {
        ("BTC-USD", _) => "BTC",
        (_, "cfd") => "USD",
        _ => "USDT",
    };
    let price = if product == "cfd" { "123.456789" } else { "12345.678901" };
    let currencies: &[&str] =
        if product == "cfd" { &["HKD", "USD", "USDT"] } else { &["BTC", "ETH", "HKD", "USD", "USDT"] };
    let pairs = currencies.iter().flat_map(|from| currencies.iter().map(move |to| (from, to)));
    let rates = pairs.filter(|(from, to)| from != to);
    let rates: serde_json::Map<String, Value> =
        rates.map(|(from, to)| (format!("{from}/{to}"), json!("1"))).collect();
    let mut event = json!({
        "type": "trade.filled", "trade_id": "t-end", "order_id": "o-end",
        "symbol": position.symbol, "side": if position.side == "long" { "sell" } else { "buy" },
        "quantity": position.quantity.trim_start_matches('-'), "price": price,
        "leverage": "7", "margin_mode": position.margin_mode,
        "fee": { "currency": settled_in, "amount": "0" }, "liquidity": "taker", "rates": rates,
    });
    if let Some(side) = &position.position_side {
        event["position_side"] = json!(side);
    }
    event
}
