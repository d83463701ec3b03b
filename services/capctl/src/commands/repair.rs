//! `capctl repair`: an adjustment that is applied although the account is suspended.

use std::fmt;

use anyhow::ensure;
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::StageName;
use cap_domain::outcome::{Outcome, OutcomeStatus};
use cap_pipeline::system_time;
use serde::Serialize;
use uuid::Uuid;

use crate::answer::Answer;
use crate::arguments::RepairArguments;
use crate::audit_log::AuditLog;
use crate::connection;
use crate::consent;
use crate::databases::{self, find_account};
use crate::repair::{REPAIR_PATIENCE, Repair};
use crate::story;

#[derive(Debug, Serialize)]
struct Repaired {
    account: AccountKey,
    request_id: RequestId,
    outcome: Outcome,
}

pub(super) async fn repair(arguments: &RepairArguments, by: &str) -> anyhow::Result<Answer> {
    let RepairArguments { currency, amount, reason, shortfall, yes, .. } = arguments;
    ensure!(!reason.trim().is_empty(), "--reason is empty: say why, for the audit log");
    let databases = databases::from_environment()?;
    let pools = StageName::ALL.map(|stage| databases::of(&databases, stage));
    let account = find_account(pools, &arguments.account).await?;
    let request_id = match &arguments.request_id {
        Some(request_id) => request_id.clone(),
        None => RequestId::new(&format!("repair-{}", Uuid::new_v4()))?,
    };
    let shortfall = shortfall.as_str();
    let question = format!(
        "{account}: post {amount} {currency}, request {request_id}, {shortfall} if it is not there?\nIt is posted at once, before anything that is parked."
    );
    consent::ask(&question, *yes)?;

    let connection = connection::from_environment().await?;
    let command = format!(
        "repair {account} --currency {currency} --amount {amount} --shortfall {shortfall} --request-id {request_id}"
    );
    let log = AuditLog::of(databases.clearing.clone(), by, command);
    let write = |result: String| log.write_of(Some(&account), Some(reason), result);
    // Before it is sent: what cannot be written down is not sent.
    write("begun".to_owned()).await?;
    let repair = Repair {
        queues: &connection.queues,
        routes: &connection.routes,
        accounts: &databases.account,
        account: &account,
        request_id: &request_id,
        currency: *currency,
        amount,
        shortfall,
        reason,
        operator: by,
        patience: REPAIR_PATIENCE,
    };
    let outcome = match repair.post(system_time()).await {
        Ok(outcome) => outcome,
        Err(error) => {
            write(format!("failed: {error}")).await?;
            return Err(error.into());
        }
    };
    write(story::ended(&outcome)).await?;
    let posted = outcome.status == OutcomeStatus::Posted;
    Ok(Answer::new(&Repaired { account, request_id, outcome })?.done(posted))
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, request_id, outcome } = self;
        writeln!(f, "{account} · {request_id} · {}", story::ended(outcome))?;
        outcome.balances.iter().try_for_each(|balance| story::balance_after(f, balance))
    }
}
