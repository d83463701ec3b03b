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

/// Account under every version of its rules.
pub(super) struct Versions(BTreeMap<u16, Accounts>);

impl Default for Versions {
    fn default() -> Self {
        let known = (0..=Accounts::default().rules().version)
            .filter_map(|version| Some((version, Accounts::under(version)?)));
        Self(known.collect())
    }
}

impl Decider<Accounts> for Versions {
    fn of(&self, row: &Row) -> Result<&Accounts, String> {
        let version = row.rules_version;
        let accounts = self.0.get(&version).ok_or_else(|| {
            format!(
                "it was decided by version {version} of the rules, which this release does not know"
            )
        })?;
        check(accounts.rules(), row)?;
        Ok(accounts)
    }
}

/// Clearing under every configuration it ever decided under.
pub(super) struct Revisions(HashMap<u64, Result<Clearing, String>>);

impl Revisions {
    /// Of all configurations that clearing's database keeps.
    pub(super) async fn read(connection: &mut PgConnection) -> Result<Self, QueryError> {
        // Before the first push there is an empty configuration, which nobody stores.
        let mut revisions =
            HashMap::from([(0, Ok(Clearing::new(Arc::new(Configuration::default()))))]);
        for (revision, configuration) in read_all(connection).await? {
            revisions.insert(
                revision,
                configuration.map(|configuration| Clearing::new(Arc::new(configuration))),
            );
        }
        Ok(Self(revisions))
    }
}

impl Decider<Clearing> for Revisions {
    fn of(&self, row: &Row) -> Result<&Clearing, String> {
        let revision = row.configuration;
        let clearing = match self.0.get(&revision) {
            Some(Ok(clearing)) => clearing,
            Some(Err(reason)) => {
                return Err(format!("configuration {revision} is no longer valid: {reason}"));
            }
            None => {
                return Err(format!("configuration {revision}, which decided it, was not kept"));
            }
        };
        check(clearing.rules(), row)?;
        Ok(clearing)
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
