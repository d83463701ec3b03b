//! What cannot be undone is asked about first, or was said to be wanted.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};

/// Goes on if `yes` was given, or if whoever sits at the terminal says so.
///
/// # Errors
/// If nobody can be asked, or says no.
pub fn ask(question: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        bail!("nothing was done: nobody can be asked here, so say --yes if it is wanted");
    }
    let mut terminal = io::stderr().lock();
    write!(terminal, "{question} [y/N] ").and_then(|()| terminal.flush()).context("asking")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("reading the answer")?;
    if is_yes(&answer) { Ok(()) } else { bail!("nothing was done: the answer was not yes") }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(["y", "Y\n", "yes", " YES "].iter().all(|answer| is_yes(answer)));
        assert!(["", "\n", "n", "no", "yess", "j"].iter().all(|answer| !is_yes(answer)));
    }
}
