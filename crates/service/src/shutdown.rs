//! How a service ends: asked by a signal, within a bounded time (C20).
//!
//! Guarantees: the first SIGTERM or SIGINT cancels a token; the second one ends the process at once;
//! [`drain`] never waits longer than it was told.

use std::pin::pin;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// From the signal to the end of the process, everything included.
pub const SHUTDOWN_SECS_MAX: u64 = 10;
/// How long a service may take to finish and release what it holds; the rest is for the log.
pub const DRAIN_SECS_MAX: u64 = SHUTDOWN_SECS_MAX - 1;

/// The exit code of a process that was told twice to end: 128 and SIGINT, as shells have it.
pub const EXIT_FORCED: u8 = 130;

/// A token that is cancelled by the first SIGTERM or SIGINT. Must be called inside a Tokio runtime.
///
/// # Errors
/// [`ShutdownError::Listen`] when the signals cannot be caught.
pub fn on_signal() -> Result<CancellationToken, ShutdownError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ShutdownError::Listen)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ShutdownError::Listen)?;
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        let name = either(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = name, "shutting down");
        stop.cancel();
        let name = either(&mut terminate, &mut interrupt).await;
        tracing::warn!(signal = name, "ending at once: told twice to shut down");
        std::process::exit(EXIT_FORCED.into());
    });
    Ok(token)
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

/// Runs something until it ends; once the token is cancelled, for at most `limit` longer.
///
/// What runs is expected to watch the same token, stop taking work and finish what it has.
///
/// # Errors
/// [`ShutdownError::Overran`] when it did not end in time; it is dropped where it stood.
pub async fn drain<T>(
    run: impl Future<Output = T>,
    stop: &CancellationToken,
    limit: Duration,
) -> Result<T, ShutdownError> {
    let mut run = pin!(run);
    tokio::select! {
        biased;
        output = &mut run => return Ok(output),
        () = stop.cancelled() => {}
    }
    tokio::time::timeout(limit, run).await.map_err(|_| ShutdownError::Overran { limit })
}

/// Why a service did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum ShutdownError {
    /// Signals cannot be caught.
    #[error("listening for SIGTERM and SIGINT")]
    Listen(#[source] std::io::Error),
    /// Work was cut off.
    #[error("draining took more than {limit:?}, so work was cut off")]
    Overran {
        /// The limit.
        limit: Duration,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn what_ends_by_itself_is_not_disturbed() {
        let stop = CancellationToken::new();
        assert_eq!(drain(async { 7 }, &stop, LIMIT).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_finishes_after_the_signal_in_time_is_drained() {
        let stop = CancellationToken::new();
        let work = async {
            stop.cancelled().await;
            tokio::time::sleep(LIMIT / 10).await;
            "released"
        };
        let (drained, ()) = tokio::join!(drain(work, &stop, LIMIT), async { stop.cancel() });
        assert_eq!(drained.unwrap(), "released");
    }

    #[tokio::test]
    async fn what_never_ends_is_cut_off_after_the_limit() {
        let stop = CancellationToken::new();
        stop.cancel();
        let drained = drain(std::future::pending::<()>(), &stop, LIMIT).await;
        assert!(matches!(drained, Err(ShutdownError::Overran { limit }) if limit == LIMIT));
    }
}
