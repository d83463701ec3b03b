//! How many messages a call to SQS carries, from the rate and the pipeline's limits.
//!
//! A receive carries what arrived while the one before it was under way, shared among the receivers.
//! Sends and deletions carry what was gathered: one receive, or what came while the batch before was worked
//! on. Careful in two ways: at lower rates a batch waits now and then too, which is left out, and every event
//! is a message of its own in every queue, although a lane's neighbours travel packed.

use cap_pipeline::Limits;
use cap_pipeline::queues::BATCH_ENTRIES_MAX;
use rust_decimal::Decimal;

use super::figures::{BATCH_MILLIS, MESSAGE_BYTES, RECEIVE_MILLIS};
use super::prices::SQS_CHUNK_BYTES;

const MILLIS: Decimal = Decimal::ONE_THOUSAND;

/// Messages a call, on average.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// Of a receive that is not empty.
    pub received: Decimal,
    /// Of a batch that is worked on at once.
    pub gathered: Decimal,
}

impl Calls {
    /// At a rate, shared by `tasks` of a service.
    pub fn at(events_per_second: u32, tasks: u32, limits: &Limits) -> Self {
        let (rate, tasks) = (Decimal::from(events_per_second), Decimal::from(tasks));
        let receivers = tasks * Decimal::from(limits.receivers_per_queue);
        let under_way = rate * Decimal::from(RECEIVE_MILLIS) / MILLIS;
        let received = (under_way / receivers).clamp(Decimal::ONE, most());
        let meanwhile = rate / tasks * Decimal::from(BATCH_MILLIS) / MILLIS;
        let gathered = received.max(meanwhile);
        Self { received, gathered: gathered.min(Decimal::from(limits.batch_messages_max)) }
    }

    /// SQS requests that one event costs in one queue: sent, received and deleted.
    pub fn requests_a_queue(&self) -> Decimal {
        let sent = self.gathered / (self.gathered / most()).ceil();
        let of = |messages: Decimal| chunks(messages) / messages;
        of(sent) + of(self.received) + Decimal::ONE / sent
    }

    /// The least share of events whose batch is theirs alone: of batches with a mean of n, at least
    /// 2 − n in one hold a single event.
    pub fn alone(&self) -> Decimal {
        ((Decimal::TWO - self.gathered) / self.gathered).max(Decimal::ZERO)
    }
}

fn most() -> Decimal {
    Decimal::from(BATCH_ENTRIES_MAX)
}

/// What a call with so many messages counts as.
fn chunks(messages: Decimal) -> Decimal {
    (messages * Decimal::from(MESSAGE_BYTES) / Decimal::from(SQS_CHUNK_BYTES)).ceil()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(messages: u32) -> Calls {
        Calls { received: messages.into(), gathered: messages.into() }
    }

    #[test]
    fn a_message_alone_is_sent_received_and_deleted_by_itself() {
        assert_eq!(calls(1).requests_a_queue(), Decimal::from(3));
        assert_eq!(calls(1).alone(), Decimal::ONE);
    }

    #[test]
    fn ten_messages_share_three_calls() {
        assert_eq!(calls(10).requests_a_queue(), Decimal::new(3, 1));
        assert_eq!(calls(10).alone(), Decimal::ZERO);
    }

    #[test]
    fn a_batch_of_eleven_is_two_calls() {
        let eleven = Calls { received: Decimal::TEN, gathered: 11.into() };
        let expected = Decimal::new(1, 1) + Decimal::from(4) / Decimal::from(11);
        assert_eq!(eleven.requests_a_queue().round_dp(12), expected.round_dp(12));
    }

    #[test]
    fn every_64_kib_begun_are_one_request() {
        assert_eq!(chunks(Decimal::ONE), Decimal::ONE);
        let (at_most, one) = (Decimal::from(SQS_CHUNK_BYTES / MESSAGE_BYTES), Decimal::ONE);
        assert_eq!((chunks(at_most), chunks(at_most + one)), (one, Decimal::TWO));
    }

    #[test]
    fn calls_carry_more_as_the_rate_goes_up_and_never_more_than_sqs_takes() {
        let limits = Limits::default();
        let at = |rate| Calls::at(rate, 2, &limits);
        assert_eq!(at(1).received, Decimal::ONE);
        assert_eq!(at(100).gathered, Decimal::ONE);
        // Ten thousand a second and task, in batches of 20 ms.
        assert_eq!(at(20_000).gathered, Decimal::TWO * Decimal::ONE_HUNDRED);
        assert!(at(1_000).requests_a_queue() < at(100).requests_a_queue());
        assert_eq!(at(20_000).received, Decimal::TEN);
    }
}
