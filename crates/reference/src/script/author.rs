//! Who writes the messages of one account: it knows of it what its outcomes say.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::rngs::StdRng;

use super::desk::{Order, happens, one_of};
use super::draft::{Draft, Then, envelope};
use super::{Account, Content, Message, Nature, Shape, Stage};
use crate::model::{Currency, Expected, Held, Model, Status};

/// Made so long before it is sent that it has expired: six minutes.
const EXPIRED_SECS: i64 = -6 * 60;

/// Made so long after it is sent that it is refused: three minutes.
const FUTURE_SECS: i64 = 3 * 60;

/// An author with so many withdrawals under way asks for no more: far below what an account may
/// have.
const WITHDRAWALS_MAX: usize = 50;

/// What an account is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
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
    role: Role,
    pub(super) model: Model,
    /// Orders that hold money; together they hold what is frozen.
    pub(super) orders: Vec<Order>,
    /// By symbol: constant while a position is open.
    pub(super) leverages: BTreeMap<&'static str, i128>,
    /// Numbers of this account's sound messages.
    sound: Vec<usize>,
}

/// What an author of an open account may do next.
#[derive(Debug, Clone, Copy)]
enum Action {
    Deposit,
    Reserve,
    Release,
    Fill,
    Funding,
    Charge,
    Interest,
    Withdraw,
    Settle,
    Cancel,
    ChangeCredit,
    Adjust,
    Liquidate,
    OpenAgain,
    Close,
    Invalid,
}

impl Author {
    pub(super) fn new(index: usize, account: Account, shape: &Shape, dice: &mut StdRng) -> Self {
        let role = match dice.random_range(0..1_000) {
            n if n < shape.strangers_per_mille => Role::Stranger,
            n if n < shape.strangers_per_mille.saturating_add(shape.passers_by_per_mille) => {
                Role::PasserBy
            }
            _ => Role::Trader,
        };
        let model = Model::new(&account);
        let (orders, leverages, sound) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { account, index, role, model, orders, leverages, sound }
    }

    /// Whether the account could only refuse what is asked of it.
    pub(super) fn is_quiet(&self) -> bool {
        let status = self.model.book().status;
        status == Status::Closed || (status == Status::Unopened && self.role == Role::Stranger)
    }

    /// Writes the account's next message, which is the next of the script.
    pub(super) fn write(
        &mut self,
        shape: &Shape,
        prefix: &str,
        before: &[Message],
        dice: &mut StdRng,
    ) -> Message {
        let number = before.len();
        let fresh = format!("{prefix}-{number}");
        if happens(dice, shape.poison_per_mille) {
            return self.write_poison(&fresh, number, dice);
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

    fn write_poison(&mut self, request_id: &str, number: usize, dice: &mut StdRng) -> Message {
        let event = |author: &Self, event| envelope(&author.account, request_id, event);
        let (nature, content) = match (dice.random_range(0..8), self.model.book().status) {
            (0, _) => (Nature::NotJson, Content::Text(super::fault::no_json(dice).to_owned())),
            (1 | 2, _) => (Nature::InvalidFact, event(self, super::fault::invalid_fact(dice))),
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
        let Draft { event, then } = self.draft(number, dice);
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
        let posted = matches!(self.model.take(&message), Expected::Posted { .. });
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
        }
    }

    /// What the account has of `currency`.
    pub(super) fn held(&self, currency: Currency) -> Held {
        self.model.book().funds.of(currency)
    }

    fn draft(&mut self, number: usize, dice: &mut StdRng) -> Draft {
        match (self.model.book().status, self.role) {
            (Status::Unopened, Role::PasserBy | Role::Trader) if happens(dice, 800) => {
                self.opened(number, dice)
            }
            (Status::Unopened | Status::Closed, _) => self.any_request(number, dice),
            (Status::Open, Role::PasserBy) => self.pass_by(number, dice),
            (Status::Open, _) => {
                let action = self.choose(dice);
                self.act(action, number, dice)
            }
        }
    }

    fn any_request(&mut self, number: usize, dice: &mut StdRng) -> Draft {
        let closed = self.model.book().status == Status::Closed;
        match dice.random_range(0..6) {
            0 if closed => self.opened(number, dice),
            0 | 1 => self.closed(),
            2 => self.withdrawal_requested(number, dice),
            3 => self.adjusted(dice),
            4 => super::fault::invalid_request(number, dice).into(),
            _ => self.reserved(number, dice),
        }
    }

    fn pass_by(&mut self, number: usize, dice: &mut StdRng) -> Draft {
        let book = self.model.book();
        match dice.random_range(0..10) {
            0 => self.deposit(number, dice),
            1 => self.closed(),
            2..8 if !book.withdrawals.is_empty() => self
                .settled(dice)
                .or_else(|| self.cancelled(dice))
                .unwrap_or_else(|| self.deposit(number, dice)),
            2..8 if !book.funds.is_empty() => self.withdrawn_whole(number, dice),
            2..7 => self.closed(),
            _ => self.deposit(number, dice),
        }
    }

    fn choose(&self, dice: &mut StdRng) -> Action {
        let book = self.model.book();
        let when = |possible: bool, weight: u32| if possible { weight } else { 0 };
        let (ordered, poor) = (!self.orders.is_empty(), book.funds.is_empty());
        let actions = [
            (Action::Deposit, if poor { 60 } else { 12 }),
            (Action::Reserve, 18),
            (Action::Release, when(ordered, 5)),
            (Action::Fill, if ordered { 26 } else { 8 }),
            (Action::Funding, when(self.account.has_positions(), 8)),
            (Action::Charge, 4),
            (Action::Interest, when(book.funds.owed().next().is_some(), 6)),
            (Action::Withdraw, when(book.withdrawals.len() < WITHDRAWALS_MAX, 7)),
            (Action::Settle, when(!book.withdrawals.is_empty(), 6)),
            (Action::Cancel, when(!book.withdrawals.is_empty(), 3)),
            (Action::ChangeCredit, 4),
            (Action::Adjust, 6),
            (Action::Liquidate, if book.liquidating { 5 } else { 2 }),
            (Action::OpenAgain, 1),
            (Action::Close, 1),
            (Action::Invalid, 3),
        ];
        let mut left = dice.random_range(0..actions.iter().map(|(_, weight)| weight).sum());
        for (action, weight) in actions {
            if left < weight {
                return action;
            }
            left -= weight;
        }
        Action::Deposit
    }

    /// The draft of an action, or a deposit where it turns out that there is nothing to act on.
    fn act(&mut self, action: Action, number: usize, dice: &mut StdRng) -> Draft {
        let draft = match action {
            Action::Deposit => None,
            Action::Reserve => Some(self.reserved(number, dice)),
            Action::Release => self.released(dice),
            Action::Fill if self.account.has_positions() => {
                Some(self.contract_filled(number, dice))
            }
            Action::Fill => Some(self.pair_filled(number, dice)),
            Action::Funding => Some(self.funded(dice)),
            Action::Charge => Some(self.charged(dice)),
            Action::Interest => self.interest(dice),
            Action::Withdraw => Some(self.withdrawal_requested(number, dice)),
            Action::Settle => self.settled(dice),
            Action::Cancel => self.cancelled(dice),
            Action::ChangeCredit => self.credit_changed(dice),
            Action::Adjust => Some(self.adjusted(dice)),
            Action::Liquidate => Some(self.liquidated()),
            Action::OpenAgain => Some(self.opened(number, dice)),
            Action::Close => Some(self.closed()),
            Action::Invalid => Some(super::fault::invalid_request(number, dice).into()),
        };
        draft.unwrap_or_else(|| self.deposit(number, dice))
    }
}
