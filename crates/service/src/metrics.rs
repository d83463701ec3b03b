//! Metrics in Prometheus' text format.
//!
//! Guarantees: every histogram has fixed buckets, so its memory does not grow with traffic; a name
//! that ends in `_seconds` gets buckets of time, any other one buckets of counts.

use std::time::Duration;

use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

/// How often samples are folded into their buckets when nobody asks for the metrics.
const UPKEEP: Duration = Duration::from_secs(5);

const SECONDS: [f64; 15] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
const COUNTS: [f64; 12] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 5_000.0, 10_000.0];

/// What was measured so far.
#[derive(Clone, Debug)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Makes a recorder the one of this process; every metric carries the service's name.
    ///
    /// # Errors
    /// [`MetricsError`] when the process has a recorder already.
    pub fn install(service: &'static str) -> Result<Self, MetricsError> {
        let (recorder, metrics) = Self::detached(service)?;
        metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Second)?;
        Ok(metrics)
    }

    /// A recorder that is not installed, for tests.
    ///
    /// # Errors
    /// [`MetricsError::Build`] never happens with the buckets above, which are not empty.
    pub fn detached(service: &'static str) -> Result<(PrometheusRecorder, Self), MetricsError> {
        let recorder = PrometheusBuilder::new()
            .add_global_label("service", service)
            .set_buckets(&COUNTS)?
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .build_recorder();
        let metrics = Self { handle: recorder.handle() };
        Ok((recorder, metrics))
    }

    /// All metrics as Prometheus reads them.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Keeps memory bounded while nobody asks for the metrics; never ends.
    pub async fn upkeep(self) {
        let mut tick = tokio::time::interval(UPKEEP);
        loop {
            tick.tick().await;
            self.handle.run_upkeep();
        }
    }
}

/// Why metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The recorder refused its buckets.
    #[error("building the metrics recorder")]
    Build(#[from] BuildError),
    /// A process has one recorder.
    #[error("installing the metrics recorder: this process has one already")]
    Second,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_have_buckets_fit_for_their_unit() {
        let (recorder, metrics) = Metrics::detached("account").unwrap();
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("messages_total").increment(2);
            metrics::histogram!("commit_seconds").record(0.004);
            metrics::histogram!("batch_messages").record(90.0);
        });
        let text = metrics.render();
        for line in [
            "messages_total{service=\"account\"} 2",
            "commit_seconds_bucket{service=\"account\",le=\"0.002\"} 0",
            "commit_seconds_bucket{service=\"account\",le=\"0.005\"} 1",
            "batch_messages_bucket{service=\"account\",le=\"50\"} 0",
            "batch_messages_bucket{service=\"account\",le=\"100\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
