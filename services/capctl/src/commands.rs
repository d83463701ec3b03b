//! One file a command; this one hands out.

mod audit;
mod config;
mod cost;
mod dry_run;
mod job;
mod lanes;
mod migrate;
mod parked;
mod publish;
mod queue;
mod redrive;
mod repair;
mod rulebook;
mod skip;
mod trace;
mod trial_balance;
mod verify;

use cap_pipeline::system_time;

use crate::answer::Answer;
use crate::arguments::{
    Arguments, Command, ConfigCommand, LaneCommand, ParkedCommand, QueueCommand, RulebookCommand,
};

/// Carries out what was asked for.
///
/// # Errors
/// If it cannot be done: settings are missing, something is unreachable, or the input is wrong.
pub async fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    // Whoever changes something is asked for a name before anything else; who looks is not.
    let by = || arguments.operator();
    match &arguments.command {
        Command::Migrate => migrate::migrate(by()?).await,
        Command::Queue(QueueCommand::Create { scopes }) => queue::create(scopes, by()?).await,
        Command::Queue(QueueCommand::List) => queue::list().await,
        Command::Config(ConfigCommand::Push { directory }) => {
            config::push(directory, by()?, system_time()).await
        }
        Command::Config(ConfigCommand::Show { revision }) => config::show(*revision).await,
        Command::Rulebook(RulebookCommand::Rehearse { file, since, limit }) => {
            rulebook::rehearse(file, *since, *limit, arguments.json).await
        }
        Command::Publish { file } => publish::publish(file, by()?).await,
        Command::Job(command) if command.job().dry_run => job::dry_run(command).await,
        Command::Job(command) => job::run(command, by()?).await,
        Command::Lanes { status, stage, after, limit } => {
            lanes::list(*status, *stage, after.as_ref(), *limit).await
        }
        Command::Lane(LaneCommand::Show { account }) => lanes::show(account).await,
        Command::Parked(ParkedCommand::List { account, stage, after, limit }) => {
            parked::list(account, *stage, *after, *limit).await
        }
        Command::Parked(ParkedCommand::Show { account, parked_seq, stage }) => {
            parked::show(account, *parked_seq, *stage).await
        }
        Command::Parked(ParkedCommand::Skip(arguments)) => skip::skip(arguments, by()?).await,
        Command::Redrive(arguments) if arguments.dry_run => redrive::dry_run(arguments).await,
        Command::Redrive(arguments) => redrive::redrive(arguments, by()?).await,
        Command::Repair(arguments) => repair::repair(arguments, by()?).await,
        Command::Audit(arguments) => audit::audit(arguments).await,
        Command::Verify { account, settled } => verify::verify(account.as_ref(), *settled).await,
        Command::TrialBalance => trial_balance::trial_balance().await,
        Command::Cost(arguments) => cost::cost(arguments),
        Command::Trace { request_id, account } => trace::trace(account.as_ref(), request_id).await,
    }
}
