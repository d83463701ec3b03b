//! The names of SQS's operations, and a count of the requests for each.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};

macro_rules! operations {
    ($($name:ident),+ $(,)?) => {
        /// An operation of the SQS API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "each is an action of the API Reference by that name")]
        pub enum Operation { $($name),+ }

        impl Operation {
            /// Every operation.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name, as in the `X-Amz-Target` header.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }

            /// The operation of that name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name { $(stringify!($name) => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

operations!(
    AddPermission,
    CancelMessageMoveTask,
    ChangeMessageVisibility,
    ChangeMessageVisibilityBatch,
    CreateQueue,
    DeleteMessage,
    DeleteMessageBatch,
    DeleteQueue,
    GetQueueAttributes,
    GetQueueUrl,
    ListDeadLetterSourceQueues,
    ListMessageMoveTasks,
    ListQueueTags,
    ListQueues,
    PurgeQueue,
    ReceiveMessage,
    RemovePermission,
    SendMessage,
    SendMessageBatch,
    SetQueueAttributes,
    StartMessageMoveTask,
    TagQueue,
    UntagQueue,
);

/// Requests by operation, answered well or not.
#[derive(Debug)]
pub(crate) struct RequestCounts([AtomicU64; Operation::ALL.len()]);

impl RequestCounts {
    pub(crate) fn zero() -> Self {
        Self([const { AtomicU64::new(0) }; Operation::ALL.len()])
    }

    pub(crate) fn count(&self, operation: Operation) {
        self.0[operation as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Those that were asked for at least once.
    pub(crate) fn by_name(&self) -> BTreeMap<&'static str, u64> {
        Operation::ALL
            .iter()
            .map(|operation| {
                (operation.as_str(), self.0[*operation as usize].load(Ordering::Relaxed))
            })
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}
