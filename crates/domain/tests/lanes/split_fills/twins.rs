//! Two accounts of the same fills, one of which takes them in parts, and by how much they may differ.

use std::collections::BTreeMap;
use std::sync::Arc;

use cap_domain::account::{AccountRuling, Balance};
use cap_domain::configuration::Configuration;
use cap_domain::instrument::{ContractKind, Roundings};
use cap_domain::money::{CurrencyCode, Rounding};
use cap_domain::outcome::OutcomeStatus;
use cap_domain::position::Position;
use rust_decimal::Decimal;
use serde_json::Value;

use super::fills::{CONFIGURATIONS, Fill, Market, ROUNDINGS};
use crate::common::events::*;
use crate::common::story::Story;

/// Decimals of a position's cost.
const COST: u32 = 12;

/// What an account has of a currency, in units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Purse {
    /// Available and what the rulebook declares, less what is owed.
    pub(super) free: i128,
    /// Of the free what is bonus.
    pub(super) bonus: i128,
    pub(super) margin: i128,
    /// Frozen and withdrawing.
    pub(super) bound: i128,
}

/// One of the twins.
struct Account {
    story: Story,
    /// What its postings gave to contra subjects, by subject and currency, in units.
    books: BTreeMap<(String, CurrencyCode), i128>,
    /// What it lost, without what it won.
    losses: i128,
    rows_read: usize,
}

impl Account {
    fn new(market: &Market, configuration: &Arc<Configuration>, is_rich: bool) -> Self {
        let mut story = Story::under(market.product, Arc::clone(configuration));
        story.posted(&opened());
        for code in [Some(market.currency), market.base].into_iter().flatten() {
            if is_rich {
                story.posted(&deposit(&format!("10000000000000 {code}")));
            }
        }
        Self { story, books: BTreeMap::new(), losses: 0, rows_read: 0 }
    }

    fn take(&mut self, events: &[Value], at_once: bool) {
        for batch in events.chunks(if at_once { events.len() } else { 1 }) {
            let first = self.story.clearing.journal.len();
            let message =
                |(index, event)| self.story.message(&format!("fill-{}", first + index), event);
            let messages: Vec<_> = batch.iter().enumerate().map(message).collect();
            let told = self.story.deliver(&messages);
            assert_eq!(told.len(), messages.len(), "{told:?}");
            for told in told {
                assert_eq!(told.status(), OutcomeStatus::Posted, "{}", told.body);
            }
        }
        self.read_legs();
    }

    fn read_legs(&mut self) {
        for row in &self.story.account.journal[self.rows_read..] {
            let AccountRuling::Posted { legs, .. } = serde_json::from_str(&row.result).unwrap()
            else {
                panic!("{}", row.result)
            };
            for leg in legs {
                let (code, units) = (leg.money.currency().code, leg.money.units());
                for (subject, units) in [(leg.from, -units), (leg.to, units)] {
                    if subject.is_contra() {
                        *self.books.entry((subject.name().to_owned(), code)).or_default() += units;
                    }
                }
                if leg.to.name() == "house:pnl" {
                    self.losses += units;
                }
            }
        }
        self.rows_read = self.story.account.journal.len();
    }

    fn purse(&self, code: &str) -> Purse {
        let mut purse = Purse::default();
        let balance = self.story.account.state.balances.get(&code.parse().unwrap());
        for (name, money) in balance.into_iter().flat_map(Balance::shares) {
            let units = money.units();
            match name {
                "margin" => purse.margin = units,
                "frozen" | "withdrawing" => purse.bound += units,
                "borrowed" => purse.free -= units,
                _ => purse.free += units,
            }
            if name == "bonus" {
                purse.bonus = units;
            }
        }
        purse
    }

    fn position(&self, market: &Market) -> Option<&Position> {
        let (symbol, ..) = market.contract?;
        self.story.position.state.positions.get(&symbol.parse().unwrap())
    }
}

/// By how many half units a sum of `count` rounded figures lies off its rounded sum, at least and at
/// most.
const fn off(rounding: Rounding, count: i128) -> [i128; 2] {
    match rounding {
        _ if count == 0 => [0, 0],
        Rounding::HalfEven => [-(count + 1), count + 1],
        Rounding::Up => [0, 2 * (count - 1)],
        Rounding::Down => [-2 * (count - 1), 0],
    }
}

/// How many parts of a fill close something, and how many open.
struct Parts {
    closing: i128,
    closers: i128,
    openers: i128,
}

impl Parts {
    fn of(fill: &Fill, held: i128) -> Self {
        let is_against = held != 0 && (held > 0) != fill.buys;
        let closing = if is_against { fill.quantity().abs().min(held.abs()) } else { 0 };
        let (mut closers, mut openers, mut done) = (0, 0, 0);
        for part in &fill.parts {
            closers += i128::from(done < closing);
            done += part;
            openers += i128::from(done > closing);
        }
        Self { closing, closers, openers }
    }

    /// The fees that both accounts pay, where a flip closes by one and opens by another.
    fn fees(&self) -> i128 {
        let fees = |count: i128| if count == 0 { 0 } else { count + 1 };
        fees(self.closers) + fees(self.openers)
    }
}

/// What the account that takes parts has more than the one that takes the whole.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Apart {
    /// In units of 10^-12.
    pub(super) cost: i128,
    /// In units of money, as all that follows.
    pub(super) margin: i128,
    /// What was realised, or a pair was traded for.
    pub(super) won: i128,
    /// What the house has for whoever fees are split with.
    pub(super) partner: i128,
}

/// Two accounts of the same fills.
pub(super) struct Twins<'a> {
    market: &'a Market,
    rounding: Roundings,
    whole: Account,
    parts: Account,
    /// What is held, in units of quantity.
    pub(super) held: i128,
    pub(super) apart: Apart,
}

impl<'a> Twins<'a> {
    pub(super) fn new(market: &'a Market, roundings: usize, is_rich: bool) -> Self {
        let (margin, profit) = ROUNDINGS[roundings];
        let account = || Account::new(market, &CONFIGURATIONS[roundings], is_rich);
        Self {
            market,
            rounding: Roundings { margin, profit, ..Roundings::default() },
            whole: account(),
            parts: account(),
            held: 0,
            apart: Apart::default(),
        }
    }

    /// Both take `fill`, and are compared.
    pub(super) fn take(&mut self, fill: &Fill) {
        if fill.reserved > 0 {
            let (code, decimals) = fill.reserve(self.market);
            let amount = Decimal::from_i128_with_scale(fill.reserved, decimals);
            let order = reserved(&format!("{amount} {code}"));
            self.whole.take(std::slice::from_ref(&order), true);
            self.parts.take(&[order], true);
        }
        self.whole.take(&[fill.whole(self.market)], true);
        self.parts.take(&fill.in_parts(self.market), fill.at_once);
        let before = self.apart;
        match self.market.contract {
            None => self.compare_pairs(fill, before),
            Some((_, kind, multiplier)) => {
                self.compare_positions(fill, kind, multiplier, before);
            }
        }
        self.compare_money(fill);
        self.compare_house(fill, before);
        self.held += fill.quantity();
        if self.held == 0 && self.market.contract.is_some() {
            for account in [&self.whole, &self.parts] {
                let position = account.position(self.market).unwrap();
                let left = (position.is_open(), position.cost, position.margin.units());
                assert_eq!(left, (false, 0, 0), "nothing is left: {fill:?}");
            }
        }
    }

    fn compare_pairs(&mut self, fill: &Fill, before: Apart) {
        let [whole, parts] = self.purses(self.market.base.unwrap());
        assert_eq!(parts, whole, "what is bought and sold is not rounded");
        let [whole, parts] = self.purses(self.market.currency);
        self.apart.won = parts.free - whole.free;
        let [least, most] = off(Rounding::HalfEven, fill.parts.len() as i128);
        let won = self.apart.won - before.won;
        assert!((least..=most).contains(&(2 * won)), "{won} apart: {fill:?}");
    }

    fn compare_positions(
        &mut self,
        fill: &Fill,
        kind: ContractKind,
        multiplier: i128,
        before: Apart,
    ) {
        let of = |account: &Account| account.position(self.market).unwrap().clone();
        let (whole, parts) = (of(&self.whole), of(&self.parts));
        assert_eq!(parts.quantity, whole.quantity);
        assert_eq!((parts.leverage, parts.margin_mode), (whole.leverage, whole.margin_mode));
        self.apart.cost = parts.cost - whole.cost;
        self.apart.margin = parts.margin.units() - whole.margin.units();
        self.apart.won = parts.realised_profit.units() - whole.realised_profit.units();

        let Parts { closing, closers, openers } = Parts::of(fill, self.held);
        let (held, left) = (self.held.abs().max(1), self.held.abs() - closing);
        let closed = off(Rounding::HalfEven, if left == 0 { 0 } else { closers });
        // Of what was apart as much stays as is still held: in half units, times what was held.
        let is_within = |before: i128, now: i128, opened: [i128; 2]| {
            let moved = 2 * (now * held - before * left);
            ((closed[0] + opened[0]) * held..=(closed[1] + opened[1]) * held).contains(&moved)
        };
        let is_exact =
            matches!(kind, ContractKind::Linear) && fill.scale + fill.price.scale() <= COST;
        let opened = if is_exact { [0, 0] } else { off(Rounding::HalfEven, openers) };
        let Apart { cost, margin, .. } = self.apart;
        let was = before.cost;
        assert!(is_within(was, cost, opened), "cost is {cost} apart, was {was}: {fill:?}");
        let (was, opened) = (before.margin, off(self.rounding.margin, openers));
        assert!(is_within(was, margin, opened), "margin is {margin} apart, was {was}: {fill:?}");

        // What was won differs by the costs that were released, and by its own rounding.
        let released = match (closing, left) {
            (0, _) => 0,
            (_, 0) => before.cost,
            _ => before.cost - cost,
        };
        let side = if self.held > 0 { multiplier } else { -multiplier };
        let exactly = match kind {
            ContractKind::Linear => -side * released,
            ContractKind::Inverse => side * released,
        };
        let unit = 10_i128.pow(COST - self.market.decimals);
        let won = self.apart.won - before.won;
        let rounded = (won * unit - exactly).abs();
        let is_within = match self.rounding.profit {
            _ if closers == 0 => rounded == 0,
            Rounding::HalfEven => 2 * rounded <= (closers + 1) * unit,
            Rounding::Down => rounded < closers * unit,
            Rounding::Up => rounded < (closers + 1) * unit,
        };
        assert!(is_within, "profit is {won} apart: {fill:?}");
    }

    /// Both purses of a currency, the whole's first.
    pub(super) fn purses(&self, code: &str) -> [Purse; 2] {
        [&self.whole, &self.parts].map(|account| account.purse(code))
    }

    /// What both paid to a contra subject, the whole first.
    pub(super) fn paid_to(&self, subject: &str) -> [i128; 2] {
        let key = (subject.to_owned(), self.market.currency.parse().unwrap());
        [&self.whole, &self.parts].map(|account| account.books.get(&key).copied().unwrap_or(0))
    }

    fn compare_money(&self, fill: &Fill) {
        let [whole, parts] = self.purses(self.market.currency);
        let Apart { margin, won, .. } = self.apart;
        assert_eq!(parts.bound, whole.bound, "{fill:?}");
        assert_eq!(parts.margin - whole.margin, margin, "{fill:?}");
        assert_eq!(parts.free - whole.free, won - margin, "against the free: {fill:?}");
        let losses = self.parts.losses - self.whole.losses;
        let bonus = parts.bonus - whole.bonus;
        assert!(bonus.abs() <= losses.abs(), "bonus is {bonus} apart, losses {losses}: {fill:?}");
        for (account, purse) in [(&self.whole, whole), (&self.parts, parts)] {
            let margin = account.position(self.market).map_or(0, |held| held.margin.units());
            assert_eq!(purse.margin, margin, "{fill:?}");
        }
    }

    fn compare_house(&mut self, fill: &Fill, before: Apart) {
        let mut apart = self.parts.books.clone();
        for (subject, units) in &self.whole.books {
            *apart.entry(subject.clone()).or_default() -= units;
        }
        let code = self.market.currency.parse().unwrap();
        let mut of = |name: &str| apart.remove(&(name.to_owned(), code)).unwrap_or_default();
        let house = if self.market.contract.is_none() { "house:trading" } else { "house:pnl" };
        assert_eq!(of(house), -self.apart.won, "{house} has the opposite: {fill:?}");
        let (partner, fees) = (of("house:partner"), of("house:fees"));
        assert_eq!(partner + fees, 0, "fees are the same: {fill:?}");
        let shares = match self.market.product {
            "cfd" => Parts::of(fill, self.held).fees(),
            _ => 0,
        };
        let moved = (partner - before.partner).abs();
        assert!(2 * moved <= shares, "the partner is {partner} apart: {fill:?}");
        self.apart.partner = partner;
        apart.retain(|_, units| *units != 0);
        assert!(apart.is_empty(), "{apart:?} of {fill:?}");
    }
}
