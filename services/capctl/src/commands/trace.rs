//! `capctl trace`: the story of one request.

use anyhow::bail;
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::StageName;
use cap_store::journal::rows_of_request;

use crate::answer::Answer;
use crate::arguments::AccountArgument;
use crate::databases::{self, Databases, find_account};
use crate::story;

pub(super) async fn trace(
    argument: Option<&AccountArgument>,
    request_id: &RequestId,
) -> anyhow::Result<Answer> {
    let databases = databases::from_environment()?;
    let account = match argument {
        Some(argument) => {
            let pools = StageName::ALL.map(|stage| databases::of(&databases, stage));
            find_account(pools, argument).await?
        }
        None => find_by_request(&databases, request_id).await?,
    };
    Answer::new(&story::tell(&databases, &account, request_id).await?)
}

/// The one account that clearing has journaled `request_id` of.
async fn find_by_request(
    databases: &Databases,
    request_id: &RequestId,
) -> anyhow::Result<AccountKey> {
    let found = rows_of_request(&databases.clearing, request_id).await?;
    match found.as_slice() {
        [(account, _)] => Ok(account.clone()),
        [] => bail!(
            "clearing has journaled no request {request_id}: if it is parked, or still in the queue, name its --account"
        ),
        several => {
            let accounts: Vec<&str> = several.iter().map(|(account, _)| account.as_str()).collect();
            bail!(
                "request {request_id} was made for {}: name one as --account",
                accounts.join(", ")
            )
        }
    }
}
