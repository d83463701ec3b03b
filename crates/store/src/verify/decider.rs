//! Who decided a row: the stage under the rules and the configuration that the row names.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::configuration::Configuration;
use cap_domain::lane::{Row, Rules, Stage};
use sqlx::PgConnection;

use crate::configurations::read_all;
use crate::error::QueryError;

/// Finds the stage that decided a row.
pub(super) trait Decider<S: Stage>: Send + Sync {
    /// The stage, or why there is none any more.
    fn of(&self, row: &Row) -> Result<&S, String>;
}

/// A stage without a configuration.
pub(super) struct Constant<S>(pub(super) S);

impl<S: Stage> Decider<S> for Constant<S> {
    fn of(&self, row: &Row) -> Result<&S, String> {
        check(self.0.rules(), row)?;
        Ok(&self.0)
    }
}

/// A stage under every version of its rules.
pub(super) struct Versions<S>(BTreeMap<u16, S>);

impl<S: Stage> Versions<S> {
    /// All up to that of `newest`.
    fn up_to(newest: &S, under: impl Fn(u16) -> Option<S>) -> Self {
        let versions = 0..=newest.rules().version;
        Self(versions.filter_map(|version| Some((version, under(version)?))).collect())
    }
}

impl Versions<Clearing> {
    fn of_clearing(configuration: Configuration) -> Self {
        let configuration = Arc::new(configuration);
        let newest = Clearing::new(Arc::clone(&configuration));
        Self::up_to(&newest, |version| Clearing::under(Arc::clone(&configuration), version))
    }
}

impl Default for Versions<Accounts> {
    fn default() -> Self {
        Self::up_to(&Accounts::default(), Accounts::under)
    }
}

impl<S: Stage> Decider<S> for Versions<S> {
    fn of(&self, row: &Row) -> Result<&S, String> {
        let version = row.rules_version;
        let stage = self.0.get(&version).ok_or_else(|| {
            format!(
                "it was decided by version {version} of the rules, which this release does not know"
            )
        })?;
        check(stage.rules(), row)?;
        Ok(stage)
    }
}

/// Clearing under every configuration it ever decided under.
pub(super) struct Revisions(HashMap<u64, Result<Versions<Clearing>, String>>);

impl Revisions {
    /// Of all configurations that clearing's database keeps.
    pub(super) async fn read(connection: &mut PgConnection) -> Result<Self, QueryError> {
        // Before the first push there is an empty configuration, which nobody stores.
        let empty = Versions::of_clearing(Configuration::default());
        let mut revisions = HashMap::from([(0, Ok(empty))]);
        for (revision, configuration) in read_all(connection).await? {
            revisions.insert(revision, configuration.map(Versions::of_clearing));
        }
        Ok(Self(revisions))
    }
}

impl Decider<Clearing> for Revisions {
    fn of(&self, row: &Row) -> Result<&Clearing, String> {
        let revision = row.configuration;
        match self.0.get(&revision) {
            Some(Ok(versions)) => versions.of(row),
            Some(Err(reason)) => {
                Err(format!("configuration {revision} is no longer valid: {reason}"))
            }
            None => Err(format!("configuration {revision}, which decided it, was not kept")),
        }
    }
}

fn check(rules: Rules, row: &Row) -> Result<(), String> {
    if row.rules_version != rules.version {
        let (found, known) = (row.rules_version, rules.version);
        return Err(format!(
            "it was decided by version {found} of the rules, this release knows version {known}"
        ));
    }
    if row.configuration != rules.configuration {
        return Err(format!(
            "it names configuration {}, which this stage has no use for",
            row.configuration
        ));
    }
    Ok(())
}
