//! Creating, finding, describing and redriving queues over the wire.
//!
//! Source: Amazon SQS API Reference, the action of each function's name.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as TOKEN};
use serde_json::{Value, json as value};

use super::{
    attributes::AttributeMap,
    error::SqsError,
    message_operations::Nothing,
    move_task::MoveTask,
    request::{QueueRequest, queue_name, within},
    service::{Service, json},
};

/// Queues on one page of a listing.
const PAGE_MAX: u32 = 1_000;

impl Service {
    pub(crate) fn create_queue(
        &self,
        request: QueueRequest<'_>,
        base_url: &str,
    ) -> Result<Vec<u8>, SqsError> {
        let name = request.queue_name.ok_or(SqsError::MissingParameter("QueueName"))?;
        let mut tags = request.tags_at_creation;
        tags.extend(request.tags);
        let queue = self.engine.create_queue(&name, &request.attributes, tags, self.now())?;
        json(&value!({ "QueueUrl": self.url_of(&queue.name, base_url) }))
    }

    pub(crate) fn get_queue_url(
        &self,
        request: QueueRequest<'_>,
        base_url: &str,
    ) -> Result<Vec<u8>, SqsError> {
        let name = request.queue_name.ok_or(SqsError::MissingParameter("QueueName"))?;
        let queue = self.engine.queue(&name)?;
        json(&value!({ "QueueUrl": self.url_of(&queue.name, base_url) }))
    }

    pub(crate) fn delete_queue(&self, request: QueueRequest<'_>) -> Result<Vec<u8>, SqsError> {
        let name = queue_name(request.queue_url.as_deref())?;
        self.engine.delete_queue(name, self.now())?;
        json(&Nothing {})
    }

    pub(crate) fn purge_queue(&self, request: QueueRequest<'_>) -> Result<Vec<u8>, SqsError> {
        self.queue_at(request.queue_url.as_deref())?.purge(self.now())?;
        json(&Nothing {})
    }

    pub(crate) fn list_queues(
        &self,
        request: QueueRequest<'_>,
        base_url: &str,
    ) -> Result<Vec<u8>, SqsError> {
        let prefix = request.queue_name_prefix.as_deref().unwrap_or_default();
        let (page, after) = page_of(&request)?;
        let names = self.engine.list(prefix, after.as_deref(), page + 1);
        let (names, next) = cut(names, page, request.max_results.is_some());
        let urls: Vec<String> = names.iter().map(|name| self.url_of(name, base_url)).collect();
        json(&listing("QueueUrls", urls.into(), next))
    }

    pub(crate) fn list_dead_letter_source_queues(
        &self,
        request: QueueRequest<'_>,
        base_url: &str,
    ) -> Result<Vec<u8>, SqsError> {
        let queue = self.queue_at(request.queue_url.as_deref())?;
        let (page, after) = page_of(&request)?;
        let mut names = self.engine.dead_letter_sources(&queue.arn);
        names.retain(|name| after.as_deref().is_none_or(|after| **name > *after));
        let (names, next) = cut(names, page, request.max_results.is_some());
        let urls: Vec<String> = names.iter().map(|name| self.url_of(name, base_url)).collect();
        // The one reply whose list begins with a small letter.
        json(&listing("queueUrls", urls.into(), next))
    }

    pub(crate) fn get_queue_attributes(
        &self,
        request: QueueRequest<'_>,
    ) -> Result<Vec<u8>, SqsError> {
        let queue = self.queue_at(request.queue_url.as_deref())?;
        let mut attributes = queue.attributes(self.now());
        let wanted = &request.attribute_names;
        if let Some(unknown) = wanted.iter().find(|name| !is_attribute(name, &attributes)) {
            return Err(SqsError::InvalidAttributeName(unknown.clone()));
        }
        if !wanted.iter().any(|name| name == "All") {
            attributes.retain(|name, _| wanted.contains(name));
        }
        if attributes.is_empty() {
            return json(&Nothing {});
        }
        json(&value!({ "Attributes": attributes }))
    }

    pub(crate) fn set_queue_attributes(
        &self,
        request: QueueRequest<'_>,
    ) -> Result<Vec<u8>, SqsError> {
        let name = queue_name(request.queue_url.as_deref())?;
        self.engine.set_attributes(name, &request.attributes, self.now())?;
        json(&Nothing {})
    }

    pub(crate) fn tag_queue(&self, request: QueueRequest<'_>) -> Result<Vec<u8>, SqsError> {
        self.queue_at(request.queue_url.as_deref())?.tag(request.tags)?;
        json(&Nothing {})
    }

    pub(crate) fn untag_queue(&self, request: QueueRequest<'_>) -> Result<Vec<u8>, SqsError> {
        self.queue_at(request.queue_url.as_deref())?.untag(&request.tag_keys);
        json(&Nothing {})
    }

    pub(crate) fn list_queue_tags(&self, request: QueueRequest<'_>) -> Result<Vec<u8>, SqsError> {
        let tags = self.queue_at(request.queue_url.as_deref())?.tags();
        json(&value!({ "Tags": tags }))
    }

    pub(crate) fn start_message_move_task(
        &self,
        request: QueueRequest<'_>,
    ) -> Result<Vec<u8>, SqsError> {
        let source = request.source_arn.ok_or(SqsError::MissingParameter("SourceArn"))?;
        let handle = self.engine.start_move_task(
            &source,
            request.destination_arn.as_deref(),
            request.max_number_of_messages_per_second,
            self.now(),
        )?;
        self.moves_started.notify_one();
        json(&value!({ "TaskHandle": handle }))
    }

    pub(crate) fn cancel_message_move_task(
        &self,
        request: QueueRequest<'_>,
    ) -> Result<Vec<u8>, SqsError> {
        let handle = request.task_handle.ok_or(SqsError::MissingParameter("TaskHandle"))?;
        let moved = self.engine.cancel_move_task(&handle)?;
        json(&value!({ "ApproximateNumberOfMessagesMoved": moved }))
    }

    pub(crate) fn list_message_move_tasks(
        &self,
        request: QueueRequest<'_>,
    ) -> Result<Vec<u8>, SqsError> {
        let source = request.source_arn.ok_or(SqsError::MissingParameter("SourceArn"))?;
        let tasks_max = within("MaxResults", request.max_results, 1, 1..=10)?;
        let tasks = self.engine.list_move_tasks(&source, tasks_max as usize)?;
        let results: Vec<Value> = tasks.iter().map(described).collect();
        json(&value!({ "Results": results }))
    }

    fn url_of(&self, name: &str, base_url: &str) -> String {
        format!("{base_url}/{}/{name}", self.engine.account_id())
    }
}

fn is_attribute(name: &str, present: &AttributeMap) -> bool {
    const MAY_BE_ABSENT: [&str; 6] = [
        "All",
        "Policy",
        "RedrivePolicy",
        "RedriveAllowPolicy",
        "KmsMasterKeyId",
        "KmsDataKeyReusePeriodSeconds",
    ];
    present.contains_key(name) || MAY_BE_ABSENT.contains(&name)
}

/// The size of the page asked for, and the name it begins after.
fn page_of(request: &QueueRequest<'_>) -> Result<(usize, Option<String>), SqsError> {
    let page = within("MaxResults", request.max_results, PAGE_MAX, 1..=PAGE_MAX)?;
    let after = request.next_token.as_deref().map(|token| {
        let name = TOKEN.decode(token).ok().and_then(|name| String::from_utf8(name).ok());
        name.ok_or_else(|| {
            SqsError::bad_parameter("NextToken", token, "It is not a token of this listing.")
        })
    });
    Ok((page as usize, after.transpose()?))
}

/// One page and the token of the next. SQS gives no token to those who set no page size.
fn cut(mut names: Vec<Arc<str>>, page: usize, paged: bool) -> (Vec<Arc<str>>, Option<String>) {
    let more = names.len() > page;
    names.truncate(page);
    let last = names.last().filter(|_| more && paged);
    let token = last.map(|name| TOKEN.encode(name.as_bytes()));
    (names, token)
}

fn listing(key: &str, urls: Value, next: Option<String>) -> Value {
    let mut listing = serde_json::Map::from_iter([(key.to_owned(), urls)]);
    listing.extend(next.map(|token| ("NextToken".to_owned(), token.into())));
    listing.into()
}

fn described(task: &MoveTask) -> Value {
    let mut entry = serde_json::Map::from_iter([
        ("Status".to_owned(), task.status.as_str().into()),
        ("SourceArn".to_owned(), task.source_arn.clone().into()),
        ("ApproximateNumberOfMessagesMoved".to_owned(), task.moved.into()),
        ("ApproximateNumberOfMessagesToMove".to_owned(), task.to_move.into()),
        ("StartedTimestamp".to_owned(), task.started_at.into()),
    ]);
    let mut put = |key: &str, value: Option<Value>| {
        entry.extend(value.map(|value| (key.to_owned(), value)));
    };
    // Only a running task can be cancelled, so only it is named.
    put("TaskHandle", task.is_active().then(|| task.handle.clone().into()));
    put("DestinationArn", task.destination_arn.clone().map(Into::into));
    put("MaxNumberOfMessagesPerSecond", task.moves_per_second_max.map(Into::into));
    put("FailureReason", task.failure.map(Into::into));
    entry.into()
}
