//! A valid event is read with its money, contract and figures resolved, and reads back as it was
//! journaled.

use cap_domain::event::{ContractFill, Event, Liquidity, PairFill, Side};
use cap_domain::ids::ExternalId;
use cap_domain::money::Money;
use cap_domain::position::{HedgeSide, MarginMode, PositionMode};
use serde_json::json;

use crate::common::events::*;
use crate::common::{decimal, inverse, linear, money, tiered};
use crate::read;

fn id(text: &str) -> ExternalId {
    ExternalId::new(text).unwrap()
}

fn one_way(credit_limit: Option<Money>) -> Event {
    Event::AccountOpened { customer: id("C-1"), credit_limit, position_mode: PositionMode::OneWay }
}

#[test]
fn each_kind_of_event_is_read() {
    let cases = [
        (opened(), one_way(None)),
        (
            with(opened_with_credit("500 USDT"), json!({ "position_mode": "one_way" })),
            one_way(Some(money("500 USDT"))),
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
        contract: tiered("BTC-USDT"),
        side: Side::Sell,
        quantity: decimal("0.4"),
        price: decimal("6000.5"),
        leverage: decimal("12.5"),
        margin_mode: MarginMode::Cross,
        position_side: None,
        reserved: money("12.5 USDT"),
        fee: money("-0.25 USDT"),
        liquidity: Liquidity::Maker,
    };
    assert_eq!(read("perpetual", &event), Ok(Event::ContractFilled(expected)));
}

#[test]
fn a_hedge_account_is_opened_as_one() {
    let read = read("perpetual", &opened_in_hedge_mode());
    let mode = PositionMode::Hedge;
    let customer = id("C-1");
    let expected = Event::AccountOpened { customer, credit_limit: None, position_mode: mode };
    assert_eq!(read, Ok(expected));
}

#[test]
fn a_fill_carries_its_contract_with_the_tiers_its_liquidation_price_needs() {
    let event = on_side(isolated(inverse_perpetual("sell", "100", "40000")), "long");
    let Ok(Event::ContractFilled(fill)) = read("perpetual", &event) else { panic!("{event}") };
    assert_eq!(fill.contract, tiered("BTC-USD"));
    assert_eq!(fill.contract.clone().without_maintenance(), inverse());
    assert!(fill.contract.maintenance.is_some());
    assert_eq!(
        (fill.margin_mode, fill.position_side),
        (MarginMode::Isolated, Some(HedgeSide::Long))
    );
    assert_eq!((fill.fee, fill.reserved), (money("0 BTC"), money("0 BTC")));
}

#[test]
fn funding_of_an_inverse_contract_is_read() {
    let event = with(funding("0.0025", "750"), json!({ "symbol": "BTC-USD" }));
    let contract = inverse();
    let (rate, mark_price) = (decimal("0.0025"), decimal("750"));
    assert_eq!(read("perpetual", &event), Ok(Event::FundingCharged { contract, rate, mark_price }));
}

/// What an earlier release journaled: it knew no position mode, margin mode, side, rounding, tiers.
#[test]
fn an_event_of_an_earlier_release_reads_and_is_written_again_byte_for_byte() {
    let contract = r#"{"symbol":"BTC-USDT","kind":"linear","multiplier":"1","settled_in":{"code":"USDT","decimals":6}}"#;
    let journaled = [
        r#"{"type":"account.opened","customer":"C-1","credit_limit":null}"#.to_owned(),
        format!(
            r#"{{"type":"trade.filled.contract","trade_id":"t-1","order_id":"o-1","contract":{contract},"side":"buy","quantity":"0.10","price":"40000","leverage":"10","reserved":{{"currency":"USDT","amount":"400.000000"}},"fee":{{"currency":"USDT","amount":"1.600000"}},"liquidity":"taker"}}"#
        ),
        format!(
            r#"{{"type":"funding.charged","contract":{contract},"rate":"0.0001","mark_price":"40000"}}"#
        ),
    ];
    for text in journaled {
        let event: Event = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
    }
}

#[test]
fn funding_may_be_below_zero() {
    let expected = Event::FundingCharged {
        contract: linear(),
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
        opened_in_hedge_mode(),
        on_side(isolated(perpetual("buy", "1", "1")), "short"),
        inverse_perpetual("buy", "100", "40000"),
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
