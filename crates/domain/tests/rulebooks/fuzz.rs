//! Whatever is done to a configuration, it is refused or it can be carried out; nothing panics.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use cap_domain::configuration::{Configuration, ConfigurationDocument};
use cap_domain::event::EventKind;
use cap_domain::outcome::OutcomeStatus;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::story::Story;
use crate::common::{configuration, shipped};

/// Configurations that are tried, and how many of them must be taken and refused at the least.
const CASES: u32 = 600;
const TAKEN_MIN: usize = 10;
const REFUSED_MIN: usize = 100;

/// The products, in the order of the shipped rulebooks.
const PRODUCTS: [&str; 3] = ["spot", "perpetual", "cfd"];

/// What was tried, and what came of it.
#[derive(Debug, Default)]
struct Tally {
    unreadable: usize,
    refused: usize,
    taken: usize,
    /// The kinds of events that were posted under a configuration that was taken.
    posted: BTreeSet<EventKind>,
}

/// What is put in the place of something: of every type, sound elsewhere or nowhere.
fn junk() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(vec![
            Value::Null,
            json!(true),
            json!(0),
            json!(-1),
            json!(u64::MAX),
            json!(1.5),
            json!(""),
            json!("available"),
            json!("borrowed"),
            json!("house:fees"),
            json!("event.amount"),
            json!("position.margin_released"),
            json!("force"),
            json!("event"),
            json!("USDT"),
            json!("spot"),
            json!("\u{0}\u{fffe}"),
            json!("x".repeat(10_000)),
            json!([]),
            json!({}),
            json!({ "legs": [] }),
            json!({ "refused": "no" }),
            json!("cash"),
            json!(["bonus", "cash"]),
            json!("remainder"),
            json!("0.5"),
            json!([{ "to": "cash", "share": "0.5" }, { "to": "house:fees", "share": "remainder" }]),
        ]),
        any::<String>().prop_map(Value::String),
        any::<i64>().prop_map(|number| json!(number)),
    ]
}

fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                pointers(field, &format!("{at}/{}", name.replace('/', "~1")), found);
            }
        }
        _ => {}
    }
}

/// What is put in the place of something.
#[derive(Debug, Clone)]
enum Put {
    Junk(Value),
    /// Another value that stands elsewhere under the same name: it is sound there.
    Alike(Index),
}

fn changes() -> impl Strategy<Value = Vec<(Index, Put)>> {
    let put = prop_oneof![
        1 => junk().prop_map(Put::Junk),
        3 => any::<Index>().prop_map(Put::Alike),
    ];
    prop::collection::vec((any::<Index>(), put), 1..4)
}

fn changed(changes: Vec<(Index, Put)>) -> Value {
    let mut document = shipped();
    for (place, put) in changes {
        let mut found = Vec::new();
        pointers(&document, "", &mut found);
        let place = &found[place.index(found.len())];
        let value = match put {
            Put::Junk(value) => value,
            Put::Alike(which) => match alike(&document, &found, place) {
                alike if alike.is_empty() => continue,
                alike => alike[which.index(alike.len())].clone(),
            },
        };
        *document.pointer_mut(place).unwrap() = value;
    }
    document
}

/// The other values under the name that `place` ends with.
fn alike<'a>(document: &'a Value, found: &[String], place: &str) -> Vec<&'a Value> {
    let name = |pointer: &str| pointer.rsplit('/').next().map(str::to_owned);
    let here = document.pointer(place).unwrap();
    let same = found.iter().filter(|other| name(other) == name(place));
    same.filter_map(|other| document.pointer(other)).filter(|value| *value != here).collect()
}

/// What a configuration that was taken does with events of every kind: it answers. The kinds that it
/// posted.
fn carry_out(configuration: &Arc<Configuration>) -> BTreeSet<EventKind> {
    let mut posted = BTreeSet::new();
    let mut play = |story: &mut Story, kind: EventKind, product: &str| {
        for event in events_of(kind, product, story) {
            assert_eq!(event["type"], kind.name(), "{event}");
            let told = story.tell(&event);
            assert_eq!(told.message.header.account.as_str(), "A-1001", "{}", told.body);
            if told.status() == OutcomeStatus::Posted {
                posted.insert(kind);
            }
        }
    };
    for product in PRODUCTS {
        let mut story = Story::under(product, configuration.clone());
        in_order(product).into_iter().for_each(|kind| play(&mut story, kind, product));
        // Whoever has nothing can be closed.
        let mut empty = Story::under(product, configuration.clone());
        play(&mut empty, EventKind::AccountOpened, product);
        play(&mut empty, EventKind::AccountClosed, product);
    }
    posted
}

/// Every kind in the order of the contract, but an account is closed at its end; and what a product has
/// no such event of comes last: a fact of that kind suspends the lane.
fn in_order(product: &str) -> Vec<EventKind> {
    let rulebook = PRODUCTS.iter().position(|name| *name == product).unwrap();
    let events = &shipped()["rulebooks"][rulebook]["events"];
    let mut kinds = EventKind::ALL.to_vec();
    kinds.sort_by_key(|kind| {
        let is_known = events[kind.name()]["legs"].is_array();
        (!is_known, *kind == EventKind::AccountClosed)
    });
    kinds
}

/// Events of a kind, which can be posted in a product that has them after those of the kinds before.
fn events_of(kind: EventKind, product: &str, story: &Story) -> Vec<Value> {
    let currency = if product == "cfd" { "USD" } else { "USDT" };
    let symbol = if product == "cfd" { "EUR-USD" } else { "BTC-USDT" };
    let money = |amount: &str| format!("{amount} {currency}");
    let of_symbol = |event: Value| with(event, json!({ "symbol": symbol }));
    let from_cap = |kind: EventKind, amount: &str| {
        let more = json!({ "currency": currency, "amount": amount });
        with(json!({ "type": kind, "symbol": symbol }), more)
    };
    let other = |end: &str, kind: EventKind, id: &str| {
        json!({
            "type": kind, "transfer_id": id, "currency": currency, "amount": "7",
            end: { "company": "acme", "product": product, "customer_group": "vip", "account": "A-9" },
        })
    };
    match kind {
        EventKind::AccountOpened => vec![opened()],
        EventKind::AccountClosed => vec![closed()],
        EventKind::CreditChanged => vec![credit_changed(&money("50"), true)],
        EventKind::DepositReceived => vec![deposit(&money("100000"))],
        EventKind::WithdrawalRequested => {
            vec![withdrawal("w-1", &money("20")), withdrawal("w-2", &money("30"))]
        }
        EventKind::WithdrawalSettled => vec![settled("w-1")],
        EventKind::WithdrawalCancelled => vec![cancelled("w-2")],
        EventKind::TransferRequested => {
            vec![other("to", kind, "t-1"), other("to", kind, "t-2")]
        }
        EventKind::TransferArrived => {
            vec![with(other("from", kind, "t-3"), json!({ "acknowledge": true }))]
        }
        EventKind::TransferReturned => {
            let back = json!({ "arrival": arrival_of("t-1", story), "reason": "account_closed" });
            vec![with(other("to", kind, "t-1"), back)]
        }
        EventKind::TransferLanded => {
            let landed = json!({ "arrival": arrival_of("t-2", story) });
            vec![with(other("to", kind, "t-2"), landed)]
        }
        EventKind::OrderReserved => vec![reserved(&money("100")), reserved_borrowing(&money("9"))],
        EventKind::OrderReleased => vec![released(&money("10"))],
        EventKind::TradeFilled => match product {
            "spot" => vec![
                of_reserve(spot("buy", "0.1", "100"), "20"),
                at_fee(spot("sell", "0.01", "100"), "0.5 USDT"),
            ],
            "perpetual" => vec![
                of_reserve(isolated(perpetual("buy", "1", "100")), "20"),
                at_fee(isolated(perpetual("sell", "0.1", "110")), "0.5 USDT"),
            ],
            _ => vec![
                of_reserve(isolated(cfd("buy", "1", "1.1")), "20"),
                at_fee(isolated(cfd("sell", "0.1", "1.0")), "0.5 USD"),
            ],
        },
        EventKind::FundingCharged => vec![of_symbol(funding("0.001", "1"))],
        EventKind::FundingUnpaid => {
            vec![with(from_cap(kind, "0.5"), json!({ "owed_by": "long" }))]
        }
        EventKind::FeeCharged => vec![fee(&money("1"))],
        EventKind::InterestCharged => vec![interest(&money("1"))],
        EventKind::MarginChanged => {
            vec![of_symbol(margin_changed("5")), of_symbol(margin_changed("-1"))]
        }
        EventKind::LeverageChanged => vec![of_symbol(leverage_changed("5"))],
        EventKind::MarginPosted => vec![from_cap(kind, "5")],
        EventKind::LiquidationStarted => vec![liquidation_started()],
        EventKind::LiquidationEnded => vec![liquidation_ended()],
        EventKind::AdjustmentPosted => {
            vec![adjusted(&money("5"), "reject"), adjusted(&money("-5"), "force")]
        }
    }
}

/// The id under which a transfer of the account arrives, if it has left.
fn arrival_of(transfer_id: &str, story: &Story) -> String {
    let sent = story.followed.iter().map(|(_, body)| serde_json::from_str(body).unwrap());
    let mut arrivals = sent.filter(|sent: &Value| sent["event"]["transfer_id"] == transfer_id);
    let arrival = arrivals.find(|sent| sent["event"]["type"] == "transfer.arrived");
    arrival.map_or("transfer:none".to_owned(), |sent| {
        sent["header"]["request_id"].as_str().unwrap().to_owned()
    })
}

#[test]
fn events_of_every_kind_are_posted_under_the_shipped_configuration() {
    let posted = carry_out(&configuration());
    let missed: Vec<_> = EventKind::ALL.iter().filter(|kind| !posted.contains(kind)).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn a_configuration_with_anything_in_any_place_is_refused_in_words_or_carried_out() {
    let tally = RefCell::new(Tally::default());
    let config = ProptestConfig {
        cases: CASES,
        source_file: Some(file!()),
        test_name: Some("a_configuration_with_anything_in_any_place"),
        ..ProptestConfig::default()
    };
    let tried = TestRunner::new(config).run(&changes(), |changes| {
        let mut tally = tally.borrow_mut();
        let document = changed(changes);
        let is_shipped = document == shipped();
        match serde_json::from_value::<ConfigurationDocument>(document) {
            Err(error) => {
                prop_assert!(!error.to_string().is_empty());
                tally.unreadable += 1;
            }
            Ok(document) => match Configuration::check(1, document) {
                Err(error) => {
                    prop_assert!(!error.document.is_empty() && !error.reason.is_empty());
                    prop_assert!(!error.to_string().contains('\n'), "{}", error);
                    tally.refused += 1;
                }
                Ok(configuration) => {
                    tally.posted.extend(carry_out(&Arc::new(configuration)));
                    tally.taken += usize::from(!is_shipped);
                }
            },
        }
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
    let tally = tally.into_inner();
    assert!(tally.taken >= TAKEN_MIN && tally.refused >= REFUSED_MIN, "{tally:?}");
    assert!(tally.unreadable > 0, "{tally:?}");
    assert_eq!(tally.posted.len(), EventKind::ALL.len(), "events of every kind: {tally:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    #[test]
    fn a_text_that_was_cut_or_scratched_is_refused_or_read(
        cut in any::<Index>(),
        scratched in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
    ) {
        let mut text = shipped().to_string().into_bytes();
        for (place, byte) in scratched {
            let place = place.index(text.len());
            text[place] = byte;
        }
        text.truncate(cut.index(text.len()) + 1);
        if let Ok(document) = serde_json::from_slice::<ConfigurationDocument>(&text) {
            let _ = Configuration::check(1, document);
        }
    }
}
