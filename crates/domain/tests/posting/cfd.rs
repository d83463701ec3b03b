//! A third product as data only (C9): what `config/rulebooks/cfd.json` says, told with exact figures
//! from the first deposit to the closed account. No code knows the product.

use std::collections::BTreeMap;

use cap_domain::account::AccountRuling;
use cap_domain::outcome::OutcomeStatus;
use cap_domain::subject::Subject;
use serde_json::Value;

use crate::came_of;
use crate::common::events::*;
use crate::common::show_legs;
use crate::common::story::Story;
use crate::net_rule::own;

/// The legs of the last posting.
fn legs(story: &Story) -> String {
    match story.last_ruling() {
        AccountRuling::Posted { legs, .. } => show_legs(&legs),
        AccountRuling::Refused(refusal) => panic!("{refusal:?}"),
    }
}

/// What every subject holds by all legs of the journal, in units of USD; those of zero left out.
fn books(story: &Story) -> BTreeMap<String, i128> {
    let mut sums: BTreeMap<String, i128> = BTreeMap::new();
    for row in &story.account.journal {
        if let AccountRuling::Posted { legs, .. } = serde_json::from_str(&row.result).unwrap() {
            for leg in legs {
                *sums.entry(leg.from.name().to_owned()).or_default() -= leg.money.units();
                *sums.entry(leg.to.name().to_owned()).or_default() += leg.money.units();
            }
        }
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

/// What the account has, less what it owes, and what the journal says contra subjects have are zero.
fn adds_up(story: &Story) {
    let contra = |name: &str| name.parse::<Subject>().unwrap().is_contra();
    let contra: i128 =
        books(story).iter().filter(|(name, _)| contra(name)).map(|(_, sum)| *sum).sum();
    let account: i128 = story.account.state.balances.values().map(own).sum();
    assert_eq!(account + contra, 0, "{}: {:?}", story.money(), books(story));
}

fn gold(side: &str, quantity: &str, price: &str) -> Value {
    with(cfd(side, quantity, price), serde_json::json!({ "symbol": "XAU-USD" }))
}

#[test]
fn a_loss_takes_what_the_reserve_gives_back_before_anything_is_owed() {
    let mut story = Story::of("cfd");
    story.posted(&opened());
    story.posted(&deposit("1000 USD"));
    story.posted(&cfd("buy", "0.01", "1.1"));
    story.posted(&reserved("500 USD"));
    assert_eq!(story.money(), "USD 500 frozen, 55 margin, 100 bonus, 345 cash");

    // 900 are lost: without the 500 that come back with the fill, cash would be 400 short.
    story.posted(&of_reserve(cfd("sell", "0.01", "0.2"), "500"));
    assert_eq!(
        legs(&story),
        "margin → cash 55 USD; frozen → cash 500 USD; bonus → house:pnl 100 USD; cash → house:pnl 800 USD"
    );
    assert_eq!(story.money(), "USD 100 cash");
    adds_up(&story);
}

#[test]
fn an_account_lives_from_its_first_deposit_to_its_end_to_the_last_cent() {
    let mut story = Story::of("cfd");
    story.posted(&opened());
    // A tenth, 1,000.005, is rounded to the even cent; cash takes the remainder.
    story.posted(&deposit("10000.05 USD"));
    assert_eq!(story.money(), "USD 1000 bonus, 9000.05 cash");

    // An order and its fill: 0.1 lots at 1.1 are 11,000 USD, of which a twentieth is margin.
    story.posted(&reserved("600 USD"));
    assert_eq!(story.money(), "USD 600 frozen, 1000 bonus, 8400.05 cash");
    let bought = at_fee(of_reserve(cfd("buy", "0.1", "1.1"), "600"), "7.77 USD");
    let told = story.posted(&bought);
    assert_eq!(
        legs(&story),
        "frozen → cash 50 USD; frozen → margin 550 USD; bonus → house:partner 1.55 USD; bonus → house:fees 6.22 USD"
    );
    assert_eq!(story.money(), "USD 550 margin, 992.23 bonus, 8450.05 cash");
    let shown: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(
        shown["outcome"]["balances"],
        serde_json::json!([{
            "currency": "USD", "available": "0.00", "frozen": "0.00", "margin": "550.00",
            "withdrawing": "0.00", "borrowed": "0.00", "bonus": "992.23", "cash": "8450.05",
        }])
    );

    // Funding of 0.01 % on 11,000 USD, out of the bonus.
    story.posted(&with(funding("0.0001", "1.1"), serde_json::json!({ "symbol": "EUR-USD" })));
    assert_eq!(legs(&story), "bonus → house:funding 1.1 USD");

    // Half is closed with a loss of 1,000: the bonus first, then cash, which half the margin came to.
    story.posted(&cfd("sell", "0.05", "0.9"));
    assert_eq!(
        legs(&story),
        "margin → cash 275 USD; bonus → house:pnl 991.13 USD; cash → house:pnl 8.87 USD"
    );
    assert_eq!(story.money(), "USD 275 margin, 8716.18 cash");

    // The rest with a profit of 500: all margin is back.
    let told = story.posted(&cfd("sell", "0.05", "1.2"));
    assert_eq!(legs(&story), "margin → cash 275 USD; house:pnl → cash 500 USD");
    assert_eq!(story.money(), "USD 9491.18 cash");
    let position = told.message.outcome.position.unwrap();
    assert_eq!((position.margin.as_str(), position.realised_profit.as_str()), ("0.00", "500.00"));

    // More than there is is refused with the figures, all there is leaves.
    let refused = story.tell(&withdrawal("w-1", "9491.19 USD"));
    assert_eq!(
        came_of(&refused),
        "insufficient_funds: needs 9491.19 USD, has 9491.18 cash, 0.00 available, credit left 0.00"
    );
    story.posted(&withdrawal("w-2", "9491.18 USD"));
    story.posted(&settled("w-2"));
    assert_eq!(story.money(), "");
    assert_eq!(
        books(&story),
        BTreeMap::from([
            ("external:bank".to_owned(), -1_000_005 + 949_118),
            ("house:fees".to_owned(), 622),
            ("house:funding".to_owned(), 110),
            ("house:partner".to_owned(), 155),
            ("house:pnl".to_owned(), 50_000),
        ])
    );
    adds_up(&story);
    story.posted(&closed());
    story.clearing.prove();
    story.position.prove();
    story.account.prove();
}

#[test]
fn a_loss_beyond_everything_is_owed_and_whatever_comes_in_repays_it_first() {
    let mut story = Story::of("cfd");
    story.posted(&opened());
    story.posted(&deposit("1000 USD"));
    // A lot of gold is 100 ounces: 0.05 lots at 2,000 are 10,000 USD, and 500 USD margin.
    story.posted(&gold("buy", "0.05", "2000"));
    assert_eq!(story.money(), "USD 500 margin, 100 bonus, 400 cash");
    // It falls by 300: 1,500 are lost, 1,000 are there.
    story.posted(&gold("sell", "0.05", "1700"));
    assert_eq!(
        legs(&story),
        "margin → cash 500 USD; bonus → house:pnl 100 USD; cash → house:pnl 900 USD; available → house:pnl 500 USD; borrowed → available 500 USD"
    );
    assert_eq!(story.money(), "USD 500 borrowed");
    let refused = story.tell(&reserved("1 USD"));
    assert_eq!(refused.status(), OutcomeStatus::Rejected, "{}", refused.body);

    story.posted(&deposit("300 USD"));
    assert_eq!(story.money(), "USD 200 borrowed");
    story.posted(&adjusted("50 USD", "reject"));
    assert_eq!(story.money(), "USD 150 borrowed");
    story.posted(&deposit("250 USD"));
    assert_eq!(
        legs(&story),
        "external:bank → bonus 25 USD; external:bank → cash 225 USD; bonus → available 25 USD; cash → available 125 USD; available → borrowed 150 USD"
    );
    assert_eq!(story.money(), "USD 100 cash");
    adds_up(&story);
    story.account.prove();
}

#[test]
fn a_flip_a_hedge_and_a_cancelled_order_keep_the_books() {
    let mut story = Story::of("cfd");
    story.posted(&opened());
    story.posted(&deposit("10000 USD"));
    story.posted(&reserved("100 USD"));
    story.posted(&released("100 USD"));
    story.posted(&withdrawal("w-1", "50 USD"));
    story.posted(&cancelled("w-1"));
    assert_eq!(story.money(), "USD 1000 bonus, 9000 cash");
    story.posted(&at_fee(cfd("buy", "0.1", "1.1"), "3 USD"));
    // Closed with 1,000 won, and 0.2 opened the other way: 24,000 USD, 1,200 margin; of the fee of
    // 3.01 a third is the closing part's: 1.00, of which 0.20 are the partner's; 2.01 the opening's,
    // 0.402 the partner's.
    story.posted(&at_fee(cfd("sell", "0.3", "1.2"), "3.01 USD"));
    assert_eq!(
        legs(&story),
        "margin → cash 550 USD; house:pnl → cash 1000 USD; bonus → house:partner 0.2 USD; bonus → house:fees 0.8 USD; cash → margin 1200 USD; bonus → house:partner 0.4 USD; bonus → house:fees 1.61 USD"
    );
    // A rebate is cash.
    story.posted(&at_fee(cfd("buy", "0.2", "1.2"), "-0.5 USD"));
    assert_eq!(story.money(), "USD 993.99 bonus, 10000.5 cash");
    adds_up(&story);
}

#[test]
fn a_transfer_leaves_from_cash_and_lands_in_it_after_what_is_owed() {
    let mut here = Story::account("acme_spot_retail_A-1001").opened().holding("USD 100 available");
    let mut there = Story::of("cfd").opened().holding("USD 30 borrowed, 5 bonus");
    let transfer = |id: &str, product: &str, amount: &str| {
        serde_json::json!({
            "type": "transfer.requested", "transfer_id": id, "currency": "USD", "amount": amount,
            "to": { "company": "acme", "product": product, "customer_group": "retail", "account": "A-1001" },
        })
    };
    let pass_on = |from: &mut Story, to: &mut Story| {
        let (account, body) = from.followed.remove(0);
        assert_eq!(account, to.account_key);
        let envelope: Value = serde_json::from_str(&body).unwrap();
        let message = to.sent(envelope["header"]["request_id"].as_str().unwrap(), body);
        let told = to.tell_sent(&message);
        assert_eq!(told.status(), OutcomeStatus::Posted, "{}", told.body);
    };
    here.posted(&transfer("t-1", "cfd", "80"));
    pass_on(&mut here, &mut there);
    pass_on(&mut there, &mut here); // that it has landed
    assert_eq!(
        (here.money(), there.money()),
        ("USD 20 available".to_owned(), "USD 5 bonus, 50 cash".to_owned())
    );
    let refused = there.tell(&transfer("t-2", "spot", "50.01"));
    assert_eq!(
        came_of(&refused),
        "insufficient_funds: needs 50.01 USD, has 50.00 cash, 0.00 available, credit left 0.00"
    );
    there.posted(&transfer("t-3", "spot", "50"));
    pass_on(&mut there, &mut here);
    assert_eq!(
        (here.money(), there.money()),
        ("USD 70 available".to_owned(), "USD 5 bonus".to_owned())
    );
}

#[test]
fn margin_comes_from_cash_and_isolated_funding_ends_with_the_positions_own() {
    let mut story = Story::of("cfd");
    story.posted(&opened());
    story.posted(&deposit("1000 USD"));
    story.posted(&isolated(cfd("buy", "0.1", "1.1")));
    assert_eq!(story.money(), "USD 550 margin, 100 bonus, 350 cash");

    let change =
        |amount: &str| with(margin_changed(amount), serde_json::json!({ "symbol": "EUR-USD" }));
    let told = story.tell(&change("350.01"));
    assert_eq!(
        (told.code().as_str(), told.detail()),
        (
            "insufficient_funds",
            "needs 350.01 USD, has 350.00 cash, 0.00 available, credit left 0.00"
        )
    );
    story.posted(&change("50"));
    story.follow();
    assert_eq!(story.money(), "USD 600 margin, 100 bonus, 300 cash");
    story.posted(&change("-20"));
    assert_eq!(story.money(), "USD 580 margin, 100 bonus, 320 cash");

    // 5 % of 11,000 are 550: bonus and cash give 420, the position the rest.
    let funding = with(funding("0.05", "1.1"), serde_json::json!({ "symbol": "EUR-USD" }));
    story.posted(&funding);
    assert_eq!(story.money(), "USD 580 margin");
    story.follow();
    assert_eq!(story.money(), "USD 450 margin");
    adds_up(&story);
    story.position.prove();
    story.account.prove();
}
