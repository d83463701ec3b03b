//! `capctl`: arguments → command → answer.

use std::process::ExitCode;

use capctl::answer::{self, EXIT_FAILED};
use capctl::{arguments, commands};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match arguments::read() {
        Ok(arguments) => arguments,
        Err(answered) => return answered,
    };
    let _log = match answer::start_log() {
        Ok(log) => log,
        Err(error) => return answer::fail(&error.into()),
    };
    match commands::run(&arguments).await {
        Ok(answered) => match answered.print(arguments.json) {
            Ok(()) => ExitCode::from(answered.exit_code()),
            // Whoever read along has seen enough: `capctl lanes | head`.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(EXIT_FAILED),
        },
        Err(error) => answer::fail(&error),
    }
}
