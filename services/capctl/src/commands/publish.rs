//! `capctl publish`: envelopes from a file or stdin, through the client crate.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context as _, ensure};
use cap_client::{PublishError, Publisher};
use cap_domain::clearing::Clearing;
use cap_domain::envelope::salvage_request_id;
use cap_service::environment;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::answer::{Answer, is_watched};
use crate::audit_log::AuditLog;
use crate::databases::pool;
use crate::settings::{DatabaseUrl, Prefix};
use crate::table::{Align, Table};

/// The most envelopes of one file: what is published at once is kept in memory.
const ENVELOPES_MAX: usize = 1_000_000;

#[derive(Debug, Serialize)]
struct Publication {
    published: usize,
    refused: Vec<Refused>,
    queues: BTreeMap<String, usize>,
}

#[derive(Debug, Serialize)]
struct Refused {
    line: usize,
    request_id: Option<String>,
    reason: String,
}

pub(super) async fn publish(file: &Path, by: &str) -> anyhow::Result<Answer> {
    type Wanted = (DatabaseUrl<Clearing>, Prefix);
    let (clearing, Prefix(prefix)) = environment::read::<Wanted>(&environment::process)?;
    let lines = if file == Path::new("-") {
        read_lines(std::io::stdin().lock()).context("reading stdin")?
    } else {
        let open = || read_lines(BufReader::new(std::fs::File::open(file)?));
        open().with_context(|| format!("reading {}", file.display()))?
    };
    let command = format!("publish {}", file.display());
    let log = AuditLog::open(pool(&clearing.url)?, by, command).await?;
    let (numbers, envelopes): (Vec<usize>, Vec<String>) = lines.into_iter().unzip();
    let publisher = Publisher::connect(&prefix).await.context("finding the queues")?;
    let bar = progress_bar(envelopes.len() as u64);
    let results = publisher
        .publish_with_progress(&envelopes, |progress| {
            bar.set_position((progress.published + progress.failed) as u64);
        })
        .await;
    bar.finish_and_clear();
    let mut publication =
        Publication { published: 0, refused: Vec::new(), queues: BTreeMap::new() };
    for ((line, envelope), result) in numbers.into_iter().zip(&envelopes).zip(results) {
        match result {
            Ok(published) => {
                publication.published += 1;
                *publication.queues.entry(published.queue.to_name(&prefix)).or_default() += 1;
            }
            Err(error) => publication.refused.push(Refused {
                line,
                request_id: salvage_request_id(envelope).map(|id| id.to_string()),
                reason: reason(error),
            }),
        }
    }
    let (published, refused) = (publication.published, publication.refused.len());
    tracing::info!(operator = by, file = %file.display(), published, refused, "published envelopes");
    log.write(format!("{published} published, {refused} refused")).await?;
    Ok(Answer::new(&publication)?.done(publication.refused.is_empty()))
}

fn reason(error: PublishError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

/// Every line that holds something, with its number from 1.
fn read_lines(input: impl BufRead) -> anyhow::Result<Vec<(usize, String)>> {
    let mut lines = Vec::new();
    for (index, line) in input.lines().enumerate() {
        let line = line.with_context(|| format!("line {}", index + 1))?;
        if line.trim().is_empty() {
            continue;
        }
        ensure!(
            lines.len() < ENVELOPES_MAX,
            "there are more than {ENVELOPES_MAX} envelopes: publish them in parts"
        );
        lines.push((index + 1, line));
    }
    Ok(lines)
}

fn progress_bar(envelopes: u64) -> ProgressBar {
    if !is_watched() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "{bar:40} {human_pos} of {human_len} envelopes, {per_sec}, {eta} left",
    );
    ProgressBar::new(envelopes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl fmt::Display for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { published, refused, queues } = self;
        let mut table = Table::new(&[("queue", Align::Left), ("published", Align::Right)]);
        for (queue, count) in queues {
            table.row([queue.clone(), count.to_string()]);
        }
        if !queues.is_empty() {
            writeln!(f, "{table}")?;
        }
        if !refused.is_empty() {
            let mut table = Table::new(&[
                ("line", Align::Right),
                ("request", Align::Left),
                ("not published because", Align::Left),
            ]);
            for Refused { line, request_id, reason } in refused {
                table.row([
                    line.to_string(),
                    request_id.clone().unwrap_or_default(),
                    reason.clone(),
                ]);
            }
            writeln!(f, "{table}")?;
        }
        writeln!(f, "{published} published, {} refused", refused.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_numbers_and_empty_ones_do_not_count() {
        let lines = read_lines("{}\n\n  \n{\"a\":1}\n".as_bytes()).unwrap();
        assert_eq!(lines, [(1, "{}".to_owned()), (4, "{\"a\":1}".to_owned())]);
    }
}
