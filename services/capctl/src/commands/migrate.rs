//! `capctl migrate`: databases and DynamoDB tables, created if missing and brought up to date.

use std::fmt;

use anyhow::Context as _;
use cap_aws::{ConfigurationStore, DynamoClaims};
use cap_domain::lane::StageName;
use cap_service::environment;
use cap_store::migrations::{create_database, migrator};
use serde::Serialize;
use sqlx::migrate::Migrate as _;
use sqlx::{Connection as _, PgConnection};

use crate::answer::Answer;
use crate::audit_log::AuditLog;
use crate::databases::pool;
use crate::settings::{DatabaseUrls, Prefix, QueryUrl};

/// What was done.
#[derive(Debug, Serialize)]
struct Migrated {
    databases: Vec<MigratedDatabase>,
    query: Option<QueryDatabase>,
    tables: Vec<String>,
}

#[derive(Debug, Serialize)]
struct MigratedDatabase {
    stage: StageName,
    created: bool,
    applied: Vec<String>,
    /// Migrations that were applied before.
    before: usize,
}

#[derive(Debug, Serialize)]
struct QueryDatabase {
    created: bool,
}

pub(super) async fn migrate(by: &str) -> anyhow::Result<Answer> {
    type Wanted = (DatabaseUrls, (QueryUrl, Prefix));
    let (urls, (QueryUrl(query_url), Prefix(prefix))) =
        environment::read::<Wanted>(&environment::process)?;
    let mut databases = Vec::new();
    for stage in StageName::ALL {
        let database = migrate_stage(stage, urls.of(stage)).await?;
        let MigratedDatabase { created, applied, .. } = &database;
        if *created || !applied.is_empty() {
            let applied = applied.join(", ");
            tracing::info!(operator = by, %stage, created, applied, "migrated a database");
        }
        databases.push(database);
    }
    let query = match query_url {
        None => None,
        Some(url) => {
            let created = create_database(&url).await.context("creating the query database")?;
            if created {
                tracing::info!(operator = by, "created the query database");
            }
            Some(QueryDatabase { created })
        }
    };
    let aws = cap_aws::connect().await;
    DynamoClaims::new(aws.dynamodb.clone(), &prefix).create_table().await?;
    ConfigurationStore::new(aws.dynamodb, &prefix).create_table().await?;
    let tables = ["claims", "configuration"].map(str::to_owned).to_vec();
    tracing::info!(operator = by, prefix, "made sure of the DynamoDB tables");
    let migrated = Migrated { databases, query, tables };
    let log = AuditLog::of(pool(&urls.clearing)?, by, "migrate".to_owned());
    log.write(migrated.summary()).await?;
    Answer::new(&migrated)
}

async fn migrate_stage(stage: StageName, url: &str) -> anyhow::Result<MigratedDatabase> {
    let failed = || format!("reading what was applied to the {stage} database before");
    let created =
        create_database(url).await.with_context(|| format!("creating the {stage} database"))?;
    let before = applied(stage, url).await.with_context(failed)?;
    cap_store::migrations::migrate(stage, url).await?;
    let new = migrator(stage).iter().filter(|migration| !before.contains(&migration.version));
    let applied =
        new.map(|migration| format!("{:04} {}", migration.version, migration.description));
    Ok(MigratedDatabase { stage, created, applied: applied.collect(), before: before.len() })
}

/// The versions of the migrations that were applied so far.
async fn applied(stage: StageName, url: &str) -> anyhow::Result<Vec<i64>> {
    let table = &migrator(stage).table_name;
    let mut connection = PgConnection::connect(url).await?;
    connection.ensure_migrations_table(table).await?;
    let applied = connection.list_applied_migrations(table).await?;
    connection.close().await?;
    Ok(applied.iter().map(|migration| migration.version).collect())
}

impl Migrated {
    /// What was applied, in a line.
    fn summary(&self) -> String {
        let applied: Vec<String> = self
            .databases
            .iter()
            .filter(|database| !database.applied.is_empty())
            .map(|database| format!("{}: {}", database.stage, database.applied.join(", ")))
            .collect();
        if applied.is_empty() { "everything was up to date".to_owned() } else { applied.join("; ") }
    }
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for MigratedDatabase { stage, created, applied, before } in &self.databases {
            let (name, created) = (stage.as_str(), if *created { "created, " } else { "" });
            match applied.as_slice() {
                [] => writeln!(f, "{name:<9} up to date with {before} migrations")?,
                applied => writeln!(f, "{name:<9} {created}applied {}", applied.join(", "))?,
            }
        }
        match &self.query {
            None => writeln!(f, "query     left alone: QUERY_DATABASE_URL is not set")?,
            Some(QueryDatabase { created: true }) => {
                writeln!(f, "query     created; it has no schema yet")?
            }
            Some(QueryDatabase { created: false }) => {
                writeln!(f, "query     is there; it has no schema yet")?
            }
        }
        writeln!(f, "dynamodb  has the tables for {}", self.tables.join(" and "))
    }
}
