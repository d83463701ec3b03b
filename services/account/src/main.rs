//! The account service: keeps the money; alone decides between enough, borrow and reject (C2).

use std::process::ExitCode;

fn main() -> ExitCode {
    cap_stage::main::<cap_domain::account::Accounts>()
}
