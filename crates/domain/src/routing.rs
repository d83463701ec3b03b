//! Routes (C16): which queue and message group a lane's messages go through, and back.
//!
//! Producers and consumers both ask [`Routes`], so they cannot disagree.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::ids::{AccountKey, AccountName, Company, CustomerGroup, InvalidId, Product};
use crate::lane::StageName;

/// The longest queue name SQS takes, `.fifo` included.
pub const QUEUE_NAME_CHARS_MAX: usize = 80;

/// What passes through a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Messages for a stage.
    Stage(StageName),
    /// Outcomes for upstream.
    Outcome,
}

impl Channel {
    /// Every channel there is.
    pub const ALL: [Self; 4] = [
        Self::Stage(StageName::Clearing),
        Self::Stage(StageName::Position),
        Self::Stage(StageName::Account),
        Self::Outcome,
    ];

    /// The first word of its queues' names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stage(stage) => stage.as_str(),
            Self::Outcome => "outcome",
        }
    }
}

/// Whose messages a queue takes: a company's, one product's of it, or one customer group's of that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The company.
    pub company: Company,
    /// The product, and in it the customer group; none: all of them.
    pub narrowed: Option<(Product, Option<CustomerGroup>)>,
}

impl Scope {
    /// The account that a message group id of this scope's queue stands for.
    pub fn account(&self, message_group_id: &str) -> Result<AccountKey, UnknownGroup> {
        let unknown = || UnknownGroup {
            group: message_group_id.chars().take(130).collect(),
            scope: self.to_string(),
        };
        let parts: Vec<&str> = message_group_id.split('_').collect();
        let narrowed =
            self.narrowed.as_ref().map(|(product, group)| (product.clone(), group.clone()));
        let key = match (narrowed, parts.as_slice()) {
            (Some((product, Some(group))), [account]) => {
                (product, group, AccountName::new(account))
            }
            (Some((product, None)), [group, account]) => (
                product,
                CustomerGroup::new(group).map_err(|_| unknown())?,
                AccountName::new(account),
            ),
            (None, [product, group, account]) => (
                Product::new(product).map_err(|_| unknown())?,
                CustomerGroup::new(group).map_err(|_| unknown())?,
                AccountName::new(account),
            ),
            _ => return Err(unknown()),
        };
        let account = key.2.map_err(|_| unknown())?;
        Ok(AccountKey::new(&self.company, &key.0, &key.1, &account))
    }

    /// A lane for a message group that stands for no account: its messages are parked there, where
    /// support sees them, rather than dropped or left to block the queue.
    pub fn stray(&self, message_group_id: &str) -> AccountKey {
        const UNROUTABLE: &str = "unroutable";
        let name = hex::encode(&Sha256::digest(message_group_id)[..16]);
        let (product, group) = match &self.narrowed {
            None => (UNROUTABLE, UNROUTABLE),
            Some((product, None)) => (product.as_str(), UNROUTABLE),
            Some((product, Some(group))) => (product.as_str(), group.as_str()),
        };
        AccountKey::from_parts([self.company.as_str(), product, group, &name])
    }

    /// The message group id of `account` in this scope's queue, if the queue takes its messages.
    pub fn message_group_id(&self, account: &AccountKey) -> Option<String> {
        /// What follows `id`: no id has an underscore, so it is a whole one.
        fn within<'a>(text: &'a str, id: &str) -> Option<&'a str> {
            text.strip_prefix(id)?.strip_prefix('_')
        }
        let mut group = within(account.as_str(), self.company.as_str())?;
        if let Some((product, customer_group)) = &self.narrowed {
            group = within(group, product.as_str())?;
            if let Some(customer_group) = customer_group {
                group = within(group, customer_group.as_str())?;
            }
        }
        Some(group.to_owned())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.company.as_str())?;
        if let Some((product, group)) = &self.narrowed {
            write!(f, "_{product}")?;
            if let Some(group) = group {
                write!(f, "_{group}")?;
            }
        }
        Ok(())
    }
}

/// A text that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScope {
    /// Too many parts.
    #[error("scope {0:?} is not company, company_product or company_product_group")]
    Parts(String),
    /// One of them is not an id of its kind.
    #[error(transparent)]
    Id(#[from] InvalidId),
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let parts: Vec<&str> = text.split(['_', '/']).collect();
        let (company, narrowed) = match parts.as_slice() {
            [company] => (company, None),
            [company, product] => (company, Some((Product::new(product)?, None))),
            [company, product, group] => {
                (company, Some((Product::new(product)?, Some(CustomerGroup::new(group)?))))
            }
            _ => return Err(InvalidScope::Parts(text.chars().take(100).collect())),
        };
        Ok(Self { company: Company::new(company)?, narrowed })
    }
}

/// A message group id that stands for no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("message group {group:?} stands for no account of scope {scope}")]
pub struct UnknownGroup {
    group: String,
    scope: String,
}

/// A queue of CAP, by what its name says: `[prefix-]<channel>-<scope>[-dlq].fifo` (DESIGN §7).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName {
    /// What passes through it.
    pub channel: Channel,
    /// Whose messages it takes.
    pub scope: Scope,
    /// Whether it is the dead-letter queue of the queue so named.
    pub dead_letters: bool,
}

impl QueueName {
    /// The queue of `channel` for `scope`.
    pub const fn new(channel: Channel, scope: Scope) -> Self {
        Self { channel, scope, dead_letters: false }
    }

    /// Its dead-letter queue.
    #[must_use]
    pub fn dlq(&self) -> Self {
        Self { dead_letters: true, ..self.clone() }
    }

    /// The name in SQS, with the installation's prefix.
    pub fn to_name(&self, prefix: &str) -> String {
        let dash = if prefix.is_empty() { "" } else { "-" };
        let dlq = if self.dead_letters { "-dlq" } else { "" };
        format!("{prefix}{dash}{}-{}{dlq}.fifo", self.channel.name(), self.scope)
    }

    /// Reads a name in SQS; none if it is no queue of this installation.
    pub fn from_name(prefix: &str, name: &str) -> Option<Self> {
        let rest =
            if prefix.is_empty() { name } else { name.strip_prefix(prefix)?.strip_prefix('-')? };
        let rest = rest.strip_suffix(".fifo")?;
        let (rest, dead_letters) = match rest.strip_suffix("-dlq") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (channel, scope) = rest.split_once('-')?;
        let channel = Channel::ALL.into_iter().find(|known| known.name() == channel)?;
        Some(Self { channel, scope: scope.parse().ok()?, dead_letters })
    }
}

/// The queues that exist, asked for the most specific one (C16).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// Each scope under its text, with which the keys of its accounts begin.
    queues: BTreeMap<Channel, BTreeMap<String, Scope>>,
}

/// Where a lane's messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The queue.
    pub queue: QueueName,
    /// The message group that orders the account.
    pub message_group_id: String,
}

impl Routes {
    /// Of the queues so named; dead-letter queues do not count.
    pub fn new(names: impl IntoIterator<Item = QueueName>) -> Self {
        let mut queues: BTreeMap<Channel, BTreeMap<String, Scope>> = BTreeMap::new();
        for QueueName { channel, scope, .. } in names.into_iter().filter(|name| !name.dead_letters)
        {
            queues.entry(channel).or_default().insert(scope.to_string(), scope);
        }
        Self { queues }
    }

    /// The queue and message group of `account` in `channel`, the most specific queue first;
    /// none if no queue takes its messages.
    pub fn resolve(&self, channel: Channel, account: &AccountKey) -> Option<Route> {
        let scopes = self.queues.get(&channel)?;
        let mut within = account.as_str();
        // No id has an underscore: what is left without the last one is the next wider scope.
        while let Some((wider, _)) = within.rsplit_once('_') {
            if let Some(scope) = scopes.get(wider) {
                let message_group_id = scope.message_group_id(account)?;
                return Some(Route {
                    queue: QueueName::new(channel, scope.clone()),
                    message_group_id,
                });
            }
            within = wider;
        }
        None
    }

    /// The queues of `channel`.
    pub fn of(&self, channel: Channel) -> impl Iterator<Item = QueueName> {
        let scopes = self.queues.get(&channel).into_iter().flat_map(BTreeMap::values);
        scopes.map(move |scope| QueueName::new(channel, scope.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(names: &[&str]) -> Routes {
        Routes::new(names.iter().map(|name| QueueName::from_name("", name).unwrap()))
    }

    #[test]
    fn the_most_specific_queue_takes_the_account() {
        let all = routes(&[
            "clearing-acme_spot.fifo",
            "clearing-acme_perpetual.fifo",
            "clearing-acme_perpetual_vip.fifo",
            "clearing-zenith.fifo",
            "account-zenith_spot.fifo",
        ]);
        let cases = [
            ("acme_spot_retail_A-1001", Some(("clearing-acme_spot.fifo", "retail_A-1001"))),
            ("acme_perpetual_vip_A-1001", Some(("clearing-acme_perpetual_vip.fifo", "A-1001"))),
            (
                "acme_perpetual_retail_A-1001",
                Some(("clearing-acme_perpetual.fifo", "retail_A-1001")),
            ),
            ("zenith_spot_retail_A-1001", Some(("clearing-zenith.fifo", "spot_retail_A-1001"))),
            ("acme_cfd_retail_A-1001", None),
            ("other_spot_retail_A-1001", None),
        ];
        for (account, expected) in cases {
            let account: AccountKey = account.parse().unwrap();
            let route = all.resolve(Channel::Stage(StageName::Clearing), &account);
            let found = route
                .as_ref()
                .map(|route| (route.queue.to_name(""), route.message_group_id.as_str()));
            assert_eq!(
                found.as_ref().map(|(queue, group)| (queue.as_str(), *group)),
                expected,
                "{account}"
            );
            if let Some(route) = route {
                assert_eq!(
                    route.queue.scope.account(&route.message_group_id),
                    Ok(account),
                    "and back"
                );
            }
        }
    }

    #[test]
    fn a_queue_name_reads_back_with_prefix_and_dashes_in_ids() {
        let name =
            QueueName::from_name("prod-1", "prod-1-outcome-my-co_fx-cfd_a-b-dlq.fifo").unwrap();
        assert!(name.dead_letters && name.channel == Channel::Outcome);
        assert_eq!(name.scope.to_string(), "my-co_fx-cfd_a-b");
        assert_eq!(name.to_name("prod-1"), "prod-1-outcome-my-co_fx-cfd_a-b-dlq.fifo");
        for foreign in [
            "clearing-acme.fifo",
            "prod-1-orders-acme.fifo",
            "prod-1-clearing-acme",
            "prod-1-clearing-.fifo",
        ] {
            assert_eq!(QueueName::from_name("prod-1", foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_group_that_stands_for_no_account_is_told_so() {
        let scope: Scope = "acme_spot".parse().unwrap();
        for group in ["A-1", "spot_retail_A-1", "retail_", "re tail_A-1"] {
            assert!(scope.account(group).is_err(), "{group}");
            let stray = scope.stray(group);
            assert_eq!(stray.as_str().parse(), Ok(stray.clone()), "a lane like any other");
            assert!(stray.as_str().starts_with("acme_spot_unroutable_"));
        }
    }
}
