//! What an account has.

use std::collections::BTreeMap;

use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::balance::Balance;
use crate::ids::{AccountKey, ExternalId, RequestId, Symbol};
use crate::money::{CurrencyCode, Money};
use crate::subject::Subject;
use crate::time::Timestamp;

/// An account's money by currency, in the order of codes. Almost all accounts have few: a row of them is
/// copied and freed at a fraction of what a tree's nodes cost, which have room for eleven each.
pub type Balances = LiteMap<CurrencyCode, Balance>;

/// Whether an account may be posted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountStatus {
    /// Never opened: postings do not open accounts (A3).
    #[default]
    Unopened,
    /// Open.
    Open,
    /// Closed for good.
    Closed,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountState {
    /// Whether it may be posted to.
    pub status: AccountStatus,
    /// Whose it is.
    pub customer: Option<ExternalId>,
    /// What it may borrow.
    pub credit: Option<Credit>,
    /// Whether it is being liquidated (A8).
    pub liquidating: bool,
    /// Withdrawals that are neither settled nor cancelled.
    pub withdrawals: BTreeMap<ExternalId, Withdrawal>,
    /// Transfers that left and have neither landed nor come back, by the request id under which
    /// they arrive.
    pub under_way: BTreeMap<RequestId, UnderWay>,
    /// Funding that a position has been asked for and that has not come back yet, by the request id
    /// under which it does.
    pub unpaid: BTreeMap<RequestId, UnpaidFunding>,
    /// What it has, by currency.
    pub balances: Balances,
}

/// A credit line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credit {
    /// The most that may be borrowed, in the card's currency.
    pub limit: Money,
    /// Whether anything may be borrowed now; what is owed stays owed.
    pub enabled: bool,
}

/// A withdrawal under way. It is stored: whoever reads it knows nothing of what a later release, that
/// runs beside it, may add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// How much.
    pub amount: Money,
    /// Not to be settled before, if it was requested during a liquidation (A8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payable_at: Option<Timestamp>,
    /// The request it was made by. An earlier release did not store it: such a withdrawal counts
    /// as older than any that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<WithdrawalRequest>,
}

/// The `withdrawal.requested` of a withdrawal under way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WithdrawalRequest {
    /// Its number in the lane of the stage before: it grows with the account's own, and a message
    /// brings it along.
    pub number: u64,
    /// Its request id.
    pub request_id: RequestId,
}

/// A transfer under way. It is stored, and read as [`Withdrawal`] is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderWay {
    /// What its caller knows it by.
    pub transfer_id: ExternalId,
    /// Where it is to land.
    pub to: AccountKey,
    /// How much.
    pub amount: Money,
}

/// Funding that available did not cover, on its way to the position that owes it and back (ADR 11). It is
/// stored, and read as [`Withdrawal`] is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnpaidFunding {
    /// Of which contract.
    pub symbol: Symbol,
    /// How much.
    pub amount: Money,
}

/// A withdrawal that was cancelled because its money was needed for losses during a liquidation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelledWithdrawal {
    /// Which.
    pub withdrawal_id: ExternalId,
    /// The request that is answered once more: `unknown` if an earlier release took it and did not
    /// store its id; another request's id would say something false of that one.
    pub request_id: RequestId,
    /// How much was on hold for it.
    pub amount: Money,
}

/// A posted leg.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// Whose money went down.
    pub from: Subject,
    /// Whose money went up.
    pub to: Subject,
    /// By how much.
    #[serde(flatten)]
    pub money: Money,
}
