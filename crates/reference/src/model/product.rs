//! The products there are: which of them has which currencies and contracts.

use super::contract::Contract;
use super::currency::Currency;

/// A kind of trading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Product {
    Spot,
    Perpetual,
    /// Contracts in lots; its free money lies in subjects of its own (`config/rulebooks/cfd.json`).
    Cfd,
    /// None that there is.
    Unknown,
}

impl Product {
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "spot" => Self::Spot,
            "perpetual" => Self::Perpetual,
            "cfd" => Self::Cfd,
            _ => Self::Unknown,
        }
    }

    pub(crate) const fn has_positions(self) -> bool {
        matches!(self, Self::Perpetual | Self::Cfd)
    }

    /// Whether its messages go by the position stage: of a product that is not there they take the whole
    /// path, which no document says.
    pub(super) const fn goes_by_positions(self) -> bool {
        self.has_positions() || matches!(self, Self::Unknown)
    }

    pub(crate) const fn currencies(self) -> &'static [Currency] {
        match self {
            Self::Spot | Self::Perpetual => &Currency::ALL,
            Self::Cfd => &[Currency::HKD, Currency::USD, Currency::USDT],
            Self::Unknown => &[],
        }
    }

    pub(crate) fn currency(self, code: &str) -> Option<Currency> {
        Currency::of(code).filter(|currency| self.currencies().contains(currency))
    }

    pub(crate) fn contracts(self) -> &'static [Contract] {
        match self {
            Self::Perpetual => &Contract::PERPETUAL,
            Self::Cfd => &Contract::CFD,
            Self::Spot | Self::Unknown => &[],
        }
    }

    pub(crate) fn contract(self, symbol: &str) -> Option<Contract> {
        self.contracts().iter().find(|contract| contract.symbol == symbol).copied()
    }
}
