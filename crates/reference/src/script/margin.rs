//! Margin and leverage of what is open, and funding that takes more than is available.

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::author::Author;
use super::cash::{of, taken_away};
use super::desk::{PRICE_DECIMALS, amount, happens, one_of, part, price, text};
use super::draft::{Draft, Then};
use super::fault::break_field;
use super::perpetual::{LEVERAGES, base_of, value};
use crate::model::{Contract, Currency, Holding, MarginMode, PositionSide, written};

/// Decimals of rates that are to come out at a certain amount.
const RATE_DECIMALS: u32 = 10;

/// The highest of them, at [`RATE_DECIMALS`]: all that a position is worth.
const RATE_MAX: i128 = 10_i128.pow(RATE_DECIMALS);

/// Leverages that are no whole numbers, in tenths.
const FINE_LEVERAGES: [i128; 3] = [5, 25, 125];

impl Author {
    /// The next step of who minds margins: a position is opened; then its margin or leverage is
    /// changed, or money goes until funding has to come out of the margin.
    pub(super) fn toward_margin(&mut self, number: usize, dice: &mut StdRng) -> Draft {
        let open = self.model.book().positions.values().filter(|held| held.quantity != 0);
        let open: Vec<Holding> = open.copied().collect();
        let isolated = open.iter().filter(|held| held.margin_mode == MarginMode::Isolated);
        let isolated: Vec<Holding> = isolated.copied().collect();
        let held = match (open.is_empty(), isolated.is_empty()) {
            (true, _) if happens(dice, 200) => return self.margin_asked(dice),
            (true, _) => return self.opened_isolated(number, dice),
            (_, true) if happens(dice, 600) => return self.opened_isolated(number, dice),
            _ if self.model.book().hedge && happens(dice, 200) => {
                return self.opened_isolated(number, dice);
            }
            (_, false) if happens(dice, 900) => one_of(dice, &isolated),
            _ => one_of(dice, &open),
        };
        let currency = held.settled_in();
        let money = self.held(currency);
        if (money.borrowed() > 0 || held.margin == 0) && happens(dice, 700) {
            let units = money.borrowed() + amount(dice, currency);
            let mut event = of("deposit.received", currency, "amount", units, dice);
            event["reference"] = json!(format!("tx-{number}"));
            return event.into();
        }
        match dice.random_range(0..12) {
            0 | 1 => {
                let units = to_add(money.spendable(), currency, dice);
                margin_changed(&held, units, dice).into()
            }
            2..5 if held.margin_over().is_some_and(|over| over > 0) || happens(dice, 100) => {
                margin_changed(&held, -to_take_out(&held, dice), dice).into()
            }
            5 | 6 => leverage_changed(held.contract.symbol, dice),
            2..5 | 7..10 => self.funded_beyond(&held, dice),
            10 => self.margin_asked(dice),
            _ => self.broken_margin(&held, dice).into(),
        }
    }

    /// A request about margin or leverage, whatever is open; some of the other position mode.
    pub(super) fn margin_asked(&self, dice: &mut StdRng) -> Draft {
        let contracts: &[Contract] =
            if self.is_cfd() { &Contract::CFD } else { &Contract::PERPETUAL };
        let contract = one_of(dice, contracts);
        if happens(dice, 400) {
            return leverage_changed(contract.symbol, dice);
        }
        let units = amount(dice, contract.settled_in) * one_of(dice, &[-1, 1]);
        let hedge = self.model.book().hedge != happens(dice, 200);
        let side = hedge.then(|| one_of(dice, &PositionSide::BOTH));
        margin_of(&contract, side, units, dice).into()
    }

    /// A fill; if it opens a position, an isolated one where the shape knows any.
    fn opened_isolated(&mut self, number: usize, dice: &mut StdRng) -> Draft {
        let mut draft = self.contract_filled(number, dice);
        let positions = &self.model.book().positions;
        let open = positions.iter().any(|((symbol, side), held)| {
            let side = side.map(PositionSide::name);
            let it =
                draft.event["symbol"] == *symbol && draft.event["position_side"] == json!(side);
            it && held.quantity != 0
        });
        if !open && self.shape.isolated_per_mille > 0 {
            draft.event["margin_mode"] = json!(MarginMode::Isolated.name());
        }
        draft
    }

    /// Funding that takes more than is available, if a rate that could be can; else that is taken
    /// away first, or put to the margin.
    fn funded_beyond(&self, held: &Holding, dice: &mut StdRng) -> Draft {
        let currency = held.settled_in();
        let mark = price(dice, base_of(held.contract.symbol));
        let sides = self.model.book().positions.values();
        let sides = sides.filter(|side| side.contract.symbol == held.contract.symbol);
        let worth = value(&held.contract, sides.map(|side| side.quantity).sum(), mark);
        let (spendable, payable) = (self.held(currency).spendable(), self.held(currency).payable());
        let margin = held.margin;
        let unpaid = match dice.random_range(0..6) {
            0 => margin,
            1 => margin + 1,
            2 => margin + part(dice, margin),
            _ => part(dice, margin.min(worth.abs() / 20)),
        };
        let rate = (payable + unpaid) * RATE_MAX / worth.abs().max(1) + dice.random_range(0..2);
        if worth.signum() != held.quantity.signum() || rate > RATE_MAX {
            return match payable {
                0 => self.funded(dice),
                _ if spendable > 0 && happens(dice, 300) => {
                    margin_changed(held, spendable, dice).into()
                }
                _ => taken_away(currency, payable, "loss", dice).into(),
            };
        }
        json!({
            "type": "funding.charged", "symbol": held.contract.symbol,
            "rate": text(dice, rate * held.quantity.signum(), RATE_DECIMALS),
            "mark_price": text(dice, mark, PRICE_DECIMALS),
        })
        .into()
    }

    /// A request about an open position that is not valid.
    fn broken_margin(&self, held: &Holding, dice: &mut StdRng) -> Value {
        if happens(dice, 300) {
            let wrong =
                [Some(json!("0")), Some(json!("-3")), Some(json!("ten")), Some(json!(3)), None];
            let mut event = leverage_changed(held.contract.symbol, dice).event;
            break_field(&mut event, "leverage", wrong[dice.random_range(0..wrong.len())].clone());
            return event;
        }
        let finer = written(1, held.settled_in().decimals + 1);
        let other_mode = (!self.model.book().hedge).then(|| json!("long"));
        let broken = [
            ("amount", Some(json!("0"))),
            ("amount", Some(json!("-0.00"))),
            ("amount", Some(json!(finer))),
            ("amount", Some(json!(1))),
            ("amount", None),
            ("symbol", Some(json!("DOGE-USDT"))),
            ("symbol", None),
            ("position_side", other_mode),
            ("position_side", Some(json!("both"))),
            ("leverage", Some(json!("10"))),
        ];
        let (field, wrong) = broken[dice.random_range(0..broken.len())].clone();
        let mut event = margin_changed(held, 1, dice);
        break_field(&mut event, field, wrong);
        event
    }
}

/// Some of what is available; or all of it, or more.
fn to_add(available: i128, currency: Currency, dice: &mut StdRng) -> i128 {
    match dice.random_range(0..8) {
        0 | 1 => available.max(1),
        2 => available + 1,
        3 => available + amount(dice, currency),
        _ => part(dice, available / 10),
    }
}

/// Some of what is over the initial margin; or all of it, one unit more, or all there is.
fn to_take_out(held: &Holding, dice: &mut StdRng) -> i128 {
    let over = held.margin_over().unwrap_or_default().max(0);
    match dice.random_range(0..8) {
        0 | 1 => over.max(1),
        2 => over + 1,
        3 => held.margin.max(1),
        _ => part(dice, over),
    }
}

fn margin_changed(held: &Holding, units: i128, dice: &mut StdRng) -> Value {
    margin_of(&held.contract, held.position_side, units, dice)
}

fn margin_of(
    contract: &Contract,
    side: Option<PositionSide>,
    units: i128,
    dice: &mut StdRng,
) -> Value {
    let amount = text(dice, units, contract.settled_in.decimals);
    let mut event =
        json!({ "type": "margin.changed", "symbol": contract.symbol, "amount": amount });
    if let Some(side) = side {
        event["position_side"] = json!(side.name());
    }
    event
}

/// Another leverage, or the one there is. Fills that follow may still say the one before.
fn leverage_changed(symbol: &'static str, dice: &mut StdRng) -> Draft {
    let whole = one_of(dice, &LEVERAGES);
    let (tenths, then) = match dice.random_range(0..4) {
        0 => (one_of(dice, &FINE_LEVERAGES), Then::Nothing),
        1 => (10 * whole, Then::Nothing),
        _ => (10 * whole, Then::Leveraged { symbol, leverage: whole }),
    };
    let leverage = text(dice, tenths, 1);
    let event = json!({ "type": "leverage.changed", "symbol": symbol, "leverage": leverage });
    Draft { event, then }
}
