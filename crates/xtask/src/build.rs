//! Building what the commands run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest)
}

/// Runs `cargo` with `arguments` in the repository, its output on standard error; the words name
/// the step if it fails.
pub(crate) fn cargo(
    step: &str,
    arguments: &[&str],
    environment: &[(&str, String)],
) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What cargo told this program about itself would make build scripts of dependencies run again.
    let told = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
            .iter()
            .any(|of| name.starts_with(of))
    };
    for (name, _) in std::env::vars().filter(|(name, _)| told(name)) {
        command.env_remove(name);
    }
    let status = command
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir(root())
        .status()
        .with_context(|| format!("starting cargo for {step}"))?;
    ensure!(status.success(), "{step} failed: `cargo {}`", arguments.join(" "));
    Ok(())
}

/// Builds the services and `capctl` unless they are `built`, and tells the folder they are in:
/// that of this program.
pub(crate) fn services(built: bool) -> anyhow::Result<PathBuf> {
    if !built {
        build_services()?;
    }
    let program = std::env::current_exe().context("finding this program")?;
    Ok(program.parent().context("finding this program's folder")?.to_owned())
}

fn build_services() -> anyhow::Result<()> {
    // The whole workspace, so that everything shares one set of features and so one build.
    cargo("building the services", &["build", "--bins", "--workspace"], &[])
}

/// Builds everything optimised and runs this program's optimised twin with `arguments`.
pub(crate) fn run_release(
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
) -> anyhow::Result<()> {
    cargo("the optimised build", &["build", "--release", "--bins", "--workspace"], &[])?;
    let program = std::env::current_exe().context("finding this program")?;
    let target = program.ancestors().nth(2).context("finding the folder of builds")?;
    let twin = target.join("release").join("xtask");
    let status = Command::new(&twin).args(arguments).arg("--built").status();
    let status = status.with_context(|| format!("starting {}", twin.display()))?;
    ensure!(status.success(), "the optimised run failed");
    Ok(())
}
