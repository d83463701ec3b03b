//! The first reading: every line, as clearing's door will read it, and nothing is sent.

use std::collections::HashMap;
use std::path::Path;

use cap_domain::account::{AccountState, Accounts};
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::StageName;
use cap_domain::money::Money;
use cap_domain::routing::Channel;
use cap_store::StateTables as _;
use serde::Serialize;

use super::draft::Draft;
use super::file::{Next, Records};
use super::totals::Totals;
use super::{Adjustment, BadLine, CHUNK_LINES, Job, JobError, Kind, LISTED_MAX, LineKey};

/// What a file says, as a whole.
#[derive(Debug, Default)]
pub struct Checked {
    /// Lines that hold something, the header not among them.
    pub lines: usize,
    /// Lines that come to an adjustment.
    pub adjustments: usize,
    /// Lines that come to nothing: there is nothing to bring to zero, or it rounds to zero.
    pub nothing: usize,
    /// Lines that are wrong.
    pub bad: usize,
    /// The first of them, up to [`LISTED_MAX`].
    pub bad_lines: Vec<BadLine>,
    /// The first adjustments, up to [`LISTED_MAX`].
    pub shown: Vec<ShownEvent>,
    /// What is moved.
    pub totals: Totals,
    /// The file's SHA-256.
    pub sha256: String,
    /// The file's bytes.
    pub bytes: u64,
}

/// An adjustment as it would be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownEvent {
    /// The line's number.
    pub line: usize,
    /// Whose money it is.
    pub account: AccountKey,
    /// Its id.
    pub request_id: RequestId,
    /// How much.
    #[serde(skip)]
    pub amount: Money,
    /// The event.
    pub event: serde_json::Value,
}

impl Checked {
    fn refuse(&mut self, bad: BadLine) {
        self.bad += 1;
        if self.bad_lines.len() < LISTED_MAX {
            self.bad_lines.push(bad);
        }
    }
}

/// Reads the file at `path` to its end; `progress` is told how many bytes were read.
///
/// # Errors
/// See [`JobError`]. Lines that are wrong are no error: they are told.
pub async fn check(
    job: &Job<'_>,
    path: &Path,
    mut progress: impl FnMut(u64),
) -> Result<Checked, JobError> {
    let mut checked = Checked::default();
    let mut records = match Records::open(path, job.kind)? {
        Ok(records) => records,
        Err(bad) => {
            checked.refuse(bad);
            return Ok(checked);
        }
    };
    let mut seen: HashMap<LineKey, u32> = HashMap::new();
    loop {
        let Chunk { drafts, bad, ended } = Chunk::read(job, &mut records)?;
        checked.lines += drafts.len() + bad.len();
        bad.into_iter().for_each(|bad| checked.refuse(bad));
        let mut once = Vec::with_capacity(drafts.len());
        for draft in drafts {
            match is_new(&mut seen, &draft).and_then(|()| has_queue(job, &draft)) {
                Ok(()) => once.push(draft),
                Err(bad) => checked.refuse(bad),
            }
        }
        let made = adjustments(job, once).await?;
        checked.nothing += made.nothing;
        made.bad.into_iter().for_each(|bad| checked.refuse(bad));
        for adjustment in made.adjustments {
            checked.adjustments += 1;
            checked.totals.add(&adjustment)?;
            if checked.shown.len() < LISTED_MAX {
                checked.shown.push(ShownEvent {
                    line: adjustment.line,
                    event: adjustment.event(job.id),
                    account: adjustment.account,
                    request_id: adjustment.request_id,
                    amount: adjustment.amount,
                });
            }
        }
        progress(records.bytes());
        if ended {
            break;
        }
    }
    checked.bad_lines.sort_by_key(|bad| bad.line);
    (checked.sha256, checked.bytes) = (records.sha256(), records.bytes());
    Ok(checked)
}

/// Some lines of a file, in order.
pub(super) struct Chunk {
    pub(super) drafts: Vec<Draft>,
    pub(super) bad: Vec<BadLine>,
    pub(super) ended: bool,
}

impl Chunk {
    /// The next [`CHUNK_LINES`] lines.
    pub(super) fn read(job: &Job<'_>, records: &mut Records) -> Result<Self, JobError> {
        let (mut drafts, mut bad) = (Vec::new(), Vec::new());
        while drafts.len() + bad.len() < CHUNK_LINES {
            match records.next(|record| Draft::read(job, record))? {
                Next::Line(Ok(draft)) => drafts.push(draft),
                Next::Line(Err(error)) => bad.push(error),
                Next::End => return Ok(Self { drafts, bad, ended: true }),
            }
        }
        Ok(Self { drafts, bad, ended: false })
    }
}

/// A line that is about what another line is about would have its request id.
fn is_new(seen: &mut HashMap<LineKey, u32>, draft: &Draft) -> Result<(), BadLine> {
    let line = u32::try_from(draft.line).unwrap_or(u32::MAX);
    match seen.insert(draft.key, line) {
        None => Ok(()),
        Some(first) => Err(BadLine {
            line: draft.line,
            field: "account".to_owned(),
            reason: format!(
                "{} has {} on line {first} already: a line of its own needs a name of its own, in the column entry of an adjustment or action",
                draft.account, draft.currency
            ),
        }),
    }
}

fn has_queue(job: &Job<'_>, draft: &Draft) -> Result<(), BadLine> {
    let channel = Channel::Stage(StageName::Clearing);
    match job.routes.resolve(channel, &draft.account) {
        Some(_) => Ok(()),
        None => Err(BadLine {
            line: draft.line,
            field: "company".to_owned(),
            reason: format!("no queue of clearing takes messages of {}", draft.account),
        }),
    }
}

/// What some lines come to.
#[derive(Default)]
pub(super) struct Made {
    pub(super) adjustments: Vec<Adjustment>,
    pub(super) nothing: usize,
    pub(super) bad: Vec<BadLine>,
}

/// What `drafts` come to. Zeroing reads the accounts as they are now, by their keys (C13).
pub(super) async fn adjustments(job: &Job<'_>, drafts: Vec<Draft>) -> Result<Made, JobError> {
    let states = match (job.kind, job.accounts) {
        (Kind::Zero { .. }, Some(pool)) if !drafts.is_empty() => {
            let accounts: Vec<&str> = drafts.iter().map(|draft| draft.account.as_str()).collect();
            let mut connection = pool.acquire().await?;
            Accounts::load_states(&mut connection, &accounts).await?
        }
        _ => HashMap::<AccountKey, AccountState>::new(),
    };
    let mut made = Made::default();
    for draft in drafts {
        let state = states.get(&draft.account);
        match draft.adjustment(job, state) {
            Ok(Some(adjustment)) => made.adjustments.push(adjustment),
            Ok(None) => made.nothing += 1,
            Err(bad) => made.bad.push(bad),
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::PathBuf;

    use cap_aws::files::read_configuration;
    use cap_domain::configuration::Configuration;
    use cap_domain::routing::{QueueName, Routes};

    use super::super::{JobId, Total, ZeroOf};
    use super::*;

    const HEADER: &str = "company,product,customer_group,account,currency,holding,entry\n";

    async fn checked(text: &str) -> Checked {
        let ratio = "0.24".parse().unwrap();
        checked_as(&Kind::Action { ratio, reason: "dividend".to_owned() }, text).await
    }

    async fn checked_as(kind: &Kind, text: &str) -> Checked {
        let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config");
        let document = read_configuration(&shipped).unwrap();
        let configuration = Configuration::check(1, document).unwrap();
        let clearing = Channel::Stage(StageName::Clearing);
        let routes = Routes::new([QueueName::new(clearing, "acme_spot".parse().unwrap())]);
        let id: JobId = "q3".parse().unwrap();
        let job =
            Job { id: &id, kind, configuration: &configuration, routes: &routes, accounts: None };
        let path = std::env::temp_dir().join(format!("capctl-check-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, text).unwrap();
        let mut told = Vec::new();
        let checked = check(&job, &path, |bytes| told.push(bytes)).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(told.is_sorted() && told.last() == Some(&(text.len() as u64)), "{told:?}");
        checked
    }

    #[tokio::test]
    async fn a_long_file_is_added_up_whole_and_listed_in_part() {
        let count = 2 * CHUNK_LINES + 345;
        let mut text = HEADER.to_owned();
        for number in 0..count {
            writeln!(text, "acme,spot,retail,J-{number},USD,100,").unwrap();
        }
        let Checked { lines, adjustments, bad, shown, totals, .. } = checked(&text).await;
        assert_eq!((lines, adjustments, bad, shown.len()), (count, count, 0, LISTED_MAX));
        let given = format!("{}.00", 24 * count);
        let total = Total {
            currency: "USD".parse().unwrap(),
            adjustments: count as u64,
            given: given.clone(),
            taken: "0.00".to_owned(),
            net: given,
        };
        assert_eq!(totals.listed(), [total]);
    }

    #[tokio::test]
    async fn a_line_about_the_same_is_found_however_far_apart_and_an_entry_tells_two_apart() {
        let mut text = format!("{HEADER}acme,spot,retail,J-1,USD,100,\n");
        for number in 2..=CHUNK_LINES + 5 {
            writeln!(text, "acme,spot,retail,J-{number},USD,100,").unwrap();
        }
        text.push_str("acme,spot,retail,J-1,USD,50,bonus\nacme,spot,retail,J-1,USD,50,\n");
        let Checked { adjustments, bad, bad_lines, .. } = checked(&text).await;
        assert_eq!((adjustments, bad), (CHUNK_LINES + 6, 1));
        let BadLine { line, reason, .. } = &bad_lines[0];
        assert_eq!(*line, CHUNK_LINES + 8);
        assert!(reason.starts_with("acme_spot_retail_J-1 has USD on line 2 already"), "{reason}");
    }

    #[tokio::test]
    async fn what_does_not_fit_is_told_with_its_figures() {
        let cases = [
            ("999999999999999,", "net", ""),
            ("9999999999999990,", "holding", "9999999999999990 has more than 15 digits before"),
            ("1e3,", "holding", "\"1e3\" is not a decimal number"),
            ("1,a b", "entry", "\"a b\" is not 1 to 32 characters"),
        ];
        for (fields, field, reason) in cases {
            let text = format!("{HEADER}acme,spot,retail,J-1,USD,{fields}");
            let Checked { adjustments, bad_lines, .. } = checked(&text).await;
            match bad_lines.as_slice() {
                [] => assert_eq!((adjustments, reason), (1, "")),
                [bad] => assert!(bad.field == field && bad.reason.starts_with(reason), "{bad:?}"),
                more => panic!("{more:?}"),
            }
        }
    }

    #[tokio::test]
    async fn available_is_zeroed_only_where_what_is_taken_is_drawn_from_it_alone() {
        let text = "company,product,customer_group,account,currency\n\
            acme,cfd,retail,J-1,USD\nacme,spot,retail,J-1,USD\n";
        let told = async |of: ZeroOf| {
            let kind = Kind::Zero { of, reason: "dust".to_owned() };
            let bad = checked_as(&kind, text).await.bad_lines.into_iter();
            bad.map(|bad| format!("{} {}: {}", bad.line, bad.field, bad.reason)).collect::<Vec<_>>()
        };
        let never_opened = "3 account: acme_spot_retail_J-1 was never opened";
        let product = text.lines().nth(1).and_then(|line| line.split(',').nth(1)).unwrap();
        let draws = format!(
            "2 product: {product} draws what is taken from bonus, then cash, then available, so available alone cannot be brought to zero: state the amount with `capctl job adjust`"
        );
        assert_eq!(told(ZeroOf::Available).await, [draws.as_str(), never_opened]);
        let queue = "2 company: no queue of clearing takes messages of acme_cfd_retail_J-1";
        assert_eq!(told(ZeroOf::Borrowed).await, [queue, never_opened], "what is owed is given");
    }
}
