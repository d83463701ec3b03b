//! What chance hardly comes to: bounds, and the order of two things that meet.

use cap_reference::model::{Done, Expected};
use cap_reference::script::{Account, Message, Nature};
use serde_json::{Value, json};

use crate::common;
use crate::envelopes::{envelope, sound};
use crate::world::World;

/// So many transfers of an account may be under way (ADR 9).
const UNDER_WAY_MAX: usize = 100;

/// So much funding of an account may be unpaid and under way, by count (ADR 11).
const UNPAID_MAX: usize = 200;

struct Page {
    world: World,
    messages: usize,
}

fn account(key: &str) -> Account {
    let parts: Vec<String> = key.split('_').map(str::to_owned).collect();
    let [company, product, customer_group, name] = parts.try_into().unwrap();
    Account { company, product, customer_group, name }
}

impl Page {
    fn new() -> Self {
        Self { world: World::new(&common::configuration(), 0), messages: 0 }
    }

    fn take(&mut self, key: &str, event: Value) -> Expected {
        self.take_as(Nature::Sound, key, event)
    }

    fn take_as(&mut self, nature: Nature, key: &str, event: Value) -> Expected {
        self.messages += 1;
        let account = account(key);
        let message = envelope(&account, sound(&format!("r-{}", self.messages), event));
        self.world.publish(&account, &Message { nature, ..message })
    }

    fn posted(&mut self, key: &str, event: Value) {
        let expected = self.take(key, event);
        assert!(matches!(expected, Expected::Posted { .. }), "{expected:?}");
    }

    fn rejected(&mut self, key: &str, event: Value) -> String {
        match self.take(key, event) {
            Expected::Rejected { code, .. } => code,
            other => panic!("{other:?}"),
        }
    }

    fn opened(&mut self, key: &str, deposits: &[&str]) {
        self.posted(key, json!({ "type": "account.opened", "customer": "C-1" }));
        for money in deposits {
            self.posted(key, about("deposit.received", money, json!({ "reference": "tx-1" })));
        }
    }

    fn wait(&mut self, secs: u32) {
        self.world.wait(secs);
    }

    /// What was sent last comes.
    fn next(&mut self) -> Done {
        self.world.deliver(self.world.last_sent()).1
    }

    fn money(&mut self, key: &str, currency: &str) -> String {
        let balances = self.world.side(&account(key)).model.balances();
        let balance = &balances[currency];
        let declared = balance.declared.iter().map(|(name, amount)| (*name, amount.as_str()));
        let amounts = balance.amounts().into_iter().chain(declared);
        let amounts = amounts.filter(|(_, amount)| amount.contains(|c| ('1'..='9').contains(&c)));
        amounts.map(|(name, amount)| format!("{amount} {name}")).collect::<Vec<_>>().join(", ")
    }
}

fn about(kind: &str, money: &str, more: Value) -> Value {
    let (amount, currency) = money.split_once(' ').unwrap();
    let mut event = json!({ "type": kind, "currency": currency, "amount": amount });
    for (name, value) in more.as_object().unwrap() {
        event[name.as_str()] = value.clone();
    }
    event
}

fn transfer(to: &str, money: &str) -> Value {
    let Account { company, product, customer_group, name } = account(to);
    let to = json!({
        "company": company, "product": product, "customer_group": customer_group, "account": name,
    });
    about("transfer.requested", money, json!({ "transfer_id": "x-1", "to": to }))
}

fn fill(symbol: &str, trade: &str, currency: &str) -> Value {
    let [side, quantity, price] = trade.split(' ').collect::<Vec<_>>().try_into().unwrap();
    json!({
        "type": "trade.filled", "trade_id": "t-1", "order_id": "o-1", "symbol": symbol, "side": side,
        "quantity": quantity, "price": price, "leverage": "10", "margin_mode": "isolated",
        "fee": { "currency": currency, "amount": "0" }, "liquidity": "taker",
    })
}

const SPOT: &str = "acme_spot_retail_A-1";
const PERPETUAL: &str = "acme_perpetual_retail_A-2";
const CFD: &str = "zenith_cfd_retail_Z-1";

#[test]
fn a_hundred_transfers_are_under_way_and_no_more_until_one_has_landed() {
    let mut page = Page::new();
    page.opened(SPOT, &["1000 USDT"]);
    page.opened(CFD, &[]);
    for _ in 0..UNDER_WAY_MAX {
        page.posted(SPOT, transfer(CFD, "1 USDT"));
    }
    assert_eq!(page.rejected(SPOT, transfer(CFD, "1 USDT")), "invalid_request");
    assert!(matches!(page.next(), Done::Posted(_)));
    assert_eq!(page.rejected(SPOT, transfer(CFD, "1 USDT")), "invalid_request");
    assert!(matches!(page.next(), Done::Posted(_)));
    page.posted(SPOT, transfer(CFD, "1 USDT"));
    assert_eq!(page.money(SPOT, "USDT"), "899.000000 available");
    assert_eq!(page.money(CFD, "USDT"), "1.000000 cash");
}

#[test]
fn an_account_closes_once_its_transfer_has_landed_and_not_before() {
    let mut page = Page::new();
    page.opened(SPOT, &["5 USDT"]);
    page.opened(CFD, &[]);
    page.posted(SPOT, transfer(CFD, "5 USDT"));
    let closed = json!({ "type": "account.closed" });
    assert_eq!(page.rejected(SPOT, closed.clone()), "account_not_empty");
    assert!(matches!(page.next(), Done::Posted(_)));
    assert_eq!(page.rejected(SPOT, closed.clone()), "account_not_empty");
    assert!(matches!(page.next(), Done::Posted(_)));
    page.posted(SPOT, closed);
    page.posted(CFD, transfer(SPOT, "2 USDT"));
    let refused = page.next();
    assert!(
        matches!(refused, Done::Rejected(Expected::Rejected { ref code, .. }) if code == "account_closed")
    );
    assert_eq!(page.money(CFD, "USDT"), "3.000000 cash");
    assert!(matches!(page.next(), Done::Posted(_)));
    assert_eq!(page.money(CFD, "USDT"), "5.000000 cash");
}

#[test]
fn nothing_leaves_a_liquidation_with_margin_in_use_and_what_comes_back_finds_its_place() {
    let mut page = Page::new();
    page.opened(PERPETUAL, &["1000 USDT"]);
    page.posted(PERPETUAL, fill("BTC-USDT", "buy 0.01 60000", "USDT"));
    page.posted(PERPETUAL, transfer(SPOT, "100 USDT"));
    page.posted(PERPETUAL, json!({ "type": "liquidation.started" }));
    assert_eq!(page.rejected(PERPETUAL, transfer(SPOT, "1 USDT")), "invalid_request");
    assert_eq!(page.rejected(PERPETUAL, transfer(SPOT, "9999 USDT")), "invalid_request");
    assert!(matches!(page.next(), Done::Rejected(_)));
    assert!(matches!(page.next(), Done::Posted(_)));
    assert_eq!(page.money(PERPETUAL, "USDT"), "940.000000 available, 60.000000 margin");
    page.posted(PERPETUAL, fill("BTC-USDT", "sell 0.01 60000", "USDT"));
    page.posted(PERPETUAL, transfer(SPOT, "1 USDT"));
}

#[test]
fn what_arrives_repays_and_what_comes_back_repays() {
    let mut page = Page::new();
    page.opened(SPOT, &["100 USD"]);
    page.opened(CFD, &["10 USD"]);
    let fee = |money| about("fee.charged", money, json!({ "reason": "custody" }));
    page.posted(CFD, fee("50 USD"));
    page.posted(SPOT, transfer(CFD, "60 USD"));
    assert!(matches!(page.next(), Done::Posted(_)));
    assert_eq!(page.money(CFD, "USD"), "20.00 cash");
    // To nobody: meanwhile a fee makes the account owe.
    page.posted(CFD, transfer("zenith_cfd_retail_Z-9", "20 USD"));
    page.posted(CFD, fee("5 USD"));
    assert_eq!(page.money(CFD, "USD"), "5.00 borrowed");
    assert!(matches!(page.next(), Done::Rejected(_)));
    assert!(matches!(page.next(), Done::Posted(_)));
    assert_eq!(page.money(CFD, "USD"), "15.00 cash");
}

#[test]
fn margin_that_finds_its_position_closed_goes_back_where_the_product_has_it() {
    let mut page = Page::new();
    page.opened(CFD, &["10000 USD"]);
    page.posted(CFD, fill("EUR-USD", "buy 0.1 1.1", "USD"));
    page.posted(CFD, json!({ "type": "margin.changed", "symbol": "EUR-USD", "amount": "500" }));
    page.posted(CFD, fill("EUR-USD", "sell 0.1 1.1", "USD"));
    assert_eq!(page.money(CFD, "USD"), "500.00 margin, 1000.00 bonus, 8500.00 cash");
    assert!(matches!(page.next(), Done::Posted(_)));
    assert_eq!(page.money(CFD, "USD"), "1000.00 bonus, 9000.00 cash");
}

/// With a position of this margin, isolated, and nothing else, at 60000.
fn margined(page: &mut Page) {
    page.opened(PERPETUAL, &["60 USDT"]);
    page.posted(PERPETUAL, fill("BTC-USDT", "buy 0.01 60000", "USDT"));
    assert_eq!(page.money(PERPETUAL, "USDT"), "60.000000 margin");
}

fn funding(rate: &str) -> Value {
    json!({
        "type": "funding.charged", "symbol": "BTC-USDT", "rate": rate, "mark_price": "60000",
    })
}

#[test]
fn a_withdrawal_of_a_liquidation_is_settled_half_an_hour_later_and_not_a_second_before() {
    let mut page = Page::new();
    page.opened(PERPETUAL, &["100 USDT"]);
    page.posted(PERPETUAL, fill("BTC-USDT", "buy 0.01 60000", "USDT"));
    page.posted(PERPETUAL, json!({ "type": "liquidation.started" }));
    for id in ["w-1", "w-2"] {
        let asked = about("withdrawal.requested", "15 USDT", json!({ "withdrawal_id": id }));
        page.posted(PERPETUAL, asked);
    }
    let settled = |id| json!({ "type": "withdrawal.settled", "withdrawal_id": id });
    let too_early = |page: &mut Page| {
        let expected = page.take_as(Nature::SettledTooEarly, PERPETUAL, settled("w-1"));
        assert_eq!(expected, Expected::Skipped);
    };
    too_early(&mut page);
    page.wait(30 * 60 - 1);
    too_early(&mut page);
    page.wait(1);
    page.posted(PERPETUAL, settled("w-1"));
    // What is payable may be on its way through the bank: no loss takes it.
    page.posted(PERPETUAL, about("fee.charged", "12 USDT", json!({ "reason": "liquidation" })));
    let left = "60.000000 margin, 15.000000 withdrawing, 2.000000 borrowed";
    assert_eq!(page.money(PERPETUAL, "USDT"), left);
    page.posted(PERPETUAL, settled("w-2"));
}

#[test]
fn an_account_with_unpaid_funding_closes_once_that_has_come_and_is_paid() {
    let mut page = Page::new();
    margined(&mut page);
    page.posted(PERPETUAL, funding("0.01"));
    page.posted(PERPETUAL, fill("BTC-USDT", "sell 0.01 60000", "USDT"));
    let paid_out = about("withdrawal.requested", "60 USDT", json!({ "withdrawal_id": "w-1" }));
    page.posted(PERPETUAL, paid_out);
    page.posted(PERPETUAL, json!({ "type": "withdrawal.settled", "withdrawal_id": "w-1" }));
    assert_eq!(page.money(PERPETUAL, "USDT"), "");
    let closed = json!({ "type": "account.closed" });
    assert_eq!(page.rejected(PERPETUAL, closed.clone()), "account_not_empty");
    assert!(matches!(page.next(), Done::Posted(_)));
    assert_eq!(page.money(PERPETUAL, "USDT"), "6.000000 borrowed");
    page.posted(PERPETUAL, about("deposit.received", "6 USDT", json!({ "reference": "tx-2" })));
    page.posted(PERPETUAL, closed);
    let late = page.take_as(Nature::FactForClosed, PERPETUAL, funding("0.01"));
    assert_eq!(late, Expected::Skipped);
}

#[test]
fn beyond_two_hundred_unpaid_fundings_available_pays_by_force() {
    let mut page = Page::new();
    margined(&mut page);
    for _ in 0..UNPAID_MAX {
        page.posted(PERPETUAL, funding("0.00001"));
    }
    assert_eq!(page.money(PERPETUAL, "USDT"), "60.000000 margin");
    page.posted(PERPETUAL, funding("0.00001"));
    assert_eq!(page.money(PERPETUAL, "USDT"), "60.000000 margin, 0.006000 borrowed");
    assert!(matches!(page.next(), Done::Posted(_)));
    page.posted(PERPETUAL, funding("0.00001"));
    assert_eq!(page.money(PERPETUAL, "USDT"), "59.994000 margin, 0.006000 borrowed");
}

#[test]
fn unpaid_funding_that_is_skipped_for_want_of_a_rate_leaves_its_margin_in_no_position() {
    let mut page = Page::new();
    margined(&mut page);
    page.posted(
        PERPETUAL,
        json!({ "type": "credit.changed", "currency": "USD", "limit": "500", "enabled": true }),
    );
    // 300 are due: beyond the margin of 60 they would be borrowed on the card.
    page.posted(PERPETUAL, funding("0.5"));
    assert_eq!(page.next(), Done::Poisoned);
    let side = page.world.side(&account(PERPETUAL));
    assert_eq!(side.model.positions()["BTC-USDT"].margin, "0.000000");
    assert_eq!(page.money(PERPETUAL, "USDT"), "60.000000 margin");
    page.posted(PERPETUAL, fill("BTC-USDT", "sell 0.01 60000", "USDT"));
    assert_eq!(page.money(PERPETUAL, "USDT"), "60.000000 margin");
    let closed = json!({ "type": "account.closed" });
    assert_eq!(page.rejected(PERPETUAL, closed), "account_not_empty");
}
