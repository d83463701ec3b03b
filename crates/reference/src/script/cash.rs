//! What every account does, whatever it trades: it opens, pays in and out, borrows and is charged.

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::author::Author;
use super::desk::{Order, amount, happens, one_of, part, share, text};
use super::draft::{Draft, Then};
use crate::model::{Contract, Currency, Product, Status};

impl Author {
    pub(super) fn opened(&self, number: usize, dice: &mut StdRng) -> Draft {
        let mut event = json!({ "type": "account.opened", "customer": format!("C-{number}") });
        if happens(dice, 500) {
            let home = self.home();
            let limit = amount(dice, home);
            let limit = text(dice, limit, home.decimals);
            event["credit"] = json!({ "currency": home.code, "limit": limit });
        }
        if let Some(card) = self.card {
            let limit = amount(dice, card);
            let limit = text(dice, limit, card.decimals);
            event["credit"] = json!({ "currency": card.code, "limit": limit });
        }
        if happens(dice, 200) {
            event["position_mode"] = json!("one_way");
        }
        // Who opens again what is open may name another mode: nothing comes of it.
        if self.hedge != (self.is_open() && share(dice, self.shape.hedge_per_mille)) {
            event["position_mode"] = json!("hedge");
        }
        event.into()
    }

    pub(super) fn closed(&self) -> Draft {
        json!({ "type": "account.closed" }).into()
    }

    /// The currency that is owed where nothing says otherwise.
    pub(super) fn home(&self) -> Currency {
        if self.is_cfd() { Currency::USD } else { Currency::USDT }
    }

    pub(super) fn is_cfd(&self) -> bool {
        self.model.book().product == Product::Cfd
    }

    /// The home currency most of the time.
    pub(super) fn any_currency(&self, dice: &mut StdRng) -> Currency {
        if self.is_cfd() {
            let others = [Currency::HKD, Currency::USDT];
            return if happens(dice, 200) { one_of(dice, &others) } else { Currency::USD };
        }
        match dice.random_range(0..10) {
            0 => Currency::BTC,
            1 => Currency::ETH,
            2 => one_of(dice, &[Currency::HKD, Currency::USD]),
            _ => Currency::USDT,
        }
    }

    fn is_open(&self) -> bool {
        self.model.book().status == Status::Open
    }

    /// Another credit line, in the home currency; none while something else is owed, as no event says at what
    /// rate that would be borrowed on it. On a card, whose events carry rates, in any currency.
    pub(super) fn credit_changed(&self, dice: &mut StdRng) -> Option<Draft> {
        if let Some(card) = self.card {
            let currency = if happens(dice, 250) { self.any_currency(dice) } else { card };
            let limit = if happens(dice, 150) { 0 } else { amount(dice, currency) };
            let mut event = of("credit.changed", currency, "limit", limit, dice);
            event["enabled"] = json!(happens(dice, 850));
            return Some(event.into());
        }
        let home = self.home();
        if self.model.book().funds.owed().any(|currency| currency != home) {
            return None;
        }
        let limit = if happens(dice, 150) { 0 } else { amount(dice, home) };
        let mut event = of("credit.changed", home, "limit", limit, dice);
        event["enabled"] = json!(happens(dice, 800));
        Some(event.into())
    }

    pub(super) fn deposit(&self, number: usize, dice: &mut StdRng) -> Draft {
        let currency = self.any_currency(dice);
        let units = amount(dice, currency);
        let mut event = of("deposit.received", currency, "amount", units, dice);
        event["reference"] = json!(format!("tx-{number}"));
        event.into()
    }

    /// A withdrawal of a part of what is free, or of more than that.
    pub(super) fn withdrawal_requested(&self, number: usize, dice: &mut StdRng) -> Draft {
        let currency = self.any_currency(dice);
        let available = self.held(currency).spendable();
        let units = if available == 0 || happens(dice, 150) {
            available + amount(dice, currency)
        } else {
            part(dice, available)
        };
        withdrawal(number, currency, units, dice)
    }

    /// A withdrawal of all there is of one currency.
    pub(super) fn withdrawn_whole(&self, number: usize, dice: &mut StdRng) -> Draft {
        let all = Currency::ALL.into_iter().map(|currency| (currency, self.held(currency)));
        match all.into_iter().find(|(_, held)| held.payable() > 0) {
            Some((currency, held)) if held.spendable() > 0 => {
                withdrawal(number, currency, held.spendable(), dice)
            }
            Some((currency, held)) => taken_away(currency, held.payable(), "bonus", dice).into(),
            None => self.deposit(number, dice),
        }
    }

    /// The end of a withdrawal that is payable.
    pub(super) fn settled(&self, dice: &mut StdRng) -> Option<Draft> {
        let book = self.model.book();
        let payable = book.withdrawals.iter().filter(|(_, held)| book.is_payable(held));
        let payable: Vec<&String> = payable.map(|(id, _)| id).collect();
        let id = payable.get(dice.random_range(0..payable.len().max(1)))?;
        Some(json!({ "type": "withdrawal.settled", "withdrawal_id": id }).into())
    }

    pub(super) fn cancelled(&self, dice: &mut StdRng) -> Option<Draft> {
        let under_way: Vec<&String> = self.model.book().withdrawals.keys().collect();
        let id = under_way.get(dice.random_range(0..under_way.len().max(1)))?;
        Some(json!({ "type": "withdrawal.cancelled", "withdrawal_id": id }).into())
    }

    /// An order: of a part of what is available, of more with leave to borrow, or a hopeless one.
    pub(super) fn reserved(&self, number: usize, dice: &mut StdRng) -> Draft {
        let (instrument, base) = self.instrument(dice);
        let poor_in_base = self.held(base).available() == 0;
        let buys =
            self.account.has_positions() || happens(dice, if poor_in_base { 900 } else { 400 });
        let contract = Contract::of(instrument);
        let currency = match contract {
            Some(contract) => contract.settled_in,
            None if buys => Currency::USDT,
            None => base,
        };
        let available = self.held(currency).spendable();
        let may_borrow = happens(dice, 300);
        let credit_left = self.model.book().credit_left(currency);
        let units = match dice.random_range(0..12) {
            0 => available + 100 * amount(dice, currency),
            // To the last unit of what there is, and one more.
            1 => (available + dice.random_range(0..2)).max(1),
            2..4 if may_borrow => (available + credit_left + dice.random_range(0..2)).max(1),
            4..6 if may_borrow => available + amount(dice, currency),
            _ if available == 0 => amount(dice, currency),
            _ => part(dice, available.div_euclid(2).max(1)),
        };
        let id = format!("o-{number}");
        let mut event = of("order.reserved", currency, "amount", units, dice);
        event["order_id"] = json!(id);
        if may_borrow {
            event["may_borrow"] = json!(true);
        }
        let buys = if self.account.has_positions() { happens(dice, 500) } else { buys };
        let order = Order { id, instrument, buys, currency, left: units };
        Draft { event, then: Then::Ordered(order) }
    }

    /// Some or all of what an order holds is given back.
    pub(super) fn released(&self, dice: &mut StdRng) -> Option<Draft> {
        let order = self.orders.get(dice.random_range(0..self.orders.len().max(1)))?;
        let units = part(dice, order.left);
        let mut event = of("order.released", order.currency, "amount", units, dice);
        event["order_id"] = json!(order.id);
        let then = Then::Used { order_id: order.id.clone(), units };
        Some(Draft { event, then })
    }

    /// Whether a shortage of `currency` can be owed: on a card all can, at the rates events carry.
    pub(super) fn may_owe(&self, currency: Currency) -> bool {
        self.card.is_some() || self.model.book().may_owe(currency)
    }

    /// A fee outside of a trade, of what is there or of what can be owed.
    pub(super) fn charged(&self, dice: &mut StdRng) -> Draft {
        let currency = self.any_currency(dice);
        let (payable, home) = (self.held(currency).payable(), self.home());
        let (currency, units) = match self.may_owe(currency) {
            true => (currency, amount(dice, currency) / 50 + 1),
            false if payable > 0 => (currency, part(dice, payable)),
            false => (home, amount(dice, home) / 50 + 1),
        };
        let mut event = of("fee.charged", currency, "amount", units, dice);
        event["reason"] = json!("custody");
        event.into()
    }

    /// Interest on something that is owed and can be owed more of.
    pub(super) fn interest(&self, dice: &mut StdRng) -> Option<Draft> {
        let book = self.model.book();
        let currency = book.funds.owed().find(|currency| self.may_owe(*currency))?;
        let units = self.held(currency).borrowed() / 997 + 1;
        Some(of("interest.charged", currency, "amount", units, dice).into())
    }

    pub(super) fn adjusted(&self, dice: &mut StdRng) -> Draft {
        let currency = self.any_currency(dice);
        let units = match dice.random_range(0..3) {
            0 => amount(dice, currency),
            1 => -part(dice, self.held(currency).payable()),
            _ => -amount(dice, currency),
        };
        let mut event = of("adjustment.posted", currency, "amount", units, dice);
        event["reason"] = json!("corporate action");
        event["operator"] = json!("ops-1");
        event["shortfall"] = json!(one_of(dice, &["reject", "force"]));
        event.into()
    }

    pub(super) fn liquidated(&self) -> Draft {
        let ended = self.model.book().liquidating;
        let kind = if ended { "liquidation.ended" } else { "liquidation.started" };
        json!({ "type": kind }).into()
    }
}

/// An amount is taken away for some reason, if it is there.
pub(super) fn taken_away(
    currency: Currency,
    units: i128,
    reason: &str,
    dice: &mut StdRng,
) -> Value {
    let mut event = of("adjustment.posted", currency, "amount", -units, dice);
    event["reason"] = json!(reason);
    event["operator"] = json!("ops-1");
    event["shortfall"] = json!("reject");
    event
}

pub(super) fn withdrawal(
    number: usize,
    currency: Currency,
    units: i128,
    dice: &mut StdRng,
) -> Draft {
    let mut event = of("withdrawal.requested", currency, "amount", units, dice);
    event["withdrawal_id"] = json!(format!("w-{number}"));
    event.into()
}

/// An event about an amount of a currency, which stands in `field`.
pub(super) fn of(
    kind: &str,
    currency: Currency,
    field: &str,
    units: i128,
    dice: &mut StdRng,
) -> Value {
    let mut event = json!({ "type": kind, "currency": currency.code });
    event[field] = json!(text(dice, units, currency.decimals));
    event
}
