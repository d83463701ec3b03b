//! How PostgreSQL's programs are found and installed, tried on scripts that pretend to be them.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test, as tests do")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cap_local::postgres::{Binaries, BinariesError, PostgresCluster, PostgresError, SearchPath};

#[test]
fn missing_programs_are_named_with_what_to_install() {
    let empty = tempfile::tempdir().unwrap();
    let search = SearchPath::only([empty.path().to_path_buf()]);
    let error = PostgresCluster::start_with(&empty.path().join("cluster"), &search).unwrap_err();
    assert!(matches!(error, PostgresError::Binaries(BinariesError::Missing { .. })));
    assert_eq!(
        error.to_string(),
        "looking for PostgreSQL 15 or newer on the PATH and in the distribution's directories \
         found none; install it with `apt-get install postgresql`, \
         `dnf install postgresql-server` or `brew install postgresql`"
    );
}

#[test]
fn the_newest_fitting_version_wins_and_old_ones_are_named() {
    let root = tempfile::tempdir().unwrap();
    let versioned = format!("{}/", root.path().display());
    let search = SearchPath::only([]).and_versioned(&versioned, "bin");

    fake_programs(&root.path().join("9.6/bin"), "9.6.24");
    let error = Binaries::find(&search).unwrap_err().to_string();
    assert!(error.contains("9.6/bin is version 9"), "{error}");

    fake_programs(&root.path().join("15/bin"), "15.4");
    fake_programs(&root.path().join("18/bin"), "18beta1");
    fake_programs(&root.path().join("16/bin"), "16.1");
    assert_eq!(Binaries::find(&search).unwrap().version_major(), 18);
}

#[test]
fn a_package_manager_installs_what_is_missing() {
    let root = tempfile::tempdir().unwrap();
    let bin = root.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let installs = "17/bin";
    fake_programs(&root.path().join("package"), "17.2");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = install ] || exit 0\nmkdir -p {0}/17 && mv {0}/package {0}/{installs}\n",
        root.path().display(),
    );
    executable(&bin.join("apt-get"), &script);
    let search = SearchPath::only([bin])
        .and_versioned(&format!("{}/", root.path().display()), "bin")
        .and_install();
    assert_eq!(Binaries::find(&search).unwrap().version_major(), 17);
}

fn fake_programs(directory: &Path, version: &str) {
    std::fs::create_dir_all(directory).unwrap();
    for name in ["postgres", "initdb", "createdb", "dropdb"] {
        executable(
            &directory.join(name),
            &format!("#!/bin/sh\necho \"{name} (PostgreSQL) {version}\"\n"),
        );
    }
}

fn executable(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
