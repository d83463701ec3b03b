//! The journal proves itself: whatever is altered in a row breaks the chain.

use cap_domain::ids::AccountKey;
use cap_domain::lane::Row;

use crate::common::events::*;
use crate::common::story::Story;

#[test]
fn a_row_that_was_altered_breaks_the_chain() {
    let mut story = Story::spot();
    story.posted(&deposit("100 USDT"));
    story.posted(&deposit("200 USDT"));
    let rows = &story.account.journal;
    let altered = |change: fn(&mut Row)| {
        let mut row = rows[0].clone();
        change(&mut row);
        row.hash_after(&story.account_key, Default::default())
    };
    assert_eq!(altered(|_| {}), rows[0].hash);
    let changes: [fn(&mut Row); 10] = [
        |row| row.seq += 1,
        |row| row.request_id = "other".parse().unwrap(),
        |row| row.fingerprint.0[0] ^= 1,
        |row| row.source_id = format!("{}x", row.source_id).into(),
        |row| row.upstream_seq = None,
        |row| row.kind = format!("{}x", row.kind).into(),
        |row| row.decided_at = row.decided_at.plus_seconds(1),
        |row| row.rules_version += 1,
        |row| row.input.push(' '),
        |row| row.result = row.result.replace("100.000000", "900.000000"),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        assert_ne!(altered(change), rows[0].hash, "change {n}");
    }
    let elsewhere: AccountKey = "acme_spot_retail_A-2".parse().unwrap();
    assert_ne!(rows[0].hash_after(&elsewhere, Default::default()), rows[0].hash);
}
