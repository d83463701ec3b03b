//! A revision may not follow one that accounts live by if they could not live by it.

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
fn liquidation_prices_of_cross_positions_are_switched_on_while_positions_are_open() {
    let mut before = shipped();
    for (rulebook, version) in [(1, 3), (2, 1)] {
        let rulebook = &mut before["rulebooks"][rulebook];
        rulebook.as_object_mut().unwrap().remove("cross_liquidation_prices").unwrap();
        rulebook["version"] = json!(version);
    }
    let (was, is) = (check(before).unwrap(), check(shipped()).unwrap());
    assert_eq!(is.check_after(&was), Ok(()));
    assert_eq!(is.changed_since(&was), []);
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
