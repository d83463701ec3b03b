//! Sending, receiving, deleting and holding messages over the wire.
//!
//! Guarantees that a batch is refused as a whole only for what SQS refuses it as a whole for;
//! everything else is reported entry by entry. Messages are checked and digested before the
//! queue is locked, once for a whole batch.
//! Source: Amazon SQS API Reference, "SendMessageBatch", "ReceiveMessage",
//! "DeleteMessageBatch", "ChangeMessageVisibilityBatch".

use super::{
    attributes::{MESSAGE_BYTES_MAX, RECEIVE_WAIT_SECS_MAX, VISIBILITY_TIMEOUT_SECS_MAX},
    error::SqsError,
    faults::Weather,
    id::ReceiptHandle,
    message::Payload,
    queue::{Delivery, FifoQueue, Receive},
    reply::{BatchReply, Digests, Done, FailedEntry, MessageReply, Received, Sent, WantedSystem},
    request::{Batch, HandleRequest, ReceiveRequest, SendRequest, parse, queue_name, within},
    service::{Queue, Service, json},
};

impl Service {
    pub(crate) fn send_message(&self, body: &[u8]) -> Result<Vec<u8>, SqsError> {
        let request: SendRequest<'_> = parse(body)?;
        let queue = self.queue_at(request.queue_url.as_deref())?;
        let payload = request.into_draft()?.check(&queue.settings())?;
        let digests = Digests::of(&payload);
        let accepted = queue.send(payload, self.now());
        json(&Sent::new(None, accepted, &digests))
    }

    pub(crate) fn send_message_batch(
        &self,
        body: &[u8],
        weather: Weather<'_>,
    ) -> Result<Vec<u8>, SqsError> {
        let batch: Batch<'_, SendRequest<'_>> = parse(body)?;
        let queue = self.queue_at(batch.queue_url.as_deref())?;
        let settings = queue.settings();
        let mut drafts = Vec::new();
        for entry in batch.into_checked_entries()? {
            let id = entry.id.as_deref().unwrap_or_default().to_owned();
            drafts.push((id, entry.into_draft()));
        }
        let sent = drafts.iter().flat_map(|(_, draft)| draft).map(|draft| draft.size_bytes()).sum();
        if sent > MESSAGE_BYTES_MAX {
            return Err(SqsError::BatchRequestTooLong { sent, limit: MESSAGE_BYTES_MAX });
        }
        let mut failed = Vec::new();
        let mut checked: Vec<(String, Digests, Payload)> = Vec::with_capacity(drafts.len());
        for (id, draft) in drafts {
            match spared(weather).and(draft).and_then(|draft| draft.check(&settings)) {
                Ok(payload) => checked.push((id, Digests::of(&payload), payload)),
                Err(error) => failed.push(FailedEntry::new(id, &error)),
            }
        }
        let now = self.now();
        let accepted: Vec<_> = queue.change(|queue| {
            let send = |(id, digests, payload)| (id, queue.send(payload, now), digests);
            checked.into_iter().map(send).collect()
        });
        let successful =
            accepted.into_iter().map(|(id, sent, digests)| Sent::new(Some(id), sent, &digests));
        json(&BatchReply { successful: successful.collect(), failed })
    }

    pub(crate) async fn receive_message(
        &self,
        body: &[u8],
        weather: Weather<'_>,
    ) -> Result<Vec<u8>, SqsError> {
        let request: ReceiveRequest<'_> = parse(body)?;
        let queue = self.queue_at(request.queue_url.as_deref())?;
        let wait_default = queue.settings().receive_wait_secs;
        let wait = within(
            "WaitTimeSeconds",
            request.wait_time_seconds,
            wait_default,
            0..=RECEIVE_WAIT_SECS_MAX,
        )?;
        let messages_max =
            within("MaxNumberOfMessages", request.max_number_of_messages, 1, 1..=10)?;
        let timeout = match request.visibility_timeout {
            _ if weather.expired_receive() => Some(0),
            None => None,
            given => Some(within("VisibilityTimeout", given, 0, 0..=VISIBILITY_TIMEOUT_SECS_MAX)?),
        };
        let ask = Receive {
            messages_max: messages_max as usize,
            visibility_timeout_secs: timeout,
            attempt_id: request.receive_request_attempt_id.as_deref(),
        };
        let received = self.receive_within(&queue, ask, wait).await?;
        let names = request.attribute_names.iter().chain(&request.message_system_attribute_names);
        let system = WantedSystem::named(names.map(|name| &**name));
        let sender = self.engine.account_id();
        let wanted = &request.message_attribute_names;
        let messages = received
            .iter()
            .map(|delivery| MessageReply::new(delivery, sender, system, wanted))
            .collect();
        json(&Received { messages })
    }

    /// Receives, waiting for messages for up to `wait_secs`.
    async fn receive_within(
        &self,
        queue: &Queue,
        ask: Receive<'_>,
        wait_secs: u32,
    ) -> Result<Vec<Delivery>, SqsError> {
        let deadline = self.now() + u64::from(wait_secs) * 1_000;
        loop {
            // Listens before it looks, so that a send in between is heard.
            let bell = queue.bell.rung();
            let received = self.engine.receive(queue, ask, self.now())?;
            if !received.is_empty() || self.now() >= deadline {
                return Ok(received);
            }
            let wake = queue.next_visible_at().unwrap_or(deadline).min(deadline);
            tokio::select! {
                () = bell => {}
                () = self.clock.sleep_until(wake) => {}
            }
            // It may have been deleted meanwhile.
            self.engine.queue(&queue.name)?;
        }
    }

    pub(crate) fn delete_message(
        &self,
        body: &[u8],
        weather: Weather<'_>,
    ) -> Result<Vec<u8>, SqsError> {
        let request: HandleRequest<'_> = parse(body)?;
        let queue = self.queue_at(request.queue_url.as_deref())?;
        let now = self.now();
        queue.change(|queue| delete(queue, &request, weather, now))?;
        json(&Nothing {})
    }

    pub(crate) fn delete_message_batch(
        &self,
        body: &[u8],
        weather: Weather<'_>,
    ) -> Result<Vec<u8>, SqsError> {
        let now = self.now();
        self.handle_batch(body, |queue, entry| {
            spared(weather)?;
            delete(queue, entry, weather, now)
        })
    }

    pub(crate) fn change_message_visibility(&self, body: &[u8]) -> Result<Vec<u8>, SqsError> {
        let request: HandleRequest<'_> = parse(body)?;
        let queue = self.queue_at(request.queue_url.as_deref())?;
        let now = self.now();
        queue.change(|queue| change_visibility(queue, &request, now))?;
        json(&Nothing {})
    }

    pub(crate) fn change_message_visibility_batch(
        &self,
        body: &[u8],
        weather: Weather<'_>,
    ) -> Result<Vec<u8>, SqsError> {
        let now = self.now();
        self.handle_batch(body, |queue, entry| {
            spared(weather)?;
            change_visibility(queue, entry, now)
        })
    }

    fn handle_batch(
        &self,
        body: &[u8],
        each: impl Fn(&mut FifoQueue, &HandleRequest<'_>) -> Result<(), SqsError>,
    ) -> Result<Vec<u8>, SqsError> {
        let batch: Batch<'_, HandleRequest<'_>> = parse(body)?;
        let queue = self.queue_at(batch.queue_url.as_deref())?;
        let entries = batch.into_checked_entries()?;
        let results: Vec<_> =
            queue.change(|queue| entries.iter().map(|entry| each(queue, entry)).collect());
        let mut reply = BatchReply { successful: Vec::new(), failed: Vec::new() };
        for (entry, result) in entries.into_iter().zip(results) {
            let id = entry.id.unwrap_or_default().into_owned();
            match result {
                Ok(()) => reply.successful.push(Done { id }),
                Err(error) => reply.failed.push(FailedEntry::new(id, &error)),
            }
        }
        json(&reply)
    }

    pub(crate) fn queue_at(&self, queue_url: Option<&str>) -> Result<Queue, SqsError> {
        self.engine.queue(queue_name(queue_url)?)
    }
}

/// The reply of an operation that has nothing to say.
#[derive(serde::Serialize)]
pub(crate) struct Nothing {}

fn spared(weather: Weather<'_>) -> Result<(), SqsError> {
    if weather.partial_failure() { Err(SqsError::InternalError) } else { Ok(()) }
}

fn handle_of(request: &HandleRequest<'_>) -> Result<ReceiptHandle, SqsError> {
    if request.receipt_handle.is_empty() {
        return Err(SqsError::MissingParameter("ReceiptHandle"));
    }
    ReceiptHandle::parse(&request.receipt_handle)
}

fn delete(
    queue: &mut FifoQueue,
    request: &HandleRequest<'_>,
    weather: Weather<'_>,
    now: u64,
) -> Result<(), SqsError> {
    let handle = handle_of(request)?;
    // The caller is told that it is deleted, and meets it again.
    if weather.duplicate() && queue.change_visibility(handle, 0, now).is_ok() {
        return Ok(());
    }
    queue.delete(handle, now)
}

fn change_visibility(
    queue: &mut FifoQueue,
    request: &HandleRequest<'_>,
    now: u64,
) -> Result<(), SqsError> {
    let handle = handle_of(request)?;
    if request.visibility_timeout.is_none() {
        return Err(SqsError::MissingParameter("VisibilityTimeout"));
    }
    let timeout = within(
        "VisibilityTimeout",
        request.visibility_timeout,
        0,
        0..=VISIBILITY_TIMEOUT_SECS_MAX,
    )?;
    queue.change_visibility(handle, timeout, now)
}
