//! What can be asked of `capctl`.

mod account;
mod cost;
mod job;
mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{LaneStatus, StageName};
use cap_domain::routing::Scope;
use cap_domain::time::Timestamp;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::answer::EXIT_FAILED;
use crate::operator::{self, NobodyNamed};
use crate::settings;
pub use account::{AccountArgument, InvalidAccount};
pub use cost::CostArguments;
pub use job::{JobArguments, JobCommand};
pub use support::{AuditArguments, RedriveArguments, RepairArguments, Shortfall, SkipArguments};

/// The most differences of a rehearsal that people are shown: they are held until all are counted.
pub const REHEARSED_LIMIT_MAX: u32 = 10_000;

/// Operates an installation of CAP: databases, queues, configuration, support and proof.
#[derive(Debug, Clone, Parser)]
#[command(name = "capctl", version, max_term_width = 100)]
pub struct Arguments {
    /// Answer with one JSON document on stdout.
    #[arg(long, global = true)]
    pub json: bool,

    /// Who makes this change, for the audit log; if nobody is named, the user of the process.
    #[arg(
        long,
        global = true,
        env = "USER",
        hide_env_values = true,
        value_name = "NAME",
        value_parser = operator::read
    )]
    operator: Option<String>,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// Who makes the change (T25).
    ///
    /// # Errors
    /// If nobody is named, and the system does not say whose process this is either.
    pub fn operator(&self) -> Result<&str, NobodyNamed> {
        self.operator.as_deref().filter(|name| !name.is_empty()).ok_or(NobodyNamed)
    }
}

/// A command.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Bring the databases and DynamoDB tables up to date, creating what is missing.
    Migrate,
    /// Create and list queues.
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Push and show the configuration: currencies, instruments, rulebooks.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Try a rulebook before it is pushed.
    #[command(subcommand)]
    Rulebook(RulebookCommand),
    /// Publish envelopes, one JSON a line, in the order of every account.
    Publish {
        /// The file; - is stdin.
        file: PathBuf,
    },
    /// Zeroing and corporate actions: files that become ordinary adjustments.
    ///
    /// Every line of the file is checked first; if one is wrong, nothing is sent. Each becomes one
    /// adjustment, posted once however often the job is run.
    #[command(subcommand)]
    Job(JobCommand),
    /// List lanes.
    Lanes {
        /// Only lanes of this status: active, suspended or redriving.
        #[arg(long)]
        status: Option<LaneStatus>,
        /// Only of this stage: clearing, position or account.
        #[arg(long)]
        stage: Option<StageName>,
        /// Only accounts whose key comes after this one.
        #[arg(long, value_name = "ACCOUNT_KEY")]
        after: Option<AccountKey>,
        /// The most lanes of each stage.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Show one account's lane.
    #[command(subcommand)]
    Lane(LaneCommand),
    /// List, show and skip parked messages.
    #[command(subcommand)]
    Parked(ParkedCommand),
    /// Give a suspended lane its parked messages back, in order, until it opens.
    ///
    /// What is redriven is what waits when it begins. It stops at the first message that fails again,
    /// and the lane is suspended there: exit code 1. What arrives meanwhile is parked behind, and is
    /// taken too before the lane opens.
    Redrive(RedriveArguments),
    /// Post an adjustment to an account, also while it is suspended.
    Repair(RepairArguments),
    /// Show who changed what, when and why, the latest first.
    Audit(AuditArguments),
    /// Prove by replay that everything stored is what the rules make of what came in.
    ///
    /// Every journal row of every stage is decided again and compared: numbers, hashes, results,
    /// balances and positions, then the stages with each other. Any mismatch is exit code 2.
    Verify {
        /// Only this account.
        #[arg(long)]
        account: Option<AccountArgument>,
        /// The queues are known to be empty: what is in transit is lost.
        #[arg(long)]
        settled: bool,
    },
    /// Add up all money per company and currency, which must come to zero.
    ///
    /// Anything else is exit code 2.
    TrialBalance,
    /// Estimate what a rate of events costs on AWS, at list prices.
    ///
    /// Nothing is asked of any service. Prices and figures are in the program; each line says whether
    /// it was measured, derived or assumed.
    Cost(CostArguments),
    /// Tell the story of one request, from event to outcome.
    Trace {
        /// The request's id.
        request_id: RequestId,
        /// Its account; if left out, every lane of clearing is asked for the request.
        #[arg(long)]
        account: Option<AccountArgument>,
    },
}

/// A command about queues.
#[derive(Debug, Clone, Subcommand)]
pub enum QueueCommand {
    /// Create the queues of scopes, with their dead-letter queues.
    ///
    /// Nothing that exists is changed: where a queue differs from what it should be, the answer
    /// says in what.
    Create {
        /// company, company/product or company/product/group; underscores do as well.
        #[arg(required = true, value_name = "SCOPE")]
        scopes: Vec<Scope>,
    },
    /// List the queues of the installation, and how many messages are in them.
    List,
}

/// A command about the configuration.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigCommand {
    /// Check a folder of configuration files as a whole and make it the next revision.
    ///
    /// What open positions live by cannot change (C6). A push that changes such a thing while none is
    /// open waits some seconds, until what was under way is seen to have opened none; if it has, or
    /// that cannot be seen, the revision is taken back.
    Push {
        /// Holds currencies.json, instruments.json and rulebooks/<product>.json.
        directory: PathBuf,
    },
    /// Show a revision of the configuration.
    Show {
        /// Which; the latest if left out.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        revision: Option<u64>,
    },
}

/// A command about rulebooks.
#[derive(Debug, Clone, Subcommand)]
pub enum RulebookCommand {
    /// Decide recorded events again under a new rulebook, and show every posting that would differ.
    ///
    /// Nothing is written. What is compared is clearing's plan: what moves from where to where, and
    /// what happens on shortfall. With --json every difference is listed, as soon as it is found; if it
    /// fails on the way, the document ends there, and the exit code is 1.
    Rehearse {
        /// The rulebook: a file like those in rulebooks/.
        file: PathBuf,
        /// Only events that were decided from then on, such as 2026-11-21T00:00:00Z.
        #[arg(long, value_name = "TIME", default_value = "1970-01-01T00:00:00Z")]
        since: Timestamp,
        /// The most differences that are shown; all are counted, and --json lists all.
        #[arg(
            long,
            default_value_t = 40,
            value_parser = clap::value_parser!(u32).range(1..=i64::from(REHEARSED_LIMIT_MAX))
        )]
        limit: u32,
    },
}

/// A command about one lane.
#[derive(Debug, Clone, Subcommand)]
pub enum LaneCommand {
    /// Show where an account's lane stands in every stage.
    Show {
        /// company_product_group_account, also with slashes, or the account's name if only one has it.
        account: AccountArgument,
    },
}

/// A command about parked messages.
#[derive(Debug, Clone, Subcommand)]
pub enum ParkedCommand {
    /// List an account's parked messages.
    List {
        /// company_product_group_account, also with slashes, or the account's name if only one has it.
        account: AccountArgument,
        /// Only of this stage: clearing, position or account.
        #[arg(long)]
        stage: Option<StageName>,
        /// Only messages whose number comes after this one.
        #[arg(long, default_value_t = 0, value_name = "PARKED_SEQ")]
        after: u64,
        /// The most messages of each stage.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Show one parked message: envelope, error and times.
    Show {
        /// company_product_group_account, also with slashes, or the account's name if only one has it.
        account: AccountArgument,
        /// The number of the parked message in its lane.
        parked_seq: u64,
        /// Only of this stage: clearing, position or account.
        #[arg(long)]
        stage: Option<StageName>,
    },
    /// Give up the parked message that is next: it is never applied.
    Skip(SkipArguments),
}

/// Reads the process's arguments.
///
/// # Errors
/// The exit code, once help, version or mistakes are answered. Not clap's own for mistakes, which
/// is the one that stands for books that are wrong.
pub fn read() -> Result<Arguments, ExitCode> {
    let matches = Arguments::command().after_help(settings::help()).try_get_matches();
    let read = matches.and_then(|matches| Arguments::from_arg_matches(&matches));
    let mut arguments = read.map_err(|error| {
        // Where stderr is gone, nobody is left to be told.
        let _ = error.print();
        if error.use_stderr() { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS }
    })?;
    if arguments.operator().is_err() {
        arguments.operator = operator::of_process();
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_grammar_holds() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_scope_takes_slashes_and_underscores() {
        let scopes = |line: &str| match read(line).unwrap().command {
            Command::Queue(QueueCommand::Create { scopes }) => {
                scopes.iter().map(Scope::to_string).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        let found = scopes("capctl queue create acme zenith/spot acme_perpetual/vip");
        assert_eq!(found, ["acme", "zenith_spot", "acme_perpetual_vip"]);
        let refused = |line: &str| read(line).unwrap_err().to_string();
        assert!(refused("capctl queue create").contains("<SCOPE>"));
        assert!(refused("capctl queue create a/b/c/d").contains("is not company, company_product"));
        assert!(refused("capctl queue create ACME").contains("company \"ACME\" is not 1 to 16"));
    }

    #[test]
    fn an_operator_without_a_name_is_nobody() {
        for nobody in ["", "  ", "\t\n"] {
            let line = ["capctl", "lanes", "--operator", nobody];
            let arguments = Arguments::try_parse_from(line).unwrap();
            assert_eq!(arguments.operator(), Err(NobodyNamed), "{nobody:?}");
        }
    }

    #[test]
    fn global_flags_stand_anywhere() {
        let arguments =
            read("capctl parked show A-1 3 --stage position --operator ann --json").unwrap();
        assert!(arguments.json);
        assert_eq!(arguments.operator(), Ok("ann"));
    }
}
