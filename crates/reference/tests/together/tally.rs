//! What the cases came to, so that they are seen to have come to something.

use std::collections::{BTreeMap, BTreeSet};

use cap_reference::model::{Done, Errand, Expected};
use cap_reference::script::{Account, Content, KINDS, Message};

/// How often everything that must happen happens at least.
const SEEN_MIN: usize = 10;

/// What must happen in lives of any length, by the words it is counted under.
const OFTEN: [&str; 25] = [
    "spot posted",
    "perpetual posted",
    "cfd posted",
    "cfd trade.filled",
    "cfd funding.charged",
    "cfd margin.changed",
    "cfd leverage.changed",
    "bonus kept",
    "bonus drained",
    "between companies",
    "between products",
    "account.closed account_not_empty",
    "transfer.requested posted",
    "transfer.requested insufficient_funds",
    "transfer.requested invalid_request",
    "transfer.requested account_closed",
    "transfer.requested expired",
    "transfer.requested replayed",
    "transfer.arrived posted",
    "transfer.arrived account_not_found",
    "transfer.arrived account_closed",
    "transfer.arrived invalid_request",
    "transfer.landed posted",
    "transfer.returned posted",
    "margin.posted posted",
];

/// What besides must happen in short lives, some of which never begin.
pub(crate) const OF_SHORT_LIVES: [&str; 2] =
    ["transfer.requested account_not_found", "FactForClosed"];

/// What besides must happen in long lives.
pub(crate) const OF_LONG_LIVES: [&str; 4] = [
    "withdrawals taken",
    "withdrawal settled once it was payable",
    "SettledTooEarly",
    "funding.unpaid posted",
];

/// What must happen to accounts that change their margins all the time.
pub(crate) const OF_MARGINS: [&str; 5] = [
    "margin.posted posted",
    "margin.posted went back",
    "funding.unpaid posted",
    "funding.unpaid of a closed position",
    "funding.unpaid skipped",
];

/// How often what happened.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    seen: BTreeMap<String, usize>,
    /// Withdrawals that were payable later: account and id.
    delayed: BTreeSet<(String, String)>,
}

impl Tally {
    fn seen(&mut self, what: &str) {
        *self.seen.entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn count_message(
        &mut self,
        message: &Message,
        account: &Account,
        expected: &Expected,
    ) {
        let kind = message.kind().unwrap_or("no event");
        let product = &account.product;
        let came_to = match expected {
            Expected::Posted { balances, cancelled, .. } => {
                self.seen(&format!("{product} posted"));
                self.seen(&format!("{product} {kind}"));
                if !cancelled.is_empty() {
                    self.seen("withdrawals taken");
                }
                let bonus = balances.iter().flat_map(|balance| &balance.declared);
                for (_, amount) in bonus.filter(|(name, _)| *name == "bonus") {
                    let drained = amount.bytes().all(|byte| matches!(byte, b'0' | b'.'));
                    self.seen(if drained { "bonus drained" } else { "bonus kept" });
                }
                "posted"
            }
            Expected::Rejected { code, .. } => code,
            Expected::Expired { .. } => "expired",
            Expected::Replayed(_) => "replayed",
            Expected::Conflict => "conflict",
            Expected::Skipped => "skipped",
        };
        self.seen(&format!("{kind} {came_to}"));
        if message.nature.is_skipped() {
            self.seen(&format!("{:?}", message.nature));
        }
        self.count_withdrawal(message, account, expected);
    }

    fn count_withdrawal(&mut self, message: &Message, account: &Account, expected: &Expected) {
        let Content::Envelope { event, .. } = &message.content else { return };
        let (Some(id), Expected::Posted { delayed, .. }) =
            (event["withdrawal_id"].as_str(), expected)
        else {
            return;
        };
        let withdrawal = (account.key(), id.to_owned());
        if *delayed {
            self.delayed.insert(withdrawal);
        } else if event["type"] == "withdrawal.settled" && self.delayed.contains(&withdrawal) {
            self.seen("withdrawal settled once it was payable");
        }
    }

    pub(crate) fn count_errand(&mut self, errand: &Errand, done: &Done) {
        let kind = errand.kind();
        match done {
            Done::Posted(then) => {
                self.seen(&format!("{kind} posted"));
                match kind {
                    "margin.posted" if !then.balances.is_empty() => {
                        self.seen("margin.posted went back");
                    }
                    "funding.unpaid" if then.positions.iter().all(|held| held.side == "flat") => {
                        self.seen("funding.unpaid of a closed position");
                    }
                    _ => {}
                }
            }
            Done::Rejected(Expected::Rejected { code, .. }) => self.seen(&format!("{kind} {code}")),
            Done::Rejected(_) => self.seen(&format!("{kind} otherwise")),
            Done::Poisoned => self.seen(&format!("{kind} skipped")),
        }
        if let Some(from) = errand.from().filter(|_| kind == "transfer.arrived") {
            if from.company != errand.to.company {
                self.seen("between companies");
            }
            if from.product != errand.to.product {
                self.seen("between products");
            }
        }
    }

    /// Every event of the contract was posted, what must happen in lives of any length has happened, and
    /// `besides` too.
    pub(crate) fn assert_everything_happened(&self, besides: &[&str]) {
        let posted: Vec<String> = KINDS.iter().map(|kind| format!("{kind} posted")).collect();
        let posted: Vec<&str> = posted.iter().map(String::as_str).collect();
        self.assert_happened(&[&posted, OFTEN.as_slice(), besides].concat());
    }

    pub(crate) fn assert_happened(&self, all: &[&str]) {
        let times = |what: &str| self.seen.get(what).copied().unwrap_or_default();
        let missing: Vec<&&str> = all.iter().filter(|what| times(what) < SEEN_MIN).collect();
        assert!(missing.is_empty(), "{missing:?} hardly happened: {:#?}", self.seen);
    }
}
