//! The trial balance: per company and currency, all money adds up to zero (DESIGN §4).
//!
//! What accounts have is summed over their balances, what contra subjects have over the legs of
//! the journal: the two are written by one transaction, and only together can they be zero.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use crate::error::{QueryError, failed};
use crate::snapshot::{allow_scans, snapshot};

/// What all subjects of an installation hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrialBalance {
    /// Per company and currency.
    pub totals: Vec<Total>,
    /// Per company, currency and subject.
    pub subjects: Vec<SubjectSum>,
}

/// All the money of a company in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Total {
    /// The white-label broker.
    pub company: String,
    /// The currency's code.
    pub currency: String,
    /// What its accounts have, less what they owe.
    pub accounts: Decimal,
    /// What the contra subjects have.
    pub contra: Decimal,
}

/// What one subject holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubjectSum {
    /// The white-label broker.
    pub company: String,
    /// The currency's code.
    pub currency: String,
    /// The subject.
    pub subject: String,
    /// Its sum; of `borrowed`, what is owed.
    pub sum: Decimal,
}

impl TrialBalance {
    /// Whether every company and currency adds up to zero.
    pub fn is_zero(&self) -> bool {
        self.totals.iter().all(|total| total.accounts == -total.contra)
    }
}

/// Adds up the account database of `pool`, as it is now.
///
/// # Errors
/// See [`QueryError`]; a leg that cannot be read is one.
pub async fn trial_balance(pool: &PgPool) -> Result<TrialBalance, QueryError> {
    let mut snapshot = snapshot(pool).await?;
    allow_scans(&mut snapshot).await?;
    let own = sum_balances(&mut snapshot).await?;
    let contra = sum_contra_legs(&mut snapshot).await?;
    let mut subjects = Vec::with_capacity(own.len() + contra.len());
    let mut totals: BTreeMap<(String, String), (Decimal, Decimal)> = BTreeMap::new();
    for (sums, is_contra) in [(own, false), (contra, true)] {
        for (company, currency, subject, text) in sums {
            let sum = exact(&company, &text)?;
            let total = totals.entry((company.clone(), currency.clone())).or_default();
            let side = if is_contra { &mut total.1 } else { &mut total.0 };
            let signed = if subject == "borrowed" { -sum } else { sum };
            *side = side.checked_add(signed).ok_or_else(|| too_large(&company, &text))?;
            subjects.push(SubjectSum { company, currency, subject, sum });
        }
    }
    let totals = totals.into_iter();
    let totals = totals.map(|((company, currency), (accounts, contra))| Total {
        company,
        currency,
        accounts,
        contra,
    });
    Ok(TrialBalance { totals: totals.collect(), subjects })
}

/// Company, currency, subject and sum: as text, because a sum may need more digits than a
/// `Decimal` has, and must not be rounded on the way.
type Sum = (String, String, String, String);

async fn sum_balances(connection: &mut PgConnection) -> Result<Vec<Sum>, QueryError> {
    let sums = sqlx::query_as(include_str!("sum_balances.sql")).fetch_all(connection).await;
    sums.map_err(failed("adding up the balances"))
}

async fn sum_contra_legs(connection: &mut PgConnection) -> Result<Vec<Sum>, QueryError> {
    let sums = sqlx::query_as(include_str!("sum_contra_legs.sql")).fetch_all(connection).await;
    sums.map_err(failed("adding up the legs of the journal"))
}

fn exact(company: &str, text: &str) -> Result<Decimal, QueryError> {
    Decimal::from_str_exact(text).map_err(|_| too_large(company, text))
}

fn too_large(company: &str, text: &str) -> QueryError {
    QueryError::unreadable(company, format!("the sum {text} has too many digits"))
}
