//! A local stack of a test's own, and the adapters on it.

#![allow(clippy::unwrap_used, dead_code, reason = "helpers of tests fail the test, as tests do")]

use std::sync::Arc;

use cap_aws::provision::create_queues;
use cap_aws::{Aws, QueueDirectory, SqsQueues, connect_to};
use cap_domain::routing::Scope;
use cap_local::dynamodb::DynamoDb;
use cap_local::sqs::{Broker, BrokerConfig, BrokerHandle};

pub(crate) struct Stack {
    pub(crate) broker: BrokerHandle,
    pub(crate) dynamodb: DynamoDb,
    pub(crate) aws: Aws,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        let broker = Broker::start(BrokerConfig::default()).await.unwrap();
        let dynamodb = DynamoDb::start().await.unwrap();
        let aws = connect_to(&broker.endpoint_url(), &dynamodb.endpoint_url()).await;
        Self { broker, dynamodb, aws }
    }

    /// The queues of these scopes, newly created.
    pub(crate) async fn queues(&self, scope_names: &[&str]) -> SqsQueues {
        create_queues(&self.aws.sqs, "", &scopes(scope_names)).await.unwrap();
        let directory = QueueDirectory::load(self.aws.sqs.clone(), "").await.unwrap();
        SqsQueues::new(&self.aws.sqs, Arc::new(directory))
    }
}

pub(crate) fn scopes(names: &[&str]) -> Vec<Scope> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}
