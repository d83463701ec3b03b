//! The schema of each service's database, as numbered files that are part of the program.

use cap_domain::lane::StageName;
use sqlx::migrate::{MigrateDatabase, MigrateError, Migrator};
use sqlx::{Connection, PgConnection, Postgres};

static CLEARING: Migrator = sqlx::migrate!("../../migrations/clearing");
static POSITION: Migrator = sqlx::migrate!("../../migrations/position");
static ACCOUNT: Migrator = sqlx::migrate!("../../migrations/account");

/// SQLSTATE of a database that does not exist.
const INVALID_CATALOG_NAME: &str = "3D000";

/// SQLSTATE of a database that exists already.
const DUPLICATE_DATABASE: &str = "42P04";

/// Why a database is not up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// It cannot be reached.
    #[error("connecting to the {stage} database")]
    Connect {
        /// Whose database it is.
        stage: StageName,
        /// What came back.
        #[source]
        source: sqlx::Error,
    },
    /// It does not exist and could not be created.
    #[error("creating the {stage} database")]
    Create {
        /// Whose database it is.
        stage: StageName,
        /// What came back.
        #[source]
        source: sqlx::Error,
    },
    /// A migration failed, or one that was applied is not this program's.
    #[error("migrating the {stage} database")]
    Migrate {
        /// Whose database it is.
        stage: StageName,
        /// What came back.
        #[source]
        source: MigrateError,
    },
}

/// The migrations of a stage's database.
pub fn migrator(stage: StageName) -> &'static Migrator {
    match stage {
        StageName::Clearing => &CLEARING,
        StageName::Position => &POSITION,
        StageName::Account => &ACCOUNT,
    }
}

/// Brings the database at `url` up to date, and creates it first if it is not there.
///
/// Safe to run from several places at once: the migrator holds a lock, and a database that
/// somebody else creates meanwhile is as good.
///
/// # Errors
/// See [`MigrationError`].
pub async fn migrate(stage: StageName, url: &str) -> Result<(), MigrationError> {
    let mut connection = match PgConnection::connect(url).await {
        Err(error) if is(&error, INVALID_CATALOG_NAME) => {
            create(stage, url).await?;
            PgConnection::connect(url).await
        }
        connected => connected,
    }
    .map_err(|source| MigrationError::Connect { stage, source })?;
    let migrated = migrator(stage).run(&mut connection).await;
    migrated.map_err(|source| MigrationError::Migrate { stage, source })?;
    connection.close().await.map_err(|source| MigrationError::Connect { stage, source })
}

async fn create(stage: StageName, url: &str) -> Result<(), MigrationError> {
    create_database(url)
        .await
        .map(|_| ())
        .map_err(|source| MigrationError::Create { stage, source })
}

/// Creates the database at `url` unless it is there; tells whether it did.
///
/// # Errors
/// If the server cannot be reached, or the role may not create databases.
pub async fn create_database(url: &str) -> Result<bool, sqlx::Error> {
    if Postgres::database_exists(url).await? {
        return Ok(false);
    }
    match Postgres::create_database(url).await {
        // Somebody else was faster.
        Err(error) if is(&error, DUPLICATE_DATABASE) => Ok(false),
        created => created.map(|()| true),
    }
}

fn is(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(|error| error.code()).as_deref() == Some(code)
}
