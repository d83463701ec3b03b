//! Builders that the specifications of the domain share: money and contracts as people write them,
//! events, the shipped configuration, the published examples, and three stages chained in memory.

#![allow(dead_code, reason = "each test binary uses its own part of the builders")]
#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

pub(crate) mod events;
pub(crate) mod story;

use std::path::Path;
use std::sync::Arc;

use cap_domain::account::{Balance, Balances, Leg};
use cap_domain::configuration::Configuration;
use cap_domain::ids::{Product, Symbol};
use cap_domain::instrument::{Contract, ContractKind, Roundings};
use cap_domain::money::{Currency, Money};
use cap_domain::rulebook::Instruments;
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// The shipped `config/` as one document.
pub(crate) fn shipped() -> Value {
    let read = |file: &str| -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config").join(file);
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    json!({
        "currencies": read("currencies.json"),
        "instruments": read("instruments.json"),
        "rulebooks": [
            read("rulebooks/spot.json"), read("rulebooks/perpetual.json"), read("rulebooks/cfd.json"),
        ],
    })
}

/// The shipped configuration, checked.
pub(crate) fn configuration() -> Arc<Configuration> {
    let document = serde_json::from_value(shipped()).unwrap();
    Arc::new(Configuration::check(1, document).unwrap())
}

/// The shipped configuration as it was before something came, checked: the perpetual rulebook without
/// what lies at `pointer`.
pub(crate) fn configuration_before(revision: u64, pointer: &str) -> Arc<Configuration> {
    let mut document = shipped();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document["rulebooks"][1].pointer_mut(parent).unwrap();
    parent.as_object_mut().unwrap().remove(name).unwrap();
    let document = serde_json::from_value(document).unwrap();
    Arc::new(Configuration::check(revision, document).unwrap())
}

/// The figures that exchanges publish, as they came.
pub(crate) const VECTORS: &str = include_str!("../vectors/positions.json");

/// The same, read.
pub(crate) fn vectors() -> Value {
    serde_json::from_str(VECTORS).unwrap()
}

/// A decimal as people write it.
pub(crate) fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// The shipped linear contract, BTC-USDT, without its tiers.
pub(crate) fn linear() -> Contract {
    Contract {
        symbol: Symbol::new("BTC-USDT").unwrap(),
        kind: ContractKind::Linear,
        multiplier: Decimal::ONE,
        settled_in: currency("USDT"),
        rounding: Roundings::default(),
        maintenance: None,
    }
}

/// The shipped inverse contract, BTC-USD, without its tiers.
pub(crate) fn inverse() -> Contract {
    Contract {
        symbol: Symbol::new("BTC-USD").unwrap(),
        kind: ContractKind::Inverse,
        multiplier: Decimal::ONE,
        settled_in: currency("BTC"),
        rounding: Roundings::default(),
        maintenance: None,
    }
}

/// A shipped contract as fills carry it: with its tiers.
pub(crate) fn tiered(symbol: &str) -> Contract {
    let configuration = configuration();
    let rulebook = configuration.rulebook(&Product::new("perpetual").unwrap()).unwrap();
    match &rulebook.instruments {
        Instruments::Contracts(contracts) => contracts[&Symbol::new(symbol).unwrap()].clone(),
        Instruments::Pairs(_) => panic!("perpetual trades contracts"),
    }
}

/// A currency of the shipped configuration.
pub(crate) fn currency(code: &str) -> Currency {
    let decimals = match code {
        "BTC" | "ETH" => 8,
        "USDT" => 6,
        _ => 2,
    };
    Currency { code: code.parse().unwrap(), decimals }
}

/// `100 USDT` as money.
pub(crate) fn money(text: &str) -> Money {
    let (amount, code) = text.split_once(' ').unwrap();
    Money::parse(currency(code), amount).unwrap()
}

/// Money as people write it: `100 USDT`.
pub(crate) fn short(money: Money) -> String {
    let amount = money.amount();
    let amount = match amount.contains('.') {
        true => amount.trim_end_matches('0').trim_end_matches('.'),
        false => &amount,
    };
    format!("{amount} {}", money.currency())
}

/// Balances, each under its currency.
pub(crate) fn by_code<const N: usize>(balances: [Balance; N]) -> Balances {
    balances.map(|balance| (balance.available.currency().code, balance)).into_iter().collect()
}

/// `USDT 100 available, 5 frozen; BTC 1 borrowed` as balances.
pub(crate) fn balances(text: &str) -> Balances {
    text.split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (code, shares) = part.split_once(' ').unwrap();
            let mut balance = Balance::zero(currency(code));
            for share in shares.split(',').map(str::trim) {
                let (amount, subject) = share.split_once(' ').unwrap();
                let amount = Money::parse(currency(code), amount).unwrap();
                match subject {
                    "available" => balance.available = amount,
                    "frozen" => balance.frozen = amount,
                    "margin" => balance.margin = amount,
                    "withdrawing" => balance.withdrawing = amount,
                    "borrowed" => balance.borrowed = amount,
                    declared => drop(balance.declared.insert(declared.parse().unwrap(), amount)),
                }
            }
            (code.parse().unwrap(), balance)
        })
        .collect()
}

/// Balances as people write them; what is zero is left out.
pub(crate) fn show_balances<'a>(balances: impl IntoIterator<Item = &'a Balance>) -> String {
    let one = |balance: &Balance| {
        let shares: Vec<String> = balance
            .shares()
            .filter(|(_, money)| !money.is_zero())
            .map(|(name, money)| format!("{} {name}", short(money).split(' ').next().unwrap()))
            .collect();
        format!("{} {}", balance.available.currency(), shares.join(", "))
    };
    let shown: Vec<String> =
        balances.into_iter().filter(|balance| !balance.is_zero()).map(one).collect();
    shown.join("; ")
}

/// Legs as people write them: `available → frozen 300 USDT`.
pub(crate) fn show_legs(legs: &[Leg]) -> String {
    let one = |leg: &Leg| format!("{} → {} {}", leg.from, leg.to, short(leg.money));
    legs.iter().map(one).collect::<Vec<_>>().join("; ")
}
