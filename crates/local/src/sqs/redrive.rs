//! The engine's side of move tasks: start, list, cancel, and carry messages over.
//!
//! Guarantees one running task a queue, new ids for what it moves, and that a message is
//! taken out of the source only when its destination is known to exist.
//! Source: Amazon SQS API Reference, "StartMessageMoveTask", "CancelMessageMoveTask",
//! "ListMessageMoveTasks".

use std::sync::Arc;

use super::{
    engine::{Bell, Engine, NamedQueue},
    error::SqsError,
    id::IdSource,
    move_task::{MOVES_PER_SECOND_MAX, MoveStatus, MoveTask},
    named_queue::lock,
};

/// Finished tasks that are remembered.
const TASKS_MAX: usize = 1_000;

impl<B: Bell> Engine<B> {
    /// Starts a task; [`Self::step_move_tasks`] carries it out.
    ///
    /// # Errors
    /// [`SqsError::ResourceNotFound`] for an unknown queue, [`SqsError::InvalidParameterValue`]
    /// for one that is nobody's dead-letter queue, [`SqsError::UnsupportedOperation`] while
    /// another task of that queue is active.
    pub fn start_move_task(
        &self,
        source_arn: &str,
        destination_arn: Option<&str>,
        moves_per_second_max: Option<u32>,
        now: u64,
    ) -> Result<String, SqsError> {
        let missing = |which: &str| {
            SqsError::ResourceNotFound(format!(
                "The resource that you specified for the {which} parameter doesn't exist."
            ))
        };
        let source = self.queue_by_arn(source_arn).map_err(|_| missing("SourceArn"))?;
        if let Some(destination) = destination_arn {
            self.queue_by_arn(destination).map_err(|_| missing("DestinationArn"))?;
            if destination == source_arn {
                return Err(SqsError::InvalidParameterValue(
                    "Source queue arn and destination queue arn cannot be the same.".to_owned(),
                ));
            }
        }
        if moves_per_second_max.is_some_and(|rate| rate == 0 || rate > MOVES_PER_SECOND_MAX) {
            return Err(SqsError::InvalidParameterValue(format!(
                "Value for parameter MaxNumberOfMessagesPerSecond must be between 1 and {MOVES_PER_SECOND_MAX}."
            )));
        }
        if self.dead_letter_sources(source_arn).is_empty() {
            return Err(SqsError::InvalidParameterValue(
                "Source queue must be configured as a Dead Letter Queue.".to_owned(),
            ));
        }
        let mut tasks = lock(&self.move_tasks);
        if tasks.iter().any(|task| task.is_active() && task.source_arn == source_arn) {
            return Err(SqsError::UnsupportedOperation(
                "There is already a task running. Only one active task is allowed for a source queue arn at a given time.".to_owned(),
            ));
        }
        if tasks.len() >= TASKS_MAX {
            tasks.retain(MoveTask::is_active);
        }
        let (to_move, end) = {
            let mut queue = lock(&source.queue);
            queue.tick(now);
            (queue.counts().visible as u64, queue.end_serial())
        };
        let mut ids = IdSource::from_seed(self.config.seed ^ now ^ tasks.len() as u64);
        let handle = ids.message_id().to_string();
        tasks.push(MoveTask {
            handle: handle.clone(),
            source_arn: source_arn.to_owned(),
            destination_arn: destination_arn.map(str::to_owned),
            moves_per_second_max,
            status: MoveStatus::Running,
            moved: 0,
            to_move,
            started_at: now,
            failure: None,
            serials: 0..end,
        });
        Ok(handle)
    }

    /// The tasks of a queue, the latest first.
    ///
    /// # Errors
    /// [`SqsError::ResourceNotFound`] for an unknown queue.
    pub fn list_move_tasks(
        &self,
        source_arn: &str,
        tasks_max: usize,
    ) -> Result<Vec<MoveTask>, SqsError> {
        self.queue_by_arn(source_arn).map_err(|_| {
            SqsError::ResourceNotFound(
                "The resource that you specified for the SourceArn parameter doesn't exist."
                    .to_owned(),
            )
        })?;
        let tasks = lock(&self.move_tasks);
        let of_source = tasks.iter().rev().filter(|task| task.source_arn == source_arn);
        Ok(of_source.take(tasks_max).cloned().collect())
    }

    /// Asks a task to stop and tells how many messages it has moved; they are not moved back.
    ///
    /// # Errors
    /// [`SqsError::ResourceNotFound`] for an unknown task,
    /// [`SqsError::UnsupportedOperation`] for one that has ended.
    pub fn cancel_move_task(&self, handle: &str) -> Result<u64, SqsError> {
        let mut tasks = lock(&self.move_tasks);
        let task = tasks
            .iter_mut()
            .find(|task| task.handle == handle)
            .ok_or_else(|| SqsError::ResourceNotFound("Task does not exist.".to_owned()))?;
        if task.status != MoveStatus::Running {
            return Err(SqsError::UnsupportedOperation(
                "Only active tasks can be cancelled.".to_owned(),
            ));
        }
        task.status = MoveStatus::Cancelling;
        Ok(task.moved)
    }

    /// Carries every active task on by a bounded number of messages; whether any is active still.
    pub fn step_move_tasks(&self, now: u64) -> bool {
        let mut tasks = lock(&self.move_tasks);
        for task in tasks.iter_mut().filter(|task| task.is_active()) {
            self.step(task, now);
        }
        tasks.iter().any(MoveTask::is_active)
    }

    fn step(&self, task: &mut MoveTask, now: u64) {
        if task.status == MoveStatus::Cancelling {
            task.status = MoveStatus::Cancelled;
            return;
        }
        let Ok(source) = self.queue_by_arn(&task.source_arn) else {
            return task.fail("AWS.SimpleQueueService.NonExistentQueue");
        };
        for _ in 0..task.allowance(now) {
            let mut destination = None;
            let taken = source.change(|queue| {
                queue.tick(now);
                queue.take_oldest(task.serials.clone(), |moving| {
                    let origin = moving.payload.dead_letter_source_arn.as_deref();
                    destination = Some(self.destination(task, origin)?);
                    Ok(())
                })
            });
            match (taken, destination) {
                (Ok(Some((serial, moving))), Some(destination)) => {
                    destination.change(|queue| queue.accept_redriven(moving, now));
                    task.moved += 1;
                    task.serials.start = serial + 1;
                }
                (Err(why), _) => return task.fail(why),
                (Ok(_), _) => {
                    task.status = MoveStatus::Completed;
                    return;
                }
            }
        }
    }

    fn destination(
        &self,
        task: &MoveTask,
        origin: Option<&str>,
    ) -> Result<Arc<NamedQueue<B>>, &'static str> {
        let arn = task.destination_arn.as_deref().or(origin);
        let arn = arn.ok_or("CouldNotDetermineMessageSource")?;
        self.queue_by_arn(arn).map_err(|_| "AWS.SimpleQueueService.NonExistentQueue")
    }
}
