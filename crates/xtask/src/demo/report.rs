//! The demo's end: what happened, and the proof of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::ensure;
use cap_domain::outcome::OutcomeStatus;
use cap_store::trial_balance::TrialBalance;
use cap_store::verify::VerifyReport;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::traffic::Played;

/// The most mismatches the report lists.
const MISMATCHES_SHOWN: usize = 10;

pub(super) struct Report {
    pub(super) source: String,
    pub(super) trades: usize,
    pub(super) accounts: usize,
    pub(super) played: Played,
    pub(super) proof: VerifyReport,
    pub(super) balance: TrialBalance,
    pub(super) story: String,
}

impl Report {
    fn count(&self, status: OutcomeStatus) -> usize {
        self.played.statuses.get(&status).copied().unwrap_or_default()
    }

    fn events_per_second(&self) -> u128 {
        self.played.events as u128 * 1_000_000 / self.played.elapsed.as_micros().max(1)
    }

    /// The latency that `percent` of all events did not exceed.
    fn latency(&self, percent: usize) -> Duration {
        let latencies = &self.played.latencies;
        let index = (latencies.len() * percent).div_ceil(100).saturating_sub(1);
        latencies.get(index).copied().unwrap_or_default()
    }

    /// For machines.
    pub(super) fn to_json(&self) -> Value {
        let millis = |latency: Duration| {
            json!(u64::try_from(latency.as_micros() / 1_000).unwrap_or(u64::MAX))
        };
        let balance: BTreeMap<String, String> = self
            .balance
            .totals
            .iter()
            .map(|total| {
                let name = format!("{}/{}", total.company, total.currency);
                (name, (total.accounts + total.contra).to_string())
            })
            .collect();
        json!({
            "source": self.source,
            "trades": self.trades,
            "accounts": self.accounts,
            "events": self.played.events,
            "posted": self.count(OutcomeStatus::Posted),
            "rejected": self.count(OutcomeStatus::Rejected),
            "expired": self.count(OutcomeStatus::Expired),
            "parked": self.count(OutcomeStatus::Parked),
            "events_per_second": u64::try_from(self.events_per_second()).unwrap_or(u64::MAX),
            "publish_to_outcome_ms": { "p50": millis(self.latency(50)), "p99": millis(self.latency(99)) },
            "trial_balance": balance,
            "verify": {
                "lanes": self.proof.lanes,
                "journal_rows": self.proof.journal_rows,
                "mismatches": self.proof.mismatch_count,
            },
        })
    }

    /// A demo that proves nothing has failed.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.proof.is_clean(),
            "the journal does not prove the balances: {} mismatches",
            self.proof.mismatch_count
        );
        ensure!(self.balance.is_zero(), "the trial balance is not zero");
        ensure!(
            self.count(OutcomeStatus::Parked) == 0,
            "{} events were parked",
            self.count(OutcomeStatus::Parked)
        );
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Played { events, elapsed, .. } = &self.played;
        writeln!(
            f,
            "\n  {} trades from {}, {} accounts, two companies, two products\n",
            self.trades, self.source, self.accounts
        )?;
        writeln!(
            f,
            "  Events       {events} in {elapsed:.1?}, {} a second",
            self.events_per_second()
        )?;
        writeln!(
            f,
            "  Latency      p50 {:.1?}, p99 {:.1?}, from publish to outcome",
            self.latency(50),
            self.latency(99)
        )?;
        let counts = [
            OutcomeStatus::Posted,
            OutcomeStatus::Rejected,
            OutcomeStatus::Expired,
            OutcomeStatus::Parked,
        ]
        .map(|status| format!("{} {}", self.count(status), format!("{status:?}").to_lowercase()));
        writeln!(f, "  Outcomes     {}", counts.join(" · "))?;
        writeln!(f, "\n  Trial balance{:>26}{:>26}{:>16}", "accounts", "contra", "sum")?;
        for total in &self.balance.totals {
            let sum: Decimal = total.accounts + total.contra;
            let name = format!("{} {}", total.company, total.currency);
            writeln!(
                f,
                "    {name:<11}{:>26}{:>26}{:>16}",
                total.accounts.to_string(),
                total.contra.to_string(),
                sum.to_string()
            )?;
        }
        let verdict = if self.proof.is_clean() {
            "every balance and position is the fold of its journal"
        } else {
            "MISMATCHES"
        };
        writeln!(
            f,
            "\n  Proof        {} journal rows of {} lanes replayed: {verdict}",
            self.proof.journal_rows, self.proof.lanes
        )?;
        for mismatch in self.proof.mismatches.iter().take(MISMATCHES_SHOWN) {
            writeln!(f, "    {mismatch}")?;
        }
        writeln!(f, "\n  The story of one fill\n")?;
        for line in self.story.lines() {
            writeln!(f, "  {line}")?;
        }
        writeln!(
            f,
            "\n  Next: `cargo xtask up` keeps all of this running, and the README shows how to send your own events."
        )
    }
}
