//! Folding one lane's journal again, row by row. Pure.

use cap_domain::clearing::REPAIR_KIND;
use cap_domain::ids::AccountKey;
use cap_domain::lane::{Row, RowHash, Stage, Unit};

/// How much of a result is quoted around the place where it differs, in characters.
const QUOTED_CHARS_MAX: usize = 120;

/// How much of it is quoted before that place.
const QUOTED_CHARS_BEFORE: usize = 40;

/// A lane as its journal tells it.
#[derive(Debug)]
pub(super) struct Fold<S: Stage> {
    /// The number of the last row.
    pub(super) seq: u64,
    /// Its hash.
    pub(super) head: RowHash,
    /// The highest upstream number of its rows.
    pub(super) upstream_seq: u64,
    /// The upstream number of the last row that kept its turn.
    in_turn: u64,
    /// The state after it.
    pub(super) state: S::State,
}

impl<S: Stage> Default for Fold<S> {
    fn default() -> Self {
        Self {
            seq: 0,
            head: RowHash::default(),
            upstream_seq: 0,
            in_turn: 0,
            state: S::State::default(),
        }
    }
}

impl<S: Stage> Fold<S> {
    /// Takes the next row and tells everything that is wrong with it. After a wrong row it goes on
    /// from what is stored, so that one alteration is told once, where it is.
    pub(super) fn take(
        &mut self,
        account: &AccountKey,
        row: &Row,
        decider: Result<&S, String>,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        if row.seq != self.seq + 1 {
            wrong.push(format!(
                "the row before it is number {}, so rows in between are missing",
                self.seq
            ));
        }
        let due = row.hash_after(account, self.head);
        if row.hash != due {
            wrong.push(format!(
                "its hash is {}, its content and the row before it give {due}",
                row.hash
            ));
        }
        if let Some(upstream_seq) = row.upstream_seq {
            // A repair goes before what was parked, or was itself parked: it has no turn.
            if !is_repair(row) {
                let before = self.in_turn;
                if upstream_seq <= before {
                    wrong.push(format!(
                        "its upstream number is {upstream_seq}, after {before} already"
                    ));
                }
                self.in_turn = before.max(upstream_seq);
            }
            self.upstream_seq = self.upstream_seq.max(upstream_seq);
        }
        self.seq = row.seq;
        self.head = row.hash;
        wrong.extend(self.replay(account, row, decider).err());
        wrong
    }

    fn replay(
        &mut self,
        account: &AccountKey,
        row: &Row,
        decider: Result<&S, String>,
    ) -> Result<(), String> {
        let stage = decider.map_err(|reason| format!("it cannot be replayed: {reason}"))?;
        let message =
            S::replay(row).map_err(|poison| format!("its input cannot be replayed: {poison}"))?;
        if (message.fingerprint, &message.kind, message.upstream_seq, message.sent_at)
            != (row.fingerprint, &row.kind, row.upstream_seq, row.sent_at)
        {
            return Err("its fingerprint, kind, time or upstream number is not that of its input"
                .to_owned());
        }
        let (ruling, state) = stage
            .decide(account, &self.state, &message, row.decided_at)
            .map_err(|poison| format!("replaying it would suspend the lane: {poison}"))?;
        self.state = state;
        let result = serde_json::to_string(&ruling)
            .map_err(|error| format!("its result cannot be written: {error}"))?;
        if result == row.result {
            return Ok(());
        }
        let (stored, replayed) = quote_difference(&row.result, &result);
        Err(format!("its result is {stored}, replaying it gives {replayed}"))
    }
}

/// Whether the row is of a repair, which is applied though the lane be suspended.
pub(super) fn is_repair(row: &Row) -> bool {
    row.kind == REPAIR_KIND
        && matches!(serde_json::from_str(&row.input), Ok(Unit::Item(item)) if item.repair)
}

/// Both texts from shortly before the place where they part.
fn quote_difference(stored: &str, replayed: &str) -> (String, String) {
    let common =
        stored.chars().zip(replayed.chars()).take_while(|(one, other)| one == other).count();
    let skipped = common.saturating_sub(QUOTED_CHARS_BEFORE);
    let quote = |text: &str| {
        let quoted: String = text.chars().skip(skipped).take(QUOTED_CHARS_MAX).collect();
        let before = if skipped > 0 { "…" } else { "" };
        let after = if text.chars().count() > skipped + QUOTED_CHARS_MAX { "…" } else { "" };
        format!("{before}{quoted}{after}")
    };
    (quote(stored), quote(replayed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_quoted_where_it_is() {
        let text =
            |amount: &str| format!("{}\"amount\":\"{amount}\"{}", "x".repeat(100), "y".repeat(200));
        let (stored, replayed) = quote_difference(&text("1.00"), &text("2.00"));
        assert!(
            stored.starts_with('…') && stored.contains("\"1.00\"") && stored.ends_with('…'),
            "{stored}"
        );
        assert!(replayed.contains("\"2.00\""), "{replayed}");
        assert_eq!(quote_difference("a", "b"), ("a".to_owned(), "b".to_owned()));
    }
}
