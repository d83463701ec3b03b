//! Facts that contradict the account they are about, on purpose.

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::Nature;
use super::author::Author;
use super::cash::of;
use super::desk::{amount, happens, one_of};
use crate::model::{Currency, PositionSide, QUANTITY_DECIMALS, Status, Would, written};

impl Author {
    /// A fact that is valid and cannot be true of this account; none if there is no such.
    pub(super) fn contradiction(
        &self,
        number: usize,
        dice: &mut StdRng,
    ) -> Option<(Nature, Value)> {
        let (nature, event) = match self.model.book().status {
            Status::Unopened => return None,
            Status::Closed => (Nature::FactForClosed, self.fact_too_late(number, dice)),
            Status::Open => self.contradicts_open(number, dice)?,
        };
        (self.model.would(&event) == Would::Poison).then_some((nature, event))
    }

    fn contradicts_open(&self, number: usize, dice: &mut StdRng) -> Option<(Nature, Value)> {
        Some(match self.charged_without_rate(dice) {
            Some(event) if !self.account.has_positions() || happens(dice, 400) => {
                (Nature::WithoutRate, event)
            }
            _ if self.account.has_positions() => {
                (Nature::ContradictsPosition, self.impossible_fill(number, dice))
            }
            _ => return None,
        })
    }

    /// The end of a withdrawal that is not payable yet.
    pub(super) fn settled_too_early(&self, dice: &mut StdRng) -> Option<Value> {
        let book = self.model.book();
        let waiting = book.withdrawals.iter().filter(|(_, held)| !book.is_payable(held));
        let waiting: Vec<&String> = waiting.map(|(id, _)| id).collect();
        let id = waiting.get(dice.random_range(0..waiting.len().max(1)))?;
        Some(json!({ "type": "withdrawal.settled", "withdrawal_id": id }))
    }

    /// What comes for an account behind its closing. Where there are positions no fill: the position stage
    /// would open one, and the skipped money would be missing.
    fn fact_too_late(&self, number: usize, dice: &mut StdRng) -> Value {
        match dice.random_range(0..7) {
            0 => self.charged(dice).event,
            1 => {
                let currency = self.any_currency(dice);
                let units = amount(dice, currency) / 1_000 + 1;
                of("interest.charged", currency, "amount", units, dice)
            }
            2 => {
                let kind = one_of(dice, &["withdrawal.settled", "withdrawal.cancelled"]);
                json!({ "type": kind, "withdrawal_id": format!("w-{number}") })
            }
            3 => {
                let kind = one_of(dice, &["liquidation.started", "liquidation.ended"]);
                json!({ "type": kind })
            }
            4 if self.account.has_positions() => self.funded(dice).event,
            4 => self.pair_filled(number, dice).event,
            _ => self.unheard_of_fact(number, dice),
        }
    }

    /// More than there is, withdrawals included, of what could only be borrowed at a rate.
    fn charged_without_rate(&self, dice: &mut StdRng) -> Option<Value> {
        let others = self.model.book().product.currencies().iter().copied();
        let others: Vec<Currency> =
            others.filter(|currency| !self.model.book().may_owe(*currency)).collect();
        let currency = *others.get(dice.random_range(0..others.len().max(1)))?;
        let held = self.held(currency);
        let units = held.payable() + held.withdrawing + amount(dice, currency);
        let mut event = of("fee.charged", currency, "amount", units, dice);
        event["reason"] = json!("custody");
        Some(event)
    }

    fn impossible_fill(&self, number: usize, dice: &mut StdRng) -> Value {
        let book = self.model.book();
        let side = one_of(dice, &PositionSide::BOTH);
        let open = book.positions.iter().find(|(_, held)| held.quantity != 0);
        let (usual, price) = if self.is_cfd() { ("EUR-USD", "1.1") } else { ("BTC-USDT", "60000") };
        let mut event = json!({
            "type": "trade.filled", "trade_id": format!("t-{number}"),
            "order_id": format!("m-{number}"), "symbol": usual, "side": "buy",
            "quantity": "0.01", "price": price, "leverage": "10", "margin_mode": "cross",
            "fee": { "currency": self.home().code, "amount": "0" }, "liquidity": "taker",
        });
        match (dice.random_range(0..3), open) {
            // Another margin mode than that of the open position.
            (0, Some(((symbol, place), held))) => {
                event["symbol"] = json!(symbol);
                event["margin_mode"] = json!(held.margin_mode.other().name());
                event["fee"]["currency"] = json!(held.settled_in().code);
                if let Some(side) = place {
                    event["position_side"] = json!(side.name());
                }
            }
            // More is reduced than is held.
            (1, _) if book.hedge => {
                let held = book.positions.get(&(usual, Some(side)));
                let (held, mode) = held
                    .map_or((0, "cross"), |held| (held.quantity.abs(), held.margin_mode.name()));
                let more = if happens(dice, 300) { 1 } else { 10_i128.pow(QUANTITY_DECIMALS) };
                event["side"] = json!(if side == PositionSide::Long { "sell" } else { "buy" });
                event["quantity"] = json!(written(held + more, QUANTITY_DECIMALS));
                event["position_side"] = json!(side.name());
                event["margin_mode"] = json!(mode);
            }
            // Without a side in a hedge account.
            _ if book.hedge => {}
            // With one in a one-way account.
            _ => event["position_side"] = json!(side.name()),
        }
        event
    }
}
