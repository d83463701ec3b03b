//! Transfers between accounts: they leave, arrive, and land or come back (A1, C10, ADR 9).

use super::book::{Book, Posted, Status, Stop};
use super::credit::{Shortfall, Terms};
use super::event::Amount;
use super::exchange::Rates;
use super::fields::Fields;
use super::posting::{Contra, Posting, Share};
use crate::script::Account;

/// So many transfers of an account may be under way.
const UNDER_WAY_MAX: usize = 100;

/// The longest name of a company, product or group, and of an account.
const NAME_CHARS_MAX: usize = 16;
const ACCOUNT_CHARS_MAX: usize = 36;

/// A transfer on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transfer {
    /// What its request calls it.
    pub(super) id: String,
    pub(super) from: Account,
    pub(super) to: Account,
    pub(super) amount: Amount,
    /// Its request's number at the account stage of who sent it.
    pub(super) number: u64,
}

/// What becomes of a transfer that arrives.
#[derive(Debug)]
pub(super) enum Arrival {
    Landed(Box<Posted>),
    /// It cannot land, for the reason of this code.
    Refused(&'static str),
}

impl Arrival {
    pub(super) fn landed(posted: Posted) -> Self {
        Self::Landed(Box::new(posted))
    }
}

impl Fields {
    /// The account that a transfer is to: whether there is such, nobody looks here.
    pub(super) fn destination(&mut self) -> Option<Account> {
        let mut to = self.object("to")?;
        let mut name = |field: &str, chars_max: usize| {
            let name = to.text(field)?;
            let of_name = |byte: u8| {
                let plain = byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
                plain || (field == "account" && byte.is_ascii_uppercase())
            };
            (name.len() <= chars_max && name.bytes().all(of_name)).then_some(name)
        };
        let account = Account {
            company: name("company", NAME_CHARS_MAX)?,
            product: name("product", NAME_CHARS_MAX)?,
            customer_group: name("customer_group", NAME_CHARS_MAX)?,
            name: name("account", ACCOUNT_CHARS_MAX)?,
        };
        to.is_used_up().then_some(account)
    }
}

impl Book {
    /// Takes a transfer out of what is free, never borrowing; out of a liquidation with margin in use
    /// nothing is taken (A8).
    pub(super) fn send(
        &mut self,
        posting: &mut Posting,
        id: &str,
        to: &Account,
        amount: Amount,
        number: u64,
    ) -> Result<Transfer, Stop> {
        if self.liquidating && self.funds.has_margin() {
            return Err(Stop::INVALID);
        }
        if self.under_way.len() >= UNDER_WAY_MAX {
            return Err(Stop::INVALID);
        }
        posting.add(amount.currency, Share::Net, -amount.units, Contra::Transit);
        let (id, from, to) = (id.to_owned(), self.account.clone(), to.clone());
        let transfer = Transfer { id, from, to, amount, number };
        self.under_way.insert(number, transfer.clone());
        Ok(transfer)
    }

    /// A transfer arrives: it lands, or there is no place for it.
    pub(super) fn receive(&mut self, transfer: &Transfer) -> Result<Arrival, Stop> {
        let refused = match self.status {
            _ if !self.product.currencies().contains(&transfer.amount.currency) => {
                "invalid_request"
            }
            Status::Unopened => "account_not_found",
            Status::Closed => "account_closed",
            Status::Open => return self.credit(transfer.amount).map(Arrival::landed),
        };
        Ok(Arrival::Refused(refused))
    }

    /// A transfer is no longer under way: it has landed, or comes back.
    pub(super) fn settle(&mut self, transfer: &Transfer, returned: bool) -> Result<Posted, Stop> {
        self.under_way.remove(&transfer.number).ok_or(Stop::CONTRADICTION)?;
        if returned { self.credit(transfer.amount) } else { Ok(Posted::default()) }
    }

    fn credit(&mut self, Amount { currency, units }: Amount) -> Result<Posted, Stop> {
        let (mut posting, mut posted) = (Posting::default(), Posted::default());
        posting.add(currency, Share::Net, units, Contra::Transit);
        let rates = Rates::default();
        let terms = Terms { shortfall: Shortfall::Force, line: self.credit, rates: &rates };
        self.post(&posting, &terms, &mut posted)?;
        Ok(posted)
    }
}
