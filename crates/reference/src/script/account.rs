//! Whose messages they are, and where they go.

/// Company, product and customer group of the accounts, in turn: every level of queue there is.
const GROUPS: [(&str, &str, &str); 5] = [
    ("acme", "spot", "retail"),
    ("acme", "perpetual", "retail"),
    ("acme", "perpetual", "vip"),
    ("zenith", "spot", "retail"),
    ("zenith", "perpetual", "retail"),
];

/// An account of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The white-label broker.
    pub company: String,
    /// `spot`, `perpetual` or `cfd`.
    pub product: String,
    /// The customer group.
    pub customer_group: String,
    /// What the company calls it.
    pub name: String,
}

impl Account {
    /// The account of this number in a script.
    pub(super) fn nth(index: usize, prefix: &str) -> Self {
        let (company, product, customer_group) = GROUPS[index % GROUPS.len()];
        Self {
            company: company.to_owned(),
            product: product.to_owned(),
            customer_group: customer_group.to_owned(),
            name: format!("{prefix}-{index}"),
        }
    }

    /// The same of contracts for difference: with the company whose queue is for every product.
    pub(super) fn cfd(self) -> Self {
        Self { company: "zenith".to_owned(), product: "cfd".to_owned(), ..self }
    }

    /// Whether its messages go by the position stage.
    pub fn has_positions(&self) -> bool {
        matches!(self.product.as_str(), "perpetual" | "cfd")
    }

    /// `company_product_group_account`, which names its lanes.
    pub fn key(&self) -> String {
        let Self { company, product, customer_group, name } = self;
        format!("{company}_{product}_{customer_group}_{name}")
    }

    /// The scope of its queues, such as `acme_perpetual_vip`: its outcomes are in
    /// `outcome-<scope>.fifo`.
    pub fn scope(&self) -> String {
        self.routed().0
    }

    /// The queue its messages are published to, such as `clearing-acme_perpetual_vip`: without the
    /// installation's prefix and without `.fifo`.
    pub fn queue(&self) -> String {
        format!("clearing-{}", self.scope())
    }

    /// The message group id that orders it within its queue.
    pub fn message_group(&self) -> String {
        self.routed().1
    }

    /// Scope and message group by the queues that `cargo xtask up` creates (`CONTRACT.md`): acme
    /// has one per product and one for perpetual's vip, zenith one for everything.
    fn routed(&self) -> (String, String) {
        let Self { company, product, customer_group, name } = self;
        match (company.as_str(), product.as_str(), customer_group.as_str()) {
            ("acme", "perpetual", "vip") => ("acme_perpetual_vip".to_owned(), name.clone()),
            ("acme", ..) => (format!("{company}_{product}"), format!("{customer_group}_{name}")),
            _ => (company.clone(), format!("{product}_{customer_group}_{name}")),
        }
    }
}
