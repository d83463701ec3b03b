//! Who writes the messages of one account: it knows of it what its outcomes say.

use std::collections::BTreeMap;
use std::rc::Rc;

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::json;

use super::cash::of;
use super::desk::{Order, happens, one_of, share};
use super::draft::{Draft, Then, envelope};
use super::{Account, Content, Message, Nature, Shape, Stage};
use crate::model::{Amount, Currency, Errand, Expected, Held, Model, Status, Taken};

/// Made so long before it is sent that it has expired: six minutes.
const EXPIRED_SECS: i64 = -6 * 60;

/// Made so long after it is sent that it is refused: three minutes.
const FUTURE_SECS: i64 = 3 * 60;

/// Currencies of credit cards: in dollars most of the time.
const CARDS: [Currency; 6] =
    [Currency::USD, Currency::USD, Currency::USD, Currency::HKD, Currency::USDT, Currency::BTC];

/// What an account is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nobody ever opens it.
    Stranger,
    /// Puts money in, takes it out, closes.
    PasserBy,
    /// Trades.
    Trader,
}

/// The author of one account's messages.
#[derive(Debug)]
pub(super) struct Author {
    pub(super) account: Account,
    index: usize,
    pub(super) role: Role,
    pub(super) shape: Shape,
    /// Whether the account is to be opened as a hedge account.
    pub(super) hedge: bool,
    /// The currency of the credit card it is to have, if it borrows on one and sends rates.
    pub(super) card: Option<Currency>,
    pub(super) model: Model,
    /// All accounts of the script, its own among them.
    pub(super) others: Rc<[Account]>,
    /// What CAP sends itself after its messages, until it is collected.
    pub(super) errands: Vec<Errand>,
    /// Orders that hold money; together they hold what is frozen.
    pub(super) orders: Vec<Order>,
    /// By symbol: while a position is open, that of its fills.
    pub(super) leverages: BTreeMap<&'static str, i128>,
    /// Numbers of this account's sound messages.
    sound: Vec<usize>,
}

impl Author {
    pub(super) fn new(
        index: usize,
        others: &Rc<[Account]>,
        shape: &Shape,
        dice: &mut StdRng,
    ) -> Self {
        let account = others[index].clone();
        let role = match dice.random_range(0..1_000) {
            n if n < shape.strangers_per_mille => Role::Stranger,
            n if n < shape.strangers_per_mille.saturating_add(shape.passers_by_per_mille) => {
                Role::PasserBy
            }
            _ => Role::Trader,
        };
        let hedge = account.has_positions() && share(dice, shape.hedge_per_mille);
        let card = share(dice, shape.card_per_mille).then(|| one_of(dice, &CARDS));
        let model = Model::new(&account);
        let of_product = |card: &Currency| model.book().product.currencies().contains(card);
        Self {
            card: card.map(|card| Some(card).filter(of_product).unwrap_or(Currency::USD)),
            model,
            others: Rc::clone(others),
            errands: Vec::new(),
            account,
            index,
            role,
            shape: shape.clone(),
            hedge,
            orders: Vec::new(),
            leverages: BTreeMap::new(),
            sound: Vec::new(),
        }
    }

    /// Whether the account could only refuse what is asked of it.
    pub(super) fn is_quiet(&self) -> bool {
        let status = self.model.book().status;
        status == Status::Closed || (status == Status::Unopened && self.role == Role::Stranger)
    }

    /// Writes the account's next message, which is the next of the script.
    pub(super) fn write(&mut self, prefix: &str, before: &[Message], dice: &mut StdRng) -> Message {
        let (number, shape) = (before.len(), self.shape.clone());
        let fresh = format!("{prefix}-{number}");
        if happens(dice, shape.poison_per_mille) {
            return self.write_poison(&fresh, number, dice);
        }
        if share(dice, shape.early_per_mille)
            && let Some(event) = self.settled_too_early(dice)
        {
            let content = envelope(&self.account, &fresh, event);
            return self.told(self.message(&fresh, Nature::SettledTooEarly, content)).0;
        }
        if !self.sound.is_empty() && happens(dice, shape.repetitions_per_mille) {
            let of = one_of(dice, &self.sound);
            let deduplication_id = format!("{}:again:{number}", before[of].request_id);
            let nature = Nature::Repetition { of };
            return self.told(Message { deduplication_id, nature, ..before[of].clone() }).0;
        }
        if !self.sound.is_empty() && happens(dice, shape.conflicts_per_mille) {
            let of = one_of(dice, &self.sound);
            let request_id = before[of].request_id.clone();
            let content = envelope(&self.account, &request_id, self.deposit(number, dice).event);
            let message = self.message(&request_id, Nature::Conflict { of }, content);
            let deduplication_id = format!("{request_id}:other:{number}");
            return self.told(Message { deduplication_id, ..message }).0;
        }
        self.sound.push(number);
        let initiated_at_offset_secs = if happens(dice, shape.untimely_per_mille) {
            one_of(dice, &[EXPIRED_SECS, FUTURE_SECS])
        } else {
            0
        };
        self.write_sound(&fresh, number, Nature::Sound, initiated_at_offset_secs, dice)
    }

    /// Writes a deposit that covers so much and all that is owed of its currency.
    pub(super) fn rescue(
        &mut self,
        prefix: &str,
        number: usize,
        Amount { currency, units }: Amount,
        dice: &mut StdRng,
    ) -> Message {
        let units = self.held(currency).borrowed() + units;
        let mut event = of("deposit.received", currency, "amount", units, dice);
        event["reference"] = json!(format!("tx-{number}"));
        let request_id = format!("{prefix}-{number}");
        let content = envelope(&self.account, &request_id, event);
        self.sound.push(number);
        self.told(self.message(&request_id, Nature::Sound, content)).0
    }

    fn write_poison(&mut self, request_id: &str, number: usize, dice: &mut StdRng) -> Message {
        let event = |author: &Self, event| envelope(&author.account, request_id, event);
        let is_closed = self.model.book().status == Status::Closed;
        let often = if is_closed { 2 } else { 1 };
        if share(dice, often * self.shape.contradictions_per_mille)
            && let Some((nature, contradiction)) = self.contradiction(number, dice)
        {
            let content = event(self, contradiction);
            return self.told(self.message(request_id, nature, content)).0;
        }
        let (nature, content) = match (dice.random_range(0..8), self.model.book().status) {
            (0, _) => (Nature::NotJson, Content::Text(super::fault::no_json(dice).to_owned())),
            (1 | 2, _) => (Nature::InvalidFact, event(self, self.invalid_fact(dice))),
            (3 | 4, Status::Unopened) => {
                (Nature::FactForUnopened, event(self, self.unheard_of_fact(number, dice)))
            }
            (3 | 4, Status::Open) => {
                (Nature::TooMuchReserved, event(self, self.too_much_reserved(number, dice)))
            }
            _ => {
                let path: Vec<Stage> = Stage::ALL
                    .into_iter()
                    .filter(|stage| *stage != Stage::Position || self.account.has_positions())
                    .collect();
                let nature = Nature::RefusedOnce { stage: one_of(dice, &path) };
                return self.write_sound(request_id, number, nature, 0, dice);
            }
        };
        self.told(self.message(request_id, nature, content)).0
    }

    fn write_sound(
        &mut self,
        request_id: &str,
        number: usize,
        nature: Nature,
        initiated_at_offset_secs: i64,
        dice: &mut StdRng,
    ) -> Message {
        let draft = self.draft(number, dice);
        let Draft { event, then } = self.with_care(draft, number, dice);
        let content = envelope(&self.account, request_id, event);
        let message = self.message(request_id, nature, content);
        let (message, posted) = self.told(Message { initiated_at_offset_secs, ..message });
        if posted {
            self.remember(then);
        }
        message
    }

    fn message(&self, request_id: &str, nature: Nature, content: Content) -> Message {
        Message {
            account: self.index,
            request_id: request_id.to_owned(),
            deduplication_id: request_id.to_owned(),
            nature,
            initiated_at_offset_secs: 0,
            content,
        }
    }

    /// The message, and whether its outcome is that it is posted.
    fn told(&mut self, message: Message) -> (Message, bool) {
        let Taken { expected, errand } = self.model.take_apart(&message);
        self.errands.extend(errand);
        let posted = matches!(expected, Expected::Posted { .. });
        (message, posted)
    }

    fn remember(&mut self, then: Then) {
        match then {
            Then::Nothing => {}
            Then::Ordered(order) => self.orders.push(order),
            Then::Used { order_id, units } => {
                let used = self.orders.iter_mut().filter(|order| order.id == order_id);
                used.for_each(|order| order.left -= units);
                self.orders.retain(|order| order.left > 0);
            }
            Then::Leveraged { symbol, leverage } => {
                self.leverages.insert(symbol, leverage);
            }
        }
    }

    /// What the account has of `currency`.
    pub(super) fn held(&self, currency: Currency) -> Held {
        self.model.book().funds.of(currency)
    }
}
