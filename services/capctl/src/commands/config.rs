//! `capctl config`: the configuration, pushed as a whole and shown.

use std::fmt;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use cap_aws::ConfigurationStore;
use cap_aws::configuration::{ConfigurationStoreError, PushedConfiguration};
use cap_aws::files::read_configuration;
use cap_domain::clearing::Clearing;
use cap_domain::configuration::{ConfigurationDocument, InstrumentsDocument};
use cap_domain::position::Positions;
use cap_domain::time::Timestamp;
use cap_service::environment;
use serde::Serialize;

use crate::answer::Answer;
use crate::audit_log::AuditLog;
use crate::databases::pool;
use crate::parameters::{Push, PushError, Waits};
use crate::settings::{DatabaseUrl, Prefix};
use crate::table::{Align, Table};

#[derive(Debug, Serialize)]
struct Pushed {
    revision: u64,
    pushed_at: Timestamp,
    pushed_by: String,
    currencies: usize,
    products: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Shown {
    revision: u64,
    pushed_at: Timestamp,
    pushed_by: String,
    document: ConfigurationDocument,
}

pub(super) async fn push(directory: &Path, by: &str, now: Timestamp) -> anyhow::Result<Answer> {
    type Databases = (DatabaseUrl<Clearing>, DatabaseUrl<Positions>);
    type Wanted = (Databases, Prefix);
    let ((clearing, positions), Prefix(prefix)) =
        environment::read::<Wanted>(&environment::process)?;
    let (clearing, positions) = (pool(&clearing.url)?, pool(&positions.url)?);
    let document = read_configuration(directory).context("the configuration is refused")?;
    let command = format!("config push {}", directory.display());
    let log = AuditLog::open(clearing.clone(), by, command).await?;
    let push = Push {
        store: &store(&prefix).await,
        clearing: &clearing,
        positions: &positions,
        document: &document,
        by,
        waits: Waits::default(),
    };
    let pushed = push.push(|| now).await.map_err(|error| match error {
        // The error names its file as the folder has it.
        PushError::NotPushed(ConfigurationStoreError::Refused(error)) => {
            let file = directory.join(error.document);
            anyhow!("the configuration is refused: {}: {}", file.display(), error.reason)
        }
        error => error.into(),
    });
    let revision = log.conclude(pushed, |revision| format!("revision {revision}")).await?;
    tracing::info!(operator = by, revision, "pushed a configuration");
    Answer::new(&Pushed {
        revision,
        pushed_at: now,
        pushed_by: by.to_owned(),
        currencies: document.currencies.len(),
        products: document.rulebooks.iter().map(|rulebook| rulebook.product.to_string()).collect(),
    })
}

pub(super) async fn show(revision: Option<u64>) -> anyhow::Result<Answer> {
    let Prefix(prefix) = environment::read(&environment::process)?;
    let store = store(&prefix).await;
    let pushed = match revision {
        None => store.latest().await?,
        Some(revision) => store.read(revision).await?,
    };
    let Some(PushedConfiguration { revision, document, pushed_at, pushed_by }) = pushed else {
        match revision {
            None => bail!("there is no configuration yet: push one with `capctl config push DIR`"),
            Some(wanted) => match store.current_revision().await? {
                0 => bail!(
                    "there is no revision {wanted}, and no other: push one with `capctl config push DIR`"
                ),
                latest => {
                    bail!("there is no revision {wanted}: they are numbered from 1 to {latest}")
                }
            },
        }
    };
    Answer::new(&Shown { revision, pushed_at, pushed_by, document })
}

async fn store(prefix: &str) -> ConfigurationStore {
    ConfigurationStore::new(cap_aws::connect().await.dynamodb, prefix)
}

impl fmt::Display for Pushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, pushed_by, currencies, products, .. } = self;
        writeln!(
            f,
            "revision {revision} pushed by {pushed_by}: {currencies} currencies, products {}",
            products.join(", ")
        )?;
        writeln!(f, "running services take it up within seconds")
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, pushed_at, pushed_by, document } = self;
        writeln!(f, "revision {revision}, pushed {pushed_at} by {pushed_by}\n")?;
        let mut currencies = Table::new(&[("currency", Align::Left), ("decimals", Align::Right)]);
        for (code, decimals) in &document.currencies {
            currencies.row([code.to_string(), decimals.to_string()]);
        }
        let mut products = Table::new(&[
            ("product", Align::Left),
            ("rulebook", Align::Right),
            ("path", Align::Left),
            ("trades", Align::Left),
        ]);
        for rulebook in &document.rulebooks {
            let traded = match document.instruments.get(&rulebook.product) {
                Some(InstrumentsDocument::Pairs(pairs)) => pairs.join(", "),
                Some(InstrumentsDocument::Symbols(symbols)) => {
                    symbols.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                }
                None => "nothing".to_owned(),
            };
            let path =
                rulebook.path.iter().map(|stage| stage.as_str()).collect::<Vec<_>>().join(" → ");
            let version = format!("v{}", rulebook.version);
            products.row([rulebook.product.to_string(), version, path, traded]);
        }
        writeln!(f, "{currencies}\n{products}\n--json shows the whole document")
    }
}
