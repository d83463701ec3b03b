//! From a request's name and body to its reply.
//!
//! Guarantees that an operation is carried out once, whatever faults are drawn around it.
//! Source: Amazon SQS Developer Guide, "Making Query API requests in Amazon SQS using AWS
//! JSON protocol".

use std::{future::Future, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    clock::Clock,
    engine::{Bell, Engine, NamedQueue},
    error::SqsError,
    faults::{Faults, LostReply, Weather},
    operation::{Operation, RequestCounts},
    request::{parse, queue_named_in},
};

/// How often a running move task is carried on.
const MOVE_STEP_MILLIS: u64 = 5;

/// Wakes consumers that wait for messages.
#[derive(Debug, Default)]
pub struct Doorbell(Notify);

impl Doorbell {
    pub(crate) fn rung(&self) -> impl Future<Output = ()> + '_ {
        self.0.notified()
    }
}

impl Bell for Doorbell {
    fn ring(&self) {
        self.0.notify_one();
    }

    fn ring_all(&self) {
        self.0.notify_waiters();
    }
}

pub(crate) type Queue = Arc<NamedQueue<Doorbell>>;

/// What becomes of a request.
pub(crate) enum Outcome {
    /// It is answered.
    Replied(Result<Vec<u8>, SqsError>),
    /// It was carried out and its answer never arrives.
    Silence,
}

pub(crate) struct Service {
    pub(crate) engine: Engine<Doorbell>,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) requests: RequestCounts,
    pub(crate) moves_started: Notify,
    pub(crate) stop: CancellationToken,
}

impl Service {
    pub(crate) fn now(&self) -> u64 {
        self.clock.now_millis()
    }

    pub(crate) async fn answer(&self, target: &str, body: &[u8], base_url: &str) -> Outcome {
        if target.is_empty() {
            return Outcome::Replied(Err(SqsError::MalformedInput(
                "This broker speaks SQS's JSON protocol: the X-Amz-Target header is missing."
                    .to_owned(),
            )));
        }
        let name = target.strip_prefix("AmazonSQS.").unwrap_or(target);
        let Some(operation) = Operation::parse(name) else {
            return Outcome::Replied(Err(SqsError::InvalidAction(name.to_owned())));
        };
        self.requests.count(operation);
        let queue = if self.faults.armed() { queue_named_in(body) } else { None };
        let weather = Weather { faults: &self.faults, operation, queue: queue.as_deref() };
        if weather.throttle() {
            return Outcome::Replied(Err(SqsError::RequestThrottled));
        }
        if let Some(millis) = weather.delay_millis() {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        let reply = self.carry_out(operation, body, base_url, weather).await;
        match weather.lost_reply() {
            None => Outcome::Replied(reply),
            Some(LostReply::InternalError) => Outcome::Replied(Err(SqsError::InternalError)),
            Some(LostReply::ConnectionClosed) => Outcome::Silence,
        }
    }

    async fn carry_out(
        &self,
        operation: Operation,
        body: &[u8],
        base_url: &str,
        weather: Weather<'_>,
    ) -> Result<Vec<u8>, SqsError> {
        match operation {
            Operation::SendMessage => self.send_message(body),
            Operation::SendMessageBatch => self.send_message_batch(body, weather),
            Operation::ReceiveMessage => self.receive_message(body, weather).await,
            Operation::DeleteMessage => self.delete_message(body, weather),
            Operation::DeleteMessageBatch => self.delete_message_batch(body, weather),
            Operation::ChangeMessageVisibility => self.change_message_visibility(body),
            Operation::ChangeMessageVisibilityBatch => {
                self.change_message_visibility_batch(body, weather)
            }
            Operation::CreateQueue => self.create_queue(parse(body)?, base_url),
            Operation::DeleteQueue => self.delete_queue(parse(body)?),
            Operation::PurgeQueue => self.purge_queue(parse(body)?),
            Operation::GetQueueUrl => self.get_queue_url(parse(body)?, base_url),
            Operation::ListQueues => self.list_queues(parse(body)?, base_url),
            Operation::ListDeadLetterSourceQueues => {
                self.list_dead_letter_source_queues(parse(body)?, base_url)
            }
            Operation::GetQueueAttributes => self.get_queue_attributes(parse(body)?),
            Operation::SetQueueAttributes => self.set_queue_attributes(parse(body)?),
            Operation::TagQueue => self.tag_queue(parse(body)?),
            Operation::UntagQueue => self.untag_queue(parse(body)?),
            Operation::ListQueueTags => self.list_queue_tags(parse(body)?),
            Operation::StartMessageMoveTask => self.start_message_move_task(parse(body)?),
            Operation::CancelMessageMoveTask => self.cancel_message_move_task(parse(body)?),
            Operation::ListMessageMoveTasks => self.list_message_move_tasks(parse(body)?),
            Operation::AddPermission | Operation::RemovePermission => {
                Err(SqsError::UnsupportedOperation(
                    "This broker has no permissions: everybody may do everything.".to_owned(),
                ))
            }
        }
    }

    /// Carries move tasks on, for ever.
    pub(crate) async fn move_messages(&self) {
        loop {
            self.moves_started.notified().await;
            while self.engine.step_move_tasks(self.now()) {
                tokio::time::sleep(Duration::from_millis(MOVE_STEP_MILLIS)).await;
            }
        }
    }
}

pub(crate) fn json(reply: &impl Serialize) -> Result<Vec<u8>, SqsError> {
    serde_json::to_vec(reply).map_err(|_| SqsError::InternalError)
}
