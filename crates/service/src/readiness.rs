//! Whether a service is ready for work: every component states its own condition.
//!
//! Guarantees: a service is ready when all its conditions are; whatever keeps it from being ready has
//! a name and a reason. A service without conditions is ready.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The conditions of one service, shared by its components.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    /// `None` when the condition holds, else why it does not.
    conditions: Arc<Mutex<BTreeMap<&'static str, Option<String>>>>,
}

/// One component's condition.
#[derive(Clone, Debug)]
pub struct Condition {
    name: &'static str,
    readiness: Readiness,
}

/// A condition that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NotReady {
    /// The component's name for it, such as `database`.
    pub condition: &'static str,
    /// Why it does not hold.
    pub reason: String,
}

impl Readiness {
    /// A new condition, which does not hold yet.
    #[must_use]
    pub fn condition(&self, name: &'static str) -> Condition {
        let condition = Condition { name, readiness: self.clone() };
        condition.not_ready("is starting");
        condition
    }

    /// What keeps the service from being ready, sorted by name; nothing when it is ready.
    #[must_use]
    pub fn reasons(&self) -> Vec<NotReady> {
        let conditions = self.lock();
        let failing =
            conditions.iter().filter_map(|(condition, reason)| Some((*condition, reason.clone()?)));
        failing.map(|(condition, reason)| NotReady { condition, reason }).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Option<String>>> {
        // Each change is a single insert, so a panic elsewhere leaves nothing half done.
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Condition {
    /// The condition holds.
    pub fn ready(&self) {
        self.set(None);
    }

    /// The condition does not hold, for a reason in simple English.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    fn set(&self, reason: Option<String>) {
        self.readiness.lock().insert(self.name, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_ready_when_all_its_conditions_are() {
        let readiness = Readiness::default();
        assert_eq!(readiness.reasons(), []);

        let queue = readiness.condition("queue");
        let database = readiness.condition("database");
        database.not_ready("refuses connections");
        assert_eq!(
            readiness.reasons(),
            [
                NotReady { condition: "database", reason: "refuses connections".to_owned() },
                NotReady { condition: "queue", reason: "is starting".to_owned() },
            ]
        );

        queue.ready();
        database.ready();
        assert_eq!(readiness.reasons(), []);
    }
}
