//! Transfers among accounts of their own, beside the script: within a company, between companies, to
//! an account that nobody opened and to one that was closed.
//!
//! Every sender has more from the beginning than it ever sends, so whatever the lanes' order, each
//! transfer to an open account lands and every other one comes back: what each has in the end is known.

use cap_domain::account::Accounts;
use cap_domain::ids::AccountKey;
use cap_domain::lane::LaneStatus;
use cap_reference::script::Account;
use cap_store::verify::{VerifyOptions, verify};
use serde_json::json;

use crate::arena::Arena;
use crate::aside::Aside;
use crate::check::{Violation, invariant, load};

/// How many transfers a seed has: each is three messages in three lanes.
const TRANSFERS: usize = 12;

/// What every sender begins with, in USDT.
const DEPOSIT: u32 = 1_000;

/// Whose money it is: senders of both companies and every level of queue, one that was closed, and one
/// that nobody opens.
const GROUPS: [[&str; 3]; 6] = [
    ["acme", "spot", "retail"],
    ["acme", "perpetual", "vip"],
    ["zenith", "spot", "retail"],
    ["zenith", "perpetual", "retail"],
    ["zenith", "spot", "vip"],
    ["acme", "perpetual", "retail"],
];

/// The first so many of the groups are of senders, who receive as well.
const SENDERS: usize = 4;

/// The place of the account that is opened and closed before anything comes.
const CLOSED: usize = 4;

/// The transfers of a seed.
pub struct Transfers {
    /// Their messages.
    pub aside: Aside,
    /// What each sender has in the end, in USDT.
    left: [i64; SENDERS],
}

impl Transfers {
    /// Those of `seed`.
    pub fn of(seed: u64, tag: &str) -> Self {
        let aside = Aside::of(format!("{tag}{seed}-x"), GROUPS);
        let mut transfers = Self { aside, left: [DEPOSIT.into(); SENDERS] };
        for account in 0..=CLOSED {
            let opened = json!({ "type": "account.opened", "customer": "C-1" });
            transfers.aside.add(account, opened);
        }
        transfers.aside.add(CLOSED, json!({ "type": "account.closed" }));
        for account in 0..SENDERS {
            let deposit = json!({
                "type": "deposit.received", "currency": "USDT", "amount": DEPOSIT.to_string(),
                "reference": "tx-1",
            });
            transfers.aside.add(account, deposit);
        }
        let mut dice = usize::try_from(seed % 1_000).unwrap_or_default();
        for number in 0..TRANSFERS {
            dice = (dice * 421 + 1_663) % 7_875;
            let from = number % SENDERS;
            let to = (from + 1 + dice % (GROUPS.len() - 1)) % GROUPS.len();
            let amount = 1 + dice % 30;
            if to < SENDERS {
                let units = i64::try_from(amount).unwrap_or_default();
                transfers.left[from] -= units;
                transfers.left[to] += units;
            }
            let Account { company, product, customer_group, name } =
                transfers.aside.accounts[to].clone();
            let event = json!({
                "type": "transfer.requested", "transfer_id": format!("t-{number}"),
                "currency": "USDT", "amount": amount.to_string(),
                "to": { "company": company, "product": product, "customer_group": customer_group,
                        "account": name },
            });
            transfers.aside.add(from, event);
        }
        transfers
    }

    /// Everything that is not as it must be in the end.
    ///
    /// # Errors
    /// If a database does not answer.
    pub async fn check(
        &self,
        arena: &Arena,
        violations: &mut Vec<Violation>,
    ) -> anyhow::Result<()> {
        let usdt = "USDT".parse()?;
        for (index, account) in self.aside.accounts.iter().enumerate() {
            let key: AccountKey = account.key().parse()?;
            let (lane, state) = load::<Accounts>(arena, &key).await?;
            let mut wrong = |invariant, what: String| {
                violations.push(Violation { invariant, what: format!("{key}: {what}") });
            };
            let found = state.balances.get(&usdt).map(|balance| balance.available.amount());
            let due = self.left.get(index).map(|left| format!("{left}.000000"));
            if found != due {
                let what = format!("has {found:?} USDT available, after all transfers {due:?}");
                wrong(invariant::CONSERVED, what);
            }
            if !state.under_way.is_empty() {
                let what = format!("{:?} are still under way", state.under_way);
                wrong(invariant::CONSERVED, what);
            }
            if lane.status != LaneStatus::Active {
                wrong(invariant::OPEN, format!("account is {}", lane.status));
            }
            let options = VerifyOptions { settled: true, account: Some(key.clone()) };
            for mismatch in verify(&arena.databases, &options).await?.mismatches {
                wrong(invariant::REPLAY, mismatch.to_string());
            }
        }
        Ok(())
    }
}
