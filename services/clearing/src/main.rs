//! The clearing service: chooses the subjects that money moves between (C2, C3).

use std::process::ExitCode;

fn main() -> ExitCode {
    cap_stage::main::<cap_domain::clearing::Clearing>()
}
