//! Who makes a change, for the audit log (T25): whoever is named, or else the user that the process
//! runs as. Nothing is changed by nobody.

/// The longest name of an operator, in characters.
const OPERATOR_CHARS_MAX: usize = 64;

/// Nobody can be named in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "nobody is named for the audit log: say with --operator NAME, or in USER, who makes this change"
)]
pub struct NobodyNamed;

/// A name as it is written down; a blank one is nobody's.
pub(crate) fn read(text: &str) -> Result<String, String> {
    let name: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    match name.chars().count() {
        0..=OPERATOR_CHARS_MAX => Ok(name),
        chars => Err(format!("has {chars} characters, {OPERATOR_CHARS_MAX} is the most")),
    }
}

/// The user this process runs as: its name, or `uid-<number>` if the system has none for it, as in
/// many a container. None where the system has no `/proc`.
pub(crate) fn of_process() -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let uid = std::fs::metadata("/proc/self").ok()?.uid();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    Some(name_of(uid, &users).unwrap_or_else(|| format!("uid-{uid}")))
}

/// The name of a user in the lines of `/etc/passwd`: `name:password:uid:…`.
fn name_of(uid: u32, users: &str) -> Option<String> {
    let found = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, found) = (fields.next()?, fields.nth(1)?);
        (found.parse() == Ok(uid)).then_some(name)
    });
    found.and_then(|name| read(name).ok()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_surroundings_and_a_bound() {
        assert_eq!(read(" ann\n"), Ok("ann".to_owned()));
        assert_eq!(read(" \t"), Ok(String::new()));
        assert_eq!(read(&"x".repeat(65)), Err("has 65 characters, 64 is the most".to_owned()));
    }

    #[test]
    fn a_user_is_found_by_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(name_of(0, users), Some("root".to_owned()));
        assert_eq!(name_of(1000, users), Some("ann".to_owned()));
        assert_eq!(name_of(100, users), None);
    }
}
