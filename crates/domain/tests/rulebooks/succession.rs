//! A revision may not follow one that accounts live by if they could not live by it.

use cap_domain::configuration::Changed;
use serde_json::json;

use crate::common::shipped;
use crate::{Patch::Set, check, patched};

/// What is said to `next` as the revision after the shipped one.
fn after_shipped(next: serde_json::Value) -> Result<(), String> {
    let (was, next) = (check(shipped()).unwrap(), check(next).unwrap());
    next.check_after(&was).map_err(|error| error.to_string())
}

#[test]
fn the_same_revision_again_and_one_with_more_in_it_are_taken() {
    assert_eq!(after_shipped(shipped()), Ok(()));
    let mut more = patched(&Set("/currencies/EUR", json!(2)));
    more["instruments"]["spot"]["pairs"].as_array_mut().unwrap().push(json!("ETH/BTC"));
    more["rulebooks"][0]["currencies"].as_array_mut().unwrap().push(json!("EUR"));
    assert_eq!(after_shipped(more), Ok(()), "a product may hold one currency more");
}

#[test]
fn what_a_rulebook_switches_on_may_be_while_positions_are_open_and_off_it_may_not() {
    for switch in ["hedge_mode", "tracks_follow_ups", "cross_liquidation_prices"] {
        for (rulebook, product) in [(1, "perpetual"), (2, "cfd")] {
            let mut without = shipped();
            let document = without["rulebooks"][rulebook].as_object_mut().unwrap();
            assert_eq!(document.remove(switch), Some(json!(true)), "{switch} of {product}");
            let mut later = without.clone();
            later["rulebooks"][rulebook]["version"] = json!(99);
            without["rulebooks"][rulebook]["version"] = json!(1);
            let [without, with, later] =
                [without, shipped(), later].map(|document| check(document).unwrap());

            // A rulebook that is older says nothing of it, and the next one may
            assert_eq!(with.check_after(&without), Ok(()), "{switch} of {product}");
            assert_eq!(with.changed_since(&without), [], "{switch} of {product}");
            assert_eq!(with.changed_since(&with), []);

            // Positions live by it from then on, whatever the version
            let changed = Changed { product: product.parse().unwrap(), symbol: None };
            assert_eq!(later.check_after(&with), Ok(()), "{switch} of {product}");
            assert_eq!(later.changed_since(&with), [changed], "{switch} of {product}");
        }
    }
}

#[test]
fn what_may_be_added_while_positions_are_open_changes_nothing_for_them() {
    let mut refusing = shipped();
    refusing["rulebooks"][1]["events"]["interest.charged"] = json!({ "refused": "not here" });
    refusing["rulebooks"][1]["version"] = json!(3);
    let mut with_rebates = shipped();
    with_rebates["rulebooks"][2]["subjects"]["rebates"] = json!("liability");
    with_rebates["rulebooks"][2]["version"] = json!(3);
    let [refusing, with_rebates, is] =
        [refusing, with_rebates, shipped()].map(|document| check(document).unwrap());

    assert_eq!(is.changed_since(&refusing), [], "what was refused may be done");
    assert_eq!(with_rebates.changed_since(&is), [], "a subject more");
    let changed = Changed { product: "perpetual".parse().unwrap(), symbol: None };
    assert_eq!(refusing.changed_since(&is), [changed], "what was done may not be refused");
}

#[test]
fn what_no_account_could_survive_is_refused() {
    let mut without_spot = shipped();
    without_spot["rulebooks"].as_array_mut().unwrap().remove(0);
    without_spot["instruments"].as_object_mut().unwrap().remove("spot");
    let finer = patched(&Set("/currencies/USDT", json!(8)));
    let mut moved = shipped();
    moved["rulebooks"][0]["events"]["deposit.received"]["legs"][0]["from"] = json!("house:fees");
    let priceless = patched(&Set("/rulebooks/1/cross_liquidation_prices", json!(false)));
    let one_way = patched(&Set("/rulebooks/1/hedge_mode", json!(false)));
    let mut without_bonus = shipped();
    let cfd = without_bonus["rulebooks"][2].to_string().replace("\"bonus\"", "\"rebates\"");
    without_bonus["rulebooks"][2] = serde_json::from_str(&cfd).unwrap();
    without_bonus["rulebooks"][2]["version"] = json!(3);
    let mut without_hkd = shipped();
    let held = without_hkd["rulebooks"][0]["currencies"].as_array_mut().unwrap();
    held.retain(|code| code != "HKD");
    let cases = [
        (without_hkd, "rulebooks/spot.json: currencies: HKD is gone, and accounts may hold it"),
        (
            without_bonus,
            "rulebooks/cfd.json: subjects: bonus is gone, and accounts may hold money in it",
        ),
        (
            one_way,
            "rulebooks/perpetual.json: version: 4 does not follow 4, and the rules are others",
        ),
        (
            priceless,
            "rulebooks/perpetual.json: version: 4 does not follow 4, and the rules are others",
        ),
        (without_spot, "rulebooks/spot.json: is gone, and accounts may be open"),
        (
            finer,
            "currencies.json: USDT: had 6 decimals, and balances have; 8 cannot be read with them",
        ),
        (moved, "rulebooks/spot.json: version: 3 does not follow 3, and the rules are others"),
    ];
    for (next, reason) in cases {
        assert_eq!(after_shipped(next), Err(reason.to_owned()));
    }
}
