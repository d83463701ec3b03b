//! The account itself: what each event of the contract's table does to it.

use std::collections::BTreeMap;

use super::currency::Currency;
use super::event::{Amount, ContractFill, Event, PairFill};
use super::expected::{Cancelled, PositionChange};
use super::fill::Holding;
use super::fraction::Fraction;
use super::funds::{Credit, Funds, Posting, Share, Shortfall};
use crate::script::Stage;

/// Whether the account can be posted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Unopened,
    Open,
    Closed,
}

/// A withdrawal under way.
#[derive(Debug, Clone)]
pub(crate) struct Withdrawal {
    amount: Amount,
    /// How many withdrawals the account had requested before.
    number: usize,
    request_id: String,
    /// Payable thirty minutes after its request, and so not within any script.
    pub(crate) delayed: bool,
}

/// One account.
#[derive(Debug, Clone)]
pub(crate) struct Book {
    pub(super) has_positions: bool,
    pub(crate) status: Status,
    pub(crate) credit: Option<Credit>,
    pub(crate) liquidating: bool,
    pub(crate) withdrawals: BTreeMap<String, Withdrawal>,
    requested: usize,
    pub(crate) funds: Funds,
    pub(crate) positions: BTreeMap<String, Holding>,
}

/// What an event came to.
#[derive(Debug, Default)]
pub(super) struct Posted {
    pub(super) touched: Vec<Currency>,
    pub(super) position: Option<PositionChange>,
    /// Whether it requested a withdrawal that is payable later.
    pub(super) delayed: bool,
    /// The withdrawals that were cancelled for it, in that order.
    pub(super) cancelled: Vec<Cancelled>,
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
    /// Borrowing without the rate it needs: for a request an answer, for a fact poison.
    pub(super) const WITHOUT_RATE: Self = Self::Rejected("invalid_request");
}

impl Book {
    pub(super) fn new(has_positions: bool) -> Self {
        Self {
            has_positions,
            status: Status::Unopened,
            credit: None,
            liquidating: false,
            withdrawals: BTreeMap::new(),
            requested: 0,
            funds: Funds::default(),
            positions: BTreeMap::new(),
        }
    }

    /// Whether something is held of any contract.
    pub(crate) fn has_position(&self) -> bool {
        self.positions.values().any(|held| held.quantity != 0)
    }

    /// Whether a shortage of `currency` can be owed: not if it would have to be borrowed on a line
    /// in another currency.
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
    pub(super) fn take(&mut self, event: &Event, request_id: &str) -> Result<Posted, Stop> {
        self.check_status(event)?;
        let result = self.apply(event, request_id);
        match result {
            Err(Stop::Rejected(_)) if !event.is_request() => Err(Stop::CONTRADICTION),
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
            (Status::Closed, _) => "account_closed",
        };
        if event.is_request() {
            return Err(Stop::Rejected(code));
        }
        // The position stage saw no opening either; of closings it knows nothing.
        let found_early = self.has_positions && self.status == Status::Unopened;
        Err(Stop::Poisoned { at: if found_early { Stage::Position } else { Stage::Account } })
    }

    fn apply(&mut self, event: &Event, request_id: &str) -> Result<Posted, Stop> {
        let mut posting = Posting::default();
        let mut posted = Posted::default();
        let mut shortfall = Shortfall::Force;
        match event {
            Event::Opened { credit } => {
                self.status = Status::Open;
                self.credit = credit.map(|limit| Credit { limit, enabled: true });
            }
            Event::Closed => {
                if self.has_position() || !self.funds.is_empty() {
                    return Err(Stop::Rejected("account_not_empty"));
                }
                self.status = Status::Closed;
            }
            Event::CreditChanged { limit, enabled } => {
                self.credit = Some(Credit { limit: *limit, enabled: *enabled });
            }
            Event::Deposited(amount) => posting.add(amount.currency, Share::Net, amount.units),
            Event::Charged(amount) => posting.add(amount.currency, Share::Net, -amount.units),
            Event::WithdrawalRequested { id, amount } => {
                shortfall = Shortfall::Reject;
                posting.transfer(*amount, Share::Net, Share::Withdrawing);
                posted.delayed = self.liquidating && self.funds.has_margin();
                let withdrawal = Withdrawal {
                    amount: *amount,
                    number: self.requested,
                    request_id: request_id.to_owned(),
                    delayed: posted.delayed,
                };
                self.requested += 1;
                self.withdrawals.insert(id.clone(), withdrawal);
            }
            Event::WithdrawalSettled { id } => {
                let Withdrawal { amount, delayed, .. } = self.ended(id)?;
                if delayed {
                    return Err(Stop::CONTRADICTION);
                }
                posting.add(amount.currency, Share::Withdrawing, -amount.units);
            }
            Event::WithdrawalCancelled { id } => {
                let withdrawal = self.ended(id)?;
                posting.transfer(withdrawal.amount, Share::Withdrawing, Share::Net);
            }
            Event::Reserved { amount, may_borrow } => {
                shortfall = if *may_borrow { Shortfall::Borrow } else { Shortfall::Reject };
                posting.transfer(*amount, Share::Net, Share::Frozen);
            }
            Event::Released(amount) => posting.transfer(*amount, Share::Frozen, Share::Net),
            Event::Adjusted { amount, force } => {
                shortfall = if *force { Shortfall::Force } else { Shortfall::Reject };
                posting.add(amount.currency, Share::Net, amount.units);
            }
            Event::LiquidationStarted => self.liquidating = true,
            Event::LiquidationEnded => self.liquidating = false,
            Event::PairFilled(fill) => pair_filled(&mut posting, fill)?,
            Event::ContractFilled(fill) => {
                posted.position = Some(self.contract_filled(&mut posting, fill)?);
            }
            Event::Funded { symbol, rate, mark_price } => {
                let held = self.positions.get(symbol).copied().unwrap_or_default();
                let received = held.funding(*rate, *mark_price).ok_or(Stop::CONTRADICTION)?;
                posting.add(Currency::USDT, Share::Net, received);
                posted.position = Some(held.changed(symbol, 0));
            }
        }
        if self.liquidating && shortfall == Shortfall::Force {
            posted.cancelled = self.take_back(&mut posting);
        }
        posted.touched = self.funds.post(&posting, shortfall, self.credit)?;
        Ok(posted)
    }

    /// What an event leaves short during a liquidation is taken from the withdrawals of that
    /// currency, the last requested first and each wholly, until it is there or none is left.
    fn take_back(&mut self, posting: &mut Posting) -> Vec<Cancelled> {
        let mut cancelled = Vec::new();
        for currency in posting.currencies() {
            while self.funds.short_of(currency, posting) > 0 {
                let of_currency =
                    self.withdrawals.iter().filter(|(_, w)| w.amount.currency == currency);
                let last = of_currency.max_by_key(|(_, withdrawal)| withdrawal.number);
                let Some(id) = last.map(|(id, _)| id.clone()) else { break };
                let Some(withdrawal) = self.withdrawals.remove(&id) else { break };
                posting.transfer(withdrawal.amount, Share::Withdrawing, Share::Net);
                let request_id = withdrawal.request_id;
                cancelled.push(Cancelled { request_id, withdrawal_id: id });
            }
        }
        cancelled
    }

    fn ended(&mut self, withdrawal_id: &str) -> Result<Withdrawal, Stop> {
        self.withdrawals.remove(withdrawal_id).ok_or(Stop::CONTRADICTION)
    }

    /// Margin and profit, and the reserve: what the fill does not need of it goes back.
    fn contract_filled(
        &mut self,
        posting: &mut Posting,
        fill: &ContractFill,
    ) -> Result<PositionChange, Stop> {
        let held = self.positions.entry(fill.symbol.clone()).or_default();
        let filled = held.fill(fill).ok_or(Stop::CONTRADICTION)?;
        let mut add = |share, units| posting.add(Currency::USDT, share, units);
        add(Share::Margin, -filled.margin_released);
        add(Share::Net, filled.margin_released);
        add(Share::Net, filled.realised);
        add(Share::Frozen, -fill.reserved);
        add(Share::Net, fill.reserved);
        add(Share::Net, -filled.margin_added);
        add(Share::Margin, filled.margin_added);
        add(Share::Net, -fill.fee);
        Ok(held.changed(&fill.symbol, filled.realised))
    }
}

/// Pays, receives, gives back what is left of the reserve, pays the fee. Whether the reserve is
/// used up or given back and paid from available comes to the same balances.
fn pair_filled(posting: &mut Posting, fill: &PairFill) -> Result<(), Stop> {
    let quantity = Fraction::new(fill.quantity, fill.base.decimals);
    let value = quantity.times(&fill.price.exact()).half_even(Currency::USDT.decimals);
    let value = value.ok_or(Stop::CONTRADICTION)?;
    let (base, quote) = ((fill.base, fill.quantity), (Currency::USDT, value));
    let ((pays, paid), (receives, received)) =
        if fill.buys { (quote, base) } else { (base, quote) };
    posting.add(pays, Share::Frozen, -fill.reserved);
    posting.add(pays, Share::Net, fill.reserved);
    posting.add(pays, Share::Net, -paid);
    posting.add(receives, Share::Net, received);
    posting.add(fill.fee.currency, Share::Net, -fill.fee.units);
    Ok(())
}
