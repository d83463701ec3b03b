//! A line as it is read, before it is known what it comes to.

use cap_domain::account::{AccountState, AccountStatus};
use cap_domain::event::EventKind;
use cap_domain::ids::{AccountKey, AccountName, Company, CustomerGroup, Product};
use cap_domain::money::exact::{Exact, Rounding, parse_decimal};
use cap_domain::money::{Currency, Money};
use cap_domain::plan::AmountName;
use cap_domain::rulebook::{Rule, Rulebook};
use cap_domain::subject::Subject;

use super::file::Record;
use super::{Adjustment, BadLine, Job, Kind, LineKey, ZeroOf, is_word, line_key, request_id};
use crate::arguments::Shortfall;

/// The longest name of an entry.
const ENTRY_CHARS_MAX: usize = 32;

/// A line as it is read.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) line: usize,
    pub(super) account: AccountKey,
    pub(super) currency: Currency,
    /// What no other line of the file may be about.
    pub(super) key: LineKey,
    /// How much; none: what the balance says.
    amount: Option<Money>,
    reason: String,
    shortfall: Shortfall,
}

impl Draft {
    /// Reads a record as a line of `job`.
    pub(super) fn read(job: &Job<'_>, record: &Record<'_>) -> Result<Self, BadLine> {
        let bad = |field: &str, reason: String| BadLine {
            line: record.line,
            field: field.to_owned(),
            reason,
        };
        let read = Reading { record };
        let account = AccountKey::new(
            &read.field("company", Company::new)?,
            &read.field("product", Product::new)?,
            &read.field("customer_group", CustomerGroup::new)?,
            &read.field("account", AccountName::new)?,
        );
        let (_, product, ..) = account.parts();
        let rulebook = job.configuration.rulebook(&product);
        let rulebook =
            rulebook.ok_or_else(|| bad("product", format!("there is no product {product}")))?;
        if let Kind::Zero { of: ZeroOf::Available, .. } = job.kind {
            takes_from_available(rulebook).map_err(|reason| bad("product", reason))?;
        }
        let code = read.field("currency", str::parse)?;
        let currency = job.configuration.currency(code);
        let currency =
            currency.ok_or_else(|| bad("currency", format!("there is no currency {code}")))?;
        let amount = match job.kind {
            Kind::Adjust => Some(read.field("amount", |text| Money::parse(currency, text))?),
            Kind::Zero { .. } => None,
            Kind::Action { ratio, .. } => {
                let holding = read.field("holding", parse_decimal)?;
                let product = Exact::from(holding).times(*ratio);
                let amount = product.and_then(|exact| exact.money(currency, Rounding::HalfEven));
                Some(amount.map_err(|error| {
                    bad("holding", format!("{holding} times {ratio} {currency}: {error}"))
                })?)
            }
        };
        let reason = match job.kind {
            Kind::Adjust => record.field("reason").trim().to_owned(),
            Kind::Zero { reason, .. } | Kind::Action { reason, .. } => reason.clone(),
        };
        let word = record.field("shortfall");
        let shortfall = Shortfall::of_word(word)
            .ok_or_else(|| bad("shortfall", format!("{word:?} is neither reject nor force")))?;
        let entry = record.field("entry");
        if !entry.is_empty() && !is_word(entry, ENTRY_CHARS_MAX) {
            let alphabet = "[A-Za-z0-9._-]";
            let reason =
                format!("{entry:?} is not 1 to {ENTRY_CHARS_MAX} characters of {alphabet}");
            return Err(bad("entry", reason));
        }
        let key = line_key(&account, code, entry);
        Ok(Self { line: record.line, account, currency, key, amount, reason, shortfall })
    }

    /// What the line comes to, given what the account has; none: nothing is to be posted. `state` is
    /// looked at by zeroing alone.
    pub(super) fn adjustment(
        self,
        job: &Job<'_>,
        state: Option<&AccountState>,
    ) -> Result<Option<Adjustment>, BadLine> {
        let line = self.line;
        let bad = |field: &str, reason: String| BadLine { line, field: field.to_owned(), reason };
        let amount = match (self.amount, job.kind) {
            (Some(amount), _) => amount,
            (None, Kind::Zero { of, .. }) => {
                let state = state.filter(|state| state.status != AccountStatus::Unopened);
                let state = state
                    .ok_or_else(|| bad("account", format!("{} was never opened", self.account)))?;
                what_zeroes(state, self.currency, *of)
            }
            (None, _) => Money::zero(self.currency),
        };
        if amount.is_zero() && !matches!(job.kind, Kind::Adjust) {
            return Ok(None);
        }
        let request_id = request_id(job.id, self.key);
        let adjustment = Adjustment {
            line,
            request_id: request_id.map_err(|error| bad("job", error.to_string()))?,
            account: self.account,
            amount,
            reason: self.reason,
            shortfall: self.shortfall,
        };
        let checked = adjustment.check(job.id, job.configuration);
        checked.map_err(|(field, reason)| bad(&field, reason))?;
        Ok(Some(adjustment))
    }
}

/// Whether what an adjustment of the product takes is drawn from available alone. Else other subjects
/// would give as well, or instead, and available would keep what was to be taken.
fn takes_from_available(rulebook: &Rulebook) -> Result<(), String> {
    let Some(Rule::Legs(legs)) = rulebook.rule(EventKind::AdjustmentPosted) else { return Ok(()) };
    let taken = legs.iter().find(|leg| leg.amount == AmountName::Debit);
    let drawn = match taken.map(|leg| leg.from.subjects()) {
        None | Some([Subject::Available]) => return Ok(()),
        Some(drawn) => drawn.iter().map(Subject::to_string).collect::<Vec<_>>().join(", then "),
    };
    Err(format!(
        "{} draws what is taken from {drawn}, so available alone cannot be brought to zero: state the amount with `capctl job adjust`",
        rulebook.product
    ))
}

/// What has to be given to bring the balance to zero, or, below zero, taken.
fn what_zeroes(state: &AccountState, currency: Currency, of: ZeroOf) -> Money {
    match (state.balances.get(&currency.code), of) {
        (None, _) => Money::zero(currency),
        (Some(balance), ZeroOf::Borrowed) => balance.borrowed,
        (Some(balance), ZeroOf::Available) => balance.available.negated(),
    }
}

/// A record whose fields are read one by one.
struct Reading<'a> {
    record: &'a Record<'a>,
}

impl Reading<'_> {
    fn field<T, E: ToString>(
        &self,
        column: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, BadLine> {
        read(self.record.field(column)).map_err(|error| BadLine {
            line: self.record.line,
            field: column.to_owned(),
            reason: error.to_string(),
        })
    }
}
