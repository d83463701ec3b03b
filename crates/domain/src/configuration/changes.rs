//! What one revision changes of the other, as far as open positions live by it (C6).

use std::fmt;

use super::Configuration;
use crate::ids::{Product, Symbol};
use crate::rulebook::{Instruments, Rulebook};

/// Business parameters that are others than they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Whose.
    pub product: Product,
    /// Of one symbol; none: of the product, so of all its positions.
    pub symbol: Option<Symbol>,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.symbol {
            Some(symbol) => write!(f, "{symbol} of product {}", self.product),
            None => write!(f, "the rules of product {}", self.product),
        }
    }
}

impl Configuration {
    /// What is another than in `previous`, of products that keep positions. What is new changes
    /// nothing for anybody.
    pub fn changed_since(&self, previous: &Self) -> Vec<Changed> {
        let with_positions = previous.rulebooks.iter().filter(|(_, was)| was.has_positions);
        let changed = with_positions.flat_map(|(product, was)| {
            let is = self.rulebooks.get(product);
            let rules = !is.is_some_and(|is| is.keeps_rules_of(was));
            let rules = rules.then(|| Changed { product: product.clone(), symbol: None });
            let symbols = changed_symbols(was, is).into_iter();
            let symbols =
                symbols.map(|symbol| Changed { product: product.clone(), symbol: Some(symbol) });
            rules.into_iter().chain(symbols).collect::<Vec<_>>()
        });
        changed.collect()
    }
}

fn changed_symbols(was: &Rulebook, is: Option<&Rulebook>) -> Vec<Symbol> {
    let Instruments::Contracts(were) = &was.instruments else { return Vec::new() };
    let now = |symbol: &Symbol| match is.map(|is| &is.instruments) {
        Some(Instruments::Contracts(contracts)) => contracts.get(symbol),
        _ => None,
    };
    let changed = were.iter().filter(|(symbol, was)| now(symbol) != Some(*was));
    changed.map(|(symbol, _)| symbol.clone()).collect()
}
