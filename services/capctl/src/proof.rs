//! The two proofs of the books, told for people and programs: replay, and trial balance.

use std::fmt;

use cap_domain::ids::AccountKey;
use cap_store::trial_balance::{SubjectSum, trial_balance};
use cap_store::verify::{Databases, VerifyOptions, VerifyReport, verify};
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::PgPool;

use crate::table::{Align, Table};

/// What the replay proof found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Whether everything is as it must be.
    pub clean: bool,
    /// Whether the queues were said to be empty.
    pub settled: bool,
    /// The one account that was proved, if it was one.
    pub account: Option<AccountKey>,
    /// The figures, and every mismatch.
    #[serde(flatten)]
    pub report: VerifyReport,
}

/// Replays what `databases` hold.
///
/// # Errors
/// If a database cannot be read.
pub async fn prove(databases: &Databases, options: &VerifyOptions) -> anyhow::Result<Proof> {
    let report = verify(databases, options).await?;
    let VerifyOptions { settled, account } = options.clone();
    Ok(Proof { clean: report.is_clean(), settled, account, report })
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VerifyReport { lanes, journal_rows, in_transit, mismatch_count, mismatches } =
            &self.report;
        for mismatch in mismatches {
            writeln!(f, "MISMATCH  {mismatch}")?;
        }
        if (mismatches.len() as u64) < *mismatch_count {
            writeln!(f, "… and {} more", mismatch_count - mismatches.len() as u64)?;
        }
        if *mismatch_count > 0 {
            writeln!(f)?;
        }
        let whose =
            self.account.as_ref().map(|account| format!(" of {account}")).unwrap_or_default();
        writeln!(f, "{journal_rows} journal rows in {lanes} lanes{whose} replayed")?;
        match (self.settled, in_transit) {
            (true, _) => {
                writeln!(f, "nothing may be in transit: the queues were said to be empty")?
            }
            (false, 0) => writeln!(f, "nothing is in transit between the stages")?,
            (false, count) => writeln!(f, "{count} in transit between the stages")?,
        }
        match (mismatch_count, journal_rows) {
            (0, 0) => writeln!(f, "verdict: PROVED, but there was nothing to prove"),
            (0, _) => {
                writeln!(f, "verdict: PROVED, everything is what the rules make of what came in")
            }
            (1, _) => writeln!(f, "verdict: NOT PROVED, 1 mismatch"),
            (count, _) => writeln!(f, "verdict: NOT PROVED, {count} mismatches"),
        }
    }
}

/// All money of the installation, by company and currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Books {
    /// Whether every company and currency comes to zero.
    pub zero: bool,
    /// Per company and currency.
    pub totals: Vec<Total>,
    /// Per company, currency and subject.
    pub subjects: Vec<SubjectSum>,
}

/// The money of a company in one currency.
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
    /// Both together; none where it has too many digits to be told.
    pub total: Option<Decimal>,
}

/// Adds up the account database of `pool`.
///
/// # Errors
/// If the database cannot be read.
pub async fn add_up(pool: &PgPool) -> anyhow::Result<Books> {
    let balance = trial_balance(pool).await?;
    let zero = balance.is_zero();
    let totals = balance.totals.into_iter().map(|total| Total {
        total: total.accounts.checked_add(total.contra),
        company: total.company,
        currency: total.currency,
        accounts: total.accounts,
        contra: total.contra,
    });
    Ok(Books { zero, totals: totals.collect(), subjects: balance.subjects })
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.totals.is_empty() {
            return writeln!(f, "verdict: ZERO, but there is no money yet");
        }
        let mut totals = Table::new(&[
            ("company", Align::Left),
            ("currency", Align::Left),
            ("accounts", Align::Right),
            ("contra", Align::Right),
            ("total", Align::Right),
        ]);
        let is_off = |total: &&Total| total.total != Some(Decimal::ZERO);
        let (off, zero): (Vec<_>, Vec<_>) = self.totals.iter().partition(is_off);
        // What is wrong comes first, or a bounded table might leave it out.
        for Total { company, currency, accounts, contra, total } in off.iter().chain(&zero) {
            let total = total.map_or_else(|| "too large".to_owned(), |total| total.to_string());
            totals.row([
                company.clone(),
                currency.clone(),
                accounts.to_string(),
                contra.to_string(),
                total,
            ]);
        }
        let mut subjects = Table::new(&[
            ("company", Align::Left),
            ("currency", Align::Left),
            ("subject", Align::Left),
            ("sum", Align::Right),
        ]);
        for SubjectSum { company, currency, subject, sum } in &self.subjects {
            subjects.row([company.clone(), currency.clone(), subject.clone(), sum.to_string()]);
        }
        writeln!(f, "{subjects}\n{totals}")?;
        let count = self.totals.len();
        if self.zero {
            writeln!(f, "verdict: ZERO for every company and currency ({count})")
        } else {
            writeln!(f, "verdict: NOT ZERO for {} of {count} companies and currencies", off.len())
        }
    }
}
