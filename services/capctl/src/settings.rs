//! What a command is told by its environment: each group of settings is read only by the commands
//! that need it, and everything missing is reported together.
//!
//! Region, endpoints and credentials of AWS are the SDK's own variables and are read by it.

use std::fmt::Write as _;
use std::marker::PhantomData;

use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::lane::{Stage, StageName};
use cap_domain::position::Positions;
use cap_service::environment::{Description, Environment, Setting, Settings, describe};

/// The URL of the database of stage `S`.
#[derive(Debug, Clone)]
pub struct DatabaseUrl<S> {
    /// The URL.
    pub url: String,
    stage: PhantomData<fn() -> S>,
}

impl<S: Stage> Settings for DatabaseUrl<S> {
    fn read(environment: &mut Environment<'_>) -> Option<Self> {
        let (name, purpose, example) = match S::NAME {
            StageName::Clearing => (
                "CLEARING_DATABASE_URL",
                "the PostgreSQL database of clearing",
                "postgres://cap@db.internal/cap_clearing",
            ),
            StageName::Position => (
                "POSITION_DATABASE_URL",
                "the PostgreSQL database of position",
                "postgres://cap@db.internal/cap_position",
            ),
            StageName::Account => (
                "ACCOUNT_DATABASE_URL",
                "the PostgreSQL database of account",
                "postgres://cap@db.internal/cap_account",
            ),
        };
        let url = environment.required(Setting::new(name, purpose).example(example).secret())?;
        Some(Self { url, stage: PhantomData })
    }
}

/// The URLs of all stages' databases.
#[derive(Debug, Clone)]
pub struct DatabaseUrls {
    /// Clearing's.
    pub clearing: String,
    /// Position's.
    pub position: String,
    /// Account's.
    pub account: String,
}

impl DatabaseUrls {
    /// The URL of a stage's database.
    pub fn of(&self, stage: StageName) -> &str {
        match stage {
            StageName::Clearing => &self.clearing,
            StageName::Position => &self.position,
            StageName::Account => &self.account,
        }
    }
}

impl Settings for DatabaseUrls {
    fn read(environment: &mut Environment<'_>) -> Option<Self> {
        let clearing = DatabaseUrl::<Clearing>::read(environment);
        let position = DatabaseUrl::<Positions>::read(environment);
        let account = DatabaseUrl::<Accounts>::read(environment);
        Some(Self { clearing: clearing?.url, position: position?.url, account: account?.url })
    }
}

/// The URL of the query store, where there is one.
#[derive(Debug, Clone)]
pub struct QueryUrl(pub Option<String>);

impl Settings for QueryUrl {
    fn read(environment: &mut Environment<'_>) -> Option<Self> {
        let setting =
            Setting::new("QUERY_DATABASE_URL", "the PostgreSQL database of the query store");
        environment
            .optional(setting.example("postgres://cap@db.internal/cap_query").secret())
            .map(Self)
    }
}

/// What the names of the installation's queues and tables begin with.
#[derive(Debug, Clone)]
pub struct Prefix(pub String);

impl Settings for Prefix {
    fn read(environment: &mut Environment<'_>) -> Option<Self> {
        let purpose = "what the names of this installation's queues and tables begin with";
        environment.with_default(Setting::new("CAP_PREFIX", purpose).example("prod"), "").map(Self)
    }
}

/// Every setting there is, for the help.
pub fn help() -> String {
    let mut text = "Environment:\n".to_owned();
    let ours: Vec<Description> = describe::<(DatabaseUrls, (QueryUrl, Prefix))>();
    for Description { name, purpose, .. } in &ours {
        let _ = writeln!(text, "  {name:<23}{purpose}");
    }
    text.push_str(
        "  AWS_*                  region, endpoints and credentials, as the AWS SDK reads them\n\n",
    );
    text.push_str(
        "Exit codes: 0 done · 1 could not be done · 2 a proof failed: the books are wrong",
    );
    text
}
