//! `capctl rulebook`: a new rulebook, rehearsed before it is pushed.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use cap_aws::ConfigurationStore;
use cap_aws::files::read_rulebook;
use cap_domain::clearing::Clearing;
use cap_domain::configuration::Configuration;
use cap_domain::time::Timestamp;
use cap_service::environment;
use indicatif::{ProgressBar, ProgressStyle};

use crate::answer::{Answer, is_watched};
use crate::databases::pool;
use crate::rehearsal::{Difference, Planned, Rehearsal, Rehearsed};
use crate::settings::{DatabaseUrl, Prefix};

/// The most differences that are told to a person; `--json` has more.
const TOLD_MAX: usize = 40;

pub(super) async fn rehearse(file: &Path, since: Timestamp) -> anyhow::Result<Answer> {
    type Wanted = (DatabaseUrl<Clearing>, Prefix);
    let (clearing, Prefix(prefix)) = environment::read::<Wanted>(&environment::process)?;
    let rulebook = read_rulebook(file).context("the rulebook is refused")?;
    let store = ConfigurationStore::new(cap_aws::connect().await.dynamodb, &prefix);
    let in_force = store.latest().await?.ok_or_else(|| {
        anyhow!("there is no configuration yet: push one with `capctl config push DIR`")
    })?;
    let product = rulebook.product.clone();
    let mut document = in_force.document;
    document.rulebooks.retain(|other| other.product != product);
    document.rulebooks.push(rulebook);
    let checked = Configuration::check(in_force.revision + 1, document)
        .and_then(|configuration| configuration.check_new().map(|()| configuration));
    let configuration = checked.map_err(|error| {
        anyhow!("the rulebook is refused: {}: {}", file.display(), error.reason)
    })?;
    let clearing = pool(&clearing.url)?;
    let rehearsal = Rehearsal {
        clearing: &clearing,
        configuration: Arc::new(configuration),
        product: &product,
        since,
    };
    let bar = sign_of_life();
    let rehearsed = rehearsal.run(|events| bar.set_position(events)).await;
    bar.finish_and_clear();
    Answer::new(&rehearsed?)
}

fn sign_of_life() -> ProgressBar {
    if !is_watched() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {human_pos} events rehearsed, {per_sec}");
    let bar = ProgressBar::new_spinner();
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar
}

impl fmt::Display for Rehearsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { product, version, since, events, differ, differences } = self;
        let would = match differ {
            0 => "every posting would be the same".to_owned(),
            1 => "1 posting would be another".to_owned(),
            more => format!("{more} postings would be others"),
        };
        writeln!(f, "rulebook {product} v{version}: {events} events since {since}, {would}")?;
        for difference in differences.iter().take(TOLD_MAX) {
            let Difference { account, lane_seq, request_id, kind, was, would_be } = difference;
            writeln!(f, "\n{account} · {lane_seq} · {request_id} · {kind}")?;
            tell(f, "was", was)?;
            tell(f, "would be", would_be)?;
        }
        let told = differences.len().min(TOLD_MAX) as u64;
        match differ.saturating_sub(told) {
            0 => Ok(()),
            more => writeln!(f, "\n… and {more} more; --json lists up to a thousand"),
        }
    }
}

fn tell(f: &mut fmt::Formatter<'_>, when: &str, planned: &Planned) -> fmt::Result {
    match planned {
        Planned::Moves(legs) if legs.is_empty() => writeln!(f, "  {when:<8}  nothing moves"),
        Planned::Moves(legs) => legs.iter().enumerate().try_for_each(|(index, leg)| {
            let when = if index == 0 { when } else { "" };
            writeln!(f, "  {when:<8}  {leg}")
        }),
        Planned::Refused(why) => writeln!(f, "  {when:<8}  refused, {why}"),
        Planned::Suspends(why) => writeln!(f, "  {when:<8}  suspends the account: {why}"),
    }
}
