//! An account is suspended, mended and redriven, while the others never notice.

use cap_domain::lane::{LaneStatus, StageName};
use cap_tests::{World, envelope};
use serde_json::json;

use super::desk::{
    deposits, done, journaled, lane, letters, letters_become, poison, poison_at_clearing, refuse,
    refused, support, tells, tells_parked,
};
use crate::events::{PERPETUAL, SPOT, deposit, funded, opened};
use crate::tools::verified;

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_skipped_and_all_behind_it_applied_in_order_while_other_accounts_flow() {
    for (stage, poison) in
        [(StageName::Account, poison()), (StageName::Clearing, poison_at_clearing())]
    {
        let (world, stages) = World::running().await;
        funded(&world.upstream, SPOT, "acme_spot").await;
        world.upstream.publish(&envelope(SPOT, "bad", poison)).await;
        deposits(&world, SPOT, &["b-1", "b-2", "b-3"]).await;
        tells_parked(&world, "acme_spot", &["bad", "b-1", "b-2", "b-3"]).await;
        letters_become(&world, &format!("{stage}-acme_spot"), 4).await;
        let other = "acme/spot/retail/A-2";
        world.upstream.publish(&envelope(other, "other-1", opened())).await;
        tells(&world, "acme_spot", &[("other-1", "posted", 1)]).await;

        let told = refused(&world, &format!("redrive {SPOT}")).await;
        assert!(told.contains("nobody can be asked here, so say --yes if it is wanted"), "{told}");
        let skip = format!("parked skip {SPOT} 1 --reason released-twice");
        let told = refused(&world, &skip).await;
        assert!(told.contains("nothing was done: nobody can be asked"), "{told}");
        let told = refused(&world, &format!("parked skip {SPOT} 2 --reason r --yes")).await;
        assert!(told.contains("number 1 is the next to be redriven"), "{told}");
        assert_eq!(lane(&world, stage, SPOT).await.redriven_seq, 0, "nothing was done");

        let skipped = done(&world, &format!("{skip} --yes")).await;
        assert_eq!((&skipped["stage"], &skipped["waiting"]), (&json!(stage), &json!(3)));
        let redriven = done(&world, &format!("redrive {SPOT} --yes")).await;
        assert_eq!(redriven["done"], true, "{redriven:#}");
        let of_lane = &redriven["redrives"][0];
        assert_eq!(
            (&of_lane["stage"], &of_lane["redriven"], &of_lane["status"], &of_lane["ending"]),
            (&json!(stage), &json!(3), &json!("active"), &json!("open"))
        );
        deposits(&world, other, &["other-2"]).await;
        let after = [("b-1", "posted", 3), ("b-2", "posted", 4), ("b-3", "posted", 5)];
        tells(&world, "acme_spot", &[&after[..], &[("other-2", "posted", 2)]].concat()).await;

        letters_become(&world, &format!("{stage}-acme_spot"), 0).await;
        let told = refused(&world, &format!("redrive {SPOT} --yes")).await;
        assert!(told.contains("is suspended: nothing is parked"), "{told}");
        stages.stop().await;
        // The skipped one is in clearing's journal if it was account that could not take it.
        verified(&world, if stage == StageName::Account { 15 } else { 14 }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_database_refused_is_applied_in_its_exact_place_at_whichever_stage() {
    for stage in StageName::ALL {
        let (world, stages) = World::running().await;
        funded(&world.upstream, PERPETUAL, "acme_perpetual").await;
        refuse(&world, stage, &["refused"]).await;
        deposits(&world, PERPETUAL, &["before"]).await;
        tells(&world, "acme_perpetual", &[("before", "posted", 3)]).await;
        deposits(&world, PERPETUAL, &["refused", "after-1", "after-2"]).await;
        tells_parked(&world, "acme_perpetual", &["refused", "after-1", "after-2"]).await;

        let (code, stopped) = support(&world, &format!("redrive {PERPETUAL} --yes")).await;
        assert_eq!((code, &stopped["done"]), (1, &json!(false)), "the cause is still there");
        let of_lane = &stopped["redrives"][0];
        assert_eq!(
            (&of_lane["stage"], &of_lane["ending"], &of_lane["parked_seq"]),
            (&json!(stage), &json!("stopped"), &json!(1))
        );
        refuse(&world, stage, &[]).await;
        let redriven = done(&world, &format!("redrive {PERPETUAL} --stage {stage} --yes")).await;
        assert_eq!(redriven["redrives"][0]["status"], "active", "{redriven:#}");
        let expected =
            [("refused", "posted", 4), ("after-1", "posted", 5), ("after-2", "posted", 6)];
        tells(&world, "acme_perpetual", &expected).await;
        letters_become(&world, &format!("{stage}-acme_perpetual"), 0).await;
        stages.stop().await;
        verified(&world, 6 * 3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_again_suspends_at_exactly_that_number_and_what_is_behind_is_ignored() {
    let (world, stages) = World::running().await;
    funded(&world.upstream, SPOT, "acme_spot").await;
    refuse(&world, StageName::Account, &["r-1", "r-3"]).await;
    let requests = ["r-1", "r-2", "r-3", "r-4", "r-5"];
    deposits(&world, SPOT, &requests).await;
    tells_parked(&world, "acme_spot", &requests).await;
    refuse(&world, StageName::Account, &["r-3"]).await;

    let (code, stopped) = support(&world, &format!("redrive {SPOT} --yes")).await;
    let of_lane = &stopped["redrives"][0];
    assert_eq!((code, &of_lane["redriven"]), (1, &json!(2)), "{stopped:#}");
    assert_eq!((&of_lane["parked_seq"], &of_lane["waiting"]), (&json!(3), &json!(3)));
    let error = of_lane["error"].as_str().unwrap();
    assert!(error.contains("the database refused it"), "{error}");
    tells(&world, "acme_spot", &[("r-1", "posted", 3), ("r-2", "posted", 4)]).await;
    world.quiet().await;
    let suspended = lane(&world, StageName::Account, SPOT).await;
    assert_eq!((suspended.status, suspended.redriven_seq), (LaneStatus::Suspended, 2));
    assert_eq!(suspended.parked_seq, 5, "copies of what is parked are not parked again");
    letters_become(&world, "account-acme_spot", 3).await;
    let listed = done(&world, &format!("parked show {SPOT} 3")).await;
    assert!(listed["parked"][0]["error"].as_str().unwrap().contains("the database refused it"));

    refuse(&world, StageName::Account, &[]).await;
    done(&world, &format!("redrive {SPOT} --yes")).await;
    tells(&world, "acme_spot", &[("r-3", "posted", 5), ("r-4", "posted", 6), ("r-5", "posted", 7)])
        .await;
    world.upstream.no_outcome("acme_spot").await;
    stages.stop().await;
    verified(&world, 14).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_takes_one_and_through_takes_some_and_the_lane_stays_suspended() {
    let (world, stages) = World::running().await;
    funded(&world.upstream, SPOT, "acme_spot").await;
    refuse(&world, StageName::Account, &["r-1"]).await;
    let requests = ["r-1", "r-2", "r-3", "r-4", "r-5"];
    deposits(&world, SPOT, &requests).await;
    tells_parked(&world, "acme_spot", &requests).await;
    refuse(&world, StageName::Account, &[]).await;

    let canary = done(&world, &format!("redrive {SPOT} --canary --yes")).await;
    let of_lane = &canary["redrives"][0];
    assert_eq!(
        (&of_lane["ending"], &of_lane["status"], &of_lane["waiting"]),
        (&json!("through"), &json!("suspended"), &json!(4))
    );
    tells(&world, "acme_spot", &[("r-1", "posted", 3)]).await;
    let told = refused(&world, &format!("redrive {SPOT} --through 9 --yes")).await;
    assert!(told.contains("number 9 does not wait: 2 to 5 do"), "{told}");
    done(&world, &format!("redrive {SPOT} --through 3 --yes")).await;
    tells(&world, "acme_spot", &[("r-2", "posted", 4), ("r-3", "posted", 5)]).await;
    world.upstream.no_outcome("acme_spot").await;
    let shown = done(&world, &format!("lane show {SPOT}")).await;
    let at_account = &shown["lanes"][1];
    assert_eq!((&at_account["status"], &at_account["parked"]), (&json!("suspended"), &json!(2)));
    assert!(letters(&world, "account-acme_spot").await >= 2, "their letters stay");

    done(&world, &format!("redrive {SPOT} --through 5 --yes")).await;
    assert_eq!(lane(&world, StageName::Account, SPOT).await.status, LaneStatus::Active);
    tells(&world, "acme_spot", &[("r-4", "posted", 6), ("r-5", "posted", 7)]).await;
    stages.stop().await;
    verified(&world, 14).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_suspended_stages_are_redriven_from_the_end_of_the_path() {
    let (world, stages) = World::running().await;
    funded(&world.upstream, SPOT, "acme_spot").await;
    refuse(&world, StageName::Account, &["r-1"]).await;
    deposits(&world, SPOT, &["r-1", "r-2"]).await;
    tells_parked(&world, "acme_spot", &["r-1", "r-2"]).await;
    refuse(&world, StageName::Clearing, &["r-3"]).await;
    deposits(&world, SPOT, &["r-3", "r-4"]).await;
    tells_parked(&world, "acme_spot", &["r-3", "r-4"]).await;
    let told = refused(&world, &format!("redrive {SPOT} --canary --yes")).await;
    assert!(told.contains("is suspended at account and clearing: say which"), "{told}");

    let (code, stopped) = support(&world, &format!("redrive {SPOT} --yes")).await;
    assert_eq!((code, &stopped["left"]), (1, &json!(["clearing"])), "{stopped:#}");
    refuse(&world, StageName::Account, &[]).await;
    refuse(&world, StageName::Clearing, &[]).await;
    let redriven = done(&world, &format!("redrive {SPOT} --yes")).await;
    let stages_redriven: Vec<_> = redriven["redrives"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of_lane| of_lane["stage"].as_str().unwrap())
        .collect();
    assert_eq!(stages_redriven, ["account", "clearing"]);
    let requests = ["r-1", "r-2", "r-3", "r-4"];
    let expected: Vec<_> =
        requests.iter().zip(3..).map(|(request, seq)| (*request, "posted", seq)).collect();
    tells(&world, "acme_spot", &expected).await;
    let journal = journaled(&world, StageName::Account, SPOT).await;
    assert_eq!(journal[2..], requests);
    stages.stop().await;
    verified(&world, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_redriven_after_more_than_five_minutes_does_not_expire() {
    let (world, stages) = World::running().await;
    funded(&world.upstream, SPOT, "acme_spot").await;
    refuse(&world, StageName::Clearing, &["old"]).await;
    // Made and sent ten minutes ago, and parked since then.
    let mut message = envelope(SPOT, "old", deposit("USDT", "1"));
    let ten_minutes_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(600);
    let written = time::format_description::well_known::Rfc3339;
    let initiated_at = time::OffsetDateTime::from(ten_minutes_ago).format(&written).unwrap();
    message["header"]["initiated_at"] = json!(initiated_at);
    world.upstream.publish(&message).await;
    tells_parked(&world, "acme_spot", &["old"]).await;
    let age = "update parked_message set sent_at = sent_at - interval '10 minutes'";
    sqlx::query(age).execute(&world.database(StageName::Clearing)).await.unwrap();
    refuse(&world, StageName::Clearing, &[]).await;

    done(&world, &format!("redrive {SPOT} --yes")).await;
    tells(&world, "acme_spot", &[("old", "posted", 3)]).await;
    stages.stop().await;
    verified(&world, 6).await;
}
