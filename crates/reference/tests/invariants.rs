//! What holds of the model itself, over many scripts with everything in them.

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

use std::collections::{BTreeMap, BTreeSet};

use cap_reference::model::{Expected, Model, Position};
use cap_reference::script::{Content, Message, Nature, Script, Shape, Stage};
use serde_json::{Value, json};

/// How many scripts of the default size are gone through.
const SEEDS: u64 = 150;

/// How many of a few accounts with long lives.
const LONG_SEEDS: u64 = 10;

/// What was gone through, so that it is seen to be something.
#[derive(Debug, Default)]
struct Tally {
    posted: usize,
    exchanged: usize,
    cancelled: usize,
    hedged: usize,
    both_sides_open: usize,
    isolated: usize,
    inverse: usize,
    flipped: usize,
    skipped: BTreeMap<Nature, usize>,
    refused: BTreeMap<String, usize>,
    /// Requests about margin and leverage: what became of them.
    margin: BTreeMap<String, usize>,
    followed_up: BTreeMap<&'static str, usize>,
    /// Funding that took all of a position's margin.
    drained: usize,
    /// Withdrawals taken by what CAP sent itself.
    cancelled_behind: usize,
}

/// Units of twelve decimals: every amount and quantity fits.
fn units(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<12}").parse().unwrap()
}

fn settled_in(symbol: &str) -> &'static str {
    if symbol == "BTC-USD" { "BTC" } else { "USDT" }
}

fn check(model: &Model, place: &str) {
    let mut sums: BTreeMap<String, i128> = BTreeMap::new();
    let mut margins: BTreeMap<&str, i128> = BTreeMap::new();
    for position in model.positions().values() {
        *margins.entry(settled_in(&position.symbol)).or_default() += units(&position.margin);
        assert_eq!(position.side == "flat", units(&position.cost) == 0, "{place} {position:?}");
        assert_eq!(position.side == "flat", position.entry_price.is_none(), "{place}");
    }
    for (currency, balance) in model.balances() {
        let amounts: BTreeMap<&str, i128> =
            balance.amounts().into_iter().map(|(name, amount)| (name, units(amount))).collect();
        assert!(amounts.values().all(|amount| *amount >= 0), "{place} {balance:?}");
        assert!(amounts["available"] == 0 || amounts["borrowed"] == 0, "{place} {balance:?}");
        let margin = margins.get(currency.as_str()).copied().unwrap_or_default();
        assert_eq!(amounts["margin"], margin, "{place} {currency}");
        let all: i128 = amounts.values().sum();
        sums.insert(currency, all - 2 * amounts["borrowed"]);
    }
    for ((_, currency), amount) in model.contra() {
        *sums.entry(currency).or_default() += units(&amount);
    }
    assert!(sums.values().all(|sum| *sum == 0), "{place} {sums:?}");
}

fn rates() -> Value {
    let currencies = ["BTC", "ETH", "HKD", "USD", "USDT"];
    let pairs = currencies.iter().flat_map(|from| currencies.map(|to| (*from, to)));
    let rates = pairs.filter(|(from, to)| from != to);
    Value::Object(rates.map(|(from, to)| (format!("{from}/{to}"), json!("1"))).collect())
}

/// The fill that closes a position.
fn closing(position: &Position) -> Value {
    let mut event = json!({
        "type": "trade.filled", "trade_id": "t-end", "order_id": "o-end",
        "symbol": position.symbol, "side": if position.side == "long" { "sell" } else { "buy" },
        "quantity": position.quantity.trim_start_matches('-'), "price": "12345.678901",
        "leverage": "7", "margin_mode": position.margin_mode,
        "fee": { "currency": settled_in(&position.symbol), "amount": "0" }, "liquidity": "taker",
        "rates": rates(),
    });
    if let Some(side) = &position.position_side {
        event["position_side"] = json!(side);
    }
    event
}

fn close_everything(model: &mut Model, place: &str) {
    for (name, position) in model.positions() {
        if position.side != "flat" {
            let expected = model.take(&Message {
                account: 0,
                request_id: format!("end-{name}"),
                deduplication_id: format!("end-{name}"),
                nature: Nature::Sound,
                initiated_at_offset_secs: 0,
                content: Content::Envelope { header: json!({}), event: closing(&position) },
            });
            assert!(matches!(expected, Expected::Posted { .. }), "{place} {expected:?}");
        }
    }
    check(model, place);
    assert!(model.balances().values().all(|balance| units(&balance.margin) == 0), "{place}");
    let of_all = |position: &Position| position.side == "flat" && units(&position.margin) == 0;
    assert!(model.positions().values().all(of_all), "{place}");
}

impl Tally {
    fn count(&mut self, message: &Message, expected: &Expected, model: &Model) {
        if let Some(kind @ ("margin.changed" | "leverage.changed")) = message.kind() {
            let result = match expected {
                Expected::Rejected { code, .. } => code,
                Expected::Posted { .. } => "posted",
                _ => "",
            };
            *self.margin.entry(format!("{kind} {result}")).or_default() += 1;
        }
        if let Some(follow_up) = expected.follow_up() {
            *self.followed_up.entry(follow_up.kind).or_default() += 1;
            self.cancelled_behind += follow_up.cancelled.len();
            let drained = follow_up.positions.iter().any(|position| units(&position.margin) == 0);
            self.drained += usize::from(drained);
        }
        match expected {
            Expected::Posted { position, cancelled, .. } => {
                self.posted += 1;
                self.cancelled += cancelled.len();
                if let Some(position) = position {
                    self.hedged += usize::from(position.position_side.is_some());
                    self.isolated += usize::from(position.margin_mode == "isolated");
                    self.inverse += usize::from(position.symbol == "BTC-USD");
                }
                let positions = model.positions();
                let open = positions.values().filter(|position| position.side != "flat");
                let symbols: Vec<&str> = open.map(|position| position.symbol.as_str()).collect();
                let distinct: BTreeSet<&str> = symbols.iter().copied().collect();
                self.both_sides_open += usize::from(distinct.len() < symbols.len());
            }
            Expected::Rejected { code, .. } => {
                *self.refused.entry(code.clone()).or_default() += 1;
            }
            Expected::Skipped => *self.skipped.entry(message.nature).or_default() += 1,
            _ => {}
        }
    }

    fn take(&mut self, script: &Script) {
        for (index, account) in script.accounts.iter().enumerate() {
            let mut model = Model::new(account);
            for message in script.messages_of(index) {
                let (before, exchanged) = (model.positions(), exchanged(&model));
                let skipped_before = skipped(&model);
                let expected = model.take(message);
                let place = format!("seed {} {}: {message:?}", script.seed, account.name);
                check(&model, &place);
                let is_new = expected.lane_seq().is_some();
                assert!(
                    !is_new || skipped(&model) == skipped_before,
                    "{place}: it goes on as poison"
                );
                let skipped = expected == Expected::Skipped;
                assert_eq!(skipped, message.nature.is_skipped(), "{place} {expected:?}");
                self.count(message, &expected, &model);
                self.exchanged += usize::from(exchanged != self::exchanged(&model));
                for (name, after) in model.positions() {
                    let was = before.get(&name).map_or("flat", |position| position.side.as_str());
                    let sides = (was, after.side.as_str());
                    let flips = matches!(sides, ("long", "short") | ("short", "long"));
                    assert!(!flips || after.position_side.is_none(), "{place}");
                    self.flipped += usize::from(flips);
                }
            }
            close_everything(&mut model, &format!("seed {} {}", script.seed, account.name));
        }
    }
}

/// How many messages clearing has numbered that account has not.
fn skipped(model: &Model) -> u64 {
    model.seq(Stage::Clearing) - model.seq(Stage::Account)
}

fn exchanged(model: &Model) -> Vec<String> {
    let contra = model.contra().into_iter();
    contra.filter(|((subject, _), _)| subject == "house:exchange").map(|(_, sum)| sum).collect()
}

#[test]
fn money_and_margin_add_up_after_every_message() {
    let mut tally = Tally::default();
    let shape = Shape::everything();
    for seed in 0..SEEDS {
        tally.take(&Script::generate(seed, &shape, "i").unwrap());
    }
    let long = Shape { accounts: 5, messages: 1_000, strangers_per_mille: 0, ..shape };
    for seed in 1_000..1_000 + LONG_SEEDS {
        tally.take(&Script::generate(seed, &long, "i").unwrap());
    }
    println!("{tally:#?}");
    assert!(tally.exchanged > 500 && tally.cancelled > 100, "{tally:?}");
    assert!(tally.hedged > 500 && tally.both_sides_open > 200, "{tally:?}");
    assert!(tally.isolated > 500 && tally.inverse > 500 && tally.flipped > 50, "{tally:?}");
    let skipped = |nature| tally.skipped.get(&nature).copied().unwrap_or_default();
    assert!(skipped(Nature::ContradictsPosition) > 20, "{tally:?}");
    assert!(skipped(Nature::WithoutRate) > 20, "{tally:?}");
    let margin = |result: &str| tally.margin.get(result).copied().unwrap_or_default();
    for kind in ["margin.changed", "leverage.changed"] {
        for result in [
            "posted",
            "insufficient_funds",
            "no_open_position",
            "invalid_request",
            "account_not_found",
        ] {
            assert!(margin(&format!("{kind} {result}")) > 20, "{kind} {result}: {tally:?}");
        }
    }
    let followed_up = |kind| tally.followed_up.get(kind).copied().unwrap_or_default();
    assert!(followed_up("margin.posted") > 100 && followed_up("funding.unpaid") > 100, "{tally:?}");
    assert!(tally.drained > 20 && tally.cancelled_behind > 2, "{tally:?}");
    assert!(tally.refused["credit_limit_exceeded"] > 20, "{tally:?}");
    assert!(tally.refused["invalid_request"] > 100, "{tally:?}");
}
