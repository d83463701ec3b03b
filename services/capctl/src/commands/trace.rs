//! `capctl trace`: the story of one request.

use cap_domain::ids::RequestId;
use cap_domain::lane::StageName;

use crate::answer::Answer;
use crate::arguments::AccountArgument;
use crate::databases::{self, find_account};
use crate::story;

pub(super) async fn trace(
    argument: &AccountArgument,
    request_id: &RequestId,
) -> anyhow::Result<Answer> {
    let databases = databases::from_environment()?;
    let pools = StageName::ALL.map(|stage| databases::of(&databases, stage));
    let account = find_account(pools, argument).await?;
    Answer::new(&story::tell(&databases, &account, request_id).await?)
}
