//! Positions give the figures that exchanges publish, and lose no digit on the way.

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

#[path = "../common/mod.rs"]
mod common;

mod any_trades;
mod cross;
mod figures;
mod hedge;
mod inverse;
mod isolated;
mod kept_figures;
mod published;
mod published_liquidations;
mod releases;
mod remargin;
mod tiers;

use cap_domain::event::{ContractFill, Liquidity, Side};
use cap_domain::ids::ExternalId;
use cap_domain::instrument::Contract;
use cap_domain::money::Money;
use cap_domain::position::{
    Filled, MarginMode, Position, PositionChange, PositionKey, PositionSide, fill,
};
use rust_decimal::Decimal;

use common::{decimal, short};

/// A fill without a fee, at ten times leverage.
fn fill_of(contract: &Contract, side: Side, quantity: Decimal, price: Decimal) -> ContractFill {
    ContractFill {
        trade_id: ExternalId::new("t-1").unwrap(),
        order_id: ExternalId::new("o-1").unwrap(),
        contract: contract.clone(),
        side,
        quantity,
        price,
        leverage: Decimal::TEN,
        margin_mode: MarginMode::Cross,
        position_side: None,
        reserved: Money::zero(contract.settled_in),
        fee: Money::zero(contract.settled_in),
        liquidity: Liquidity::Taker,
    }
}

/// A position under way.
struct Held {
    contract: Contract,
    position: Position,
}

impl Held {
    fn nothing_of(contract: Contract) -> Self {
        Self { position: Position::flat(contract.settled_in), contract }
    }

    fn take(&mut self, event: &ContractFill) -> Filled {
        let filled = fill(&self.position, event).unwrap();
        self.position = filled.position.clone();
        filled
    }

    fn trade(&mut self, side: Side, quantity: &str, price: &str) -> Filled {
        self.take(&fill_of(&self.contract, side, decimal(quantity), decimal(price)))
    }

    fn buy(&mut self, quantity: &str, price: &str) -> Filled {
        self.trade(Side::Buy, quantity, price)
    }

    fn sell(&mut self, quantity: &str, price: &str) -> Filled {
        self.trade(Side::Sell, quantity, price)
    }

    fn entry_price(&self) -> Option<Decimal> {
        self.position.entry_price(self.contract.kind).unwrap()
    }

    /// `long 0.8 at 5375, cost 4300, margin 430 USDT`.
    fn show(&self) -> String {
        let change = PositionChange::new(
            &PositionKey::net(self.contract.symbol.clone()),
            &self.contract,
            &self.position,
            Money::zero(self.contract.settled_in),
        )
        .unwrap();
        let side = match change.side {
            PositionSide::Long => "long",
            PositionSide::Short => "short",
            PositionSide::Flat => "flat",
        };
        let cost = Decimal::from_i128_with_scale(self.position.cost, 12).normalize();
        let price = change.entry_price.map_or_else(|| "none".to_owned(), |price| price.to_string());
        let margin = short(self.position.margin);
        format!("{side} {} at {price}, cost {cost}, margin {margin}", change.quantity)
    }
}
