//! The door takes what the contract describes, and says of everything else which field is wrong
//! and why (T38).

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

mod common;

use cap_domain::event::door::{read_event, read_kind};
use cap_domain::event::{ContractFill, Event, EventClass, EventKind, Liquidity, PairFill, Side};
use cap_domain::ids::{ExternalId, Product, Symbol};
use cap_domain::instrument::{Contract, ContractKind};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use common::events::*;
use common::{configuration, currency, money};

fn read(product: &str, event: &Value) -> Result<Event, String> {
    let configuration = configuration();
    let rulebook = configuration.rulebook(&Product::new(product).unwrap()).unwrap();
    let kind = read_kind(event).map_err(|error| error.to_string())?;
    read_event(kind, event, rulebook, &configuration).map_err(|error| error.to_string())
}

fn id(text: &str) -> ExternalId {
    ExternalId::new(text).unwrap()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn btc_usdt() -> Contract {
    Contract {
        symbol: Symbol::new("BTC-USDT").unwrap(),
        kind: ContractKind::Linear,
        multiplier: Decimal::ONE,
        settled_in: currency("USDT"),
    }
}

#[test]
fn each_kind_of_event_is_read() {
    let cases = [
        (opened(), Event::AccountOpened { customer: id("C-1"), credit_limit: None }),
        (
            with(opened_with_credit("500 USDT"), json!({ "position_mode": "one_way" })),
            Event::AccountOpened { customer: id("C-1"), credit_limit: Some(money("500 USDT")) },
        ),
        (closed(), Event::AccountClosed),
        (
            credit_changed("0.00 USD", false),
            Event::CreditChanged { limit: money("0 USD"), enabled: false },
        ),
        (
            deposit("100.00 USDT"),
            Event::DepositReceived { amount: money("100 USDT"), reference: id("tx-1") },
        ),
        (
            withdrawal("w-1", "0.00000001 BTC"),
            Event::WithdrawalRequested {
                withdrawal_id: id("w-1"),
                amount: money("0.00000001 BTC"),
            },
        ),
        (settled("w-1"), Event::WithdrawalSettled { withdrawal_id: id("w-1") }),
        (cancelled("w-1"), Event::WithdrawalCancelled { withdrawal_id: id("w-1") }),
        (
            reserved("300 USDT"),
            Event::OrderReserved {
                order_id: id("o-1"),
                amount: money("300 USDT"),
                may_borrow: false,
            },
        ),
        (
            reserved_borrowing("300 USDT"),
            Event::OrderReserved {
                order_id: id("o-1"),
                amount: money("300 USDT"),
                may_borrow: true,
            },
        ),
        (
            released("300 USDT"),
            Event::OrderReleased { order_id: id("o-1"), amount: money("300 USDT") },
        ),
        (
            fee("1.5 HKD"),
            Event::FeeCharged { amount: money("1.5 HKD"), reason: "custody".to_owned() },
        ),
        (interest("0.000001 USDT"), Event::InterestCharged { amount: money("0.000001 USDT") }),
        (liquidation_started(), Event::LiquidationStarted),
        (liquidation_ended(), Event::LiquidationEnded),
        (
            adjusted("-10 USDT", "reject"),
            Event::AdjustmentPosted {
                amount: money("-10 USDT"),
                reason: "repair".to_owned(),
                operator: id("ops-1"),
                force: false,
            },
        ),
        (
            adjusted("10 USDT", "force"),
            Event::AdjustmentPosted {
                amount: money("10 USDT"),
                reason: "repair".to_owned(),
                operator: id("ops-1"),
                force: true,
            },
        ),
    ];
    for product in ["spot", "perpetual"] {
        for (event, expected) in &cases {
            assert_eq!(read(product, event).as_ref(), Ok(expected), "{product}: {event}");
        }
    }
}

#[test]
fn a_spot_fill_pays_one_currency_and_receives_the_other() {
    let cases = [
        // side, quantity, price, reserved, fee → paid, received, reserved, fee
        (("buy", "0.5", "40000", "20000", "10 USDT"), ("20000 USDT", "0.5 BTC", "20000 USDT")),
        (("sell", "0.5", "40000", "0.4", "-1 USDT"), ("0.5 BTC", "20000 USDT", "0.4 BTC")),
        (("buy", "1", "0.0000005", "0", "0.001 BTC"), ("0 USDT", "1 BTC", "0 USDT")),
        (("buy", "1", "0.0000015", "0", "0 HKD"), ("0.000002 USDT", "1 BTC", "0 USDT")),
        (("sell", "1", "0.0000025", "0", "0 BTC"), ("1 BTC", "0.000002 USDT", "0 BTC")),
        (("sell", "1", "0.000002500001", "0", "0 BTC"), ("1 BTC", "0.000003 USDT", "0 BTC")),
    ];
    for ((side, quantity, price, of, fee), (paid, received, reserved)) in cases {
        let event = of_reserve(at_fee(spot(side, quantity, price), fee), of);
        let expected = PairFill {
            trade_id: id("t-1"),
            order_id: id("o-1"),
            side: if side == "buy" { Side::Buy } else { Side::Sell },
            paid: money(paid),
            received: money(received),
            reserved: money(reserved),
            fee: money(fee),
            liquidity: Liquidity::Taker,
        };
        assert_eq!(read("spot", &event), Ok(Event::PairFilled(expected)), "{event}");
    }
}

#[test]
fn buyer_and_seller_of_one_trade_move_the_same_amounts() {
    for (quantity, price) in
        [("0.00000001", "0.000001"), ("0.12345678", "61234.567891"), ("3", "0.0000005")]
    {
        let side = |side: &str| match read("spot", &spot(side, quantity, price)) {
            Ok(Event::PairFilled(fill)) => fill,
            other => panic!("{other:?}"),
        };
        let (buyer, seller) = (side("buy"), side("sell"));
        assert_eq!(
            (buyer.paid, buyer.received),
            (seller.received, seller.paid),
            "house:trading nets to zero"
        );
    }
}

#[test]
fn a_perpetual_fill_carries_its_contract() {
    let event = of_reserve(at_fee(perpetual("sell", "0.4", "6000.5"), "-0.25 USDT"), "12.5");
    let event = with(event, json!({ "leverage": "12.5", "liquidity": "maker" }));
    let expected = ContractFill {
        trade_id: id("t-1"),
        order_id: id("o-1"),
        contract: btc_usdt(),
        side: Side::Sell,
        quantity: decimal("0.4"),
        price: decimal("6000.5"),
        leverage: decimal("12.5"),
        reserved: money("12.5 USDT"),
        fee: money("-0.25 USDT"),
        liquidity: Liquidity::Maker,
    };
    assert_eq!(read("perpetual", &event), Ok(Event::ContractFilled(expected)));
}

#[test]
fn funding_may_be_below_zero() {
    let expected = Event::FundingCharged {
        contract: btc_usdt(),
        rate: decimal("-0.0001"),
        mark_price: decimal("61000.25"),
    };
    assert_eq!(read("perpetual", &funding("-0.0001", "61000.25")), Ok(expected));
}

#[test]
fn an_event_reads_back_as_it_was_journaled() {
    let spot_events = [
        opened_with_credit("500 USDT"),
        closed(),
        credit_changed("5 USD", true),
        deposit("1 BTC"),
        withdrawal("w-1", "1 USDT"),
        settled("w-1"),
        cancelled("w-1"),
        reserved_borrowing("3 HKD"),
        released("3 HKD"),
        fee("1 USD"),
        interest("1 USD"),
        liquidation_started(),
        liquidation_ended(),
        adjusted("-1 ETH", "force"),
        of_reserve(at_fee(spot("buy", "0.5", "40000"), "-1 USDT"), "7"),
    ];
    let perpetual_events = [
        of_reserve(at_fee(perpetual("sell", "0.50", "40000.10"), "1 USDT"), "7"),
        funding("-0.00010", "61000.0"),
    ];
    let spot_events = spot_events.iter().map(|event| ("spot", event));
    for (product, event) in spot_events.chain(perpetual_events.iter().map(|e| ("perpetual", e))) {
        let read = read(product, event).unwrap();
        let written = serde_json::to_string(&read).unwrap();
        let back: Event = serde_json::from_str(&written).unwrap();
        assert_eq!(back, read);
        assert_eq!(serde_json::to_string(&back).unwrap(), written, "the scales are kept too");
    }
}

/// Each event, with `fields` over a valid one, is refused with exactly this sentence.
fn refused(product: &str, cases: &[(Value, Value, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(event, fields, expected)| {
            let event = with(event.clone(), fields.clone());
            match read(product, &event) {
                Ok(read) => {
                    Some(format!("{event}\n  expected {expected}\n  was taken as {read:?}"))
                }
                Err(error) if error == *expected => None,
                Err(error) => Some(format!("{event}\n  expected {expected}\n  got      {error}")),
            }
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_type_that_cannot_be_read_says_so() {
    refused(
        "spot",
        &[
            (deposit("1 USDT"), json!({ "type": null }), "type: missing, or not a text"),
            (deposit("1 USDT"), json!({ "type": 7 }), "type: missing, or not a text"),
            (
                deposit("1 USDT"),
                json!({ "type": "deposit.Received" }),
                "type: \"deposit.Received\" is not the type of any event",
            ),
            (
                deposit("1 USDT"),
                json!({ "type": "trade.filled.pair" }),
                "type: \"trade.filled.pair\" is not the type of any event",
            ),
        ],
    );
    for event in [json!(5), json!("deposit.received"), json!([]), Value::Null] {
        assert_eq!(read("spot", &event), Err("type: missing, or not a text".to_owned()), "{event}");
    }
}

#[test]
fn missing_and_unknown_fields_are_named() {
    refused(
        "spot",
        &[
            (deposit("1 USDT"), json!({ "amount": null }), "event: missing field `amount`"),
            (deposit("1 USDT"), json!({ "reference": null }), "event: missing field `reference`"),
            (
                deposit("1 USDT"),
                json!({ "note": "x" }),
                "note: unknown field `note`, expected one of `currency`, `amount`, `reference`, `rates`",
            ),
            (
                closed(),
                json!({ "reason": "x" }),
                "reason: unknown field `reason`, there are no fields",
            ),
            (
                liquidation_started(),
                json!({ "at": "now" }),
                "at: unknown field `at`, there are no fields",
            ),
            (opened(), json!({ "customer": null }), "event: missing field `customer`"),
            (
                opened_with_credit("5 USD"),
                json!({ "credit": { "currency": "USD" } }),
                "credit: missing field `limit`",
            ),
            (
                opened_with_credit("5 USD"),
                json!({ "credit": { "currency": "USD", "limit": "5", "enabled": true } }),
                "credit.enabled: unknown field `enabled`, expected `currency` or `limit`",
            ),
            (
                spot("buy", "1", "1"),
                json!({ "symbol": "BTC-USDT" }),
                "symbol: unknown field `symbol`, expected one of `trade_id`, `order_id`, `base`, `quote`, `side`, `quantity`, `price`, `reserved`, `fee`, `liquidity`, `rates`",
            ),
            (
                spot("buy", "1", "1"),
                json!({ "fee": { "currency": "USDT" } }),
                "fee: missing field `amount`",
            ),
            (
                withdrawal("w-1", "1 USDT"),
                json!({ "may_borrow": true }),
                "may_borrow: unknown field `may_borrow`, expected one of `withdrawal_id`, `currency`, `amount`",
            ),
            (
                adjusted("1 USD", "reject"),
                json!({ "operator": null }),
                "event: missing field `operator`",
            ),
            (
                adjusted("1 USD", "reject"),
                json!({ "shortfall": null }),
                "event: missing field `shortfall`",
            ),
        ],
    );
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    refused(
        "spot",
        &[
            (
                deposit("1 USDT"),
                json!({ "amount": 1 }),
                "amount: invalid type: integer `1`, expected a string",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": 1.5 }),
                "amount: invalid type: floating point `1.5`, expected a string",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": ["1"] }),
                "amount: invalid type: sequence, expected a string",
            ),
            (
                reserved("1 USDT"),
                json!({ "may_borrow": "yes" }),
                "may_borrow: invalid type: string \"yes\", expected a boolean",
            ),
            (
                credit_changed("1 USDT", true),
                json!({ "enabled": 1 }),
                "enabled: invalid type: integer `1`, expected a boolean",
            ),
            (
                spot("buy", "1", "1"),
                json!({ "side": "long" }),
                "side: unknown variant `long`, expected `buy` or `sell`",
            ),
            (
                spot("buy", "1", "1"),
                json!({ "side": "Buy" }),
                "side: unknown variant `Buy`, expected `buy` or `sell`",
            ),
            (
                spot("buy", "1", "1"),
                json!({ "liquidity": "none" }),
                "liquidity: unknown variant `none`, expected `maker` or `taker`",
            ),
            (
                adjusted("1 USD", "reject"),
                json!({ "shortfall": "borrow" }),
                "shortfall: unknown variant `borrow`, expected `reject` or `force`",
            ),
            (
                opened(),
                json!({ "position_mode": "netting" }),
                "position_mode: unknown variant `netting`, expected `one_way` or `hedge`",
            ),
        ],
    );
}

#[test]
fn amounts_fit_their_currency_and_are_above_zero() {
    refused(
        "spot",
        &[
            (
                deposit("1 USDT"),
                json!({ "amount": "1.0000001" }),
                "amount: 1.0000001 has 7 decimals, USDT has 6",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": "1.0000000" }),
                "amount: 1.0000000 has 7 decimals, USDT has 6",
            ),
            (
                deposit("1 USD"),
                json!({ "amount": "0.001" }),
                "amount: 0.001 has 3 decimals, USD has 2",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": "0" }),
                "amount: 0.000000 USDT is not above zero",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": "-5" }),
                "amount: -5.000000 USDT is not above zero",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": "1e3" }),
                "amount: \"1e3\" is not a decimal number",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": "+1" }),
                "amount: \"+1\" is not a decimal number",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": " 1" }),
                "amount: \" 1\" is not a decimal number",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": "1,000" }),
                "amount: \"1,000\" is not a decimal number",
            ),
            (deposit("1 USDT"), json!({ "amount": "" }), "amount: \"\" is not a decimal number"),
            (
                deposit("1 USDT"),
                json!({ "amount": "1." }),
                "amount: \"1.\" is not a decimal number",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": ".5" }),
                "amount: \".5\" is not a decimal number",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": "1.2.3" }),
                "amount: \"1.2.3\" is not a decimal number",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": "--1" }),
                "amount: \"--1\" is not a decimal number",
            ),
            (deposit("1 USDT"), json!({ "amount": "١" }), "amount: \"١\" is not a decimal number"),
            (
                deposit("1 USDT"),
                json!({ "amount": "1000000000000000" }),
                "amount: an amount of USDT has more than 15 digits before the point",
            ),
            (
                withdrawal("w-1", "1 USDT"),
                json!({ "amount": "0.000000" }),
                "amount: 0.000000 USDT is not above zero",
            ),
            (
                reserved("1 BTC"),
                json!({ "amount": "0.000000001" }),
                "amount: 0.000000001 has 9 decimals, BTC has 8",
            ),
            (
                released("1 BTC"),
                json!({ "amount": "-0.1" }),
                "amount: -0.10000000 BTC is not above zero",
            ),
            (fee("1 USDT"), json!({ "amount": "-1" }), "amount: -1.000000 USDT is not above zero"),
            (
                interest("1 USDT"),
                json!({ "amount": "0" }),
                "amount: 0.000000 USDT is not above zero",
            ),
            (
                adjusted("1 USDT", "force"),
                json!({ "amount": "0.00" }),
                "amount: an adjustment of nothing",
            ),
            (
                credit_changed("1 USDT", true),
                json!({ "limit": "-1" }),
                "limit: -1.000000 USDT is below zero",
            ),
            (
                opened_with_credit("1 USD"),
                json!({ "credit": { "currency": "USD", "limit": "-0.01" } }),
                "credit.limit: -0.01 USD is below zero",
            ),
            (
                opened_with_credit("1 USD"),
                json!({ "credit": { "currency": "USD", "limit": "0.001" } }),
                "credit.limit: 0.001 has 3 decimals, USD has 2",
            ),
        ],
    );
}

#[test]
fn currencies_are_the_products_own() {
    refused(
        "spot",
        &[
            (
                deposit("1 USDT"),
                json!({ "currency": "DOGE" }),
                "currency: DOGE is not a currency of product spot",
            ),
            (
                deposit("1 USDT"),
                json!({ "currency": "usdt" }),
                "currency: currency \"usdt\" is not 2 to 12 characters of [A-Z0-9]",
            ),
            (
                deposit("1 USDT"),
                json!({ "currency": "" }),
                "currency: currency \"\" is not 2 to 12 characters of [A-Z0-9]",
            ),
            (
                opened_with_credit("1 USD"),
                json!({ "credit": { "currency": "EUR", "limit": "1" } }),
                "credit.currency: EUR is not a currency of product spot",
            ),
            (
                spot("buy", "1", "1"),
                json!({ "fee": { "currency": "EUR", "amount": "0" } }),
                "fee.currency: EUR is not a currency of product spot",
            ),
            (
                spot("buy", "1", "1"),
                json!({ "base": "EUR" }),
                "base: EUR is not a currency of product spot",
            ),
            (
                spot("buy", "1", "1"),
                json!({ "quote": "EUR" }),
                "quote: EUR is not a currency of product spot",
            ),
        ],
    );
}

#[test]
fn a_spot_fill_is_of_a_pair_and_within_its_scales() {
    let fill = || spot("buy", "1", "1");
    refused(
        "spot",
        &[
            (fill(), json!({ "quote": "HKD" }), "base: BTC/HKD is not a pair of product spot"),
            (
                fill(),
                json!({ "base": "USDT", "quote": "BTC" }),
                "base: USDT/BTC is not a pair of product spot",
            ),
            (
                fill(),
                json!({ "base": "BTC", "quote": "BTC" }),
                "base: BTC/BTC is not a pair of product spot",
            ),
            (fill(), json!({ "quantity": "0" }), "quantity: 0.00000000 BTC is not above zero"),
            (
                fill(),
                json!({ "quantity": "0.000000001" }),
                "quantity: 0.000000001 has 9 decimals, BTC has 8",
            ),
            (fill(), json!({ "price": "0" }), "price: 0 is not above zero"),
            (fill(), json!({ "price": "-1" }), "price: -1 is not above zero"),
            (fill(), json!({ "price": "1e3" }), "price: \"1e3\" is not a decimal number"),
            (
                fill(),
                json!({ "price": "0.0000000000001" }),
                "price: 0.0000000000001 has more than 15 digits before the point or 12 after it",
            ),
            (fill(), json!({ "reserved": "-1" }), "reserved: -1.000000 USDT is below zero"),
            (
                fill(),
                json!({ "reserved": "0.0000001" }),
                "reserved: 0.0000001 has 7 decimals, USDT has 6",
            ),
            (
                fill(),
                json!({ "side": "sell", "reserved": "0.000000001" }),
                "reserved: 0.000000001 has 9 decimals, BTC has 8",
            ),
            (
                fill(),
                json!({ "fee": { "currency": "USDT", "amount": "0.0000001" } }),
                "fee.amount: 0.0000001 has 7 decimals, USDT has 6",
            ),
            (
                fill(),
                json!({ "trade_id": "t 1" }),
                "trade_id: identifier \"t 1\" is not 1 to 64 characters of printable ASCII without spaces",
            ),
            (
                fill(),
                json!({ "order_id": "" }),
                "order_id: identifier \"\" is not 1 to 64 characters of printable ASCII without spaces",
            ),
        ],
    );
}

#[test]
fn a_perpetual_fill_is_of_a_symbol_and_settled_in_its_currency() {
    let fill = || perpetual("buy", "1", "1");
    refused(
        "perpetual",
        &[
            (
                fill(),
                json!({ "symbol": "DOGE-USDT" }),
                "symbol: DOGE-USDT is not a symbol of product perpetual",
            ),
            (
                fill(),
                json!({ "symbol": "btc-usdt" }),
                "symbol: symbol \"btc-usdt\" is not 1 to 24 characters of [A-Z0-9-]",
            ),
            (
                fill(),
                json!({ "fee": { "currency": "BTC", "amount": "0" } }),
                "fee.currency: BTC is not USDT, in which BTC-USDT is settled",
            ),
            (fill(), json!({ "quantity": "0" }), "quantity: 0 is not above zero"),
            (fill(), json!({ "quantity": "-1" }), "quantity: -1 is not above zero"),
            (fill(), json!({ "price": "0.0" }), "price: 0.0 is not above zero"),
            (fill(), json!({ "leverage": "0" }), "leverage: 0 is not above zero"),
            (fill(), json!({ "leverage": "ten" }), "leverage: \"ten\" is not a decimal number"),
            (fill(), json!({ "leverage": null }), "event: missing field `leverage`"),
            (
                fill(),
                json!({ "margin_mode": "shared" }),
                "margin_mode: unknown variant `shared`, expected `cross` or `isolated`",
            ),
            (
                fill(),
                json!({ "position_side": "both" }),
                "position_side: unknown variant `both`, expected `long` or `short`",
            ),
            (
                fill(),
                json!({ "reserved": "0.0000001" }),
                "reserved: 0.0000001 has 7 decimals, USDT has 6",
            ),
            (
                fill(),
                json!({ "base": "BTC" }),
                "base: unknown field `base`, expected one of `trade_id`, `order_id`, `symbol`, `side`, `quantity`, `price`, `leverage`, `margin_mode`, `position_side`, `reserved`, `fee`, `liquidity`, `rates`",
            ),
            (funding("0.1", "1"), json!({ "mark_price": "0" }), "mark_price: 0 is not above zero"),
            (
                funding("0.1", "1"),
                json!({ "rate": "high" }),
                "rate: \"high\" is not a decimal number",
            ),
            (
                funding("0.1", "1"),
                json!({ "symbol": "BTC/USDT" }),
                "symbol: symbol \"BTC/USDT\" is not 1 to 24 characters of [A-Z0-9-]",
            ),
        ],
    );
}

#[test]
fn free_text_is_bounded() {
    let long = "x".repeat(201);
    refused(
        "spot",
        &[
            (
                fee("1 USDT"),
                json!({ "reason": "" }),
                "reason: has 0 characters, 1 to 200 are allowed",
            ),
            (
                fee("1 USDT"),
                json!({ "reason": long }),
                "reason: has 201 characters, 1 to 200 are allowed",
            ),
            (
                adjusted("1 USDT", "force"),
                json!({ "reason": "" }),
                "reason: has 0 characters, 1 to 200 are allowed",
            ),
        ],
    );
    let chinese = with(fee("1 USDT"), json!({ "reason": "费".repeat(200) }));
    assert!(read("spot", &chinese).is_ok(), "characters, not bytes, are counted");
}

#[test]
fn what_is_not_built_yet_is_refused_rather_than_half_done() {
    let rates = json!({ "rates": { "USD/USDT": "0.9991" } });
    for product in ["spot", "perpetual"] {
        refused(
            product,
            &[
                (
                    opened(),
                    json!({ "position_mode": "hedge" }),
                    "position_mode (hedge): not supported yet",
                ),
                (deposit("1 USDT"), rates.clone(), "rates: not supported yet"),
                (reserved("1 USDT"), rates.clone(), "rates: not supported yet"),
                (released("1 USDT"), rates.clone(), "rates: not supported yet"),
                (fee("1 USDT"), rates.clone(), "rates: not supported yet"),
                (adjusted("1 USDT", "force"), rates.clone(), "rates: not supported yet"),
                (json!({ "type": "transfer.requested" }), json!({}), "type: not supported yet"),
                (json!({ "type": "margin.changed" }), json!({}), "type: not supported yet"),
                (json!({ "type": "leverage.changed" }), json!({}), "type: not supported yet"),
            ],
        );
    }
    refused("spot", &[(spot("buy", "1", "1"), rates.clone(), "rates: not supported yet")]);
    let inverse = json!({ "symbol": "BTC-USD", "fee": { "currency": "BTC", "amount": "0" } });
    refused(
        "perpetual",
        &[
            (perpetual("buy", "1", "1"), rates.clone(), "rates: not supported yet"),
            (perpetual("buy", "1", "1"), inverse, "symbol (inverse contract): not supported yet"),
            (
                perpetual("buy", "1", "1"),
                json!({ "margin_mode": "isolated" }),
                "margin_mode (isolated): not supported yet",
            ),
            (
                perpetual("buy", "1", "1"),
                json!({ "position_side": "long" }),
                "position_side (hedge mode): not supported yet",
            ),
            (
                funding("0.1", "1"),
                json!({ "symbol": "BTC-USD" }),
                "symbol (inverse contract): not supported yet",
            ),
            (funding("0.1", "1"), rates.clone(), "rates: not supported yet"),
        ],
    );
}

#[test]
fn the_events_that_may_owe_in_another_currency_may_carry_rates() {
    let rates = json!({ "rates": { "USD/USDT": "0.9991" } });
    let cases = [
        (interest("1 USDT"), rates.clone(), "rates: not supported yet"),
        (cancelled("w-1"), rates, "rates: not supported yet"),
    ];
    refused("spot", &cases);
}

#[test]
fn requests_and_facts_are_told_apart_as_the_contract_does() {
    let requests: Vec<&str> = EventKind::ALL
        .iter()
        .filter(|kind| kind.class() == EventClass::Request)
        .map(|kind| kind.name())
        .collect();
    assert_eq!(
        requests,
        [
            "account.opened",
            "account.closed",
            "credit.changed",
            "withdrawal.requested",
            "transfer.requested",
            "order.reserved",
            "margin.changed",
            "leverage.changed",
            "adjustment.posted",
        ]
    );
    assert_eq!(EventKind::ALL.len(), 19);
}
