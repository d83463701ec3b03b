//! A small crowd of suspended accounts (`cargo xtask crowd` makes a big one, and measures).

use std::time::Duration;

use cap_chaos::crowd::{Place, Plan, measure};
use cap_stack::Stack;
use cap_tests::{binaries, repository};

/// How long a redrive of one account may take, whatever lies beside it.
const REDRIVE_MAX: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn one_account_of_a_crowd_is_redriven_in_seconds_and_the_others_stay_as_they_are() {
    let stack = match std::env::var("CAP_TEST_POSTGRES_URL") {
        Ok(url) => Stack::start_with(url).await.unwrap(),
        Err(_) => Stack::start().await.unwrap(),
    };
    let (configuration, logs) = (repository().join("config"), tempfile::tempdir().unwrap());
    let place = Place {
        stack: &stack,
        binaries: &binaries(),
        configuration: &configuration,
        logs: logs.path(),
    };
    let plan = Plan { suspended: 200, parked_each: 20, healthy: 100, deposits: 2, rounds: 0 };

    // No rates are compared: that takes a bigger crowd. But it fails by itself if an outcome is lost,
    // doubled or reordered, if another lane is touched, or if `verify` finds anything.
    let report = measure(&place, &plan, &|_, _, _| {}).await.unwrap();

    for redriven in &report.redriven {
        assert!(redriven.took() < REDRIVE_MAX, "{redriven:?}");
        assert_eq!((redriven.redriven, redriven.letters), (19, 2_000), "{redriven:?}");
        assert!(redriven.letters_gone_millis.is_some(), "the janitor looks after it: {redriven:?}");
    }
}
