//! A service's main as a table of contents: settings → logs → metrics → http → run → drain.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use cap_service::run::{Context, run};
//!
//! fn main() -> ExitCode {
//!     run("account", serve)
//! }
//!
//! async fn serve(context: Context, (): ()) -> Result<(), std::io::Error> {
//!     let database = context.readiness.condition("database");
//!     database.ready();
//!     context.started();
//!     context.stop.cancelled().await;
//!     Ok(())
//! }
//! ```
//!
//! Guarantees: nothing starts before all settings are right; the operators' routes answer from before
//! the service starts until after it has drained; the process ends within
//! [`SHUTDOWN_SECS_MAX`](crate::shutdown::SHUTDOWN_SECS_MAX) of the first signal, and its exit code
//! says how.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::environment::{self, Description, Environment, Setting, Settings};
use crate::http::{HttpServer, Operations, operations};
use crate::logs::{self, LogFilter, LogLevel};
use crate::metrics::Metrics;
use crate::readiness::{Condition, Readiness};
use crate::shutdown::{self, DRAIN_SECS_MAX};

/// The exit code of a service that failed.
pub const EXIT_FAILED: u8 = 1;
/// The exit code of a service whose settings are missing or wrong: `EX_CONFIG` of `sysexits.h`.
pub const EXIT_SETTINGS: u8 = 78;

/// Threads for the few calls that block, such as looking up a host name.
const BLOCKING_THREADS_MAX: usize = 16;
/// How long such a call may hold up the end of the process.
const BLOCKING_MILLIS_MAX: u64 = 200;
/// How long the operators' last requests may do so.
const HTTP_MILLIS_MAX: u64 = 200;

/// How many threads run a service unless it is told otherwise: one carries some thousand messages a second,
/// and each further one costs every message something, for waking the others and freeing what they allocated.
pub const WORKER_THREADS_USUAL: &str = "1";

/// The settings every service has.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Common {
    log: LogFilter,
    http: SocketAddr,
    worker_threads: usize,
}

impl Settings for Common {
    fn read(environment: &mut Environment<'_>) -> Option<Self> {
        let log = environment.with_default(
            Setting::new("CAP_LOG", "what is logged").example("cap_pipeline=debug,info"),
            "info",
        );
        let http = environment.with_default(
            Setting::new("CAP_HTTP_ADDR", "where health and metrics are served; port 0 is any")
                .example("127.0.0.1:0"),
            "0.0.0.0:8080",
        );
        let worker_threads = environment.with_default(
            Setting::new("CAP_WORKER_THREADS", "how many threads run the service").bounded(1..=64),
            WORKER_THREADS_USUAL,
        );
        Some(Self { log: log?, http: http?, worker_threads: worker_threads? })
    }
}

/// What a running service is given.
#[derive(Debug)]
pub struct Context {
    /// The service's name.
    pub service: &'static str,
    /// Cancelled when the service has to stop taking work, finish and return.
    pub stop: CancellationToken,
    /// Where components state whether they are ready.
    pub readiness: Readiness,
    /// Changes what is logged.
    pub log_level: LogLevel,
    /// What was measured so far.
    pub metrics: Metrics,
    /// Where the operators' routes are served.
    pub http_address: SocketAddr,
    running: Condition,
}

impl Context {
    /// Everything is wired: from now on the service is ready when its components are.
    pub fn started(&self) {
        self.running.ready();
        tracing::info!("started");
    }
}

/// Runs a service to its end. With the argument `--help` it lists its settings instead.
///
/// Call it from `main`, outside any Tokio runtime: it makes its own.
pub fn run<S, Serve, Running, Failure>(service: &'static str, serve: Serve) -> ExitCode
where
    S: Settings,
    Serve: FnOnce(Context, S) -> Running,
    Running: Future<Output = Result<(), Failure>>,
    Failure: Into<Box<dyn Error + Send + Sync>>,
{
    if std::env::args().skip(1).any(|argument| argument == "--help") {
        println!("{}", help(service, &settings_of::<S>()));
        return ExitCode::SUCCESS;
    }
    let (common, settings) = match environment::read::<(Common, S)>(&environment::process) {
        Ok(settings) => settings,
        Err(error) => {
            // For the person who starts it: there is no log before the settings are right.
            eprintln!("{service}: {error}");
            return ExitCode::from(EXIT_SETTINGS);
        }
    };
    let logs = match logs::start(service, &common.log) {
        Ok(logs) => logs,
        Err(error) => {
            eprintln!("{service}: {error}");
            return ExitCode::from(EXIT_FAILED);
        }
    };
    if nix::unistd::geteuid().is_root() {
        tracing::warn!(
            "running as root: nothing here needs it, give the service a user of its own (T22)"
        );
    }
    let ended = runtime(common.worker_threads).map_err(Into::into).and_then(|runtime| {
        let ended = runtime.block_on(supervise(service, &common, logs.level(), |context| {
            serve(context, settings)
        }));
        runtime.shutdown_timeout(Duration::from_millis(BLOCKING_MILLIS_MAX));
        ended
    });
    match ended {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let error: &(dyn Error + 'static) = &*error;
            tracing::error!(error, "failed");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// Every setting a service reads, those that every service has first.
#[must_use]
pub fn settings_of<S: Settings>() -> Vec<Description> {
    environment::describe::<(Common, S)>()
}

fn help(service: &str, settings: &[Description]) -> String {
    let lines: Vec<String> = settings.iter().map(|setting| format!("  {setting}")).collect();
    format!("{service} is configured by environment variables:\n{}", lines.join("\n"))
}

fn runtime(worker_threads: usize) -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(worker_threads)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .enable_all()
        .build()
}

/// Everything between the first and the last line of the log.
async fn supervise<Serve, Running, Failure>(
    service: &'static str,
    common: &Common,
    log_level: LogLevel,
    serve: Serve,
) -> Result<(), Box<dyn Error + Send + Sync>>
where
    Serve: FnOnce(Context) -> Running,
    Running: Future<Output = Result<(), Failure>>,
    Failure: Into<Box<dyn Error + Send + Sync>>,
{
    let stop = shutdown::on_signal()?;
    let metrics = Metrics::install(service)?;
    let upkeep = tokio::spawn(metrics.clone().upkeep());
    let readiness = Readiness::default();
    let running = readiness.condition("service");

    let server = HttpServer::bind(common.http).await?;
    let http_address = server.address();
    tracing::info!(address = %http_address, "serving health and metrics");
    let router = operations(Operations {
        readiness: readiness.clone(),
        metrics: metrics.clone(),
        log_level: log_level.clone(),
    });
    let http_stop = CancellationToken::new();
    let http = tokio::spawn({
        let served = server.serve(router, http_stop.clone());
        async move {
            if let Err(error) = served.await {
                tracing::error!(error = &error as &dyn Error, "health and metrics are gone");
            }
        }
    });

    let draining = tokio::spawn({
        let (stop, running) = (stop.clone(), running.clone());
        async move {
            stop.cancelled().await;
            running.not_ready("is shutting down");
        }
    });
    let context = Context {
        service,
        stop: stop.clone(),
        readiness,
        log_level,
        metrics,
        http_address,
        running,
    };
    let limit = Duration::from_secs(DRAIN_SECS_MAX);
    let ended = shutdown::drain(serve(context), &stop, limit).await;

    draining.abort();
    upkeep.abort();
    http_stop.cancel();
    // Requests under way get their answer; nobody is waited for longer than that.
    let _ = tokio::time::timeout(Duration::from_millis(HTTP_MILLIS_MAX), http).await;
    ended?.map_err(Into::into)
}
