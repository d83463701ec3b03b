//! What the services' batches took, step by step, as their metrics tell it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use cap_domain::lane::StageName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::report::{Figure, Section};

/// How long a service may take to tell its metrics.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Sum and count of a histogram.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Total {
    sum: f64,
    count: f64,
}

/// The totals of what is measured of batches, by service and what it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals(BTreeMap<(StageName, String), Total>);

/// Means of rounds, in the order they were measured.
#[derive(Debug, Default)]
pub(super) struct Means(BTreeMap<(StageName, String), Vec<f64>>);

impl Totals {
    /// What the services at these addresses have counted so far.
    pub(super) async fn of(services: &[(StageName, SocketAddr)]) -> anyhow::Result<Self> {
        let mut totals = Self::default();
        for (stage, address) in services {
            let told = tokio::time::timeout(ANSWER_MAX, metrics(*address)).await;
            let told = told.with_context(|| format!("{stage} did not tell its metrics"))??;
            totals.read(*stage, &told);
        }
        Ok(totals)
    }

    fn read(&mut self, stage: StageName, metrics: &str) {
        for line in metrics.lines() {
            let Some((metric, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            let (name, labels) = metric.split_once('{').unwrap_or((metric, ""));
            let (what, of) = match name.rsplit_once('_') {
                Some((what, of @ ("sum" | "count"))) => (what, of),
                _ => continue,
            };
            let what = match what {
                "cap_step_seconds" => match labels.split("step=\"").nth(1) {
                    Some(rest) => rest.split('"').next().unwrap_or_default(),
                    None => continue,
                },
                "cap_batch_seconds" => BATCH,
                "cap_batch_messages" => MESSAGES,
                _ => continue,
            };
            let total = self.0.entry((stage, what.to_owned())).or_default();
            *(if of == "sum" { &mut total.sum } else { &mut total.count }) += value;
        }
    }
}

/// A batch as a whole, without gathering it.
const BATCH: &str = "batch";
/// The messages of a batch.
const MESSAGES: &str = "messages";

impl Means {
    /// Adds what was counted between `before` and `after`.
    pub(super) fn add(&mut self, before: &Totals, after: &Totals) {
        for (key, total) in &after.0 {
            let before = before.0.get(key).copied().unwrap_or_default();
            let count = total.count - before.count;
            if count > 0.0 {
                self.0.entry(key.clone()).or_default().push((total.sum - before.sum) / count);
            }
        }
    }

    /// Tells them: milliseconds, and messages a batch.
    pub(super) fn tell(self, section: &mut Section, of: &str) {
        for ((stage, what), means) in self.0 {
            section.tell(if what == MESSAGES {
                Figure::new(format!("{of}{stage}: messages a batch, mean"), "messages", means)
            } else {
                let millis = means.iter().map(|secs| secs * 1e3).collect();
                Figure::new(format!("{of}{stage}: {what}, mean of batches"), "ms", millis)
            });
        }
    }
}

async fn metrics(address: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await.context("connecting to a service")?;
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.context("asking for metrics")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.context("reading metrics")?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "no metrics: {answer}");
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_what_was_added_between_two_looks_over_how_often() {
        let mut before = Totals::default();
        before.read(
            StageName::Account,
            "cap_step_seconds_sum{service=\"account\",step=\"commit\"} 1\n\
             cap_step_seconds_count{service=\"account\",step=\"commit\"} 10",
        );
        let mut after = Totals::default();
        after.read(
            StageName::Account,
            "# TYPE cap_step_seconds histogram\n\
             cap_step_seconds_bucket{service=\"account\",step=\"commit\",le=\"0.5\"} 30\n\
             cap_step_seconds_sum{service=\"account\",step=\"commit\"} 2\n\
             cap_step_seconds_count{service=\"account\",step=\"commit\"} 30\n\
             cap_batch_messages_sum{service=\"account\"} 90\n\
             cap_batch_messages_count{service=\"account\"} 3\n\
             cap_received_total{service=\"account\"} 90",
        );
        let mut means = Means::default();
        means.add(&before, &after);
        let mut section = Section::new("some", "bench");
        means.tell(&mut section, "");
        let told: Vec<_> = section.figures.iter().map(|told| (&*told.name, told.median)).collect();
        assert_eq!(
            told,
            [("account: commit, mean of batches", 50.0), ("account: messages a batch, mean", 30.0)]
        );
    }
}
