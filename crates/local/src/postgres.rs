//! Real PostgreSQL clusters from the programs installed on this machine.
//!
//! Guarantees: a started [`PostgresCluster`] answers on a loopback port and is as durable as a
//! production one (`fsync`, `synchronous_commit` and `full_page_writes` are on); a directory is used by
//! one process at a time and recovers from whatever happened to it before; no server outlives the
//! process that started it. It works as root, by standing aside for an unprivileged user.
//! It knows nothing of CAP's schemas and roles, and trusts every local connection.
//!
//! All calls block: from asynchronous code use `tokio::task::spawn_blocking`.

mod binaries;
mod error;
mod owner;
mod postmaster;

use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use tempfile::TempDir;

pub use binaries::{Binaries, BinariesError, SearchPath, VERSION_MAJOR_MIN};
pub use error::PostgresError;
use owner::Owner;
pub use owner::OwnerError;
use postmaster::{Place, Postmaster};

/// The role that owns everything in a new cluster.
pub const SUPERUSER: &str = "postgres";

/// How often a start may lose the race for a free port.
const PORT_TRIES_MAX: usize = 5;

/// A cluster: one data directory, one port and, while it runs, one server.
#[derive(Debug)]
pub struct PostgresCluster {
    postmaster: Option<Postmaster>,
    binaries: Binaries,
    owner: Owner,
    place: Place,
    port: u16,
    _lock: File,
    _temporary: Option<TempDir>,
}

impl PostgresCluster {
    /// Starts a cluster in a directory, which is created if need be and kept afterwards.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub fn start(directory: &Path) -> Result<Self, PostgresError> {
        Self::start_with(directory, &SearchPath::system())
    }

    /// Starts a cluster in a new temporary directory, removed when the cluster is dropped.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub fn start_temporary() -> Result<Self, PostgresError> {
        Self::start_temporary_with(&[])
    }

    /// As [`start_temporary`](Self::start_temporary), with server settings that win over the usual
    /// ones: names and values as in `postgresql.conf`.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub fn start_temporary_with(
        settings: &'static [(&'static str, &'static str)],
    ) -> Result<Self, PostgresError> {
        let binaries = Binaries::find(&SearchPath::system())?;
        let temporary = tempfile::Builder::new()
            .prefix("cap-postgres-")
            .tempdir()
            .map_err(|source| PostgresError::io("creating a temporary directory", source))?;
        let directory = temporary.path().to_path_buf();
        Self::open(binaries, &directory, Some(temporary), settings)
    }

    /// As [`start`](Self::start), with programs found on another search path.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub fn start_with(directory: &Path, search: &SearchPath) -> Result<Self, PostgresError> {
        let binaries = Binaries::find(search)?;
        std::fs::create_dir_all(directory)
            .map_err(|source| PostgresError::io("creating the cluster's directory", source))?;
        Self::open(binaries, directory, None, &[])
    }

    fn open(
        binaries: Binaries,
        directory: &Path,
        temporary: Option<TempDir>,
        settings: &'static [(&'static str, &'static str)],
    ) -> Result<Self, PostgresError> {
        let directory = directory
            .canonicalize()
            .map_err(|source| PostgresError::io("opening the cluster's directory", source))?;
        let lock = lock(&directory)?;
        let place = Place {
            data: directory.join("data"),
            log: directory.join("postgres.log"),
            remove_after_kill: temporary.is_some().then(|| directory.clone()),
            settings,
        };
        keep_previous_log(&place.log)?;
        let owner = Owner::choose(&place.data)?;
        if temporary.is_some() {
            // A temporary directory is closed to everyone but the one who made it.
            owner.own(&directory)?;
        }
        owner.check_can_enter(&directory)?;
        initialise(&binaries, &owner, &place)?;
        check_version(&binaries, &place.data)?;
        let (postmaster, port) = launch_on_free_port(&binaries, &owner, &place)?;
        Ok(Self {
            postmaster: Some(postmaster),
            binaries,
            owner,
            place,
            port,
            _lock: lock,
            _temporary: temporary,
        })
    }

    /// The address of a database for the superuser. The name must need no escaping in a URL.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_as(SUPERUSER, database)
    }

    /// The address of a database for another role; no password is asked for.
    #[must_use]
    pub fn url_as(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// The loopback port; it stays the same over [`restart`](Self::restart).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process id while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.postmaster.as_ref().map(Postmaster::process_id)
    }

    /// Where the server writes its log.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.place.log
    }

    /// The major version of the server, such as `17`.
    #[must_use]
    pub fn version_major(&self) -> u32 {
        self.binaries.version_major()
    }

    /// Creates a database, as a copy of a template database if one is named.
    ///
    /// # Errors
    /// [`PostgresError::Command`] with what PostgreSQL said, for example that it already exists.
    pub fn create_database(&self, name: &str, template: Option<&str>) -> Result<(), PostgresError> {
        let template = template.map(|template| format!("--template={template}"));
        let arguments: Vec<&str> = template.as_deref().into_iter().chain([name]).collect();
        self.client("createdb", &arguments)
    }

    /// Creates a database unless it is there already; answers whether it was created.
    ///
    /// # Errors
    /// [`PostgresError::Command`] with what PostgreSQL said.
    pub fn ensure_database(&self, name: &str) -> Result<bool, PostgresError> {
        match self.create_database(name, None) {
            Ok(()) => Ok(true),
            Err(PostgresError::Command { said, .. }) if said.contains("already exists") => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Drops a database if it exists, disconnecting whoever uses it.
    ///
    /// # Errors
    /// [`PostgresError::Command`] with what PostgreSQL said.
    pub fn drop_database(&self, name: &str) -> Result<(), PostgresError> {
        self.client("dropdb", &["--if-exists", "--force", name])
    }

    fn client(&self, program: &'static str, arguments: &[&str]) -> Result<(), PostgresError> {
        let port = self.port.to_string();
        let connection = ["--host=127.0.0.1", "--port", &port, "--username", SUPERUSER];
        run(
            program,
            self.owner.command(&self.binaries.program(program)).args(connection).args(arguments),
        )
    }

    /// Stops the server cleanly; a stopped one stays stopped.
    ///
    /// # Errors
    /// [`PostgresError::StopTimeout`] when it had to be forced; it is gone even then.
    pub fn stop(&mut self) -> Result<(), PostgresError> {
        self.postmaster.take().map_or(Ok(()), Postmaster::stop)
    }

    /// Ends the server with SIGKILL, as a crash would.
    ///
    /// # Errors
    /// [`PostgresError::Io`] when the process cannot be signalled.
    pub fn kill(&mut self) -> Result<(), PostgresError> {
        self.postmaster.take().map_or(Ok(()), Postmaster::kill)
    }

    /// Starts the server again on the same port, stopping it first if it runs.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub fn restart(&mut self) -> Result<(), PostgresError> {
        self.stop()?;
        let launched = Postmaster::launch(&self.binaries, &self.owner, &self.place, self.port)?;
        self.postmaster = Some(launched);
        Ok(())
    }
}

impl Drop for PostgresCluster {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!(error = &error as &dyn std::error::Error, "dropping a cluster");
        }
    }
}

/// Held by the kernel for as long as this process lives, however it ends.
fn lock(directory: &Path) -> Result<File, PostgresError> {
    let attempt = |source| PostgresError::io("locking the cluster's directory", source);
    let file = File::create(directory.join("lock")).map_err(attempt)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(PostgresError::InUse { directory: directory.to_path_buf() })
        }
        Err(TryLockError::Error(source)) => Err(attempt(source)),
    }
}

/// The log of the last use is kept, older ones are not: it would grow for as long as the directory.
fn keep_previous_log(log: &Path) -> Result<(), PostgresError> {
    if !log.exists() {
        return Ok(());
    }
    std::fs::rename(log, log.with_extension("previous.log"))
        .map_err(|source| PostgresError::io("putting the previous log aside", source))
}

/// Creates the data directory unless it is there, all or nothing: half of one is never used.
fn initialise(binaries: &Binaries, owner: &Owner, place: &Place) -> Result<(), PostgresError> {
    if place.data.exists() {
        return Ok(());
    }
    let attempt = |source| PostgresError::io("creating the data directory", source);
    let unfinished = place.data.with_extension("unfinished");
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished).map_err(attempt)?;
    }
    std::fs::create_dir(&unfinished).map_err(attempt)?;
    owner.own(&unfinished)?;
    let mut initdb = owner.command(&binaries.program("initdb"));
    initdb.arg("--pgdata").arg(&unfinished).args(["--username", SUPERUSER, "--auth=trust"]);
    initdb.args(["--encoding=UTF8", "--locale=C"]);
    if place.remove_after_kill.is_some() {
        initdb.arg("--no-sync");
    }
    run("initdb", &mut initdb)?;
    std::fs::rename(&unfinished, &place.data).map_err(attempt)
}

fn check_version(binaries: &Binaries, data: &Path) -> Result<(), PostgresError> {
    let of_data = std::fs::read_to_string(data.join("PG_VERSION"))
        .map_err(|source| PostgresError::io("reading the data directory's version", source))?;
    if of_data.trim() == binaries.version_major().to_string() {
        return Ok(());
    }
    Err(PostgresError::Version {
        data: data.to_path_buf(),
        of_data: of_data.trim().to_owned(),
        of_programs: binaries.version_major(),
    })
}

fn launch_on_free_port(
    binaries: &Binaries,
    owner: &Owner,
    place: &Place,
) -> Result<(Postmaster, u16), PostgresError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let port = free_port()?;
        match Postmaster::launch(binaries, owner, place, port) {
            // Somebody took the port between our asking and the server's binding.
            Err(PostgresError::Start { log })
                if log.contains("Address already in use") && tries < PORT_TRIES_MAX => {}
            launched => return Ok((launched?, port)),
        }
    }
}

fn free_port() -> Result<u16, PostgresError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| PostgresError::io("looking for a free port", source))
}

fn run(program: &'static str, command: &mut std::process::Command) -> Result<(), PostgresError> {
    let output = command.output().map_err(|source| PostgresError::Spawn { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " | ");
    Err(PostgresError::Command { program, said })
}
