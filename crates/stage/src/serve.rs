//! A stage's main.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cap_pipeline::Gate;
use cap_service::run::{Context, run};
use cap_store::{ConnectError, QueryError};

use crate::settings::StageSettings;
use crate::wiring::{Connections, Wired, WiringError, pipeline};

/// How often readiness looks at the database's gate.
const READINESS_MILLIS: u64 = 500;

/// How long closing the database's connections may take.
const CLOSE_MILLIS_MAX: u64 = 1_000;

/// Why a stage ended.
#[derive(Debug, thiserror::Error)]
enum StageError {
    /// The database's URL is not one.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The database does not answer at the start.
    #[error("reaching the database")]
    Database(#[from] QueryError),
    /// Something it needs is missing.
    #[error(transparent)]
    Wiring(#[from] WiringError),
}

/// Runs the stage `S` as this process's service, to its end.
pub fn main<S: Wired>() -> ExitCode {
    run(S::NAME.as_str(), serve::<S>)
}

async fn serve<S: Wired>(context: Context, settings: StageSettings<S>) -> Result<(), StageError> {
    let database = cap_store::connect(
        &settings.database_url,
        S::NAME.as_str(),
        settings.database_connections_max,
    )?;
    cap_store::ping(&database).await?;
    let connections =
        Connections { aws: cap_aws::connect().await, database, prefix: settings.prefix };
    let pipeline = pipeline::<S>(&connections, settings.limits).await?;
    let condition = context.readiness.condition("database");
    condition.ready();
    tokio::spawn(watch_gate(Arc::clone(&pipeline.gate), condition));
    context.started();
    pipeline.run(context.stop.clone()).await;
    // Nothing is under way any more; a database that is away may not keep us.
    let closing = connections.database.close();
    let _ = tokio::time::timeout(Duration::from_millis(CLOSE_MILLIS_MAX), closing).await;
    Ok(())
}

/// Not ready while the database is away and nothing is received.
async fn watch_gate(gate: Arc<Gate>, condition: cap_service::readiness::Condition) {
    loop {
        tokio::time::sleep(Duration::from_millis(READINESS_MILLIS)).await;
        if gate.is_open() {
            condition.ready();
        } else {
            condition.not_ready("the database is unreachable");
        }
    }
}
