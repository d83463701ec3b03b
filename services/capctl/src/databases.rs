//! Connections to the stages' databases, and accounts as people name them.

use anyhow::bail;
use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::ids::{AccountKey, AccountName};
use cap_domain::lane::{Stage, StageName};
use cap_domain::position::Positions;
use cap_service::environment;
use cap_store::inspect::find_lanes;
use sqlx::PgPool;

use crate::arguments::AccountArgument;
use crate::settings::{DatabaseUrl, DatabaseUrls};

pub use cap_store::verify::Databases;

/// The most connections to one database: a tool asks one thing at a time.
const CONNECTIONS_MAX: u32 = 2;

/// Connections to the databases at `urls`, made when they are first needed.
///
/// # Errors
/// If a URL is not one.
pub fn connect(urls: &DatabaseUrls) -> anyhow::Result<Databases> {
    Ok(Databases {
        clearing: pool(&urls.clearing)?,
        position: pool(&urls.position)?,
        account: pool(&urls.account)?,
    })
}

/// All stages' databases, as the environment says.
///
/// # Errors
/// If settings are missing or wrong.
pub fn from_environment() -> anyhow::Result<Databases> {
    connect(&environment::read(&environment::process)?)
}

/// The database of a stage.
pub const fn of(databases: &Databases, stage: StageName) -> &PgPool {
    match stage {
        StageName::Clearing => &databases.clearing,
        StageName::Position => &databases.position,
        StageName::Account => &databases.account,
    }
}

/// The database of stage `S` alone, as the environment says.
///
/// # Errors
/// If its setting is missing or wrong.
pub fn of_stage<S: Stage>() -> anyhow::Result<PgPool> {
    pool(&environment::read::<DatabaseUrl<S>>(&environment::process)?.url)
}

/// The databases of the stages asked for: one, or all in the order of the path. Only their
/// settings are needed.
///
/// # Errors
/// If settings are missing or wrong.
pub fn of_stages(stage: Option<StageName>) -> anyhow::Result<Vec<(StageName, PgPool)>> {
    let Some(stage) = stage else {
        let all = from_environment()?;
        return Ok(StageName::ALL.map(|stage| (stage, of(&all, stage).clone())).to_vec());
    };
    let pool = match stage {
        StageName::Clearing => of_stage::<Clearing>()?,
        StageName::Position => of_stage::<Positions>()?,
        StageName::Account => of_stage::<Accounts>()?,
    };
    Ok(vec![(stage, pool)])
}

/// A connection to the database at `url`, made when it is first needed.
///
/// # Errors
/// If it is not the URL of a database.
pub fn pool(url: &str) -> anyhow::Result<PgPool> {
    Ok(cap_store::connect(url, "capctl", CONNECTIONS_MAX)?)
}

/// The account that `argument` names. A bare name is looked for among the lanes of `pools`, and
/// must be that of one account.
///
/// # Errors
/// If no account, or more than one, has that name.
pub async fn find_account(
    pools: impl IntoIterator<Item = &PgPool>,
    argument: &AccountArgument,
) -> anyhow::Result<AccountKey> {
    let name = match argument {
        AccountArgument::Key(account) => return Ok(account.clone()),
        AccountArgument::Name(name) => name,
    };
    let mut found = Vec::new();
    for pool in pools {
        found.extend(find_lanes(pool, name).await?.into_iter().map(|(account, _)| account));
    }
    found.sort();
    found.dedup();
    only_one(name, &found)
}

fn only_one(name: &AccountName, found: &[AccountKey]) -> anyhow::Result<AccountKey> {
    match found {
        [] => bail!(
            "no lane is of an account named {name}: give its full key, company_product_group_account"
        ),
        [account] => Ok(account.clone()),
        several => {
            let names: Vec<&str> = several.iter().map(AccountKey::as_str).collect();
            bail!("{name} names {} accounts, say which: {}", names.len(), names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_ambiguous_lists_the_candidates() {
        let name: AccountName = "A-1".parse().unwrap();
        let key = |text: &str| text.parse::<AccountKey>().unwrap();
        let (spot, perpetual) = (key("acme_spot_retail_A-1"), key("acme_perpetual_retail_A-1"));
        assert_eq!(only_one(&name, std::slice::from_ref(&spot)).unwrap(), spot);
        let error = only_one(&name, &[perpetual, spot]).unwrap_err().to_string();
        assert_eq!(
            error,
            "A-1 names 2 accounts, say which: acme_perpetual_retail_A-1, acme_spot_retail_A-1"
        );
        let error = only_one(&name, &[]).unwrap_err().to_string();
        assert!(error.ends_with("give its full key, company_product_group_account"), "{error}");
    }
}
