//! The account itself: what each event of the contract's table does to it.

use std::collections::{BTreeMap, BTreeSet};

use super::credit::{Credit, Effect, Shortfall, Terms};
use super::currency::Currency;
use super::event::{Amount, Event, PositionSide, Reading};
use super::exchange::Rates;
use super::expected::PAYABLE_AFTER;
use super::fill::Holding;
use super::funds::Funds;
use super::liquidation::Seen;
use super::margin::OwnEvent;
use super::posting::{Contra, Posting, Share};
use super::product::Product;
use super::transfer::Transfer;
use super::withdrawals::{Withdrawal, Withdrawals, take_last};
use crate::script::{Account, Stage};

/// Whether the account can be posted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Unopened,
    Open,
    Closed,
}

/// A position of an account: its contract, and its side if the account is a hedge account.
pub(crate) type Place = (&'static str, Option<PositionSide>);

/// Who asks, and where the answer stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) request_id: &'a str,
    /// The number it gets at the account stage.
    pub(super) lane_seq: u64,
}

/// One account.
#[derive(Debug, Clone)]
pub(crate) struct Book {
    /// Whose it is.
    pub(super) account: Account,
    pub(crate) product: Product,
    pub(crate) status: Status,
    pub(crate) hedge: bool,
    pub(crate) credit: Option<Credit>,
    pub(crate) liquidating: bool,
    pub(crate) withdrawals: Withdrawals,
    pub(crate) funds: Funds,
    pub(crate) positions: BTreeMap<Place, Holding>,
    /// Changes of leverage so far: each is known by its number.
    pub(super) leverages: u64,
    /// Transfers that left and have neither landed nor come back, by the number of their request.
    pub(super) under_way: BTreeMap<u64, Transfer>,
    /// How much funding is unpaid and under way, by count.
    pub(super) unpaid: usize,
    /// The account's time.
    pub(super) now_secs: i64,
}

/// What an event came to.
#[derive(Debug, Default)]
pub(super) struct Posted {
    pub(super) touched: BTreeSet<Currency>,
    /// The position that its outcome shows.
    pub(super) position: Option<Seen>,
    /// Whether it requested a withdrawal that is payable later.
    pub(super) delayed: bool,
    /// Withdrawals whose money it took, the one asked for last first.
    pub(super) cancelled: Vec<(String, Withdrawal)>,
    /// What CAP sends itself then.
    pub(super) own: Option<OwnEvent>,
    /// The transfer that leaves.
    pub(super) sent: Option<Transfer>,
}

/// Why an event came to nothing.
#[derive(Debug)]
pub(super) enum Stop {
    /// Answered with this code.
    Rejected(&'static str),
    /// The lane of this stage stops.
    Poisoned { at: Stage },
}

impl Stop {
    /// A fact that contradicts what the account has.
    pub(super) const CONTRADICTION: Self = Self::Poisoned { at: Stage::Account };
    /// A fill that contradicts the position, or the account's position mode.
    pub(super) const CONTRADICTS_POSITION: Self = Self::Poisoned { at: Stage::Position };
    /// A request that this account's mode or position has no place for.
    pub(super) const INVALID: Self = Self::Rejected("invalid_request");
    /// Borrowing without the rate it needs: for a request an answer, for a fact poison.
    pub(super) const WITHOUT_RATE: Self = Self::Rejected("invalid_request");
}

impl Book {
    pub(super) fn new(account: &Account) -> Self {
        let product = Product::of(&account.product);
        Self {
            account: account.clone(),
            product,
            status: Status::Unopened,
            hedge: false,
            credit: None,
            liquidating: false,
            withdrawals: Withdrawals::new(),
            funds: Funds::new(product),
            positions: BTreeMap::new(),
            leverages: 0,
            under_way: BTreeMap::new(),
            unpaid: 0,
            now_secs: 0,
        }
    }

    /// Whether something is held of any contract.
    pub(crate) fn has_position(&self) -> bool {
        self.positions.values().any(|held| held.quantity != 0)
    }

    /// Whether a withdrawal may be settled by now (A8).
    pub(crate) fn is_payable(&self, withdrawal: &Withdrawal) -> bool {
        withdrawal.is_payable_at(self.now_secs)
    }

    /// Whether a shortage of `currency` can be owed without a rate: not if it would have to be
    /// borrowed on a line in another currency.
    pub(crate) fn may_owe(&self, currency: Currency) -> bool {
        self.credit.filter(Credit::is_open).is_none_or(|line| line.limit.currency == currency)
    }

    /// How much of `currency` could still be borrowed on the account's line, in units.
    pub(crate) fn credit_left(&self, currency: Currency) -> i128 {
        let line = self.credit.filter(|line| line.is_open() && line.limit.currency == currency);
        let owed = self.funds.of(currency).borrowed();
        line.map_or(0, |line| (line.limit.units - owed).max(0))
    }

    /// Takes a valid event. After a stop the book is of no use: the caller works on a copy.
    pub(super) fn take(&mut self, reading: &Reading, asked: Asked<'_>) -> Result<Posted, Stop> {
        if matches!(reading.event, Event::Opened { hedge: true, .. })
            && !self.product.has_positions()
        {
            return Err(Stop::Rejected("invalid_request"));
        }
        if matches!(&reading.event, Event::TransferRequested { to, .. } if *to == self.account) {
            return Err(Stop::INVALID);
        }
        self.check_status(&reading.event)?;
        let result = self.apply(reading, asked);
        match result {
            Err(Stop::Rejected(_)) if !reading.event.is_request() => Err(Stop::CONTRADICTION),
            result => result,
        }
    }

    /// Nothing but its opening touches an account that is not open, and a closed one stays closed.
    fn check_status(&self, event: &Event) -> Result<(), Stop> {
        let code = match (self.status, event) {
            (Status::Unopened, Event::Opened { .. }) => return Ok(()),
            (Status::Open, Event::Opened { .. }) => "account_already_open",
            (Status::Open, _) => return Ok(()),
            (Status::Unopened, _) => "account_not_found",
            // The position stage knows of no closing, and finds nothing open before account is asked.
            (Status::Closed, Event::MarginChanged(_) | Event::LeverageChanged { .. }) => {
                return Ok(());
            }
            (Status::Closed, _) => "account_closed",
        };
        if event.is_request() {
            return Err(Stop::Rejected(code));
        }
        // The position stage saw no opening either; of closings it knows nothing.
        let found_early = self.product.has_positions() && self.status == Status::Unopened;
        Err(Stop::Poisoned { at: if found_early { Stage::Position } else { Stage::Account } })
    }

    fn apply(&mut self, reading: &Reading, asked: Asked<'_>) -> Result<Posted, Stop> {
        let mut posting = Posting::default();
        let mut posted = Posted::default();
        let mut shortfall = Shortfall::Force;
        match &reading.event {
            Event::Opened { hedge, credit } => {
                self.status = Status::Open;
                self.hedge = *hedge;
                self.credit = credit.map(|limit| Credit { limit, enabled: true });
            }
            Event::Closed => {
                let under_way = !self.under_way.is_empty() || self.unpaid > 0;
                if self.has_position() || !self.funds.is_empty() || under_way {
                    return Err(Stop::Rejected("account_not_empty"));
                }
                self.status = Status::Closed;
            }
            Event::CreditChanged { limit, enabled } => {
                let another = self.credit.is_some_and(|now| now.limit.currency != limit.currency);
                if another && self.funds.owed().next().is_some() {
                    return Err(Stop::Rejected("invalid_request"));
                }
                self.credit = Some(Credit { limit: *limit, enabled: *enabled });
            }
            Event::Deposited(Amount { currency, units }) => {
                posting.add(*currency, Share::Net, *units, Contra::Bank);
            }
            Event::Charged { amount, to } => {
                posting.add(amount.currency, Share::Net, -amount.units, *to);
            }
            Event::WithdrawalRequested { id, amount } => {
                shortfall = Shortfall::Reject;
                posting.transfer(*amount, Share::Net, Share::Withdrawing);
                posted.delayed = self.liquidating && self.funds.has_margin();
                let Asked { request_id, lane_seq: number } = asked;
                let payable_at = self.now_secs + PAYABLE_AFTER.whole_seconds();
                let payable_at_secs = posted.delayed.then_some(payable_at);
                let (amount, request_id) = (*amount, request_id.to_owned());
                let withdrawal = Withdrawal { amount, payable_at_secs, request_id, number };
                self.withdrawals.insert(id.clone(), withdrawal);
            }
            Event::WithdrawalSettled { id } => {
                let withdrawal = self.ended(id)?;
                if !self.is_payable(&withdrawal) {
                    return Err(Stop::CONTRADICTION);
                }
                let amount = withdrawal.amount;
                posting.add(amount.currency, Share::Withdrawing, -amount.units, Contra::Bank);
            }
            Event::WithdrawalCancelled { id } => {
                let withdrawal = self.ended(id)?;
                posting.transfer(withdrawal.amount, Share::Withdrawing, Share::Net);
            }
            Event::TransferRequested { id, to, amount } => {
                shortfall = Shortfall::Reject;
                let sent = self.send(&mut posting, id, to, *amount, asked.lane_seq)?;
                posted.sent = Some(sent);
            }
            Event::Reserved { amount, may_borrow } => {
                shortfall = if *may_borrow { Shortfall::Borrow } else { Shortfall::Reject };
                posting.transfer(*amount, Share::Net, Share::Frozen);
            }
            Event::Released(amount) => posting.transfer(*amount, Share::Frozen, Share::Net),
            Event::Adjusted { amount, force } => {
                shortfall = if *force { Shortfall::Force } else { Shortfall::Reject };
                posting.add(amount.currency, Share::Net, amount.units, Contra::Adjustments);
            }
            Event::LiquidationStarted => self.liquidating = true,
            Event::LiquidationEnded => self.liquidating = false,
            Event::PairFilled(fill) => fill.post(&mut posting)?,
            Event::ContractFilled(fill) => {
                posted.position = Some(self.contract_filled(&mut posting, fill)?);
            }
            Event::Funded { contract, rate, mark_price } => {
                posted.own = self.charge_funding(&mut posting, contract, *rate, *mark_price)?;
                self.unpaid += usize::from(posted.own.is_some());
                posted.position = self.funded(contract);
            }
            Event::MarginChanged(change) => {
                shortfall = Shortfall::Reject;
                (posted.position, posted.own) = self.change_margin(&mut posting, change)?;
            }
            Event::LeverageChanged { contract, leverage } => {
                shortfall = Shortfall::Reject;
                (posted.position, posted.own) =
                    self.change_leverage(&mut posting, contract, *leverage)?;
            }
        }
        let terms = Terms { shortfall, line: self.credit, rates: &reading.rates };
        self.post(&posting, &terms, &mut posted)?;
        Ok(posted)
    }

    /// Takes what CAP sent itself, with the rates of the event that it follows from. After a stop the
    /// book is of no use.
    pub(super) fn follow(&mut self, own: &OwnEvent, rates: &Rates) -> Result<Posted, Stop> {
        let mut posting = Posting::default();
        let mut posted = Posted::default();
        self.apply_own(&mut posting, own).ok_or(Stop::CONTRADICTION)?;
        let terms = Terms { shortfall: Shortfall::Force, line: self.credit, rates };
        match self.post(&posting, &terms, &mut posted) {
            Err(Stop::Rejected(_)) => Err(Stop::CONTRADICTION),
            result => result.map(|()| posted),
        }
    }

    /// Adds and takes, then closes what is short: first out of withdrawals, if the account is being
    /// liquidated and the event is a loss that happened (W1), then by borrowing.
    pub(super) fn post(
        &mut self,
        posting: &Posting,
        terms: &Terms<'_>,
        posted: &mut Posted,
    ) -> Result<(), Stop> {
        let before = self.funds.clone();
        self.funds.apply(posting)?;
        posted.touched.extend(posting.touched());
        let mut effect = Effect::of(&before, &self.funds);
        terms.allow(&effect.short)?;
        if self.liquidating && terms.shortfall == Shortfall::Force {
            for (currency, short) in &mut effect.short {
                while *short > 0
                    && let Some(last) = take_last(&mut self.withdrawals, *currency, self.now_secs)
                {
                    *short -= last.1.amount.units;
                    self.funds.give_back(last.1.amount);
                    posted.cancelled.push(last);
                }
            }
            effect.short.retain(|_, short| *short > 0);
            // What is over of a withdrawal is a credit like any other: it repays first (A7).
            effect.gained = Effect::of(&before, &self.funds).gained;
        }
        posted.touched.extend(terms.close(&before, &mut self.funds, &effect)?);
        Ok(())
    }

    fn ended(&mut self, withdrawal_id: &str) -> Result<Withdrawal, Stop> {
        self.withdrawals.remove(withdrawal_id).ok_or(Stop::CONTRADICTION)
    }
}
