//! One running server process over one data directory, from its start to its end.
//!
//! Guarantees: a [`Postmaster`] that was launched answers on its port; once it is stopped or killed,
//! its process is gone and reaped; when *this* process is killed, the [`Guard`] stops the server. A server left over from another process is stopped before a new one starts.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Binaries, Owner, PostgresError};

/// Crash recovery replays at most `max_wal_size`, which takes well under this.
const STARTUP_SECS_MAX: u64 = 120;
/// How long a fast shutdown, which writes a checkpoint, may take before it is forced.
const STOP_SECS_MAX: u64 = 30;
/// How long leftovers of a killed server may hold its memory or its port.
const LEFTOVER_SECS_MAX: u64 = 15;
const POLL: Duration = Duration::from_millis(5);

/// Durable and ready for logical replication; the sizes are those of a laptop.
const SETTINGS: [(&str, &str); 20] = [
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    // After a kill, one call for the file system instead of one for each of thousands of files.
    ("recovery_init_sync_method", "syncfs"),
    ("wal_level", "logical"),
    ("max_connections", "200"),
    ("shared_buffers", "256MB"),
    ("max_wal_size", "2GB"),
    ("max_wal_senders", "20"),
    ("max_replication_slots", "20"),
    ("max_worker_processes", "24"),
    ("max_logical_replication_workers", "12"),
    ("max_sync_workers_per_subscription", "2"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("lc_messages", "C"),
    ("log_destination", "stderr"),
    ("logging_collector", "off"),
];

/// Where one server keeps its data and writes its log.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) data: PathBuf,
    pub(super) log: PathBuf,
    /// Removed by the guard when this process is killed: the directory of a temporary cluster.
    pub(super) remove_after_kill: Option<PathBuf>,
    /// Settings that win over [`SETTINGS`].
    pub(super) settings: &'static [(&'static str, &'static str)],
}

/// A running server, a child of this process.
#[derive(Debug)]
pub(super) struct Postmaster {
    child: Child,
    guard: Guard,
}

impl Postmaster {
    /// Starts a server and waits until it answers. Leftovers of a killed server are waited for.
    pub(super) fn launch(
        binaries: &Binaries,
        owner: &Owner,
        place: &Place,
        port: u16,
    ) -> Result<Self, PostgresError> {
        stop_left_over(&place.data)?;
        let deadline = Instant::now() + Duration::from_secs(LEFTOVER_SECS_MAX);
        loop {
            match Self::launch_once(binaries, owner, place, port) {
                Err(PostgresError::Start { log }) if held(&log) && Instant::now() < deadline => {
                    std::thread::sleep(POLL);
                }
                result => return result,
            }
        }
    }

    fn launch_once(
        binaries: &Binaries,
        owner: &Owner,
        place: &Place,
        port: u16,
    ) -> Result<Self, PostgresError> {
        let attempt = |source| PostgresError::io("starting the PostgreSQL server", source);
        let log = OpenOptions::new().create(true).append(true).open(&place.log).map_err(attempt)?;
        let log_start = log.metadata().map_err(attempt)?.len();

        let mut command = owner.command(&binaries.program("postgres"));
        command.arg("-D").arg(&place.data).arg("-p").arg(port.to_string());
        for (name, value) in SETTINGS.iter().chain(place.settings) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        // Its own process group: Ctrl-C in a terminal must reach the services first.
        command.process_group(0).stdout(log.try_clone().map_err(attempt)?).stderr(log);
        let mut child = command.spawn().map_err(attempt)?;
        let guard = Guard::watch(child.id(), place).or_else(|error| {
            child.kill()?;
            child.wait()?;
            Err(error)
        });
        let guard = guard.map_err(attempt)?;

        let deadline = Instant::now() + Duration::from_secs(STARTUP_SECS_MAX);
        loop {
            if child.try_wait().map_err(attempt)?.is_some() {
                guard.release();
                return Err(PostgresError::Start { log: log_since(&place.log, log_start) });
            }
            if is_ready(&place.data, child.id()) {
                return Ok(Self { child, guard });
            }
            if Instant::now() > deadline {
                Self { child, guard }.stop()?;
                return Err(PostgresError::StartTimeout { secs: STARTUP_SECS_MAX });
            }
            std::thread::sleep(POLL);
        }
    }

    /// The operating system's id of the server process.
    pub(super) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Disconnects everyone, writes a checkpoint and ends; forced when that takes too long.
    pub(super) fn stop(mut self) -> Result<(), PostgresError> {
        let attempt = |source| PostgresError::io("stopping the PostgreSQL server", source);
        let ended = self.signal(Signal::SIGINT, STOP_SECS_MAX).map_err(attempt)?;
        if !ended {
            self.child.kill().map_err(attempt)?;
            self.child.wait().map_err(attempt)?;
        }
        self.guard.release();
        if ended { Ok(()) } else { Err(PostgresError::StopTimeout { secs: STOP_SECS_MAX }) }
    }

    /// Ends it the way a power cut would, with SIGKILL.
    pub(super) fn kill(mut self) -> Result<(), PostgresError> {
        let attempt = |source| PostgresError::io("killing the PostgreSQL server", source);
        self.child.kill().map_err(attempt)?;
        self.child.wait().map_err(attempt)?;
        self.guard.release();
        Ok(())
    }

    fn signal(&mut self, signal: Signal, secs_max: u64) -> std::io::Result<bool> {
        let deadline = Instant::now() + Duration::from_secs(secs_max);
        if self.child.try_wait()?.is_none() {
            kill(pid(self.child.id()), signal)?;
        }
        loop {
            if self.child.try_wait()?.is_some() {
                return Ok(true);
            }
            if Instant::now() > deadline {
                return Ok(false);
            }
            std::thread::sleep(POLL);
        }
    }
}

/// A small shell that outlives this process just long enough to stop its server.
///
/// It reads a pipe only this process holds: a line means "all is well", the end of the file means
/// that this process died without stopping the server, SIGKILL included.
#[derive(Debug)]
struct Guard {
    shell: Child,
    pipe: ChildStdin,
}

const GUARD_SCRIPT: &str = r#"
read -r released && exit 0
[ "$(head -n 1 "$2/postmaster.pid")" = "$1" ] && kill -INT "$1"
[ -n "$3" ] || exit 0
tries=0
while [ -e "$2/postmaster.pid" ] && [ "$tries" -lt 300 ]; do sleep 0.1; tries=$((tries + 1)); done
rm -rf -- "$3"
"#;

impl Guard {
    fn watch(process_id: u32, place: &Place) -> std::io::Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", GUARD_SCRIPT, "postgres-guard", &process_id.to_string()])
            .arg(&place.data)
            .arg(place.remove_after_kill.as_deref().unwrap_or(Path::new("")))
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let pipe = shell.stdin.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        Ok(Self { shell, pipe })
    }

    fn release(mut self) {
        // A guard somebody killed cannot be told; there is nothing left for it to do either.
        let _ = self.pipe.write_all(b"released\n");
        let _ = self.shell.wait();
    }
}

/// Stops a server that another, dead process left running over this data directory.
fn stop_left_over(data: &Path) -> Result<(), PostgresError> {
    let Some(process_id) = lock_line(data, 0).and_then(|line| line.parse::<u32>().ok()) else {
        return Ok(());
    };
    if is_server_of(data, process_id) {
        tracing::warn!(process_id, data = %data.display(), "stopping a left-over PostgreSQL server");
        return end_left_over(data, process_id)
            .map_err(|errno| PostgresError::io("stopping a left-over server", errno.into()));
    }
    if kill(pid(process_id), None) != Err(Errno::ESRCH) {
        // The number now belongs to another program, which PostgreSQL would take for its own.
        std::fs::remove_file(data.join("postmaster.pid"))
            .map_err(|source| PostgresError::io("removing a stale postmaster.pid", source))?;
    }
    Ok(())
}

fn end_left_over(data: &Path, process_id: u32) -> Result<(), Errno> {
    for (signal, secs_max) in [(Signal::SIGINT, STOP_SECS_MAX), (Signal::SIGKILL, STOP_SECS_MAX)] {
        match kill(pid(process_id), signal) {
            Ok(()) => {}
            Err(Errno::ESRCH) => return Ok(()),
            Err(errno) => return Err(errno),
        }
        let deadline = Instant::now() + Duration::from_secs(secs_max);
        while Instant::now() < deadline {
            if !is_server_of(data, process_id) {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
    }
    Err(Errno::ETIMEDOUT)
}

/// Whether a process is a live server of this data directory, which is its working directory.
fn is_server_of(data: &Path, process_id: u32) -> bool {
    if Path::new("/proc/self/cwd").exists() {
        let working_directory = std::fs::read_link(format!("/proc/{process_id}/cwd"));
        return working_directory.is_ok_and(|directory| directory == data);
    }
    let listing =
        Command::new("ps").args(["-o", "command=", "-p", &process_id.to_string()]).output();
    listing.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout).contains(&*data.to_string_lossy())
    })
}

/// `postmaster.pid` says `ready` in its eighth line once connections are accepted.
fn is_ready(data: &Path, process_id: u32) -> bool {
    lock_line(data, 0) == Some(process_id.to_string())
        && lock_line(data, 7).as_deref() == Some("ready")
}

fn lock_line(data: &Path, index: usize) -> Option<String> {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    text.lines().nth(index).map(|line| line.trim().to_owned())
}

/// Whether a start failed only because the operating system still holds something of a dead server.
fn held(log: &str) -> bool {
    log.contains("pre-existing shared memory block")
}

fn log_since(path: &Path, start: u64) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let start = usize::try_from(start).unwrap_or(usize::MAX).min(text.len());
    String::from_utf8_lossy(&text[start..]).trim().replace('\n', " | ")
}

fn pid(process_id: u32) -> Pid {
    // Process ids are positive C ints everywhere; zero, "my group", must never be signalled.
    Pid::from_raw(i32::try_from(process_id).unwrap_or(i32::MAX))
}
