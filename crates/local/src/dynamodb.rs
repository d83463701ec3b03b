//! DynamoDB in this process: the dynoxide engine behind the DynamoDB HTTP protocol.
//!
//! Guarantees: the endpoint answers as soon as [`DynamoDb::start`] returns, listens on loopback only,
//! and is gone after [`DynamoDb::shutdown`]. Kept in memory unless given a file.
//! It does not expire items by their time to live, nor does anyone here rely on that.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;

/// How long requests under way may take to finish at shutdown.
const SHUTDOWN_SECS_MAX: u64 = 5;

/// A running DynamoDB endpoint; dropping it stops accepting requests.
#[derive(Debug)]
pub struct DynamoDb {
    address: SocketAddr,
    stop: DropGuard,
    server: JoinHandle<Result<(), String>>,
}

impl DynamoDb {
    /// Starts an empty one, in memory, on a free loopback port.
    ///
    /// # Errors
    /// See [`DynamoDbError`].
    pub async fn start() -> Result<Self, DynamoDbError> {
        let database = Database::memory().map_err(DynamoDbError::open)?;
        Self::serve(database).await
    }

    /// Starts one over a file, which is created if need be and kept afterwards.
    ///
    /// # Errors
    /// See [`DynamoDbError`].
    pub async fn start_at(file: &Path) -> Result<Self, DynamoDbError> {
        let database = Database::new(&file.to_string_lossy()).map_err(DynamoDbError::open)?;
        Self::serve(database).await
    }

    async fn serve(database: Database) -> Result<Self, DynamoDbError> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(DynamoDbError::Listen)?;
        let address = listener.local_addr().map_err(DynamoDbError::Listen)?;
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let server =
            tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, stopped));
        Ok(Self { address, stop: stop.drop_guard(), server })
    }

    /// What `AWS_ENDPOINT_URL_DYNAMODB` must be set to.
    #[must_use]
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops accepting requests and waits a bounded time for those under way.
    ///
    /// # Errors
    /// [`DynamoDbError::Shutdown`] when the server failed or requests were cut off.
    pub async fn shutdown(mut self) -> Result<(), DynamoDbError> {
        drop(self.stop);
        let grace = Duration::from_secs(SHUTDOWN_SECS_MAX);
        match tokio::time::timeout(grace, &mut self.server).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(said))) => Err(DynamoDbError::Shutdown { said }),
            Ok(Err(panicked)) => Err(DynamoDbError::Shutdown { said: panicked.to_string() }),
            Err(_) => {
                self.server.abort();
                let said = format!("requests took more than {SHUTDOWN_SECS_MAX} seconds to finish");
                Err(DynamoDbError::Shutdown { said })
            }
        }
    }
}

/// Why the embedded DynamoDB could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum DynamoDbError {
    /// The engine could not open its storage.
    #[error("opening the storage of the embedded DynamoDB")]
    Open {
        /// What the engine said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No loopback port could be had.
    #[error("listening on a loopback port for the embedded DynamoDB")]
    Listen(#[source] std::io::Error),
    /// The server did not end well.
    #[error("stopping the embedded DynamoDB: {said}")]
    Shutdown {
        /// What went wrong.
        said: String,
    },
}

impl DynamoDbError {
    fn open(source: dynoxide::DynoxideError) -> Self {
        Self::Open { source: source.to_string().into() }
    }
}
