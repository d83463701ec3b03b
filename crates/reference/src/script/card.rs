//! Borrowing on a card: rates that events carry, and losses that need more than there is.

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};

use super::author::Author;
use super::cash::{of, withdrawal};
use super::desk::{about, amount, happens, one_of, part};
use super::draft::Draft;
use crate::model::{Currency, Would, written};

/// The events of this crate's scripts that may carry rates.
const WITH_RATES: [&str; 9] = [
    "deposit.received",
    "withdrawal.cancelled",
    "order.reserved",
    "order.released",
    "trade.filled",
    "funding.charged",
    "fee.charged",
    "interest.charged",
    "adjustment.posted",
];

/// Decimals of rates.
const RATE_DECIMALS: u32 = 10;

/// An author with so many withdrawals under way waits for their losses.
const WITHDRAWALS_ENOUGH: usize = 3;

impl Author {
    /// The draft as the account can bear it: with rates, if it borrows on a card, and never a fact
    /// that would be poison unwillingly, nor one that leads to poison, unless that may come late. What would
    /// be so all the same is a deposit instead, and so is what would take a withdrawal where the shape knows
    /// no losses, and what CAP would follow up where it knows no changes of margin.
    pub(super) fn with_care(&self, mut draft: Draft, number: usize, dice: &mut StdRng) -> Draft {
        let kind = draft.event["type"].as_str().unwrap_or_default();
        let with_rates = self.card.is_some() && WITH_RATES.contains(&kind);
        if with_rates && draft.event.get("rates").is_none() {
            self.add_rates(&mut draft.event, dice);
            if self.is_unbearable(self.model.would(&draft.event)) {
                draft.event["rates"] = self.all_rates(dice);
            }
        }
        match self.model.would(&draft.event) {
            would if self.is_unbearable(would) => self.deposit(number, dice),
            Would::Post { cancels: true, .. } if self.shape.losses_per_mille == 0 => {
                self.deposit(number, dice)
            }
            Would::Post { follows: true, .. } if self.shape.margin_per_mille == 0 => {
                self.deposit(number, dice)
            }
            _ => draft,
        }
    }

    /// What comes late finds the account as it is by then: where it may, it is let go.
    const fn is_unbearable(&self, would: Would) -> bool {
        let may_strand = self.shape.late_per_mille > 0 && self.shape.margin_per_mille > 0;
        matches!(would, Would::Poison) || (matches!(would, Would::Strand) && !may_strand)
    }

    /// All rates most of the time, with some that are of no use; or some of them, or none.
    fn add_rates(&self, event: &mut Value, dice: &mut StdRng) {
        let mut rates = self.all_rates(dice);
        let left_out = match dice.random_range(0..12) {
            0 => return,
            1 | 2 => 500,
            _ => 0,
        };
        if let Some(rates) = rates.as_object_mut() {
            rates.retain(|_, _| !happens(dice, left_out));
            if happens(dice, 200) && !self.is_cfd() {
                let (from, to) = one_of(dice, &PAIRS_OF_NO_USE);
                add(rates, from, to, dice);
            }
        }
        event["rates"] = rates;
    }

    /// Rates between the card's currency and every other, this way or the other way round.
    fn all_rates(&self, dice: &mut StdRng) -> Value {
        let line = self.model.book().credit.map(|line| line.limit.currency);
        let card = line.or(self.card).unwrap_or(Currency::USD);
        let mut rates = Map::new();
        let currencies = self.model.book().product.currencies().iter().copied();
        for other in currencies.filter(|other| *other != card) {
            match dice.random_range(0..5) {
                0 => {
                    add(&mut rates, card, other, dice);
                    add(&mut rates, other, card, dice);
                }
                1 | 2 => add(&mut rates, card, other, dice),
                _ => add(&mut rates, other, card, dice),
            }
        }
        Value::Object(rates)
    }

    /// The next step to a loss that takes withdrawals: margin comes into use, the liquidation starts,
    /// some are asked for, and more is charged than is available. Where there is no margin, none
    /// waits, and none is taken.
    pub(super) fn toward_losses(&mut self, number: usize, dice: &mut StdRng) -> Draft {
        if self.account.has_positions() && !self.model.book().funds.has_margin() {
            return self.contract_filled(number, dice);
        }
        if !self.model.book().liquidating {
            return self.liquidated();
        }
        let book = self.model.book();
        let few = book.withdrawals.len() < WITHDRAWALS_ENOUGH;
        let wait = book.withdrawals.values().any(|held| !book.is_payable(held));
        let none = if self.account.has_positions() { !wait } else { book.withdrawals.is_empty() };
        if none || (few && happens(dice, 400)) {
            let currency = self.any_currency(dice);
            return match self.held(currency).spendable() {
                0 => self.deposit(number, dice),
                available => withdrawal(number, currency, part(dice, available), dice),
            };
        }
        let waiting = book.withdrawals.values();
        let waiting = waiting.filter(|held| !wait || !book.is_payable(held));
        let currencies: Vec<Currency> = waiting.map(|held| held.amount.currency).collect();
        let currency = one_of(dice, &currencies);
        let held = self.held(currency);
        let short = match dice.random_range(0..4) {
            // To the last unit of what withdrawals hold, and one more.
            0 => held.withdrawing + dice.random_range(0..2),
            1 => held.withdrawing + amount(dice, currency) / 20,
            _ => part(dice, held.withdrawing),
        };
        let units = held.payable() + short;
        if happens(dice, 500) {
            let mut event = of("fee.charged", currency, "amount", units, dice);
            event["reason"] = json!("liquidation");
            return event.into();
        }
        let mut event = of("adjustment.posted", currency, "amount", -units, dice);
        event["reason"] = json!("loss");
        event["operator"] = json!("ops-1");
        event["shortfall"] = json!("force");
        event.into()
    }
}

/// Pairs without any card's currency most of the time.
const PAIRS_OF_NO_USE: [(Currency, Currency); 3] = [
    (Currency::ETH, Currency::BTC),
    (Currency::ETH, Currency::HKD),
    (Currency::USDT, Currency::ETH),
];

/// Adds what one of the first currency buys of the second.
fn add(rates: &mut Map<String, Value>, from: Currency, to: Currency, dice: &mut StdRng) {
    let one = 10_i128.pow(RATE_DECIMALS);
    let rate = about(dice, cents(from) * one / cents(to), 30).max(1);
    let step = one_of(dice, &[one / 10_000, 1, 1]);
    let rate = if rate < 100 * step { rate } else { rate / step * step };
    let rate = written(rate, RATE_DECIMALS);
    rates.insert(
        format!("{}/{}", from.code, to.code),
        json!(rate.trim_end_matches('0').trim_end_matches('.')),
    );
}

/// About what one of a currency is worth, in cents of a dollar.
fn cents(currency: Currency) -> i128 {
    match currency {
        Currency::BTC => 6_000_000,
        Currency::ETH => 300_000,
        Currency::HKD => 13,
        _ => 100,
    }
}
