//! Jobs: zeroing, corporate actions, and whatever else is an adjustment of many accounts.

use std::path::PathBuf;

use cap_domain::money::exact::parse_decimal;
use clap::{Args, Subcommand};
use rust_decimal::Decimal;

use crate::job::{JobId, Kind, ZeroOf};

/// A command about a job.
#[derive(Debug, Clone, Subcommand)]
pub enum JobCommand {
    /// Post the adjustments of a file, one a line.
    ///
    /// The file is CSV; its first line is
    /// company,product,customer_group,account,currency,amount,reason[,shortfall][,entry].
    /// An amount below zero is taken; shortfall says what if it is not there: reject (if it is not
    /// said) or force. Several lines of one account and currency need an entry each: a name that
    /// tells them apart.
    Adjust {
        /// What every job has.
        #[command(flatten)]
        job: JobArguments,
    },
    /// Bring balances of a list of accounts to zero: what they owe, or what they have.
    ///
    /// The file is CSV; its first line is company,product,customer_group,account,currency. Balances
    /// are read in the account stage's database when a line is sent. What moves between then and
    /// the adjustment is not seen: stop the accounts first if they trade. What has become less is
    /// refused, what has become more stays. Available is taken of products that draw an adjustment
    /// from it alone.
    Zero {
        /// What every job has.
        #[command(flatten)]
        job: JobArguments,
        /// Which balance: borrowed is given by the house, available is taken.
        #[arg(long, value_enum)]
        of: ZeroOf,
        /// Why, for the journals and the audit log.
        #[arg(long)]
        reason: String,
    },
    /// Post a corporate action: of each holding, a ratio of it in a currency.
    ///
    /// The file is CSV; its first line is
    /// company,product,customer_group,account,currency,holding[,shortfall][,entry]. Each account is
    /// given holding times ratio, rounded half-even to the currency's decimals; a ratio or holding
    /// below zero takes. A dividend is one job. A conversion is two: take the old with --wait, look at
    /// what was refused, then give the new.
    Action {
        /// What every job has.
        #[command(flatten)]
        job: JobArguments,
        /// How much of the currency for one unit held, as a decimal.
        #[arg(long, allow_hyphen_values = true, value_parser = ratio)]
        ratio: Decimal,
        /// Why, for the journals and the audit log.
        #[arg(long)]
        reason: String,
    },
}

/// What every job has.
#[derive(Debug, Clone, Args)]
pub struct JobArguments {
    /// The file.
    pub file: PathBuf,
    /// The job's id: the same file again under the same id changes nothing.
    ///
    /// What was refused stays refused under this id: put it right, and post those lines as a job of
    /// their own.
    #[arg(long, value_name = "ID")]
    pub job: JobId,
    /// Send nothing, and show the events and what they add up to.
    #[arg(long)]
    pub dry_run: bool,
    /// Wait until all is decided, and tell what was refused; needs the account database.
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,
    /// Ask nothing.
    #[arg(long)]
    pub yes: bool,
}

impl JobCommand {
    /// What every job has.
    pub const fn job(&self) -> &JobArguments {
        match self {
            Self::Adjust { job } | Self::Zero { job, .. } | Self::Action { job, .. } => job,
        }
    }

    /// What the job makes of a line.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Adjust { .. } => Kind::Adjust,
            Self::Zero { of, reason, .. } => Kind::Zero { of: *of, reason: reason.clone() },
            Self::Action { ratio, reason, .. } => {
                Kind::Action { ratio: *ratio, reason: reason.clone() }
            }
        }
    }
}

/// A ratio that is none moves nothing.
fn ratio(text: &str) -> Result<Decimal, String> {
    match parse_decimal(text) {
        Ok(ratio) if ratio.is_zero() => Err("a ratio of nothing".to_owned()),
        Ok(ratio) => Ok(ratio),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn read(line: &str) -> Result<JobCommand, String> {
        match Arguments::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?.command
        {
            Command::Job(job) => Ok(job),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_job_has_an_id_and_says_what_it_makes_of_a_line() {
        let told = read("capctl job adjust file.csv").unwrap_err();
        assert!(told.contains("--job <ID>"), "{told}");
        assert_eq!(read("capctl job adjust f --job a-1").unwrap().kind(), Kind::Adjust);
        let told = read("capctl job adjust f --job a:1").unwrap_err();
        assert!(told.contains("job \"a:1\" is not 1 to 32"), "{told}");
        let zero = read("capctl job zero f --job z --of borrowed --reason r").unwrap();
        assert_eq!(zero.kind(), Kind::Zero { of: ZeroOf::Borrowed, reason: "r".to_owned() });
        let told = read("capctl job zero f --job z --of frozen --reason r").unwrap_err();
        assert!(told.contains("possible values: borrowed, available"), "{told}");
    }

    #[test]
    fn a_ratio_is_an_exact_decimal_and_may_take() {
        let ratio = |ratio: &str| -> Result<String, String> {
            let line = format!("capctl job action f --job d --reason r --ratio {ratio}");
            match read(&line)?.kind() {
                Kind::Action { ratio, .. } => Ok(ratio.to_string()),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(ratio("0.24").unwrap(), "0.24");
        assert_eq!(ratio("-1").unwrap(), "-1");
        for (wrong, reason) in
            [("0", "a ratio of nothing"), ("1e3", "is not a decimal number"), ("1/3", "decimal")]
        {
            let told = ratio(wrong).unwrap_err();
            assert!(told.contains(reason), "{told}");
        }
    }
}
