//! What support asks for: redrive, skip, repair, audit.

use cap_domain::ids::RequestId;
use cap_domain::lane::StageName;
use cap_domain::money::CurrencyCode;
use clap::{Args, ValueEnum};

use super::AccountArgument;

/// A redrive.
#[derive(Debug, Clone, Args)]
pub struct RedriveArguments {
    /// company_product_group_account, also with slashes, or the account's name if only one has it.
    pub account: AccountArgument,
    /// Only the lane of this stage; if left out, all that are not active, the last stage first.
    #[arg(long)]
    pub stage: Option<StageName>,
    /// Write nothing, and tell what a redrive would do: outcomes, balances, positions.
    #[arg(long)]
    pub dry_run: bool,
    /// Only the next message, then stop.
    #[arg(long, conflicts_with = "through")]
    pub canary: bool,
    /// Only up to this number, then stop.
    #[arg(long, value_name = "PARKED_SEQ")]
    pub through: Option<u64>,
    /// Ask nothing.
    #[arg(long)]
    pub yes: bool,
}

/// Giving up a parked message.
#[derive(Debug, Clone, Args)]
pub struct SkipArguments {
    /// company_product_group_account, also with slashes, or the account's name if only one has it.
    pub account: AccountArgument,
    /// The number of the parked message in its lane.
    pub parked_seq: u64,
    /// Why, for the audit log.
    #[arg(long)]
    pub reason: String,
    /// The stage of the lane; if left out, the only one that is not active.
    #[arg(long)]
    pub stage: Option<StageName>,
    /// Give up also what CAP sent itself and nothing sends again: its account may never close.
    #[arg(long)]
    pub abandon: bool,
    /// Ask nothing.
    #[arg(long)]
    pub yes: bool,
}

/// An adjustment.
#[derive(Debug, Clone, Args)]
pub struct RepairArguments {
    /// company_product_group_account, also with slashes, or the account's name if only one has it.
    pub account: AccountArgument,
    /// The currency's code.
    #[arg(long)]
    pub currency: CurrencyCode,
    /// How much is given; below zero: taken.
    #[arg(long, allow_hyphen_values = true)]
    pub amount: String,
    /// Why, for the journal and the audit log.
    #[arg(long)]
    pub reason: String,
    /// What if it is to be taken and is not there.
    #[arg(long, value_enum, default_value_t = Shortfall::Reject)]
    pub shortfall: Shortfall,
    /// The request's id: with the same one, nothing is posted twice.
    #[arg(long)]
    pub request_id: Option<RequestId>,
    /// Ask nothing.
    #[arg(long)]
    pub yes: bool,
}

/// What happens to an adjustment that takes more than there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shortfall {
    /// It is rejected.
    Reject,
    /// It becomes what the account owes.
    Force,
}

impl Shortfall {
    /// The word in the event.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Force => "force",
        }
    }
}

/// A look into the audit log.
#[derive(Debug, Clone, Args)]
pub struct AuditArguments {
    /// Only acts on this account.
    #[arg(long)]
    pub account: Option<AccountArgument>,
    /// The most entries.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(cap_store::audit::ENTRIES_MAX)))]
    pub limit: u32,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::arguments::{Arguments, Command, ParkedCommand, Shortfall};

    fn read(line: &[&str]) -> Result<Command, String> {
        let line = std::iter::once("capctl").chain(line.iter().copied());
        Arguments::try_parse_from(line)
            .map(|arguments| arguments.command)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_redrive_goes_all_the_way_or_as_far_as_it_is_told() {
        let Ok(Command::Redrive(all)) = read(&["redrive", "A-1"]) else { panic!("is read") };
        assert!(all.stage.is_none() && all.through.is_none());
        assert!(!(all.dry_run || all.canary || all.yes));
        let line = ["redrive", "A-1", "--stage", "account", "--through", "7", "--yes"];
        let Ok(Command::Redrive(some)) = read(&line) else { panic!("is read") };
        assert_eq!((some.through, some.yes), (Some(7), true));
        let told = read(&["redrive", "A-1", "--canary", "--through", "7"]).unwrap_err();
        assert!(told.contains("'--canary' cannot be used with '--through"), "{told}");
    }

    #[test]
    fn a_skip_and_a_repair_need_a_reason() {
        let told = read(&["parked", "skip", "A-1", "3"]).unwrap_err();
        assert!(told.contains("--reason <REASON>"), "{told}");
        let line = ["parked", "skip", "A-1", "3", "--reason", "sent twice by the desk"];
        let Ok(Command::Parked(ParkedCommand::Skip(skip))) = read(&line) else { panic!("is read") };
        assert_eq!((skip.parked_seq, &*skip.reason), (3, "sent twice by the desk"));
        assert!(!(skip.abandon || skip.yes));
        let told = read(&["repair", "A-1", "--currency", "USDT", "--amount", "1"]).unwrap_err();
        assert!(told.contains("--reason <REASON>"), "{told}");
    }

    #[test]
    fn a_repair_may_take_money() {
        let line = ["repair", "A-1", "--currency", "USDT", "--amount", "-2.5", "--reason", "r"];
        let Ok(Command::Repair(repair)) = read(&line) else { panic!("is read") };
        assert_eq!((&*repair.amount, repair.shortfall), ("-2.5", Shortfall::Reject));
        let line = [&line[..], &["--shortfall", "force"]].concat();
        let Ok(Command::Repair(repair)) = read(&line) else { panic!("is read") };
        assert_eq!(repair.shortfall, Shortfall::Force);
        let told = read(&[&line[..6], &["--reason", "r", "--shortfall", "borrow"]].concat());
        assert!(told.unwrap_err().contains("possible values: reject, force"));
    }
}
