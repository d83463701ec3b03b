//! Copies of parked messages on their way to the queue they first came from.

use std::time::Duration;

use cap_domain::lane::{Lane, Ticket};
use cap_domain::routing::Route;
use cap_pipeline::queues::copy_of_parked;
use tokio::time::Instant;

use super::{Redrive, RedriveError};

/// How long a copy that was not accepted waits for its next try, at first and at most.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(50);
const TRY_AGAIN_AFTER_MAX: Duration = Duration::from_secs(2);

/// The copies that one run of `capctl redrive` sends.
pub(super) struct Copies<'a> {
    redrive: &'a Redrive<'a>,
    route: Route,
    run_id: String,
    /// How many were sent: part of their deduplication ids, or SQS would swallow what is sent again.
    sent: u32,
}

impl<'a> Copies<'a> {
    /// None sent yet.
    pub(super) const fn new(redrive: &'a Redrive<'a>, route: Route, run_id: String) -> Self {
        Self { redrive, route, run_id, sent: 0 }
    }

    /// Sends the copy whose turn it is in `lane`, and waits until it is accepted.
    pub(super) async fn send(&mut self, lane: &Lane) -> Result<(), RedriveError> {
        self.sent += 1;
        let parked_seq = lane.redriven_seq + 1;
        let copy = copy_of_parked(
            self.redrive.account,
            self.redrive.stage,
            Ticket { parked_seq, redrive_seq: lane.redrive_seq },
            self.route.message_group_id.clone(),
            format!("{}:{}", self.run_id, self.sent),
        );
        let give_up_at = Instant::now() + self.redrive.patience;
        let mut pause = TRY_AGAIN_AFTER;
        loop {
            let (reason, is_final) =
                match self.redrive.queues.send(&self.route.queue, &[&copy]).await.as_deref() {
                    Ok([Ok(())]) => return Ok(()),
                    Ok([Err(failure)]) => (failure.to_string(), failure.sender_fault),
                    Ok(_) => ("SQS did not say what became of it".to_owned(), false),
                    Err(error) => (error.to_string(), false),
                };
            if is_final || Instant::now() > give_up_at {
                let stage = self.redrive.stage;
                return Err(RedriveError::NotSent { parked_seq, stage, reason });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(TRY_AGAIN_AFTER_MAX);
        }
    }
}
