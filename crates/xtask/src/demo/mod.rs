//! `cargo xtask demo`: the main job of CAP, from nothing, in a minute.
//!
//! stack → services → accounts, deposits, trades → outcomes → proof → report

mod report;
mod script;
mod tape;
mod traffic;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use cap_aws::{QueueDirectory, SqsQueues};
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::StageName;
use cap_stack::{Installation, Services, Stack};
use cap_store::trial_balance::trial_balance;
use cap_store::verify::{Databases, VerifyOptions, verify};

use crate::build;
use crate::progress::Progress;
use report::Report;

/// Connections the demo needs to each database.
const CONNECTIONS_MAX: u32 = 2;

/// Runs the demo over `trades`, or over a generated tape.
pub(crate) fn run(trades: Option<&Path>, json: bool, built: bool) -> anyhow::Result<()> {
    let progress = Progress::new();
    let (tape, source) = match trades {
        Some(file) => {
            (tape::read(file)?, file.file_name().unwrap_or_default().to_string_lossy().into_owned())
        }
        None => (tape::generated(), "a generated tape".to_owned()),
    };
    let binaries = build::services(built)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting")?;
    let report = runtime.block_on(play(&tape, &source, &binaries, &progress))?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report.to_json())?);
    } else {
        println!("{report}");
    }
    report.check()
}

async fn play(
    tape: &[tape::Trade],
    source: &str,
    binaries: &Path,
    progress: &Progress,
) -> anyhow::Result<Report> {
    let step = progress.step("Starting PostgreSQL, an SQS broker and DynamoDB");
    let stack = Stack::start().await?;
    let installation = stack.install("", &build::root().join("config")).await?;
    step.done();
    let step = progress.step("Starting clearing, position and account");
    let logs = build::root().join(".local/logs/demo");
    let services = Services::start(binaries, &installation, &logs).await?;
    step.done();

    let aws = stack.connect().await;
    let script = script::write(tape);
    let directory = QueueDirectory::load(aws.sqs.clone(), &installation.prefix).await?;
    let queues = SqsQueues::new(&aws.sqs, Arc::new(directory));
    let played = traffic::play(queues, &script, progress, &logs).await;
    let played = played.with_context(|| format!("the services' logs are in {}", logs.display()))?;

    let step = progress.step("Proving every balance and position from the journal");
    let databases = connect(&installation)?;
    let proof = verify(&databases, &VerifyOptions { settled: true, account: None }).await?;
    let balance = trial_balance(&databases.account).await?;
    step.done();
    let story = tell(&databases, &script).await?;
    services.stop().await?;
    Ok(Report {
        source: source.to_owned(),
        trades: tape.len(),
        accounts: script::accounts(),
        played,
        proof,
        balance,
        story,
    })
}

/// The story of the last fill of a contract: it went through all three stages.
async fn tell(databases: &Databases, script: &[script::Step]) -> anyhow::Result<String> {
    let told = script.iter().rev().find(|step| step.event.get("symbol").is_some());
    let Some(step) = told else { return Ok(String::new()) };
    let address = &step.account;
    let key =
        [address.company, address.product, address.customer_group, &address.account].join("_");
    let account: AccountKey = key.parse()?;
    let request_id = RequestId::new(&step.request_id)?;
    Ok(capctl::story::tell(databases, &account, &request_id).await?.to_string())
}

fn connect(installation: &Installation) -> anyhow::Result<Databases> {
    let pool =
        |stage| cap_store::connect(installation.databases.of(stage), "demo", CONNECTIONS_MAX);
    Ok(Databases {
        clearing: pool(StageName::Clearing)?,
        position: pool(StageName::Position)?,
        account: pool(StageName::Account)?,
    })
}
