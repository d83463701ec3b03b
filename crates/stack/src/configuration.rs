//! The configuration as files: `currencies.json`, `instruments.json`, `rulebooks/*.json`.

use std::path::Path;

use anyhow::Context;
use cap_domain::configuration::ConfigurationDocument;
use serde::de::DeserializeOwned;

/// Reads a folder of configuration files. What is no JSON is told with file, line and column;
/// what the files mean is checked when they are pushed.
pub fn read_configuration(directory: &Path) -> anyhow::Result<ConfigurationDocument> {
    let folder = directory.join("rulebooks");
    let mut files = std::fs::read_dir(&folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>())
        .with_context(|| format!("listing {}", folder.display()))?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(ConfigurationDocument {
        currencies: read(&directory.join("currencies.json"))?,
        instruments: read(&directory.join("instruments.json"))?,
        rulebooks: files.iter().map(|file| read(file)).collect::<Result<_, _>>()?,
    })
}

fn read<T: DeserializeOwned>(file: &Path) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("reading {}", file.display()))
}
