//! Developer commands: `cargo xtask demo | up | test | bench | chaos | planted | crowd | ci`.

mod bench;
mod build;
mod chaos;
mod ci;
mod crowd;
mod demo;
mod planted;
mod progress;
mod test;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer commands of CAP.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole system on this machine: trades become balances and positions, proven correct.
    Demo {
        /// Replay real trades: a CSV of `trade_id,price,quantity,time_ms,is_buyer_maker`.
        #[arg(long, value_name = "FILE")]
        trades: Option<PathBuf>,
        /// Print one JSON object instead of the report.
        #[arg(long)]
        json: bool,
        /// Take the services as they are built already.
        #[arg(long)]
        built: bool,
    },
    /// Start the stack and all services and keep them up; the addresses are in `.local/env`.
    Up {
        /// Where the addresses are written to, instead of `.local/env`.
        #[arg(long, value_name = "FILE")]
        env_file: Option<PathBuf>,
        /// Take the services as they are built already.
        #[arg(long)]
        built: bool,
    },
    /// Run every test.
    Test {
        /// Only tests whose name contains this.
        filter: Option<String>,
    },
    /// Measure CAP beside what else would do it; ten to sixty minutes, alone on the machine.
    Bench(bench::Bench),
    /// One hop of the bare relay that `bench pipeline` compares with.
    #[command(hide = true)]
    Relay(bench::Relay),
    /// Run CAP under faults and crashes and compare it with the reference model.
    Chaos(chaos::Chaos),
    /// Plant known bugs into a copy of the last commit, one by one, and see that chaos finds each.
    Planted(planted::Planted),
    /// Suspend ten thousand accounts and measure whether the healthy ones notice.
    Crowd(crowd::Crowd),
    /// What continuous integration runs: formatting, lints, every test.
    Ci,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Demo { trades, json, built } => demo::run(trades.as_deref(), json, built),
        Command::Up { env_file, built } => up::run(env_file, built),
        Command::Test { filter } => test::run(filter.as_deref()),
        Command::Bench(bench) => bench::run(&bench),
        Command::Relay(relay) => bench::relay(&relay),
        Command::Chaos(chaos) => chaos::run(&chaos),
        Command::Planted(planted) => planted::run(&planted),
        Command::Crowd(crowd) => crowd::run(&crowd),
        Command::Ci => ci::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
