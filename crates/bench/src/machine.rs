//! The machine that was measured on: figures without it mean nothing.

use std::fs::read_to_string;
use std::process::Command;

use serde::Serialize;

/// What the figures depend on.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The processor.
    pub processor: String,
    /// How many of its cores there are for everything.
    pub cores: usize,
    /// Memory, in GiB.
    pub memory_gib: u64,
    /// The kernel.
    pub kernel: String,
    /// PostgreSQL, as it tells it itself.
    pub postgres: String,
    /// The PostgreSQL settings that decide about durability and size.
    pub postgres_settings: Vec<(String, String)>,
    /// How the measured programs were built.
    pub build: &'static str,
}

/// The settings that are told.
const TOLD_SETTINGS: [&str; 8] = [
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_level",
    "wal_compression",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
];

impl Machine {
    /// This machine, with the PostgreSQL server of `pool`.
    pub async fn of(pool: &sqlx::PgPool) -> anyhow::Result<Self> {
        let postgres: String = sqlx::query_scalar("show server_version").fetch_one(pool).await?;
        let mut postgres_settings = Vec::with_capacity(TOLD_SETTINGS.len());
        for name in TOLD_SETTINGS {
            let value = sqlx::query_scalar("select current_setting($1)").bind(name);
            postgres_settings.push((name.to_owned(), value.fetch_one(pool).await?));
        }
        Ok(Self {
            processor: processor().unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory_gib().unwrap_or_default(),
            kernel: kernel().unwrap_or_else(|| "unknown".to_owned()),
            postgres,
            postgres_settings,
            build: if cfg!(debug_assertions) { "dev" } else { "release" },
        })
    }
}

fn processor() -> Option<String> {
    let told = read_to_string("/proc/cpuinfo").ok()?;
    let line = told.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory_gib() -> Option<u64> {
    let told = read_to_string("/proc/meminfo").ok()?;
    let kib: u64 = told.lines().next()?.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib.div_ceil(1024 * 1024))
}

fn kernel() -> Option<String> {
    let told = Command::new("uname").args(["-s", "-r", "-m"]).output().ok()?;
    Some(String::from_utf8_lossy(&told.stdout).trim().to_owned())
}

/// The memory of a process that is its own or shared and resident now, in MiB.
pub(crate) fn resident_mib(process_id: u32) -> Option<f64> {
    let told = read_to_string(format!("/proc/{process_id}/status")).ok()?;
    let line = told.lines().find(|line| line.starts_with("VmRSS"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

/// The processor time a process has used so far, in seconds: of all its threads, in user and kernel.
pub(crate) fn cpu_secs(process_id: u32) -> Option<f64> {
    cpu_secs_told(&read_to_string(format!("/proc/{process_id}/stat")).ok()?)
}

/// The same of this process's threads of one name.
pub(crate) fn cpu_secs_of_threads(name: &str) -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let cpu = threads.filter_map(|thread| {
        let its_name = read_to_string(thread.path().join("comm")).ok()?;
        (its_name.trim_end() == name)
            .then(|| cpu_secs_told(&read_to_string(thread.path().join("stat")).ok()?))?
    });
    cpu.sum()
}

/// From what `/proc` tells of a process or a thread.
fn cpu_secs_told(told: &str) -> Option<f64> {
    // The name in parentheses may hold anything.
    let mut fields = told.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let kernel: f64 = fields.next()?.parse().ok()?;
    Some((user + kernel) / CLOCK_TICKS_PER_SEC)
}

/// The same of a process and all its children, such as a PostgreSQL server and its connections.
pub(crate) fn cpu_secs_of_family(parent: u32) -> f64 {
    let children = std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let child: u32 = entry.file_name().to_str()?.parse().ok()?;
        let told = read_to_string(format!("/proc/{child}/stat")).ok()?;
        let of: u32 = told.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        (of == parent).then(|| cpu_secs(child))?
    });
    children.chain(cpu_secs(parent)).sum()
}

/// What Linux counts processor time in, on every platform CAP is built for.
const CLOCK_TICKS_PER_SEC: f64 = 100.0;
