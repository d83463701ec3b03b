//! A broker of a test's own with queues, and messages for it.

#![allow(clippy::unwrap_used, dead_code, reason = "helpers of tests fail the test, as tests do")]

use std::sync::Arc;

use cap_aws::provision::create_queues;
use cap_aws::{Aws, QueueDirectory, SqsQueues, connect_to};
use cap_domain::routing::Scope;
use cap_local::sqs::{Broker, BrokerConfig, BrokerHandle, Fault, FaultPlan, FaultRule, Operation};

pub(crate) struct Stack {
    pub(crate) broker: BrokerHandle,
    pub(crate) aws: Aws,
    pub(crate) queues: SqsQueues,
}

impl Stack {
    /// With the queues of these scopes.
    pub(crate) async fn start(scopes: &[&str]) -> Self {
        let broker = Broker::start(BrokerConfig::default()).await.unwrap();
        let nowhere = "http://127.0.0.1:9";
        let aws = connect_to(&broker.endpoint_url(), nowhere).await;
        create(&aws, scopes).await;
        let directory = QueueDirectory::load(aws.sqs.clone(), "").await.unwrap();
        let queues = SqsQueues::new(&aws.sqs, Arc::new(directory));
        Self { broker, aws, queues }
    }

    /// Lets entries of batches fail inside of SQS and answers get lost.
    pub(crate) fn storm(&self, seed: u64, operation: Operation) {
        let rule = |fault, probability| FaultRule {
            fault,
            probability,
            queue_prefix: None,
            operation: Some(operation),
        };
        let rules = vec![
            rule(Fault::PartialFailure, 0.2),
            rule(Fault::LostReply { seen: Default::default() }, 0.1),
            rule(Fault::Throttle, 0.1),
        ];
        self.broker.set_faults(FaultPlan { seed, rules }).unwrap();
    }
}

pub(crate) async fn create(aws: &Aws, scopes: &[&str]) {
    let scopes: Vec<Scope> = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
    create_queues(&aws.sqs, "", &scopes).await.unwrap();
}
