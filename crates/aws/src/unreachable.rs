//! AWS's errors in one line: what was attempted, and AWS's own words.

use std::error::Error;
use std::time::Duration;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use cap_pipeline::queues::Unreachable;

/// How many causes of an error are told.
const CAUSES_MAX: usize = 8;

/// The error of a call that was made for `attempted`.
pub(crate) fn unreachable<E>(attempted: impl Into<String>, error: &SdkError<E>) -> Unreachable
where
    E: ProvideErrorMetadata + Error + 'static,
{
    Unreachable { attempted: attempted.into(), cause: words(error) }
}

/// Code and message if the service answered, else every cause down to the socket's.
pub(crate) fn words<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => {
            let mut causes = vec![error.to_string()];
            let mut next = error.source();
            while let Some(cause) = next.filter(|_| causes.len() < CAUSES_MAX) {
                causes.push(cause.to_string());
                next = cause.source();
            }
            causes.join(": ")
        }
    }
}

/// The HTTP status, if the service answered.
pub(crate) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// Waits up to `millis_max` doubled per try, by the dice, so that rivals do not meet again.
pub(crate) async fn back_off(attempt: u32, millis_max: u64) {
    let ceiling = millis_max.saturating_mul(1 << attempt.min(6));
    tokio::time::sleep(Duration::from_millis(rand::random_range(0..=ceiling))).await;
}
