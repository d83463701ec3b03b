//! Finds PostgreSQL's programs on this machine, and installs them when it may.
//!
//! Guarantees: every directory it hands out holds `postgres`, `initdb`, `createdb` and `dropdb` of one
//! version, at least [`VERSION_MAJOR_MIN`]. It says on stderr when it installs something.
//! It does not know what a cluster is.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// The oldest PostgreSQL the migrations and these settings are tested with.
pub const VERSION_MAJOR_MIN: u32 = 15;

/// The programs a cluster needs, side by side in one directory.
const PROGRAMS: [&str; 4] = ["postgres", "initdb", "createdb", "dropdb"];

/// Where distributions put one directory per version: what is before and what is after the version.
const VERSIONED: [(&str, &str); 5] = [
    ("/usr/lib/postgresql/", "bin"),
    ("/usr/pgsql-", "bin"),
    ("/opt/homebrew/opt/postgresql@", "bin"),
    ("/usr/local/opt/postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions/", "bin"),
];

/// Where to look for the programs, and whether they may be installed when they are nowhere.
#[derive(Clone, Debug)]
pub struct SearchPath {
    directories: Vec<PathBuf>,
    versioned: Vec<(String, String)>,
    may_install: bool,
}

impl SearchPath {
    /// The PATH, then the distributions' directories; may install as root.
    #[must_use]
    pub fn system() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self {
            directories: std::env::split_paths(&path).collect(),
            versioned: VERSIONED
                .iter()
                .map(|(before, after)| ((*before).to_owned(), (*after).to_owned()))
                .collect(),
            may_install: nix::unistd::geteuid().is_root(),
        }
    }

    /// Only these directories; never installs. For tests and for a PostgreSQL kept elsewhere.
    #[must_use]
    pub fn only(directories: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            directories: directories.into_iter().collect(),
            versioned: Vec::new(),
            may_install: false,
        }
    }

    /// Also looks in `<before><version>/<after>`, newest version first.
    #[must_use]
    pub fn and_versioned(mut self, before: &str, after: &str) -> Self {
        self.versioned.push((before.to_owned(), after.to_owned()));
        self
    }

    /// Installs through the `apt-get` found in the directories when nothing else is found.
    #[must_use]
    pub fn and_install(mut self) -> Self {
        self.may_install = true;
        self
    }

    /// Every place to look in, in the order of preference.
    fn candidates(&self) -> Vec<PathBuf> {
        let mut versioned: Vec<(u32, PathBuf)> =
            self.versioned.iter().flat_map(|(before, after)| versions_of(before, after)).collect();
        versioned.sort_by_key(|(version, _)| Reverse(*version));
        let on_path = self.directories.iter().cloned();
        on_path.chain(versioned.into_iter().map(|(_, directory)| directory)).collect()
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        self.directories.iter().map(|directory| directory.join(name)).find(|path| path.is_file())
    }
}

/// PostgreSQL's programs of one version.
#[derive(Clone, Debug)]
pub struct Binaries {
    directory: PathBuf,
    version_major: u32,
}

impl Binaries {
    /// The first fitting programs on the search path, installed if need be.
    ///
    /// # Errors
    /// [`BinariesError::Missing`] says what to install; the others, why installing failed.
    pub fn find(search: &SearchPath) -> Result<Self, BinariesError> {
        let mut too_old = Vec::new();
        if let Some(found) = first_fitting(search, &mut too_old) {
            return Ok(found);
        }
        if let Some(apt_get) = search.may_install.then(|| search.program("apt-get")).flatten() {
            install(&apt_get)?;
            if let Some(found) = first_fitting(search, &mut too_old) {
                return Ok(found);
            }
        }
        Err(BinariesError::Missing { too_old: too_old.join("") })
    }

    /// The path of one of the programs.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The major version, such as `17`.
    #[must_use]
    pub fn version_major(&self) -> u32 {
        self.version_major
    }
}

fn first_fitting(search: &SearchPath, too_old: &mut Vec<String>) -> Option<Binaries> {
    search.candidates().iter().find_map(|candidate| {
        let directory = directory_of_programs(candidate)?;
        let version_major = version_of(&directory.join("postgres"))?;
        if version_major < VERSION_MAJOR_MIN {
            too_old.push(format!("; {} is version {version_major}", directory.display()));
            return None;
        }
        Some(Binaries { directory, version_major })
    })
}

/// The directory that holds all the programs. Distributions put links to some of them on the PATH,
/// so the link is followed to where its siblings are.
fn directory_of_programs(candidate: &Path) -> Option<PathBuf> {
    let real = candidate.join("postgres").canonicalize().ok()?;
    let places = [real.parent().map(Path::to_path_buf), Some(candidate.to_path_buf())];
    places
        .into_iter()
        .flatten()
        .find(|place| PROGRAMS.iter().all(|name| place.join(name).is_file()))
}

/// Reads `postgres (PostgreSQL) 17.2 (Debian …)`.
fn version_of(postgres: &Path) -> Option<u32> {
    let output = Command::new(postgres).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    leading_number(text.split(' ').nth(2)?)
}

fn versions_of(before: &str, after: &str) -> Vec<(u32, PathBuf)> {
    let before = Path::new(before);
    let (parent, prefix) = if before.as_os_str().as_encoded_bytes().ends_with(b"/") {
        (before, OsStr::new(""))
    } else {
        (before.parent().unwrap_or(before), before.file_name().unwrap_or_default())
    };
    let Ok(entries) = parent.read_dir() else {
        return Vec::new();
    };
    let prefix = prefix.to_string_lossy().into_owned();
    entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = leading_number(name.strip_prefix(&prefix)?)?;
            Some((version, entry.path().join(after)))
        })
        .collect()
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

fn install(apt_get: &Path) -> Result<(), BinariesError> {
    eprintln!("PostgreSQL was not found; installing it with `apt-get install postgresql`");
    for arguments in [&["update"][..], &["install", "--yes", "postgresql"]] {
        let attempt = arguments.join(" ");
        // What apt-get says goes to stderr: stdout may be read by a machine.
        let status = Command::new(apt_get)
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .status()
            .map_err(|source| BinariesError::InstallStart { attempt: attempt.clone(), source })?;
        if !status.success() {
            return Err(BinariesError::Install { attempt, status });
        }
    }
    Ok(())
}

/// Why PostgreSQL's programs are not there.
#[derive(Debug, thiserror::Error)]
pub enum BinariesError {
    /// Nothing fits and nothing may be installed.
    #[error(
        "looking for PostgreSQL {VERSION_MAJOR_MIN} or newer on the PATH and in the distribution's \
         directories found none{too_old}; install it with `apt-get install postgresql`, \
         `dnf install postgresql-server` or `brew install postgresql`"
    )]
    Missing {
        /// What was found but cannot be used, ready to be appended.
        too_old: String,
    },
    /// The package manager did not start.
    #[error("starting `apt-get {attempt}`")]
    InstallStart {
        /// The arguments of the package manager.
        attempt: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The package manager failed; what it said is on stderr.
    #[error("installing PostgreSQL with `apt-get {attempt}` ended with {status}")]
    Install {
        /// The arguments of the package manager.
        attempt: String,
        /// How it ended.
        status: ExitStatus,
    },
}
