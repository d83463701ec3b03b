//! Decides which operating-system user a server runs as: PostgreSQL refuses to run as root.
//!
//! Guarantees: no command made here runs as root, and none inherits `PG…` variables that would point
//! it at another server.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{Gid, Uid, User, chown, geteuid};

/// Who may stand in for root, in the order of preference.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// The user a server and its files belong to.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    /// `None` when this process is not root, and simply goes on as itself.
    stand_in: Option<User>,
}

impl Owner {
    /// This user, or for root the owner of existing data, or `postgres`, or `nobody`.
    pub(super) fn choose(data: &Path) -> Result<Self, OwnerError> {
        if !geteuid().is_root() {
            return Ok(Self { stand_in: None });
        }
        let owner_of_data = data
            .metadata()
            .ok()
            .filter(|metadata| metadata.uid() != 0)
            .and_then(|metadata| User::from_uid(Uid::from_raw(metadata.uid())).ok().flatten());
        let stand_in = owner_of_data
            .or_else(|| UNPRIVILEGED.iter().find_map(|name| User::from_name(name).ok().flatten()));
        match stand_in {
            Some(user) => Ok(Self { stand_in: Some(user) }),
            None => Err(OwnerError::NoStandIn),
        }
    }

    /// A command that runs as this user, from `/`, in plain English, with nothing on its stdin.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
        if let Some(user) = &self.stand_in {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    /// Gives a directory to this user.
    pub(super) fn own(&self, directory: &Path) -> Result<(), OwnerError> {
        let Some(user) = &self.stand_in else {
            return Ok(());
        };
        chown(directory, Some(user.uid), Some(user.gid))
            .map_err(|source| OwnerError::Own { directory: directory.to_path_buf(), source })
    }

    /// Checks that this user can reach a directory through all of its parents.
    pub(super) fn check_can_enter(&self, directory: &Path) -> Result<(), OwnerError> {
        let Some(user) = &self.stand_in else {
            return Ok(());
        };
        match directory.ancestors().find(|ancestor| !may_enter(user.uid, user.gid, ancestor)) {
            None => Ok(()),
            Some(closed) => Err(OwnerError::Closed {
                user: user.name.clone(),
                directory: directory.to_path_buf(),
                closed: closed.to_path_buf(),
            }),
        }
    }
}

fn may_enter(uid: Uid, gid: Gid, directory: &Path) -> bool {
    const OWNER: u32 = 0o100;
    const GROUP: u32 = 0o010;
    const OTHERS: u32 = 0o001;
    let Ok(metadata) = directory.metadata() else {
        return false;
    };
    let bit = if metadata.uid() == uid.as_raw() {
        OWNER
    } else if metadata.gid() == gid.as_raw() {
        GROUP
    } else {
        OTHERS
    };
    metadata.mode() & bit != 0
}

/// Why no user can run the server.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// Root needs somebody to stand in.
    #[error(
        "choosing who runs PostgreSQL: root may not, and there is no user `postgres` or `nobody`"
    )]
    NoStandIn,
    /// A parent directory is closed to the stand-in.
    #[error(
        "placing a PostgreSQL cluster in {directory}: the user `{user}` that runs it cannot enter \
         {closed}; choose a directory elsewhere, for example under /var/tmp"
    )]
    Closed {
        /// The stand-in for root.
        user: String,
        /// Where the cluster should be.
        directory: PathBuf,
        /// The first directory on the way that is closed.
        closed: PathBuf,
    },
    /// The directory could not be handed over.
    #[error("giving {directory} to the user that runs PostgreSQL")]
    Own {
        /// The directory.
        directory: PathBuf,
        /// What the operating system said.
        source: nix::Error,
    },
}
