//! The position service: keeps the positions.

use std::process::ExitCode;

fn main() -> ExitCode {
    cap_stage::main::<cap_domain::position::Positions>()
}
