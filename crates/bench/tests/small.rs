//! The benches of stages run to their end. What they measure so small is no figure, and is not looked at.

use std::path::Path;

use cap_bench::{Plan, run};

/// Few messages: it is about whether everything is journaled, counted and told.
const SMALL: Plan = Plan { rounds: 1, scale: 0.003 };

#[tokio::test(flavor = "multi_thread")]
async fn the_benches_of_stages_journal_what_they_are_fed_and_tell_every_figure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let names = ["position", "clearing", "scale"].map(str::to_owned);
    // Only benches of whole processes need programs: here the folder holds logs.
    let folder = std::env::temp_dir().join(format!("cap-bench-{}", std::process::id()));
    let report = run(&names, &SMALL, &root.join("config"), &folder, &|_| ()).await;
    let report = report.expect("benches that run");
    assert!(report.broken.is_empty(), "{:?}", report.broken);
    let told: Vec<_> = report.sections.iter().map(|section| section.name).collect();
    assert_eq!(told, names);
    for section in &report.sections {
        assert!(!section.checks.is_empty(), "{} has targets", section.name);
        for figure in &section.figures {
            assert!(figure.median.is_finite() && figure.median > 0.0, "{figure:?}");
        }
    }
    // A folder of logs that stays behind does no harm.
    let _ = std::fs::remove_dir_all(&folder);
}
