//! What a PostgreSQL cluster on this machine promises, tried on real ones.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test, as tests do")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cap_local::postgres::{PostgresCluster, PostgresError};
use sqlx::{Connection, Executor, PgConnection};

#[tokio::test]
async fn it_starts_as_this_user_and_answers() {
    let started = Instant::now();
    let cluster = PostgresCluster::start_temporary().unwrap();
    println!("a new cluster answered after {:?}", started.elapsed());

    let mut connection = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
    let one: i32 = sqlx::query_scalar("select 1").fetch_one(&mut connection).await.unwrap();
    assert_eq!(one, 1);

    for (name, expected) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("wal_level", "logical"),
        ("max_connections", "200"),
    ] {
        let found: String = sqlx::query_scalar("select current_setting($1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(found, expected, "{name}");
    }
}

#[tokio::test]
async fn committed_rows_survive_a_crash_and_uncommitted_ones_do_not() {
    let mut cluster = PostgresCluster::start_temporary().unwrap();
    let url = cluster.url("postgres");
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection.execute("create table posting (n int)").await.unwrap();
    connection.execute("insert into posting select generate_series(1, 1000)").await.unwrap();
    let mut open = PgConnection::connect(&url).await.unwrap();
    let mut transaction = open.begin().await.unwrap();
    transaction.execute("insert into posting values (-1)").await.unwrap();

    cluster.kill().unwrap();
    let started = Instant::now();
    cluster.restart().unwrap();
    println!("a crashed cluster answered after {:?}", started.elapsed());

    assert_eq!(cluster.url("postgres"), url, "the address stays the same");
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let rows: i64 = sqlx::query_scalar("select count(*) from posting")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(rows, 1000);
}

#[test]
fn stopping_leaves_no_process_and_the_directory_is_used_again() {
    let directory = tempfile::tempdir().unwrap();
    open_to_everyone(directory.path());
    let mut cluster = PostgresCluster::start(directory.path()).unwrap();
    let process_id = cluster.process_id().unwrap();
    cluster.create_database("kept", None).unwrap();

    cluster.stop().unwrap();
    assert!(!is_alive(process_id));
    assert!(!directory.path().join("data/postmaster.pid").exists(), "it was a clean stop");
    drop(cluster);

    let started = Instant::now();
    let cluster = PostgresCluster::start(directory.path()).unwrap();
    println!("an existing cluster answered after {:?}", started.elapsed());
    assert!(!cluster.ensure_database("kept").unwrap(), "the database is still there");
    assert!(cluster.ensure_database("new").unwrap());
}

#[test]
fn dropping_stops_the_server_and_removes_what_is_temporary() {
    let cluster = PostgresCluster::start_temporary().unwrap();
    let process_id = cluster.process_id().unwrap();
    let directory = cluster.log_path().parent().unwrap().to_path_buf();
    drop(cluster);
    assert!(!is_alive(process_id));
    assert!(!directory.exists());
}

#[tokio::test]
async fn two_clusters_run_side_by_side() {
    let first = PostgresCluster::start_temporary().unwrap();
    let second = PostgresCluster::start_temporary().unwrap();
    assert_ne!(first.port(), second.port());

    first.create_database("only_here", None).unwrap();
    assert!(PgConnection::connect(&first.url("only_here")).await.is_ok());
    assert!(PgConnection::connect(&second.url("only_here")).await.is_err());
}

#[tokio::test]
async fn a_database_can_be_a_copy_of_a_template() {
    let cluster = PostgresCluster::start_temporary().unwrap();
    cluster.create_database("template_of_tests", None).unwrap();
    let mut connection = PgConnection::connect(&cluster.url("template_of_tests")).await.unwrap();
    connection.execute("create table copied (n int)").await.unwrap();
    connection.close().await.unwrap();

    cluster.create_database("copy", Some("template_of_tests")).unwrap();
    let mut connection = PgConnection::connect(&cluster.url("copy")).await.unwrap();
    connection.execute("select n from copied").await.unwrap();

    cluster.drop_database("copy").unwrap();
    assert!(PgConnection::connect(&cluster.url("copy")).await.is_err());

    let again = cluster.create_database("template_of_tests", None).unwrap_err().to_string();
    assert!(again.contains("already exists"), "{again}");
}

#[test]
fn a_directory_in_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    open_to_everyone(directory.path());
    let _first = PostgresCluster::start(directory.path()).unwrap();
    let second = PostgresCluster::start(directory.path());
    assert!(matches!(second, Err(PostgresError::InUse { .. })), "{second:?}");
}

#[test]
fn a_stale_lock_file_of_a_crashed_server_is_no_obstacle() {
    let directory = tempfile::tempdir().unwrap();
    open_to_everyone(directory.path());
    let mut cluster = PostgresCluster::start(directory.path()).unwrap();
    cluster.kill().unwrap();
    let lock = directory.path().join("data/postmaster.pid");
    // The worst case: the number now belongs to a live program that is no server, this test.
    let stale = std::fs::read_to_string(&lock).unwrap();
    let (_, rest) = stale.split_once('\n').unwrap();
    std::fs::write(&lock, format!("{}\n{rest}", std::process::id())).unwrap();
    drop(cluster);

    PostgresCluster::start(directory.path()).unwrap();
}

/// Run by a [`Holder`] in a process of its own, to be killed there.
#[test]
#[ignore = "the process that other tests kill"]
fn hold_a_cluster_until_killed() {
    let Ok(directory) = std::env::var("HELD_DIRECTORY") else {
        return;
    };
    let directory = Path::new(&directory);
    let cluster = match std::env::var("HELD_KIND").as_deref() {
        Ok("temporary") => PostgresCluster::start_temporary().unwrap(),
        _ => PostgresCluster::start(directory).unwrap(),
    };
    let home = cluster.log_path().parent().unwrap().display();
    let told = format!("{} {home}", cluster.process_id().unwrap());
    std::fs::write(directory.join("told.unfinished"), told).unwrap();
    std::fs::rename(directory.join("told.unfinished"), directory.join("told")).unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_server_does_not_outlive_a_killed_process() {
    let directory = tempfile::tempdir().unwrap();
    let holder = Holder::start("kept", directory.path());
    let server = holder.server;
    holder.kill();
    eventually("the guard stops the server", || (!is_alive(server)).then_some(()));

    PostgresCluster::start(directory.path()).unwrap();
}

#[test]
fn a_temporary_cluster_of_a_killed_process_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let holder = Holder::start("temporary", directory.path());
    let (server, home) = (holder.server, holder.home.clone());
    assert!(home.exists());
    holder.kill();
    eventually("the guard removes the cluster", || (!home.exists()).then_some(()));
    assert!(!is_alive(server));
}

#[test]
fn a_left_over_server_is_stopped_before_a_new_one_starts() {
    let directory = tempfile::tempdir().unwrap();
    let holder = Holder::start("kept", directory.path());
    let server = holder.server;
    // The guard first, so that nobody is left to stop the server.
    let guard = children_of(holder.process.id()).into_iter().find(|child| *child != server);
    signal("KILL", guard.unwrap());
    holder.kill();
    assert!(is_alive(server));

    let cluster = PostgresCluster::start(directory.path()).unwrap();
    assert!(!is_alive(server));
    assert_ne!(cluster.process_id(), Some(server));
}

/// Another process with a cluster.
struct Holder {
    process: Child,
    server: u32,
    home: PathBuf,
}

impl Holder {
    fn start(kind: &str, directory: &Path) -> Self {
        open_to_everyone(directory);
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "hold_a_cluster_until_killed"])
            .env("HELD_DIRECTORY", directory)
            .env("HELD_KIND", kind)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let told = eventually("the holder starts its cluster", || {
            std::fs::read_to_string(directory.join("told")).ok()
        });
        let (server, home) = told.split_once(' ').unwrap();
        Self { process, server: server.parse().unwrap(), home: PathBuf::from(home) }
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn open_to_everyone(directory: &Path) {
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn signal(name: &str, process_id: u32) {
    let status = Command::new("kill").args(["-s", name, &process_id.to_string()]).status().unwrap();
    assert!(status.success());
}

/// A process that ended but was not reaped by its new parent is not alive.
fn is_alive(process_id: u32) -> bool {
    ps(&["-o", "stat=", "-p", &process_id.to_string()])
        .first()
        .is_some_and(|state| !state.starts_with('Z'))
}

fn children_of(process_id: u32) -> Vec<u32> {
    ps(&["-o", "pid=", "--ppid", &process_id.to_string()])
        .iter()
        .map(|line| line.parse().unwrap())
        .collect()
}

fn ps(arguments: &[&str]) -> Vec<String> {
    let output = Command::new("ps").args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(Instant::now() < deadline, "gave up waiting until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
