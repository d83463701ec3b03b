//! Trouble of the database itself: connections cut, rows locked, no connections left, the server
//! stopped, killed and started again.

use std::sync::Arc;
use std::time::Duration;

use cap_domain::lane::StageName;
use cap_stack::Installation;
use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::arena::Arena;
use crate::trouble::Trouble;
use crate::yard::Yard;

/// How often something is done to the database.
const PAUSE_MILLIS_MAX: u64 = 2_500;

/// How long a lock is held.
const LOCKED_MILLIS_MAX: u64 = 700;

/// Connections taken when none are to be left: more than a server has.
const CONNECTIONS_TAKEN_MAX: usize = 120;

/// Troubles the databases of `arena` until all is calm.
///
/// # Errors
/// If a server that was ended cannot be started again.
pub async fn haunt(
    arena: Arc<Arena>,
    trouble: Arc<Trouble>,
    yard: Arc<Yard>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    while !trouble.is_calm() && !stop.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(300 + trouble.below(PAUSE_MILLIS_MAX))).await;
        if trouble.is_calm() {
            break;
        }
        let stage = StageName::ALL[usize::try_from(trouble.below(3)).unwrap_or_default()];
        // What it cannot do to a database that is away need not be done.
        let done = match trouble.below(8) {
            0..3 => cut_connections(&arena.installation, stage, &trouble).await,
            3..6 => lock_lanes(&arena.installation, stage, &trouble).await,
            6 => take_connections(&arena.installation, stage, &trouble).await,
            _ => {
                restart(&yard, &trouble).await?;
                Ok(())
            }
        };
        if let Err(error) = done {
            tracing::debug!(%error, "the database could not be troubled");
        }
    }
    Ok(())
}

async fn cut_connections(
    installation: &Installation,
    stage: StageName,
    trouble: &Trouble,
) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(installation.databases.of(stage)).await?;
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()";
    sqlx::query(cut).execute(&mut connection).await?;
    trouble.count("database connections cut");
    Ok(())
}

/// Half of the lanes, then the other half: batches that want both wait, or are chosen as victims.
async fn lock_lanes(
    installation: &Installation,
    stage: StageName,
    trouble: &Trouble,
) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(installation.databases.of(stage)).await?;
    let mut transaction = connection.begin().await?;
    for order in ["desc", "asc"] {
        let lock = format!("select seq from lane order by account_id {order} limit 8 for update");
        sqlx::query(sqlx::AssertSqlSafe(lock)).execute(&mut *transaction).await?;
        tokio::time::sleep(Duration::from_millis(trouble.below(LOCKED_MILLIS_MAX))).await;
    }
    trouble.count("lanes locked");
    transaction.rollback().await
}

async fn take_connections(
    installation: &Installation,
    stage: StageName,
    trouble: &Trouble,
) -> Result<(), sqlx::Error> {
    let mut taken = Vec::new();
    while taken.len() < CONNECTIONS_TAKEN_MAX {
        match PgConnection::connect(installation.databases.of(stage)).await {
            Ok(connection) => taken.push(connection),
            Err(_) => break,
        }
    }
    trouble.count("connections exhausted");
    tokio::time::sleep(Duration::from_millis(trouble.below(LOCKED_MILLIS_MAX))).await;
    Ok(())
}

async fn restart(yard: &Arc<Yard>, trouble: &Trouble) -> anyhow::Result<()> {
    let killed = trouble.below(2) == 0;
    trouble.count(if killed { "PostgreSQL killed" } else { "PostgreSQL stopped" });
    let pause = Duration::from_millis(trouble.below(1_500));
    let yard = yard.clone();
    tokio::task::spawn_blocking(move || {
        let mut postgres = yard.postgres.blocking_lock();
        if killed {
            postgres.kill()?;
        } else {
            postgres.stop()?;
        }
        std::thread::sleep(pause);
        postgres.restart()
    })
    .await??;
    Ok(())
}
