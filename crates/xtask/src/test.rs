//! `cargo xtask test`: every test, over one PostgreSQL for all of them.

use anyhow::Context;
use cap_local::postgres::PostgresCluster;

use crate::build;

/// Runs every test, or those whose name contains `filter`.
pub(crate) fn run(filter: Option<&str>) -> anyhow::Result<()> {
    eprintln!("Starting PostgreSQL for the tests …");
    let postgres = PostgresCluster::start_temporary().context("starting PostgreSQL")?;
    let environment = [("CAP_TEST_POSTGRES_URL", postgres.url("postgres"))];
    eprintln!("Building the services …");
    build::services(false)?;
    eprintln!("Running the tests …");
    let mut arguments = vec!["test", "--workspace", "--no-fail-fast"];
    arguments.extend(filter);
    build::cargo("the tests", &arguments, &environment)
}
