//! Everything that is configured rather than built: currencies, what can be traded, rulebooks.
//!
//! One revision of all of it is checked as a whole. Clearing alone reads it: what the later
//! stages need travels with the message (C14, T7).

mod changes;
mod instruments;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use instruments::{ContractDocument, InstrumentsDocument, TierDocument};

use crate::ids::Product;
use crate::json::unique_keys;
use crate::money::{Currency, CurrencyCode, DECIMALS_MAX};
use crate::rulebook::{self, Rulebook, RulebookDocument};
use crate::subject::Subject;
pub use changes::Changed;

/// One revision of the configuration as documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationDocument {
    /// `currencies.json`: decimals by code.
    #[serde(deserialize_with = "unique_keys")]
    pub currencies: BTreeMap<CurrencyCode, u8>,
    /// `instruments.json`: what each product trades.
    #[serde(deserialize_with = "unique_keys")]
    pub instruments: BTreeMap<Product, InstrumentsDocument>,
    /// `rulebooks/*.json`.
    pub rulebooks: Vec<RulebookDocument>,
}

/// A checked configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// Counts the pushes; 0: nothing was pushed yet.
    pub revision: u64,
    currencies: BTreeMap<CurrencyCode, Currency>,
    rulebooks: BTreeMap<Product, Rulebook>,
}

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{document}: {reason}")]
pub struct ConfigurationError {
    /// Which document.
    pub document: String,
    /// Where in it, and what.
    pub reason: String,
}

fn wrong(document: impl Into<String>, reason: impl ToString) -> ConfigurationError {
    ConfigurationError { document: document.into(), reason: reason.to_string() }
}

impl Configuration {
    /// Checks a whole revision.
    pub fn check(
        revision: u64,
        document: ConfigurationDocument,
    ) -> Result<Self, ConfigurationError> {
        let mut currencies = BTreeMap::new();
        for (code, decimals) in document.currencies {
            if u32::from(decimals) > DECIMALS_MAX {
                return Err(wrong(
                    "currencies.json",
                    format!("{code}: {decimals} decimals, {DECIMALS_MAX} is the most"),
                ));
            }
            currencies.insert(code, Currency { code, decimals });
        }
        let mut instruments = document.instruments;
        let mut rulebooks = BTreeMap::new();
        for rulebook in document.rulebooks {
            let product = rulebook.product.clone();
            let file = format!("rulebooks/{product}.json");
            if rulebooks.contains_key(&product) {
                return Err(wrong(file, "there are two rulebooks for this product"));
            }
            let traded = instruments.remove(&product).ok_or_else(|| {
                wrong("instruments.json", format!("product {product} is missing"))
            })?;
            let traded = instruments::check(&product, traded, rulebook.instruments, &currencies)?;
            let checked = Rulebook::check(rulebook, &currencies, traded)
                .map_err(|error| wrong(&file, error))?;
            rulebooks.insert(product, checked);
        }
        match instruments.keys().next() {
            Some(product) => {
                Err(wrong("instruments.json", format!("product {product} has no rulebook")))
            }
            None => Ok(Self { revision, currencies, rulebooks }),
        }
    }

    /// Checks what a revision has to have that is pushed from now on.
    pub fn check_new(&self) -> Result<(), ConfigurationError> {
        self.rulebooks.values().try_for_each(|rulebook| {
            rulebook::check_new(rulebook)
                .map_err(|error| wrong(format!("rulebooks/{}.json", rulebook.product), error))
        })
    }

    /// Checks that this revision may follow `previous` while accounts live by it. What is checked
    /// is what no account could survive; parameters of open positions are checked where the
    /// positions are known (C6).
    pub fn check_after(&self, previous: &Self) -> Result<(), ConfigurationError> {
        for (code, was) in &previous.currencies {
            match self.currencies.get(code) {
                Some(is) if is == was => {}
                Some(is) => {
                    let (is, was) = (is.decimals, was.decimals);
                    let reason = format!(
                        "{code}: had {was} decimals, and balances have; {is} cannot be read with them"
                    );
                    return Err(wrong("currencies.json", reason));
                }
                None => {
                    return Err(wrong(
                        "currencies.json",
                        format!("{code} is gone, and accounts may hold it"),
                    ));
                }
            }
        }
        for (product, was) in &previous.rulebooks {
            let file = format!("rulebooks/{product}.json");
            let Some(is) = self.rulebooks.get(product) else {
                return Err(wrong(file, "is gone, and accounts may be open"));
            };
            if is.has_positions != was.has_positions {
                return Err(wrong(
                    file,
                    "path: another path would leave a gap in the numbers of every lane",
                ));
            }
            let declared = was.subjects.keys().find(|subject| {
                matches!(subject, Subject::Declared(_)) && !is.subjects.contains_key(subject)
            });
            if let Some(subject) = declared {
                let reason =
                    format!("subjects: {subject} is gone, and accounts may hold money in it");
                return Err(wrong(file, reason));
            }
            if let Some(code) = was.currencies.difference(&is.currencies).next() {
                return Err(wrong(
                    file,
                    format!("currencies: {code} is gone, and accounts may hold it"),
                ));
            }
            if is.version < was.version || (is.version == was.version && !is.same_rules(was)) {
                let reason = format!(
                    "version: {} does not follow {}, and the rules are others",
                    is.version, was.version
                );
                return Err(wrong(file, reason));
            }
        }
        Ok(())
    }

    /// The currency of that code.
    pub fn currency(&self, code: CurrencyCode) -> Option<Currency> {
        self.currencies.get(&code).copied()
    }

    /// The product's rules.
    pub fn rulebook(&self, product: &Product) -> Option<&Rulebook> {
        self.rulebooks.get(product)
    }

    /// Every rulebook, by product.
    pub fn rulebooks(&self) -> impl Iterator<Item = &Rulebook> {
        self.rulebooks.values()
    }
}
