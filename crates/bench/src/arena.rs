//! Where benches run: one PostgreSQL server with full durability, and the configuration of the repository.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use cap_aws::files::read_configuration;
use cap_domain::clearing::Clearing;
use cap_domain::configuration::Configuration;
use cap_domain::lane::{Stage, StageName};
use cap_local::postgres::PostgresCluster;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::machine::{Machine, cpu_secs_of_family};

/// What the server is given beyond the local stack's settings. Durability stays as it is there: `fsync`,
/// `synchronous_commit` and `full_page_writes` are on. The sizes are those of a small production server.
const SETTINGS: [(&str, &str); 6] = [
    ("shared_buffers", "4GB"),
    ("max_wal_size", "6GB"),
    ("min_wal_size", "2GB"),
    ("checkpoint_timeout", "15min"),
    ("wal_compression", "lz4"),
    ("wal_buffers", "64MB"),
];

/// Connections of a stage to its database, as the services have them.
const CONNECTIONS_MAX: u32 = 16;

/// The first revision of a configuration.
const REVISION: u64 = 1;

/// Where benches run.
pub struct Arena {
    postgres: PostgresCluster,
    /// The folder of the configuration files.
    pub configuration: PathBuf,
    /// The folder of the optimised programs.
    pub binaries: PathBuf,
    /// The folder for logs of services.
    pub logs: PathBuf,
}

impl Arena {
    /// Starts PostgreSQL.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(configuration: &Path, binaries: &Path) -> anyhow::Result<Self> {
        let started =
            tokio::task::spawn_blocking(|| PostgresCluster::start_temporary_with(&SETTINGS));
        let postgres = started.await?.context("starting PostgreSQL")?;
        let logs = binaries.join("bench-logs");
        std::fs::create_dir_all(&logs).with_context(|| format!("creating {}", logs.display()))?;
        Ok(Self {
            postgres,
            configuration: configuration.to_owned(),
            binaries: binaries.to_owned(),
            logs,
        })
    }

    /// What the figures depend on.
    ///
    /// # Errors
    /// If PostgreSQL does not tell.
    pub async fn machine(&self) -> anyhow::Result<Machine> {
        Machine::of(&self.pool("postgres")?).await
    }

    /// The server's address, of its own `postgres` database.
    pub fn postgres_url(&self) -> String {
        self.postgres.url("postgres")
    }

    /// The processor time of the server and its connections so far, in seconds. A connection that is
    /// closed takes its time with it.
    pub(crate) fn postgres_cpu_secs(&self) -> f64 {
        self.postgres.process_id().map_or(0.0, cpu_secs_of_family)
    }

    /// The clearing stage under the repository's configuration.
    ///
    /// # Errors
    /// If a file cannot be read, or is wrong.
    pub fn clearing(&self) -> anyhow::Result<Clearing> {
        let document = read_configuration(&self.configuration)?;
        Ok(Clearing::new(Arc::new(Configuration::check(REVISION, document)?)))
    }

    /// A new database with the tables of stage `S`.
    ///
    /// # Errors
    /// If it cannot be made.
    pub async fn database<S: Stage>(&self, name: &str) -> anyhow::Result<PgPool> {
        let stage: StageName = S::NAME;
        let url = self.postgres.url(name);
        cap_store::migrations::create_database(&url).await?;
        cap_store::migrations::migrate(stage, &url).await?;
        self.pool(name)
    }

    /// A new empty database.
    ///
    /// # Errors
    /// If it cannot be made.
    pub async fn empty_database(&self, name: &str) -> anyhow::Result<PgPool> {
        cap_store::migrations::create_database(&self.postgres.url(name)).await?;
        self.pool(name)
    }

    /// Forgets a database: its connections are cut.
    ///
    /// # Errors
    /// If PostgreSQL refuses.
    pub async fn drop_database(&self, pool: PgPool, name: &str) -> anyhow::Result<()> {
        pool.close().await;
        let pool = self.pool("postgres")?;
        // The name is a literal of a bench.
        let drop = format!("drop database \"{name}\" with (force)");
        sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&pool).await?;
        Ok(())
    }

    /// Writes out what is waiting, so that no measurement pays for the one before it.
    ///
    /// # Errors
    /// If PostgreSQL refuses.
    pub async fn settle(&self) -> anyhow::Result<()> {
        sqlx::raw_sql("checkpoint").execute(&self.pool("postgres")?).await?;
        Ok(())
    }

    /// How many bytes of write-ahead log there are so far.
    ///
    /// # Errors
    /// If PostgreSQL refuses.
    pub(crate) async fn logged_bytes(&self) -> anyhow::Result<f64> {
        let logged = sqlx::query_scalar("select (pg_current_wal_insert_lsn() - '0/0')::float8");
        Ok(logged.fetch_one(&self.pool("postgres")?).await?)
    }

    /// One connection to the database of `pool` without a stage's bounds: for what makes or counts whole
    /// tables.
    pub(crate) fn unhurried(pool: &PgPool) -> PgPool {
        let settings = [("statement_timeout", "0"), ("enable_seqscan", "on")];
        let options = pool.connect_options().as_ref().clone().options(settings);
        PgPoolOptions::new().max_connections(1).connect_lazy_with(options)
    }

    fn pool(&self, database: &str) -> anyhow::Result<PgPool> {
        Ok(cap_store::connect(&self.postgres.url(database), "bench", CONNECTIONS_MAX)?)
    }
}
