//! The configuration as files: `currencies.json`, `instruments.json` and `rulebooks/<product>.json`.
//!
//! Guarantees that whatever is wrong is told with its file and the place in it. What the files mean
//! together is checked when they are pushed, by `cap_domain::configuration`.

use std::path::{Path, PathBuf};

use cap_domain::configuration::ConfigurationDocument;
use cap_domain::rulebook::RulebookDocument;
use serde::de::DeserializeOwned;

/// The most rulebooks of one folder.
pub const RULEBOOKS_MAX: usize = 1_000;

/// Why a folder of configuration files is not read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file or folder is missing, or may not be read.
    #[error("reading {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {place}{reason}", file.display())]
    Wrong {
        /// Which.
        file: PathBuf,
        /// The field, such as `events.fee.charged: `; empty for the file as a whole.
        place: String,
        /// What is wrong there, with line and column.
        reason: String,
    },
    /// The folder has more rulebooks than any installation.
    #[error("{} has more than {RULEBOOKS_MAX} rulebooks", .0.display())]
    TooMany(PathBuf),
}

/// Reads a folder of configuration files.
///
/// # Errors
/// See [`FilesError`].
pub fn read_configuration(directory: &Path) -> Result<ConfigurationDocument, FilesError> {
    Ok(ConfigurationDocument {
        currencies: read(&directory.join("currencies.json"))?,
        instruments: read(&directory.join("instruments.json"))?,
        rulebooks: rulebooks(&directory.join("rulebooks"))?,
    })
}

/// Reads one rulebook, wherever it lies.
///
/// # Errors
/// See [`FilesError`].
pub fn read_rulebook(file: &Path) -> Result<RulebookDocument, FilesError> {
    read(file)
}

fn rulebooks(folder: &Path) -> Result<Vec<RulebookDocument>, FilesError> {
    let failed = |source| FilesError::Io { path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut files = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    if files.len() > RULEBOOKS_MAX {
        return Err(FilesError::TooMany(folder.to_owned()));
    }
    files.iter().map(|file| rulebook(file)).collect()
}

/// A rulebook, whose file must be named after its product: that is where later errors point.
fn rulebook(file: &Path) -> Result<RulebookDocument, FilesError> {
    let document: RulebookDocument = read(file)?;
    let product = document.product.as_str();
    if file.file_stem().is_some_and(|stem| stem == product) {
        Ok(document)
    } else {
        let reason = format!("the rulebook of {product} belongs into {product}.json");
        Err(FilesError::Wrong { file: file.to_owned(), place: "product: ".to_owned(), reason })
    }
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<T, FilesError> {
    let failed = |source| FilesError::Io { path: file.to_owned(), source };
    let text = std::fs::read_to_string(file).map_err(failed)?;
    let wrong = |place: String, error: serde_json::Error| FilesError::Wrong {
        file: file.to_owned(),
        place: if place == "." { String::new() } else { format!("{place}: ") },
        reason: error.to_string(),
    };
    let mut json = serde_json::Deserializer::from_str(&text);
    let read = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| wrong(error.path().to_string(), error.into_inner()))?;
    json.end().map_err(|error| wrong(".".to_owned(), error))?;
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_told_with_file_place_line_and_column() {
        let folder = std::env::temp_dir().join(format!("cap-files-{}", std::process::id()));
        let write = |name: &str, text: &str| {
            let file = folder.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        let error = || {
            let told = read_configuration(&folder).unwrap_err().to_string();
            told.replace(&format!("{}/", folder.display()), "")
        };
        assert_eq!(error(), "reading currencies.json");
        write("currencies.json", "{\n  \"USDT\": \"six\"\n}");
        assert_eq!(
            error(),
            "currencies.json: USDT: invalid type: string \"six\", expected u8 at line 2 column 15"
        );
        write("currencies.json", r#"{ "USDT": 6 } {}"#);
        assert_eq!(error(), "currencies.json: trailing characters at line 1 column 15");
        write("currencies.json", r#"{ "USDT": 6 }"#);
        write("instruments.json", r#"{ "spot": { "pairs": [] } }"#);
        let rulebook = r#"{ "product": "spot", "version": 1, "about": "", "path": [], "instruments": "pairs",
            "currencies": [], "subjects": {}, "events": {} }"#;
        write("rulebooks/other.json", rulebook);
        assert_eq!(
            error(),
            "rulebooks/other.json: product: the rulebook of spot belongs into spot.json"
        );
        std::fs::rename(folder.join("rulebooks/other.json"), folder.join("rulebooks/spot.json"))
            .unwrap();
        assert_eq!(read_configuration(&folder).unwrap().rulebooks.len(), 1);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
