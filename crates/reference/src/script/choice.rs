//! What an author does next: as its account stands, by chance.

use rand::RngExt;
use rand::rngs::StdRng;

use super::author::{Author, Role};
use super::desk::{happens, share};
use super::draft::Draft;
use crate::model::Status;

/// An author with so many withdrawals under way asks for no more: far below what an account may
/// have.
const WITHDRAWALS_MAX: usize = 50;

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
    pub(super) fn draft(&mut self, number: usize, dice: &mut StdRng) -> Draft {
        match (self.model.book().status, self.role) {
            (Status::Unopened, Role::PasserBy | Role::Trader) if happens(dice, 800) => {
                self.opened(number, dice)
            }
            (Status::Unopened | Status::Closed, _) if share(dice, self.shape.margin_per_mille) => {
                self.margin_asked(dice)
            }
            (Status::Unopened | Status::Closed, _) => self.any_request(number, dice),
            (Status::Open, _) if share(dice, self.shape.transfers_per_mille) => {
                self.transferred(number, dice)
            }
            (Status::Open, Role::PasserBy) => self.pass_by(number, dice),
            (Status::Open, _) if share(dice, self.shape.losses_per_mille) => {
                self.toward_losses(number, dice)
            }
            (Status::Open, _) if share(dice, self.shape.margin_per_mille) => {
                match self.account.has_positions() {
                    true => self.toward_margin(number, dice),
                    false if happens(dice, 60) => self.margin_asked(dice),
                    false => self.do_something(number, dice),
                }
            }
            (Status::Open, _) => self.do_something(number, dice),
        }
    }

    fn do_something(&mut self, number: usize, dice: &mut StdRng) -> Draft {
        let action = self.choose(dice);
        self.act(action, number, dice)
    }

    fn any_request(&mut self, number: usize, dice: &mut StdRng) -> Draft {
        let closed = self.model.book().status == Status::Closed;
        if share(dice, self.shape.transfers_per_mille) {
            return self.transferred(number, dice);
        }
        match dice.random_range(0..6) {
            0 if closed => self.opened(number, dice),
            0 | 1 => self.closed(),
            2 => self.withdrawal_requested(number, dice),
            3 => self.adjusted(dice),
            4 => self.invalid_request(number, dice).into(),
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
            Action::Invalid => Some(self.invalid_request(number, dice).into()),
        };
        draft.unwrap_or_else(|| self.deposit(number, dice))
    }
}
