//! `instruments.json`: what each product trades, and every figure of it that is configured.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{ConfigurationError, wrong};
use crate::ids::{Product, Symbol};
use crate::instrument::{
    Contract, ContractKind, MaintenanceTier, MaintenanceTiers, Pair, Roundings,
};
use crate::json::unique_keys;
use crate::money::exact::parse_decimal;
use crate::money::{Currency, CurrencyCode};
use crate::rulebook::{InstrumentKind, Instruments};

/// What a product trades, as a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum InstrumentsDocument {
    /// `"BTC/USDT"`, …
    Pairs(Vec<String>),
    /// Contracts by symbol.
    Symbols(#[serde(deserialize_with = "unique_keys")] BTreeMap<Symbol, ContractDocument>),
}

/// A contract as a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractDocument {
    /// Linear or inverse.
    pub kind: ContractKind,
    /// How much of the underlying one contract stands for.
    pub multiplier: String,
    /// The currency of margin, profit and fees.
    pub settled_in: CurrencyCode,
    /// How its money is rounded, where it is not as everywhere.
    #[serde(default, skip_serializing_if = "Roundings::are_default")]
    pub rounding: Roundings,
    /// The maintenance margin of a position, tier by tier from the smallest notional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Vec<TierDocument>>,
}

/// A tier of maintenance margin as a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierDocument {
    /// The largest notional within it, in the settlement currency; the last tier has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<String>,
    /// Margin over notional.
    pub rate: String,
}

/// Checks what `product` trades.
pub(super) fn check(
    product: &Product,
    document: InstrumentsDocument,
    kind: InstrumentKind,
    currencies: &BTreeMap<CurrencyCode, Currency>,
) -> Result<Instruments, ConfigurationError> {
    let wrong = |reason: String| wrong("instruments.json", format!("{product}: {reason}"));
    let currency = |code: CurrencyCode, of: &dyn std::fmt::Display| {
        currencies
            .get(&code)
            .copied()
            .ok_or_else(|| wrong(format!("{of}: {code} is not in currencies.json")))
    };
    match (document, kind) {
        (InstrumentsDocument::Pairs(pairs), InstrumentKind::Pairs) => {
            let mut checked = BTreeSet::new();
            for text in pairs {
                let (base, quote) = text
                    .split_once('/')
                    .ok_or_else(|| wrong(format!("pair {text:?} is not BASE/QUOTE")))?;
                let code = |code: &str| {
                    code.parse::<CurrencyCode>()
                        .map_err(|error| wrong(format!("pair {text}: {error}")))
                };
                let pair = Pair {
                    base: currency(code(base)?, &text)?.code,
                    quote: currency(code(quote)?, &text)?.code,
                };
                if pair.base == pair.quote || !checked.insert(pair) {
                    return Err(wrong(format!("pair {text} is of one currency, or listed twice")));
                }
            }
            Ok(Instruments::Pairs(checked))
        }
        (InstrumentsDocument::Symbols(symbols), InstrumentKind::Contracts) => {
            let mut checked = BTreeMap::new();
            for (symbol, contract) in symbols {
                let settled_in = currency(contract.settled_in, &symbol)?;
                let contract = check_contract(symbol.clone(), contract, settled_in)
                    .map_err(|reason| wrong(format!("{symbol}: {reason}")))?;
                checked.insert(symbol, contract);
            }
            Ok(Instruments::Contracts(checked))
        }
        (InstrumentsDocument::Pairs(_), InstrumentKind::Contracts) => {
            Err(wrong("has pairs, its rulebook trades contracts".into()))
        }
        (InstrumentsDocument::Symbols(_), InstrumentKind::Pairs) => {
            Err(wrong("has symbols, its rulebook trades pairs".into()))
        }
    }
}

fn check_contract(
    symbol: Symbol,
    document: ContractDocument,
    settled_in: Currency,
) -> Result<Contract, String> {
    let ContractDocument { kind, multiplier, rounding, maintenance, .. } = document;
    let multiplier = parse_decimal(&multiplier)
        .ok()
        .filter(|multiplier| multiplier.is_sign_positive() && !multiplier.is_zero())
        .ok_or_else(|| format!("multiplier {multiplier:?} is not a decimal above zero"))?;
    let maintenance = maintenance.map(check_maintenance).transpose()?;
    Ok(Contract { symbol, kind, multiplier, settled_in, rounding, maintenance })
}

fn check_maintenance(document: Vec<TierDocument>) -> Result<MaintenanceTiers, String> {
    let decimal = |index: usize, field: &str, text: &str| {
        parse_decimal(text).map_err(|error| format!("maintenance[{index}].{field}: {error}"))
    };
    let tiers: Vec<MaintenanceTier> = document
        .iter()
        .enumerate()
        .map(|(index, TierDocument { up_to, rate })| {
            let up_to = up_to.as_deref().map(|up_to| decimal(index, "up_to", up_to));
            Ok(MaintenanceTier { up_to: up_to.transpose()?, rate: decimal(index, "rate", rate)? })
        })
        .collect::<Result<_, String>>()?;
    MaintenanceTiers::try_from(tiers).map_err(|error| error.to_string())
}
