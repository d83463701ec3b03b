//! Messages of accounts of their own, published beside the script.

use cap_domain::time::Timestamp;
use cap_reference::script::Account;
use serde_json::{Value, json};

use crate::arena::Arena;
use crate::upstream::send_body;

/// Of so many messages, one is published twice.
const ONE_AGAIN_IN: usize = 5;

/// Accounts, and what upstream publishes for them, in order.
pub struct Aside {
    /// Whose they are.
    pub accounts: Vec<Account>,
    /// What is published.
    pub messages: Vec<Asked>,
    prefix: String,
}

/// A request that is made beside the script.
pub struct Asked {
    /// An index into [`Aside::accounts`].
    pub account: usize,
    /// What it is answered under.
    pub request_id: String,
    /// What it asks for, or tells.
    pub event: Value,
}

impl Aside {
    /// For accounts of these companies, products and customer groups, which are called `prefix` and a
    /// number.
    pub fn of(prefix: String, groups: impl IntoIterator<Item = [&'static str; 3]>) -> Self {
        let account = |(index, [company, product, group]): (usize, [&str; 3])| Account {
            company: company.to_owned(),
            product: product.to_owned(),
            customer_group: group.to_owned(),
            name: format!("{prefix}{index}"),
        };
        let accounts = groups.into_iter().enumerate().map(account).collect();
        Self { accounts, messages: Vec::new(), prefix }
    }

    /// Adds an event of the account of this number.
    pub fn add(&mut self, account: usize, event: Value) {
        let request_id = format!("{}-{}", self.prefix, self.messages.len());
        self.messages.push(Asked { account, request_id, event });
    }

    /// How many messages upstream publishes, those that come again included.
    pub fn count(&self) -> usize {
        self.messages.len() + self.messages.len().div_ceil(ONE_AGAIN_IN)
    }

    /// Publishes the message at that place, if there is one, and some of them once more beyond
    /// deduplication.
    ///
    /// # Errors
    /// If it cannot be sent at all.
    pub async fn publish_nth(&self, arena: &Arena, place: usize) -> anyhow::Result<()> {
        let Some(Asked { account, request_id, event }) = self.messages.get(place) else {
            return Ok(());
        };
        let account = &self.accounts[*account];
        let body = || {
            json!({
                "header": {
                    "version": 1, "request_id": request_id,
                    "initiated_at": Timestamp::from_millis(arena.now_millis()),
                    "company": account.company, "product": account.product,
                    "customer_group": account.customer_group, "account": account.name,
                },
                "event": event,
            })
        };
        send_body(arena, account, request_id, &body().to_string()).await?;
        if place.is_multiple_of(ONE_AGAIN_IN) {
            let again = format!("{request_id}-again");
            send_body(arena, account, &again, &body().to_string()).await?;
        }
        Ok(())
    }
}
