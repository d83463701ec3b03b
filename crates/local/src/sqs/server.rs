//! The broker as a server: HTTP/1.1 with keep-alive, and a handle for the process it runs in.
//!
//! Guarantees that every request gets SQS's own kind of answer, errors included. Signatures
//! are not looked at.
//! Source: Amazon SQS Developer Guide, "Interpreting Amazon SQS JSON API responses".

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
    routing::{get, post},
    serve::ListenerExt as _,
};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    admin,
    clock::Clock,
    engine::{Engine, EngineConfig},
    error::SqsError,
    faults::{BadProbability, FaultPlan, Faults},
    operation::RequestCounts,
    reply::ErrorReply,
    service::{Doorbell, Outcome, Service, json},
};

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");
/// A full batch, every byte of it escaped, with room for names and attributes.
const REQUEST_BYTES_MAX: usize = 16 * 1_048_576;

/// Where the broker listens and what it says it is.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// The address; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Account, region, seed of ids and quotas.
    pub engine: EngineConfig,
    /// The time; a clone of it can be advanced by a test.
    pub clock: Clock,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        let seed = rand::random();
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            engine: EngineConfig { seed, ..EngineConfig::default() },
            clock: Clock::system(),
        }
    }
}

/// Why the broker does not start.
#[derive(Debug, Error)]
pub enum BrokerError {
    /// The address cannot be listened on.
    #[error("listening on {addr} for the SQS broker")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// The SQS-compatible broker.
#[derive(Debug)]
pub struct Broker;

/// A running broker; it stops when the handle is dropped.
pub struct BrokerHandle {
    addr: SocketAddr,
    service: Arc<Service>,
    serving: tokio::task::JoinHandle<()>,
}

impl Broker {
    /// Listens, and serves from then on.
    ///
    /// # Errors
    /// [`BrokerError::Listen`] when the address is not to be had.
    pub async fn start(config: BrokerConfig) -> Result<BrokerHandle, BrokerError> {
        let listen = |source| BrokerError::Listen { addr: config.addr, source };
        let listener = TcpListener::bind(config.addr).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let service = Arc::new(Service {
            engine: Engine::new(config.engine),
            clock: config.clock,
            faults: Faults::none(),
            requests: RequestCounts::zero(),
            moves_started: tokio::sync::Notify::new(),
            stop: CancellationToken::new(),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&service)));
        tracing::info!(%addr, "sqs broker listens");
        Ok(BrokerHandle { addr, service, serving })
    }
}

async fn serve(listener: TcpListener, service: Arc<Service>) {
    let router = Router::new()
        .route("/_admin/queues", get(admin::queues))
        .route("/_admin/operations", get(admin::operations))
        .route(
            "/_admin/faults",
            get(admin::faults).post(admin::set_faults).delete(admin::clear_faults),
        )
        .route("/_admin/clock", post(admin::advance_clock))
        .fallback(answer)
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(Arc::clone(&service));
    let listener = listener.tap_io(|stream| {
        // Replies are small and waited for.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
    });
    let stopped = service.stop.clone().cancelled_owned();
    let served = axum::serve(listener, router).with_graceful_shutdown(stopped);
    tokio::select! {
        () = service.move_messages() => {}
        served = served.into_future() => {
            if let Err(error) = served {
                tracing::error!(%error, "sqs broker stopped");
            }
        }
    }
}

impl BrokerHandle {
    /// What SDKs take as the endpoint, for example `http://127.0.0.1:43210`.
    #[must_use]
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The queues themselves, without the wire.
    #[must_use]
    pub fn engine(&self) -> &Engine<Doorbell> {
        &self.service.engine
    }

    /// The broker's time.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.service.clock
    }

    /// Moves the broker's time forward; timeouts that are due then are noticed at once.
    pub fn advance(&self, by: Duration) {
        self.service.clock.advance(by);
    }

    /// Puts faults in force, instead of those before. An empty plan ends them.
    ///
    /// # Errors
    /// [`BadProbability`]; nothing is changed then.
    pub fn set_faults(&self, plan: FaultPlan) -> Result<(), BadProbability> {
        self.service.faults.set(plan)
    }

    /// Requests so far by operation; those never asked for are absent.
    #[must_use]
    pub fn requests(&self) -> std::collections::BTreeMap<&'static str, u64> {
        self.service.requests.by_name()
    }

    /// Closes the address and all connections, those of waiting receives too.
    pub async fn shutdown(mut self) {
        self.service.stop.cancel();
        if let Err(error) = (&mut self.serving).await {
            tracing::error!(%error, "sqs broker did not stop cleanly");
        }
    }
}

impl Drop for BrokerHandle {
    fn drop(&mut self) {
        self.service.stop.cancel();
    }
}

async fn answer(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let target = text("x-amz-target").unwrap_or_default();
    let base_url = format!("http://{}", text("host").unwrap_or("localhost"));
    let outcome = tokio::select! {
        biased;
        outcome = service.answer(target, &body, &base_url) => outcome,
        // A receive may wait for longer than a shutdown should.
        () = service.stop.cancelled() => Outcome::Silence,
    };
    match outcome {
        Outcome::Replied(Ok(json)) => response(StatusCode::OK, json.into()),
        Outcome::Replied(Err(error)) => refusal(&error),
        Outcome::Silence => response(StatusCode::OK, severed()),
    }
}

fn response(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let request_id = uuid::Uuid::from_u128(rand::random()).to_string();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

fn refusal(error: &SqsError) -> Response<Body> {
    let reply = ErrorReply { json_type: error.json_type(), message: error.to_string() };
    let status = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = response(status, json(&reply).unwrap_or_default().into());
    let fault = if error.sender_fault() { "Sender" } else { "Receiver" };
    if let Ok(value) = HeaderValue::from_str(&format!("{};{fault}", error.code())) {
        response.headers_mut().insert("x-amzn-query-error", value);
    }
    response
}

/// A body that breaks before its first byte: the connection closes on it.
fn severed() -> Body {
    let reset = io::Error::from(io::ErrorKind::ConnectionReset);
    Body::from_stream(futures::stream::iter([Err::<Bytes, _>(reset)]))
}
