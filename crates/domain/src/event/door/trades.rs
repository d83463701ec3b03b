//! Trades at the door: fills of pairs and of contracts, and the funding of what is held.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Door, InvalidField, Sign, WireRates, invalid};
use crate::event::{ContractFill, Event, Liquidity, PairFill, Side};
use crate::ids::{ExternalId, Symbol};
use crate::instrument::{Contract, Pair};
use crate::money::{Exact, Money, Rates, Rounding};
use crate::position::{HedgeSide, MarginMode};
use crate::rulebook::Instruments;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeeWire {
    currency: String,
    amount: String,
}

impl Door<'_> {
    pub(super) fn pair_filled(
        &self,
        pairs: &BTreeSet<Pair>,
    ) -> Result<(Event, Rates), InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            trade_id: ExternalId,
            order_id: ExternalId,
            base: String,
            quote: String,
            side: Side,
            quantity: String,
            price: String,
            reserved: Option<String>,
            fee: FeeWire,
            liquidity: Liquidity,
            rates: WireRates,
        }
        let wire: Wire = self.fields()?;
        let rates = self.rates(wire.rates)?;
        let (base, quote) =
            (self.currency("base", &wire.base)?, self.currency("quote", &wire.quote)?);
        if !pairs.contains(&Pair { base: base.code, quote: quote.code }) {
            return Err(invalid(
                "base",
                format!("{base}/{quote} is not a pair of product {}", self.rulebook.product),
            ));
        }
        let quantity = self.amount("quantity", base, &wire.quantity, Sign::Positive)?;
        let price = self.above_zero("price", &wire.price)?;
        let value = Exact::from(quantity)
            .times(price)
            .and_then(|value| value.money(quote, Rounding::HalfEven))
            .map_err(|error| invalid("price", error))?;
        let (paid, received) = match wire.side {
            Side::Buy => (value, quantity),
            Side::Sell => (quantity, value),
        };
        let reserved = wire.reserved.as_deref().unwrap_or("0");
        let reserved = self.amount("reserved", paid.currency(), reserved, Sign::NotNegative)?;
        let fee = self.fee(&wire.fee)?;
        Ok((
            Event::PairFilled(PairFill {
                trade_id: wire.trade_id,
                order_id: wire.order_id,
                side: wire.side,
                paid,
                received,
                reserved,
                fee,
                liquidity: wire.liquidity,
            }),
            rates,
        ))
    }

    pub(super) fn contract_filled(&self) -> Result<(Event, Rates), InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            trade_id: ExternalId,
            order_id: ExternalId,
            symbol: String,
            side: Side,
            quantity: String,
            price: String,
            leverage: String,
            margin_mode: MarginMode,
            position_side: Option<HedgeSide>,
            reserved: Option<String>,
            fee: FeeWire,
            liquidity: Liquidity,
            rates: WireRates,
        }
        let wire: Wire = self.fields()?;
        let rates = self.rates(wire.rates)?;
        let contract = self.contract(&wire.symbol)?;
        let contract = match wire.margin_mode {
            _ if self.rulebook.cross_liquidation_prices => contract.with_short_tiers(),
            MarginMode::Isolated => contract,
            MarginMode::Cross => contract.without_maintenance(),
        };
        let fee = self.fee(&wire.fee)?;
        if fee.currency() != contract.settled_in {
            let reason = format!(
                "{} is not {}, in which {} is settled",
                fee.currency(),
                contract.settled_in,
                contract.symbol
            );
            return Err(invalid("fee.currency", reason));
        }
        let reserved = wire.reserved.as_deref().unwrap_or("0");
        Ok((
            Event::ContractFilled(ContractFill {
                trade_id: wire.trade_id,
                order_id: wire.order_id,
                side: wire.side,
                quantity: self.above_zero("quantity", &wire.quantity)?,
                price: self.above_zero("price", &wire.price)?,
                leverage: self.above_zero("leverage", &wire.leverage)?,
                margin_mode: wire.margin_mode,
                position_side: wire.position_side,
                reserved: self.amount(
                    "reserved",
                    contract.settled_in,
                    reserved,
                    Sign::NotNegative,
                )?,
                contract,
                fee,
                liquidity: wire.liquidity,
            }),
            rates,
        ))
    }

    pub(super) fn funding_charged(&self) -> Result<(Event, Rates), InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            symbol: String,
            rate: String,
            mark_price: String,
            rates: WireRates,
        }
        let wire: Wire = self.fields()?;
        let rates = self.rates(wire.rates)?;
        Ok((
            Event::FundingCharged {
                contract: self.contract(&wire.symbol)?.without_maintenance(),
                rate: self.decimal("rate", &wire.rate)?,
                mark_price: self.above_zero("mark_price", &wire.mark_price)?,
            },
            rates,
        ))
    }

    pub(super) fn contract(&self, symbol: &str) -> Result<Contract, InvalidField> {
        let symbol = Symbol::new(symbol).map_err(|error| invalid("symbol", error))?;
        match &self.rulebook.instruments {
            Instruments::Contracts(contracts) => contracts.get(&symbol).cloned(),
            Instruments::Pairs(_) => None,
        }
        .ok_or_else(|| {
            invalid(
                "symbol",
                format!("{symbol} is not a symbol of product {}", self.rulebook.product),
            )
        })
    }

    fn fee(&self, fee: &FeeWire) -> Result<Money, InvalidField> {
        let currency = self.currency("fee.currency", &fee.currency)?;
        self.amount("fee.amount", currency, &fee.amount, Sign::Any)
    }
}
