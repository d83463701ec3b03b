//! The events that are measured with: ten thousand accounts, or one, that reserve, release and trade.
//!
//! A seed decides everything but the times, so every round and every baseline gets the same.

use cap_domain::ids::AccountKey;
use cap_domain::time::Timestamp;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// What the accounts do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// `order.reserved` and `order.released` by turns.
    ReserveRelease,
    /// Spot `trade.filled`: two currencies and a fee. Buys and sells by turns.
    SpotFill,
    /// Spot as it is traded: an order is reserved, then filled out of what it holds.
    SpotOrders,
    /// Perpetual `trade.filled`: two that open or raise a position, two that close it.
    PerpetualFill,
    /// Perpetual as it is traded: an order is reserved, then filled out of what it holds.
    PerpetualOrders,
}

impl Mix {
    pub(crate) const fn product(self) -> &'static str {
        match self {
            Self::ReserveRelease | Self::SpotFill | Self::SpotOrders => "spot",
            Self::PerpetualFill | Self::PerpetualOrders => "perpetual",
        }
    }
}

/// How events spread over accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    /// Every account is as likely as any other.
    Uniform,
    /// The n-th account gets a share like 1/n (Zipf's law): of ten thousand, the first gets a tenth of all.
    Zipf,
}

/// An envelope, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    /// The account.
    pub(crate) account: AccountKey,
    /// Its request id.
    pub(crate) request_id: String,
    /// The envelope as JSON.
    pub(crate) body: String,
}

/// Accounts that trade.
pub(crate) struct Traders {
    mix: Mix,
    accounts: Vec<Trader>,
    /// For [`Spread::Zipf`]: the sum of the shares of all accounts up to each.
    shares: Option<Vec<f64>>,
    dice: SmallRng,
    /// What makes request ids differ from those of other traders in the same installation.
    series: String,
}

struct Trader {
    key: AccountKey,
    /// How many events it has had.
    events: u32,
}

/// The company whose accounts trade.
pub(crate) const COMPANY: &str = "acme";
/// Their customer group.
pub(crate) const CUSTOMER_GROUP: &str = "retail";

impl Traders {
    /// So many accounts, numbered from `first` on.
    pub(crate) fn new(mix: Mix, spread: Spread, first: usize, count: usize, series: &str) -> Self {
        let accounts = (first..first + count).map(|number| {
            let key = format!("{COMPANY}_{}_{CUSTOMER_GROUP}_A-{number}", mix.product());
            Trader { key: key.parse().expect("an account key"), events: 0 }
        });
        let shares = (spread == Spread::Zipf).then(|| {
            let mut sum = 0.0;
            (1..=count)
                .map(|rank| {
                    sum += 1.0 / rank as f64;
                    sum
                })
                .collect()
        });
        Self {
            mix,
            accounts: accounts.collect(),
            shares,
            dice: SmallRng::seed_from_u64(7),
            series: series.to_owned(),
        }
    }

    /// The accounts.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &AccountKey> {
        self.accounts.iter().map(|trader| &trader.key)
    }

    /// What opens the accounts and gives them money: enough for whatever is measured.
    pub(crate) fn opening(&self, at: Timestamp) -> Vec<Envelope> {
        let mut envelopes = Vec::with_capacity(self.accounts.len() * 3);
        for trader in &self.accounts {
            let (.., name) = trader.key.parts();
            let mut add = |what: &str, event: String| {
                let request_id = format!("{}-{what}-{name}", self.series);
                envelopes.push(envelope(&trader.key, request_id, at, &event));
            };
            add("open", r#"{"type":"account.opened","customer":"C-1"}"#.to_owned());
            add("usdt", deposit("USDT", "100000000.000000"));
            if self.mix.product() == "spot" {
                add("btc", deposit("BTC", "10000.00000000"));
            }
        }
        envelopes
    }

    /// The next `count` events.
    pub(crate) fn events(&mut self, count: usize, at: Timestamp) -> Vec<Envelope> {
        (0..count).map(|_| self.event(at)).collect()
    }

    fn event(&mut self, at: Timestamp) -> Envelope {
        let index = self.whose();
        // Four digits that differ: a price and a quantity as an exchange would print them.
        let price = format!(
            "{}.{:02}",
            60_000 + self.dice.random_range(0..999),
            self.dice.random_range(0..99)
        );
        let trader = &mut self.accounts[index];
        let turn = trader.events;
        trader.events += 1;
        let (.., name) = trader.key.parts();
        let request_id = format!("{}-{name}-{turn}", self.series);
        let event = match self.mix {
            Mix::ReserveRelease => {
                let order = turn / 2;
                let what = if turn.is_multiple_of(2) { "reserved" } else { "released" };
                format!(
                    r#"{{"type":"order.{what}","order_id":"o-{order}","currency":"USDT","amount":"125.500000"}}"#
                )
            }
            Mix::SpotFill => spot_fill(turn, turn, &price, None),
            Mix::SpotOrders => {
                let order = turn / 2;
                match (turn.is_multiple_of(2), order.is_multiple_of(2)) {
                    (true, true) => reserve(order, "USDT", "130.000000"),
                    (true, false) => reserve(order, "BTC", "0.00200000"),
                    (false, true) => spot_fill(order, order, &price, Some("130.000000")),
                    (false, false) => spot_fill(order, order, &price, Some("0.00200000")),
                }
            }
            Mix::PerpetualFill => perpetual_fill(turn, turn, &price, None),
            Mix::PerpetualOrders => {
                let order = turn / 2;
                if turn.is_multiple_of(2) {
                    reserve(order, "USDT", "15.000000")
                } else {
                    perpetual_fill(order, order, &price, Some("15.000000"))
                }
            }
        };
        envelope(&trader.key, request_id, at, &event)
    }

    fn whose(&mut self) -> usize {
        match &self.shares {
            None => self.dice.random_range(0..self.accounts.len()),
            Some(shares) => {
                let whole = shares.last().copied().unwrap_or_default();
                let place = self.dice.random::<f64>() * whole;
                shares.partition_point(|sum| *sum <= place).min(shares.len() - 1)
            }
        }
    }
}

fn envelope(key: &AccountKey, request_id: String, at: Timestamp, event: &str) -> Envelope {
    let (company, product, group, name) = key.parts();
    let body = format!(
        r#"{{"header":{{"version":1,"request_id":"{request_id}","initiated_at":"{at}","company":"{company}","product":"{product}","customer_group":"{group}","account":"{name}"}},"event":{event}}}"#
    );
    Envelope { account: key.clone(), request_id, body }
}

fn deposit(currency: &str, amount: &str) -> String {
    format!(
        r#"{{"type":"deposit.received","currency":"{currency}","amount":"{amount}","reference":"tx-1"}}"#
    )
}

fn reserve(order: u32, currency: &str, amount: &str) -> String {
    format!(
        r#"{{"type":"order.reserved","order_id":"o-{order}","currency":"{currency}","amount":"{amount}"}}"#
    )
}

fn reserved_of(reserved: Option<&str>) -> String {
    reserved.map(|reserved| format!(r#""reserved":"{reserved}","#)).unwrap_or_default()
}

fn spot_fill(trade: u32, turn: u32, price: &str, reserved: Option<&str>) -> String {
    let side = if turn.is_multiple_of(2) { "buy" } else { "sell" };
    let reserved = reserved_of(reserved);
    format!(
        r#"{{"type":"trade.filled","trade_id":"t-{trade}","order_id":"o-{trade}","base":"BTC","quote":"USDT","side":"{side}","quantity":"0.00200000","price":"{price}",{reserved}"fee":{{"currency":"USDT","amount":"0.060000"}},"liquidity":"taker"}}"#
    )
}

fn perpetual_fill(trade: u32, turn: u32, price: &str, reserved: Option<&str>) -> String {
    let side = if turn % 4 < 2 { "buy" } else { "sell" };
    let reserved = reserved_of(reserved);
    format!(
        r#"{{"type":"trade.filled","trade_id":"t-{trade}","order_id":"o-{trade}","symbol":"BTC-USDT","side":"{side}","quantity":"0.002","price":"{price}","leverage":"10","margin_mode":"cross",{reserved}"fee":{{"currency":"USDT","amount":"0.060000"}},"liquidity":"taker"}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    #[test]
    fn a_zipf_spread_gives_the_first_of_ten_thousand_accounts_a_tenth() {
        let mut traders = Traders::new(Mix::SpotFill, Spread::Zipf, 0, 10_000, "b");
        let events = traders.events(50_000, NOW);
        let first = events.iter().filter(|event| event.account.as_str().ends_with("_A-0")).count();
        assert!((4_600..5_600).contains(&first), "{first}");
    }

    #[test]
    fn no_request_id_comes_twice() {
        let mut traders = Traders::new(Mix::ReserveRelease, Spread::Uniform, 0, 100, "b");
        let mut ids: Vec<String> =
            traders.opening(NOW).into_iter().map(|one| one.request_id).collect();
        ids.extend(traders.events(5_000, NOW).into_iter().map(|one| one.request_id));
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}
