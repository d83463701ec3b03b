//! Transfers among accounts of their own, beside the script: within a company, between companies, to
//! an account that nobody opened and to one that was closed.
//!
//! Every sender has more from the beginning than it ever sends, so whatever the lanes' order, each
//! transfer to an open account lands and every other one comes back: what each has in the end is known.

use cap_domain::account::Accounts;
use cap_domain::ids::AccountKey;
use cap_domain::lane::LaneStatus;
use cap_domain::time::Timestamp;
use cap_reference::script::Account;
use cap_store::verify::{VerifyOptions, verify};
use serde_json::{Value, json};

use crate::arena::Arena;
use crate::check::{Violation, invariant, load};
use crate::upstream::send_body;

/// How many transfers a seed has: each is three messages in three lanes.
const TRANSFERS: usize = 12;

/// What every sender begins with, in USDT.
const DEPOSIT: u32 = 1_000;

/// Whose money it is: senders of both companies and every level of queue, one that was closed, and one
/// that nobody opens.
const GROUPS: [(&str, &str, &str); 6] = [
    ("acme", "spot", "retail"),
    ("acme", "perpetual", "vip"),
    ("zenith", "spot", "retail"),
    ("zenith", "perpetual", "retail"),
    ("zenith", "spot", "vip"),
    ("acme", "perpetual", "retail"),
];

/// The first so many of the groups are of senders, who receive as well.
const SENDERS: usize = 4;

/// The place of the account that is opened and closed before anything comes.
const CLOSED: usize = 4;

/// The transfers of a seed.
pub struct Transfers {
    accounts: Vec<Account>,
    /// Account, request id and event, in the order in which they are published.
    messages: Vec<(usize, String, Value)>,
    /// What each sender has in the end, in USDT.
    left: [i64; SENDERS],
}

impl Transfers {
    /// Those of `seed`.
    pub fn of(seed: u64, tag: &str) -> Self {
        let accounts: Vec<Account> = GROUPS
            .iter()
            .enumerate()
            .map(|(index, (company, product, group))| Account {
                company: (*company).to_owned(),
                product: (*product).to_owned(),
                customer_group: (*group).to_owned(),
                name: format!("{tag}{seed}-x{index}"),
            })
            .collect();
        let mut transfers =
            Self { accounts, messages: Vec::new(), left: [DEPOSIT.into(); SENDERS] };
        for account in 0..=CLOSED {
            transfers.add(
                account,
                json!({ "type": "account.opened", "customer": "C-1" }),
                tag,
                seed,
            );
        }
        transfers.add(CLOSED, json!({ "type": "account.closed" }), tag, seed);
        for account in 0..SENDERS {
            let deposit = json!({
                "type": "deposit.received", "currency": "USDT", "amount": DEPOSIT.to_string(),
                "reference": "tx-1",
            });
            transfers.add(account, deposit, tag, seed);
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
            let Account { company, product, customer_group, name } = transfers.accounts[to].clone();
            let event = json!({
                "type": "transfer.requested", "transfer_id": format!("t-{number}"),
                "currency": "USDT", "amount": amount.to_string(),
                "to": { "company": company, "product": product, "customer_group": customer_group,
                        "account": name },
            });
            transfers.add(from, event, tag, seed);
        }
        transfers
    }

    fn add(&mut self, account: usize, event: Value, tag: &str, seed: u64) {
        let request_id = format!("{tag}{seed}-x-{}", self.messages.len());
        self.messages.push((account, request_id, event));
    }

    /// How many messages upstream publishes.
    pub fn count(&self) -> usize {
        self.messages.len()
    }

    /// Publishes the message at that place, if there is one.
    ///
    /// # Errors
    /// If it cannot be sent at all.
    pub async fn publish_nth(&self, arena: &Arena, place: usize) -> anyhow::Result<()> {
        let Some((account, request_id, event)) = self.messages.get(place) else { return Ok(()) };
        let account = &self.accounts[*account];
        let body = json!({
            "header": {
                "version": 1, "request_id": request_id,
                "initiated_at": Timestamp::from_millis(arena.now_millis()),
                "company": account.company, "product": account.product,
                "customer_group": account.customer_group, "account": account.name,
            },
            "event": event,
        });
        send_body(arena, account, request_id, &body.to_string()).await
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
        for (index, account) in self.accounts.iter().enumerate() {
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
