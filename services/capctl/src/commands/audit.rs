//! `capctl audit`: who changed what, when and why.

use std::fmt;

use cap_domain::ids::AccountKey;
use cap_domain::lane::StageName;
use cap_domain::time::Timestamp;
use cap_store::audit::{Entry, latest};
use serde::Serialize;

use crate::answer::Answer;
use crate::arguments::AuditArguments;
use crate::databases::{find_account, of_stages};
use crate::table::{Align, Table};

#[derive(Debug, Serialize)]
struct Listing {
    entries: Vec<ToldEntry>,
}

#[derive(Debug, Serialize)]
struct ToldEntry {
    at: Timestamp,
    operator: String,
    command: String,
    account: Option<AccountKey>,
    reason: Option<String>,
    result: String,
    /// In whose database it is written.
    database: StageName,
}

pub(super) async fn audit(arguments: &AuditArguments) -> anyhow::Result<Answer> {
    let stages = of_stages(None)?;
    let account = match &arguments.account {
        None => None,
        Some(account) => Some(find_account(stages.iter().map(|(_, pool)| pool), account).await?),
    };
    let mut entries = Vec::new();
    for (database, pool) in stages {
        let found = latest(&pool, account.as_ref(), arguments.limit).await?;
        entries.extend(found.into_iter().map(|entry| ToldEntry::new(database, entry)));
    }
    // The sort is stable: of one database, later ones come first also within a microsecond.
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    entries.truncate(arguments.limit as usize);
    Answer::new(&Listing { entries })
}

impl ToldEntry {
    fn new(database: StageName, entry: Entry) -> Self {
        let Entry { at, operator, command, account, reason, result } = entry;
        Self { at, operator, command, account, reason, result, database }
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.entries.is_empty() {
            return writeln!(f, "nobody has changed anything");
        }
        let mut table = Table::new(&[
            ("when", Align::Left),
            ("who", Align::Left),
            ("what", Align::Left),
            ("why", Align::Left),
            ("result", Align::Left),
        ]);
        for ToldEntry { at, operator, command, reason, result, .. } in &self.entries {
            table.row([
                at.to_string(),
                operator.clone(),
                command.clone(),
                reason.clone().unwrap_or_default(),
                result.clone(),
            ]);
        }
        table.fmt(f)
    }
}
