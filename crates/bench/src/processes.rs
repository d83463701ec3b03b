//! The services as processes, with broker, DynamoDB and PostgreSQL on this one machine.
//!
//! Broker and DynamoDB live in the process that also publishes and reads, so its processor time is
//! theirs too; the services and PostgreSQL have processes of their own.

mod backlog;
mod drive;
mod hot;
mod latency;
mod pipeline;
mod relay;
mod start;
mod steps;

pub(crate) use backlog::backlog;
pub(crate) use hot::hot;
pub(crate) use latency::latency;
pub(crate) use pipeline::pipeline;
pub use relay::relay;
pub(crate) use start::start;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Context;
use cap_aws::{QueueDirectory, SqsQueues};
use cap_domain::lane::StageName;
use cap_local::sqs::Draft;
use cap_stack::{Installation, Service, Stack};

use crate::arena::Arena;
use crate::traffic::Envelope;

/// Accounts that trade.
const ACCOUNTS: usize = 10_000;

/// The unit of rates here.
const PER_SECOND: &str = "events/s";

/// An installation of CAP whose services run.
struct Running {
    stack: Stack,
    installation: Installation,
    services: Vec<Service>,
    /// Where each service tells its metrics.
    metrics: Vec<(StageName, SocketAddr)>,
}

impl Running {
    /// Makes the installation `prefix` and starts its services.
    async fn start(arena: &Arena, prefix: &str) -> anyhow::Result<Self> {
        let stack = Stack::start_with(arena.postgres_url()).await?;
        let installation = stack.install(prefix, &arena.configuration).await?;
        let (services, metrics) = (Vec::new(), Vec::new());
        let mut running = Self { stack, installation, services, metrics };
        for stage in StageName::ALL {
            let address = free_address()?;
            running.services.push(running.service_at(address, arena, stage).await?);
            running.metrics.push((stage, address));
        }
        Ok(running)
    }

    async fn service(&self, arena: &Arena, stage: StageName) -> anyhow::Result<Service> {
        self.service_at(free_address()?, arena, stage).await
    }

    async fn service_at(
        &self,
        address: SocketAddr,
        arena: &Arena,
        stage: StageName,
    ) -> anyhow::Result<Service> {
        let log = arena.logs.join(format!("{}-{stage}.log", self.installation.prefix));
        // Whatever is refused or parked is said; it is not what is measured.
        let address = address.to_string();
        let extra = [("CAP_LOG", "warn,cap_service=info"), ("CAP_HTTP_ADDR", &*address)];
        Service::start(stage, &arena.binaries, &self.installation, &extra, log).await
    }

    /// What the batches of all services came to so far.
    async fn totals(&self) -> anyhow::Result<steps::Totals> {
        steps::Totals::of(&self.metrics).await
    }

    /// Clients of their own, as an upstream service has them.
    async fn queues(&self) -> anyhow::Result<SqsQueues> {
        queues(&self.stack, &self.installation.prefix).await
    }

    /// Puts envelopes into clearing's queues without the wire: they wait there at once.
    fn put(&self, envelopes: &[Envelope], scope: &str) -> anyhow::Result<()> {
        let prefix = &self.installation.prefix;
        let name = format!("{prefix}-clearing-{scope}.fifo");
        let broker = &self.stack.broker;
        let queue = broker.engine().queue(&name).with_context(|| format!("finding {name}"))?;
        let settings = queue.settings();
        for envelope in envelopes {
            let (.., group, account) = envelope.account.parts();
            let draft = Draft {
                body: envelope.body.clone(),
                group_id: Some(format!("{group}_{account}")),
                dedup_id: Some(envelope.request_id.clone()),
                ..Draft::default()
            };
            let payload = draft.check(&settings).context("putting a message into a queue")?;
            queue.send(payload, broker.clock().now_millis());
        }
        Ok(())
    }

    async fn stop(self) -> anyhow::Result<()> {
        for service in self.services {
            service.stop().await?;
        }
        Ok(())
    }
}

/// An address of this machine that nobody listens on.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("finding a free port")?;
    listener.local_addr().context("reading a free port")
}

/// Clients of an installation's queues.
async fn queues(stack: &Stack, prefix: &str) -> anyhow::Result<SqsQueues> {
    let sqs = stack.connect().await.sqs;
    let directory = QueueDirectory::load(sqs.clone(), prefix).await?;
    Ok(SqsQueues::new(&sqs, Arc::new(directory)))
}
