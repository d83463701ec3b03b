//! `capctl rulebook`: a new rulebook, rehearsed before it is pushed.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal as _, Write};
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
use crate::arguments::REHEARSED_LIMIT_MAX;
use crate::databases::pool;
use crate::rehearsal::{Difference, Planned, Rehearsal, Rehearsed};
use crate::settings::{DatabaseUrl, Prefix};

/// Tries the rulebook in `file` on what was recorded since `since`. With `json` every posting that would
/// differ is listed, as soon as it is found; people are told the first `limit` of them.
pub(super) async fn rehearse(
    file: &Path,
    since: Timestamp,
    limit: u32,
    json: bool,
) -> anyhow::Result<Answer> {
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
    let mut out = BufWriter::new(io::stdout());
    let written = match json {
        true => list(&rehearsal, &mut out).await,
        false => tell(&rehearsal, limit, &mut out).await,
    };
    match written.and_then(|()| Ok(out.flush()?)) {
        // Whoever read along has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(Answer::written()),
        written => written.map(|()| Answer::written()),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Writes one JSON document in which every difference is a line. It is whole only if all went well.
async fn list(rehearsal: &Rehearsal<'_>, out: &mut impl Write) -> anyhow::Result<()> {
    let Rehearsal { product, since, .. } = rehearsal;
    let (product, since) = (serde_json::to_string(product)?, serde_json::to_string(since)?);
    let version = rehearsal.version();
    // Where the list itself is watched, it is sign enough.
    let bar = if io::stdout().is_terminal() { ProgressBar::hidden() } else { sign_of_life() };
    write!(
        out,
        "{{\"product\":{product},\"version\":{version},\"since\":{since},\"differences\":["
    )?;
    let mut between = "\n";
    let differs = |difference: Difference| {
        out.write_all(between.as_bytes())?;
        between = ",\n";
        serde_json::to_writer(&mut *out, &difference).map_err(io::Error::from)?;
        anyhow::Ok(())
    };
    let rehearsed = rehearsal.run(|events| bar.set_position(events), differs).await;
    bar.finish_and_clear();
    let Rehearsed { events, differ, .. } = rehearsed?;
    writeln!(out, "\n],\"events\":{events},\"differ\":{differ}}}")?;
    Ok(())
}

/// Writes the first `limit` differences for people, and how many more there are.
async fn tell(rehearsal: &Rehearsal<'_>, limit: u32, out: &mut impl Write) -> anyhow::Result<()> {
    let mut first = Vec::new();
    let differs = |difference| {
        if first.len() < limit as usize {
            first.push(difference);
        }
        anyhow::Ok(())
    };
    let bar = sign_of_life();
    let rehearsed = rehearsal.run(|events| bar.set_position(events), differs).await;
    bar.finish_and_clear();
    write!(out, "{}", Told { rehearsed: rehearsed?, first })?;
    Ok(())
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

/// What people are told.
struct Told {
    rehearsed: Rehearsed,
    /// The first differences.
    first: Vec<Difference>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rehearsed { product, version, since, events, differ } = &self.rehearsed;
        let would = match differ {
            0 => "every posting would be the same".to_owned(),
            1 => "1 posting would be another".to_owned(),
            more => format!("{more} postings would be others"),
        };
        writeln!(f, "rulebook {product} v{version}: {events} events since {since}, {would}")?;
        for difference in &self.first {
            let Difference { account, lane_seq, request_id, kind, was, would_be } = difference;
            writeln!(f, "\n{account} · {lane_seq} · {request_id} · {kind}")?;
            tell_planned(f, "was", was)?;
            tell_planned(f, "would be", would_be)?;
        }
        match differ.saturating_sub(self.first.len() as u64) {
            0 => Ok(()),
            more if *differ > u64::from(REHEARSED_LIMIT_MAX) => {
                writeln!(f, "\n… and {more} more: --json lists all {differ}")
            }
            more => writeln!(f, "\n… and {more} more: see all with --limit {differ} or --json"),
        }
    }
}

fn tell_planned(f: &mut fmt::Formatter<'_>, when: &str, planned: &Planned) -> fmt::Result {
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
