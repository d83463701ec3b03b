//! The fields of an event: each is asked for once, and what nobody asks for makes it invalid.

use serde_json::{Map, Value};

use super::contract::{Contract, QUANTITY_DECIMALS};
use super::currency::{Currency, in_units};
use super::event::{
    Amount, ContractFill, Event, MarginChange, MarginMode, PairFill, PositionSide, RATE_DECIMALS,
    Rate, Reading,
};
use super::exchange::Rates;
use super::posting::Contra;
use super::product::Product;

/// The events that may borrow or repay in another currency, and so may carry rates (C4).
const WITH_RATES: [&str; 11] = [
    "deposit.received",
    "withdrawal.cancelled",
    "order.reserved",
    "order.released",
    "trade.filled",
    "funding.charged",
    "fee.charged",
    "interest.charged",
    "margin.changed",
    "leverage.changed",
    "adjustment.posted",
];

/// The bases of the spot pairs; the quote is USDT.
const BASES: [Currency; 2] = [Currency::BTC, Currency::ETH];

/// The fields of an event that nobody has asked for yet. What is not as it should be is none.
pub(super) struct Fields {
    product: Product,
    left: Map<String, Value>,
}

impl Fields {
    /// All but the event's type, for an account of a product.
    pub(super) fn besides_type(event: &Map<String, Value>, product: Product) -> Self {
        let mut left = event.clone();
        left.remove("type");
        Self { product, left }
    }

    /// The event of this type, if nothing is missing, wrong or too much.
    pub(super) fn into_event(mut self, kind: &str) -> Option<Reading> {
        let rates = if WITH_RATES.contains(&kind) { self.rates()? } else { Rates::default() };
        let event = self.event(kind)?;
        self.is_used_up().then_some(Reading { event, rates })
    }

    fn event(&mut self, kind: &str) -> Option<Event> {
        let has_positions = self.product.has_positions();
        Some(match kind {
            "account.opened" => self.opened()?,
            "account.closed" => Event::Closed,
            "credit.changed" => {
                let limit = self.amount("currency", "limit")?;
                let enabled = self.left.remove("enabled")?.as_bool()?;
                not_negative(limit.units)?;
                Event::CreditChanged { limit, enabled }
            }
            "deposit.received" => {
                self.text("reference")?;
                Event::Deposited(self.above_zero()?)
            }
            "withdrawal.requested" => {
                let id = self.text("withdrawal_id")?;
                Event::WithdrawalRequested { id, amount: self.above_zero()? }
            }
            "withdrawal.settled" => Event::WithdrawalSettled { id: self.text("withdrawal_id")? },
            "withdrawal.cancelled" => {
                Event::WithdrawalCancelled { id: self.text("withdrawal_id")? }
            }
            "transfer.requested" => {
                let id = self.text("transfer_id")?;
                let to = self.destination()?;
                Event::TransferRequested { id, to, amount: self.above_zero()? }
            }
            "order.reserved" => {
                self.text("order_id")?;
                let may_borrow = match self.left.remove("may_borrow") {
                    None => false,
                    Some(may) => may.as_bool()?,
                };
                Event::Reserved { amount: self.above_zero()?, may_borrow }
            }
            "order.released" => {
                self.text("order_id")?;
                Event::Released(self.above_zero()?)
            }
            "trade.filled" if has_positions => Event::ContractFilled(self.contract_fill()?),
            "trade.filled" => Event::PairFilled(self.pair_fill()?),
            "funding.charged" if has_positions => Event::Funded {
                contract: self.contract()?,
                rate: self.rate("rate")?,
                mark_price: self.rate_above_zero("mark_price")?,
            },
            "margin.changed" if has_positions => Event::MarginChanged(self.margin_change()?),
            "leverage.changed" if has_positions => Event::LeverageChanged {
                contract: self.contract()?,
                leverage: self.rate_above_zero("leverage")?,
            },
            "fee.charged" => {
                self.text("reason")?;
                Event::Charged { amount: self.above_zero()?, to: Contra::Fees }
            }
            "interest.charged" => {
                Event::Charged { amount: self.above_zero()?, to: Contra::Interest }
            }
            "liquidation.started" => Event::LiquidationStarted,
            "liquidation.ended" => Event::LiquidationEnded,
            "adjustment.posted" => {
                self.text("reason")?;
                self.text("operator")?;
                let force = self.one_of("shortfall", &["reject", "force"])? == "force";
                let amount = self.amount("currency", "amount")?;
                if amount.units == 0 {
                    return None;
                }
                Event::Adjusted { amount, force }
            }
            _ => return None,
        })
    }

    fn opened(&mut self) -> Option<Event> {
        self.text("customer")?;
        let hedge = self.left.contains_key("position_mode")
            && self.one_of("position_mode", &["one_way", "hedge"])? == "hedge";
        let credit = match self.left.remove("credit") {
            None => None,
            Some(credit) => {
                let mut credit = self.of_object(&credit)?;
                let limit = credit.amount("currency", "limit")?;
                not_negative(limit.units)?;
                credit.left.is_empty().then_some(limit)
            }
        };
        Some(Event::Opened { hedge, credit })
    }

    fn pair_fill(&mut self) -> Option<PairFill> {
        self.trade()?;
        let base = self.text("base")?;
        let base = BASES.into_iter().find(|currency| currency.code == base)?;
        self.one_of("quote", &["USDT"])?;
        let buys = self.buys()?;
        let paid_in = if buys { Currency::USDT } else { base };
        let quantity = in_units(&self.text("quantity")?, base.decimals)?;
        above_zero(quantity)?;
        let price = self.rate_above_zero("price")?;
        Some(PairFill {
            buys,
            base,
            quantity,
            price,
            reserved: self.reserved(paid_in)?,
            fee: self.fee()?,
        })
    }

    fn contract_fill(&mut self) -> Option<ContractFill> {
        self.trade()?;
        let contract = self.contract()?;
        let margin_mode = match self.one_of("margin_mode", &["cross", "isolated"])?.as_str() {
            "cross" => MarginMode::Cross,
            _ => MarginMode::Isolated,
        };
        let position_side = self.position_side()?;
        let fee = self.fee().filter(|fee| fee.currency == contract.settled_in)?.units;
        let quantity = in_units(&self.text("quantity")?, QUANTITY_DECIMALS)?;
        above_zero(quantity)?;
        Some(ContractFill {
            contract,
            buys: self.buys()?,
            position_side,
            margin_mode,
            quantity,
            price: self.rate_above_zero("price")?,
            leverage: self.rate_above_zero("leverage")?,
            reserved: self.reserved(contract.settled_in)?,
            fee,
        })
    }

    fn contract(&mut self) -> Option<Contract> {
        let symbol = self.text("symbol")?;
        self.product.contract(&symbol)
    }

    /// The fields of a field.
    pub(super) fn object(&mut self, field: &str) -> Option<Self> {
        let object = self.left.remove(field)?;
        self.of_object(&object)
    }

    /// Whether nothing is left of them.
    pub(super) fn is_used_up(&self) -> bool {
        self.left.is_empty()
    }

    fn of_object(&self, object: &Value) -> Option<Self> {
        Some(Self { product: self.product, left: object.as_object()?.clone() })
    }

    fn margin_change(&mut self) -> Option<MarginChange> {
        let contract = self.contract()?;
        let position_side = self.position_side()?;
        let units = in_units(&self.text("amount")?, contract.settled_in.decimals)?;
        (units != 0).then_some(MarginChange { contract, position_side, units })
    }

    /// The side, if it names one.
    #[expect(clippy::option_option, reason = "the outer one is whether it is valid")]
    fn position_side(&mut self) -> Option<Option<PositionSide>> {
        if !self.left.contains_key("position_side") {
            return Some(None);
        }
        let side = self.text("position_side")?;
        PositionSide::BOTH.into_iter().find(|known| known.name() == side).map(Some)
    }

    /// `{"A/B": "r"}`: one A buys r B.
    fn rates(&mut self) -> Option<Rates> {
        let mut rates = Rates::default();
        let Some(said) = self.left.remove("rates") else { return Some(rates) };
        for (pair, rate) in said.as_object()? {
            let (from, to) = pair.split_once('/')?;
            let (from, to) = (Currency::of(from)?, Currency::of(to)?);
            let units = in_units(rate.as_str()?, RATE_DECIMALS)?;
            if from == to || units <= 0 {
                return None;
            }
            rates.add(from, to, Rate { units });
        }
        Some(rates)
    }

    /// What every trade says and no rule asks for.
    fn trade(&mut self) -> Option<()> {
        self.text("trade_id")?;
        self.text("order_id")?;
        self.one_of("liquidity", &["maker", "taker"]).map(|_| ())
    }

    fn buys(&mut self) -> Option<bool> {
        Some(self.one_of("side", &["buy", "sell"])? == "buy")
    }

    fn fee(&mut self) -> Option<Amount> {
        let mut fee = self.object("fee")?;
        fee.amount("currency", "amount").filter(|_| fee.left.is_empty())
    }

    fn reserved(&mut self, currency: Currency) -> Option<i128> {
        if !self.left.contains_key("reserved") {
            return Some(0);
        }
        not_negative(in_units(&self.text("reserved")?, currency.decimals)?)
    }

    fn above_zero(&mut self) -> Option<Amount> {
        let amount = self.amount("currency", "amount")?;
        above_zero(amount.units).map(|_| amount)
    }

    fn amount(&mut self, currency: &str, amount: &str) -> Option<Amount> {
        let currency = self.text(currency)?;
        let currency = self.product.currency(&currency)?;
        let units = in_units(&self.text(amount)?, currency.decimals)?;
        Some(Amount { currency, units })
    }

    fn rate_above_zero(&mut self, field: &str) -> Option<Rate> {
        self.rate(field).filter(|rate| rate.units > 0)
    }

    fn rate(&mut self, field: &str) -> Option<Rate> {
        Some(Rate { units: in_units(&self.text(field)?, RATE_DECIMALS)? })
    }

    fn one_of(&mut self, field: &str, allowed: &[&str]) -> Option<String> {
        self.text(field).filter(|found| allowed.contains(&found.as_str()))
    }

    pub(super) fn text(&mut self, field: &str) -> Option<String> {
        let text = self.left.remove(field)?.as_str()?.to_owned();
        (!text.is_empty()).then_some(text)
    }
}

fn above_zero(units: i128) -> Option<i128> {
    (units > 0).then_some(units)
}

fn not_negative(units: i128) -> Option<i128> {
    (units >= 0).then_some(units)
}
