//! What an account came to, for whoever has to find out why: a seed that fails may not fail again.

use std::fmt::Write as _;

use cap_domain::lane::StageName;
use serde_json::Value;

use crate::arena::Arena;

/// The journal and the parked messages of one lane, a line each.
const LANE: &str = "
select line from (
    select 1 as part, seq as number, 'journal ' || seq || ' ' || request_id || ' ' || kind
        || ' of ' || source_id || ' at ' || to_char(decided_at, 'MI:SS.MS')
        || ': ' || left(result, 160) as line
    from journal where account_id = $1
    union all
    select 2, parked_seq, 'parked ' || parked_seq || ' ' || request_id
        || ' of ' || source_id || ' at ' || to_char(parked_at, 'MI:SS.MS')
        || ', ' || coalesce(resolution || ' at ' || to_char(resolved_at, 'MI:SS.MS'), 'waiting')
        || coalesce(' by ' || taken_by, '') || ': ' || left(error, 160)
    from parked_message where account_id = $1
) as lines order by part, number";

/// All that was told of an account and all that is stored of it, as text.
pub(crate) async fn evidence(arena: &Arena, account: &str, outcomes: &[Value]) -> String {
    let mut text = format!("{account}, outcomes as they came:\n");
    for outcome in outcomes {
        let of = |field: &str| outcome[field].as_str().unwrap_or_default().to_owned();
        let (request, status, stage, at) =
            (of("request_id"), of("status"), of("stage"), of("decided_at"));
        let (seq, code) = (&outcome["lane_seq"], &outcome["reason"]["code"]);
        let _ = writeln!(text, "  {seq} {request} {status} {code} by {stage} at {at}");
    }
    for stage in StageName::ALL {
        let _ = writeln!(text, "{stage}:");
        let lines = sqlx::query_scalar::<_, String>(LANE).bind(account);
        match lines.fetch_all(arena.database(stage)).await {
            Ok(lines) => lines.iter().for_each(|line| {
                let _ = writeln!(text, "  {line}");
            }),
            Err(error) => {
                let _ = writeln!(text, "  not to be had: {error}");
            }
        }
    }
    text
}
