//! `capctl verify`: the replay proof over all stages.

use std::time::Duration;

use cap_domain::lane::StageName;
use cap_store::verify::VerifyOptions;
use indicatif::{ProgressBar, ProgressStyle};

use crate::answer::{Answer, is_watched};
use crate::arguments::AccountArgument;
use crate::databases::{self, find_account};
use crate::proof::prove;

/// How often the sign of life moves.
const TICK_MILLIS: u64 = 120;

pub(super) async fn verify(
    argument: Option<&AccountArgument>,
    settled: bool,
) -> anyhow::Result<Answer> {
    let databases = databases::from_environment()?;
    let account = match argument {
        None => None,
        Some(argument) => {
            let pools = StageName::ALL.map(|stage| databases::of(&databases, stage));
            Some(find_account(pools, argument).await?)
        }
    };
    let sign_of_life = sign_of_life();
    let proof = prove(&databases, &VerifyOptions { settled, account }).await;
    sign_of_life.finish_and_clear();
    let proof = proof?;
    Ok(Answer::new(&proof)?.proved(proof.clean))
}

fn sign_of_life() -> ProgressBar {
    if !is_watched() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} replaying every journal, {elapsed}");
    let bar = ProgressBar::new_spinner();
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(TICK_MILLIS));
    bar
}
