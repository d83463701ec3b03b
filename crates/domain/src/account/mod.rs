//! Accounts: the money. Account alone decides between enough, borrow and reject (C2).

mod balance;
mod credit;
mod declared;
mod exchange;
mod lifecycle;
mod liquidation;
mod margin;
mod posting;
mod stage;
mod state;
mod under_way;
mod withdrawal;

pub use balance::Balance;
pub use margin::margin_under_way;
pub use posting::{Posted, post};
pub use stage::{AccountRuling, Accounts};
pub use state::{
    AccountState, AccountStatus, Balances, CancelledWithdrawal, Credit, Leg, UnderWay,
    UnpaidFunding, Withdrawal, WithdrawalRequest,
};
