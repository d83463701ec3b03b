//! What is traded in parts, and the parts of it.

use std::sync::{Arc, LazyLock};

use cap_domain::configuration::Configuration;
use cap_domain::instrument::{ContractKind, Roundings};
use cap_domain::money::Rounding;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::shipped;

/// What of a market the bounds need.
pub(super) struct Market {
    pub(super) product: &'static str,
    /// None for a pair.
    pub(super) contract: Option<(&'static str, ContractKind, i128)>,
    pub(super) trade: fn(&str, &str, &str) -> Value,
    /// What profit, fees and a pair's price are in, and its decimals.
    pub(super) currency: &'static str,
    pub(super) decimals: u32,
    /// What else is moved.
    pub(super) base: Option<&'static str>,
    pub(super) quantity_scale_max: u32,
    pub(super) price_units_max: i64,
    pub(super) price_scales: [u32; 2],
}

pub(super) const SPOT: Market = Market {
    product: "spot",
    contract: None,
    trade: spot,
    currency: "USDT",
    decimals: 6,
    base: Some("BTC"),
    quantity_scale_max: 8,
    price_units_max: 20_000_000,
    price_scales: [0, 5],
};

pub(super) const LINEAR: Market = Market {
    product: "perpetual",
    contract: Some(("BTC-USDT", ContractKind::Linear, 1)),
    trade: perpetual,
    base: None,
    quantity_scale_max: 9,
    ..SPOT
};

pub(super) const INVERSE: Market = Market {
    contract: Some(("BTC-USD", ContractKind::Inverse, 1)),
    trade: inverse_perpetual,
    currency: "BTC",
    decimals: 8,
    ..LINEAR
};

pub(super) const CFD: Market = Market {
    product: "cfd",
    contract: Some(("EUR-USD", ContractKind::Linear, 100_000)),
    trade: cfd,
    currency: "USD",
    decimals: 2,
    price_units_max: 200_000,
    price_scales: [3, 5],
    ..LINEAR
};

/// How a symbol may round margin and profit; first as it does if nothing is said.
pub(super) const ROUNDINGS: [(Rounding, Rounding); 5] = [
    (Rounding::Up, Rounding::HalfEven),
    (Rounding::HalfEven, Rounding::Down),
    (Rounding::Down, Rounding::HalfEven),
    (Rounding::Up, Rounding::Up),
    (Rounding::Down, Rounding::Down),
];

/// The shipped configuration under each of [`ROUNDINGS`], without the tiers, of which nothing is asked.
pub(super) static CONFIGURATIONS: LazyLock<Vec<Arc<Configuration>>> = LazyLock::new(|| {
    let under = |(margin, profit)| {
        let mut document = shipped();
        let rounding = Roundings { margin, profit, ..Roundings::default() };
        for market in [LINEAR, INVERSE, CFD] {
            let (symbol, ..) = market.contract.unwrap();
            let contract = &mut document["instruments"][market.product]["symbols"][symbol];
            contract["rounding"] = json!(rounding);
            contract.as_object_mut().unwrap().remove("maintenance").unwrap();
        }
        let document = serde_json::from_value(document).unwrap();
        Arc::new(Configuration::check(1, document).unwrap())
    };
    ROUNDINGS.into_iter().map(under).collect()
});

/// A fill: its quantity in units of `10^-scale` by parts, money in smallest units.
#[derive(Debug, Clone)]
pub(super) struct Fill {
    pub(super) buys: bool,
    pub(super) parts: Vec<i128>,
    pub(super) scale: u32,
    pub(super) price: Decimal,
    pub(super) leverage: &'static str,
    pub(super) isolated: bool,
    pub(super) fee: i128,
    pub(super) reserved: i128,
    /// Whether the parts come in one batch.
    pub(super) at_once: bool,
}

/// `amount` by `parts`: toward zero, and the last takes the rest.
pub(super) fn shared(amount: i128, parts: &[i128]) -> Vec<i128> {
    let together: i128 = parts.iter().sum();
    let mut shares: Vec<i128> = parts.iter().map(|part| amount * part / together).collect();
    let rest = amount - shares.iter().sum::<i128>();
    *shares.last_mut().unwrap() += rest;
    shares
}

impl Fill {
    fn event(&self, market: &Market, quantity: i128, fee: i128, reserved: i128) -> Value {
        let quantity = Decimal::from_i128_with_scale(quantity, self.scale).to_string();
        let side = if self.buys { "buy" } else { "sell" };
        let mut event = (market.trade)(side, &quantity, &self.price.to_string());
        if market.contract.is_some() {
            event["leverage"] = json!(self.leverage);
            event["margin_mode"] = json!(if self.isolated { "isolated" } else { "cross" });
        }
        let units = |units, decimals| Decimal::from_i128_with_scale(units, decimals).to_string();
        event = at_fee(event, &format!("{} {}", units(fee, market.decimals), market.currency));
        of_reserve(event, &units(reserved, self.reserve(market).1))
    }

    pub(super) fn whole(&self, market: &Market) -> Value {
        self.event(market, self.parts.iter().sum(), self.fee, self.reserved)
    }

    pub(super) fn in_parts(&self, market: &Market) -> Vec<Value> {
        let fees = shared(self.fee, &self.parts);
        let reserves = shared(self.reserved, &self.parts);
        let money = fees.into_iter().zip(reserves);
        let parts = self.parts.iter().zip(money);
        parts.map(|(part, (fee, reserved))| self.event(market, *part, fee, reserved)).collect()
    }

    /// The currency that an order of it freezes, and its decimals.
    pub(super) fn reserve(&self, market: &Market) -> (&'static str, u32) {
        match market.base {
            Some(base) if !self.buys => (base, 8),
            _ => (market.currency, market.decimals),
        }
    }

    pub(super) fn quantity(&self) -> i128 {
        self.parts.iter().sum::<i128>() * if self.buys { 1 } else { -1 }
    }
}
