//! Real trades through all stages, as three products' worth of rules, against a plain recomputation
//! from the file: a loop over its lines that knows no stage, no leg and no subject.

use std::path::Path;

use cap_domain::account::AccountRuling;
use cap_domain::position::PositionKey;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};

use crate::common::decimal;
use crate::common::story::Story;

/// Real trades of BTCUSDT: `trade_id,price,quantity,time_ms,is_buyer_maker`.
const TAPE: &str = include_str!("../tape/btcusdt-trades.csv");

/// What a taker pays of each trade's value.
const TAKER_RATE: &str = "0.0005";

/// What a maker pays: below zero, so it is paid.
const MAKER_RATE: &str = "-0.0001";

/// The leverage of every fill of a contract.
const LEVERAGE: &str = "20";

/// Decimals of USDT.
const USDT: u32 = 6;

/// Decimals of a position's cost.
const COST: u32 = 12;

/// A line of the tape as the account saw it: on every other line it was the maker. (The tape has
/// takers that sell, and no others.)
struct Trade {
    id: &'static str,
    is_maker: bool,
    buys: bool,
    quantity: Decimal,
    price: Decimal,
}

fn tape() -> Vec<Trade> {
    let trade = |(number, line): (usize, &'static str)| {
        let fields: Vec<&str> = line.split(',').collect();
        let [id, price, quantity, _, is_buyer_maker] = fields[..] else { panic!("{line}") };
        let is_maker = number % 2 == 0;
        let buys = (is_buyer_maker == "true") == is_maker;
        Trade { id, is_maker, buys, quantity: decimal(quantity), price: decimal(price) }
    };
    TAPE.lines().skip(1).enumerate().map(trade).collect()
}

fn half_even(value: Decimal, decimals: u32) -> Decimal {
    value.round_dp_with_strategy(decimals, RoundingStrategy::MidpointNearestEven)
}

fn fee(trade: &Trade) -> Decimal {
    let rate = if trade.is_maker { MAKER_RATE } else { TAKER_RATE };
    half_even(trade.quantity * trade.price * decimal(rate), USDT)
}

fn fill(trade: &Trade, more: &Value) -> Value {
    let mut event = json!({
        "type": "trade.filled", "trade_id": trade.id, "order_id": trade.id,
        "side": if trade.buys { "buy" } else { "sell" },
        "quantity": trade.quantity.to_string(), "price": trade.price.to_string(),
        "fee": { "currency": "USDT", "amount": fee(trade).to_string() }, "liquidity": if trade.is_maker { "maker" } else { "taker" },
    });
    for (name, value) in more.as_object().unwrap() {
        event[name.as_str()] = value.clone();
    }
    event
}

/// What all postings of the story paid to a contra subject, less what they took from it.
fn paid_to(story: &Story, subject: &str) -> Decimal {
    let legs = story.account.journal.iter().flat_map(|row| {
        match serde_json::from_str(&row.result).unwrap() {
            AccountRuling::Posted { legs, .. } => legs,
            AccountRuling::Refused(refusal) => panic!("{refusal:?}"),
        }
    });
    legs.map(|leg| {
        let amount = decimal(&leg.money.amount());
        match (leg.from.name() == subject, leg.to.name() == subject) {
            (true, _) => -amount,
            (_, true) => amount,
            _ => Decimal::ZERO,
        }
    })
    .sum()
}

/// What an account has of a currency: all of it, less what is owed.
fn worth(story: &Story, code: &str) -> Decimal {
    let balance = &story.account.state.balances[&code.parse().unwrap()];
    let of = |money: cap_domain::money::Money| decimal(&money.amount());
    of(balance.available) + of(balance.frozen) + of(balance.margin) - of(balance.borrowed)
}

/// One position by the rules of the contract, and nothing but arithmetic.
#[derive(Default)]
struct Plain {
    quantity: Decimal,
    cost: Decimal,
    margin: Decimal,
    realised: Decimal,
    /// What all fills received for what they sold, less what they paid.
    cash: Decimal,
    fills: u32,
}

impl Plain {
    fn take(&mut self, trade: &Trade) {
        let sign = if trade.buys { Decimal::ONE } else { -Decimal::ONE };
        let held = self.quantity.abs();
        let closing = if self.quantity * sign < Decimal::ZERO {
            trade.quantity.min(held)
        } else {
            Decimal::ZERO
        };
        if !closing.is_zero() {
            let (released, freed) = if closing == held {
                (self.cost, self.margin)
            } else {
                (
                    half_even(self.cost * closing / held, COST),
                    half_even(self.margin * closing / held, USDT),
                )
            };
            self.realised += half_even(-sign * (closing * trade.price - released), USDT);
            self.cost -= released;
            self.margin -= freed;
            self.quantity += sign * closing;
        }
        let opening = trade.quantity - closing;
        if !opening.is_zero() {
            let value = opening * trade.price;
            self.cost += value;
            self.margin += (value / decimal(LEVERAGE))
                .round_dp_with_strategy(USDT, RoundingStrategy::AwayFromZero);
            self.quantity += sign * opening;
        }
        self.cash -= sign * trade.quantity * trade.price;
        self.fills += 1;
    }

    /// Nothing is won or lost but what was received, less what was paid, less what is still held at
    /// cost: exactly, up to half a unit of rounding a fill.
    fn adds_up(&self) {
        let side = if self.quantity.is_sign_negative() { -Decimal::ONE } else { Decimal::ONE };
        let exact = self.cash + side * self.cost;
        let half_units = Decimal::from(self.fills) * decimal("0.0000005");
        assert!((exact - self.realised).abs() <= half_units, "{exact} {}", self.realised);
    }

    fn is_that_of(&self, story: &Story, key: &str, margin_mode: &str) {
        let key: PositionKey = key.parse().unwrap();
        let held = &story.position.state.positions;
        let position = held.get(&key).unwrap_or_else(|| panic!("no {key} in {:?}", held.keys()));
        assert_eq!(position.margin_mode.as_str(), margin_mode, "{key}");
        assert_eq!(position.quantity, self.quantity, "{key} quantity");
        assert_eq!(decimal(&position.margin.amount()), self.margin, "{key} margin");
        assert_eq!(decimal(&position.realised_profit.amount()), self.realised, "{key} realised");
        self.adds_up();
    }
}

#[test]
fn the_copy_of_the_tape_is_the_shared_one() {
    let shared =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/btcusdt-trades.csv");
    if let Ok(shared) = std::fs::read_to_string(shared) {
        assert_eq!(shared, TAPE);
    }
    assert_eq!(tape().len(), 2_001);
}

#[test]
fn as_spot_the_tape_leaves_what_was_received_less_what_was_paid() {
    let mut story = Story::spot().holding("USDT 5000000 available; BTC 100 available");
    let (mut usdt, mut btc, mut fees) = (decimal("5000000"), decimal("100"), Decimal::ZERO);
    for trade in tape() {
        let sign = if trade.buys { Decimal::ONE } else { -Decimal::ONE };
        btc += sign * trade.quantity;
        usdt -= sign * half_even(trade.quantity * trade.price, USDT);
        fees += fee(&trade);
        story.posted(&fill(&trade, &json!({ "base": "BTC", "quote": "USDT" })));
    }
    assert_eq!(worth(&story, "BTC"), btc);
    assert_eq!(worth(&story, "USDT"), usdt - fees);
    assert_eq!(paid_to(&story, "house:fees"), fees);
}

#[test]
fn as_a_cross_perpetual_the_tape_leaves_its_profit_fees_and_margin() {
    let mut story = Story::perpetual().holding("USDT 5000000 available");
    let (mut plain, mut fees) = (Plain::default(), Decimal::ZERO);
    let terms = json!({ "symbol": "BTC-USDT", "leverage": LEVERAGE, "margin_mode": "cross" });
    for trade in tape() {
        plain.take(&trade);
        fees += fee(&trade);
        story.posted(&fill(&trade, &terms));
    }
    plain.is_that_of(&story, "BTC-USDT", "cross");
    assert_eq!(paid_to(&story, "house:fees"), fees);
    assert_eq!(worth(&story, "USDT"), decimal("5000000") + plain.realised - fees);
    let margin = story.account.state.balances[&"USDT".parse().unwrap()].margin;
    assert_eq!(decimal(&margin.amount()), plain.margin);
}

#[test]
fn as_an_isolated_hedge_the_tape_leaves_both_sides_their_profit_fees_and_margin() {
    let mut story = Story::of("perpetual");
    let opened = json!({ "type": "account.opened", "customer": "C-1", "position_mode": "hedge" });
    story.posted(&opened);
    story.posted(&json!({
        "type": "deposit.received", "currency": "USDT", "amount": "5000000", "reference": "tx-1",
    }));
    let (mut long, mut short, mut fees) = (Plain::default(), Plain::default(), Decimal::ZERO);
    for (line, trade) in tape().into_iter().enumerate() {
        // What holds enough is reduced, or the other side grows; every third buy grows the long one.
        let reduces_short = line % 3 != 0 && trade.buys && -short.quantity >= trade.quantity;
        let grows_short = !trade.buys && long.quantity < trade.quantity;
        let side = if reduces_short || grows_short { "short" } else { "long" };
        if side == "short" {
            short.take(&trade)
        } else {
            long.take(&trade)
        }
        fees += fee(&trade);
        story.posted(&fill(
            &trade,
            &json!({
                "symbol": "BTC-USDT", "leverage": LEVERAGE, "margin_mode": "isolated",
                "position_side": side,
            }),
        ));
    }
    long.is_that_of(&story, "BTC-USDT:long", "isolated");
    short.is_that_of(&story, "BTC-USDT:short", "isolated");
    assert!(long.fills > 100 && short.fills > 100, "both sides were traded");
    let realised = long.realised + short.realised;
    assert_eq!(worth(&story, "USDT"), decimal("5000000") + realised - fees);
    assert_eq!(paid_to(&story, "house:pnl"), -realised);
    let margin = story.account.state.balances[&"USDT".parse().unwrap()].margin;
    assert_eq!(decimal(&margin.amount()), long.margin + short.margin);
}
