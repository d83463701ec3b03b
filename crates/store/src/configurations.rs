//! The configurations clearing decided under, kept so that its journal can be replayed.

use cap_domain::configuration::{Configuration, ConfigurationDocument};
use sqlx::{PgConnection, PgPool};

use crate::error::{QueryError, failed};
use crate::values::{bigint, counter};

/// Keeps `document` as `revision`, before anything is decided under it. Again and again is fine.
///
/// # Errors
/// [`QueryError::Conflict`] if that revision was kept with another content; else the database
/// did not take it.
pub async fn remember(
    pool: &PgPool,
    revision: u64,
    document: &ConfigurationDocument,
) -> Result<(), QueryError> {
    let text = serde_json::to_string(document);
    let text = text.map_err(|error| unreadable(revision, error))?;
    keep(pool, revision, &text).await?;
    match read(pool, revision).await? {
        Some(kept) if kept == *document => Ok(()),
        _ => Err(QueryError::Conflict { revision }),
    }
}

fn unreadable(revision: u64, error: serde_json::Error) -> QueryError {
    QueryError::unreadable(format!("configuration {revision}"), error)
}

async fn keep(pool: &PgPool, revision: u64, document: &str) -> Result<(), QueryError> {
    let keep = "insert into configuration (revision, document) values ($1, $2) on conflict (revision) do nothing";
    let kept = sqlx::query(keep).bind(bigint(revision)).bind(document).execute(pool).await;
    kept.map(|_| ()).map_err(failed("keeping a configuration"))
}

/// The configuration of `revision`, if it was ever decided under.
///
/// # Errors
/// See [`QueryError`].
pub async fn read(
    pool: &PgPool,
    revision: u64,
) -> Result<Option<ConfigurationDocument>, QueryError> {
    let document = "select document from configuration where revision = $1";
    let document: Option<String> = sqlx::query_scalar(document)
        .bind(bigint(revision))
        .fetch_optional(pool)
        .await
        .map_err(failed("reading a configuration"))?;
    let parse = |text: String| serde_json::from_str(&text);
    document.map(parse).transpose().map_err(|error| unreadable(revision, error))
}

/// The latest revision that was ever decided under, if there is one.
///
/// # Errors
/// See [`QueryError`].
pub async fn latest(pool: &PgPool) -> Result<Option<(u64, ConfigurationDocument)>, QueryError> {
    let latest = "select max(revision) from configuration";
    let latest: Option<i64> = sqlx::query_scalar(latest)
        .fetch_one(pool)
        .await
        .map_err(failed("looking for the latest configuration"))?;
    let Some(latest) = latest else { return Ok(None) };
    let revision = counter("revision", latest)
        .map_err(|reason| QueryError::unreadable("configuration", reason))?;
    Ok(read(pool, revision).await?.map(|document| (revision, document)))
}

/// Every configuration that was kept, checked again; of those that fail, why.
pub(crate) async fn read_all(
    connection: &mut PgConnection,
) -> Result<Vec<(u64, Result<Configuration, String>)>, QueryError> {
    let documents = "select revision, document from configuration order by revision";
    let documents: Vec<(i64, String)> = sqlx::query_as(documents)
        .fetch_all(connection)
        .await
        .map_err(failed("reading all configurations"))?;
    let check = |revision: u64, text: &str| {
        let document = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Configuration::check(revision, document).map_err(|error| error.to_string())
    };
    documents
        .into_iter()
        .map(|(stored, text)| {
            let revision = counter("revision", stored);
            let revision =
                revision.map_err(|reason| QueryError::unreadable("configuration", reason))?;
            Ok((revision, check(revision, &text)))
        })
        .collect()
}
