//! Accounts: the money. Account alone decides between enough, borrow and reject (C2).

mod credit;
mod exchange;
mod lifecycle;
mod posting;
mod stage;
mod state;
mod under_way;
mod withdrawal;

pub use posting::{Posted, post};
pub use stage::{AccountRuling, Accounts};
pub use state::{
    AccountState, AccountStatus, Balance, CancelledWithdrawal, Credit, Leg, UnderWay, Withdrawal,
    WithdrawalRequest,
};
