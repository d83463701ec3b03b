//! Isolated positions of accounts of their own, beside the script: margin is put to them and taken out,
//! their leverage changes, they grow, shrink, turn and close, and funding takes more than is there.
//!
//! When what CAP sends itself comes to a position is the lanes' affair, so what each request comes to is
//! not known. In the end it is known all the same what an account has, as every price is the same and
//! nothing is won; and whatever came when, each position has the margin that is held for it.

use std::collections::{BTreeMap, BTreeSet};

use cap_domain::account::{AccountState, Accounts};
use cap_domain::clearing::Clearing;
use cap_domain::ids::AccountKey;
use cap_domain::lane::{Lane, LaneStatus, StageName};
use cap_domain::position::{HedgeSide, PositionState, Positions};
use cap_reference::model::first_tellings;
use cap_store::verify::{VerifyOptions, verify};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::arena::Arena;
use crate::aside::{Aside, Asked};
use crate::check::{Violation, invariant, load};
use crate::upstream::Outcomes;

/// What each account does between its first fill and its last.
const ROUNDS: usize = 16;

/// Leverages that customers choose.
const LEVERAGES: [u32; 6] = [2, 3, 5, 10, 20, 50];

/// What an account trades.
struct Market {
    group: [&'static str; 3],
    symbol: &'static str,
    price: &'static str,
    /// The least that is traded: its quantity, at so many decimals.
    lot: (i64, u32),
    currency: &'static str,
    /// What a lot is worth at the price, in units of the currency; a thousandth of it is whole units.
    worth: i128,
    decimals: u32,
    hedge: bool,
    /// Whether its positions are closed in the end.
    closes: bool,
}

const LINEAR: Market = Market {
    group: ["acme", "perpetual", "retail"],
    symbol: "BTC-USDT",
    price: "20000",
    lot: (1, 3),
    currency: "USDT",
    worth: 20_000_000,
    decimals: 6,
    hedge: false,
    closes: true,
};

/// A one-way and a hedge account of linear contracts, one of the inverse, one whose money is divided.
static MARKETS: [Market; 4] = [
    LINEAR,
    Market { group: ["acme", "perpetual", "vip"], hedge: true, closes: false, ..LINEAR },
    Market {
        group: ["zenith", "perpetual", "retail"],
        symbol: "BTC-USD",
        price: "20000",
        lot: (100, 0),
        currency: "BTC",
        worth: 500_000,
        decimals: 8,
        hedge: false,
        closes: false,
    },
    Market {
        group: ["zenith", "cfd", "retail"],
        symbol: "EUR-USD",
        price: "1.1",
        lot: (1, 2),
        currency: "USD",
        worth: 110_000,
        decimals: 2,
        hedge: false,
        closes: true,
    },
];

/// What an account must have in the end.
#[derive(Debug, Default)]
struct Due {
    /// Deposits less funding, in units.
    units: i128,
    /// Lots by side; below zero a short.
    lots: BTreeMap<Option<HedgeSide>, i64>,
}

/// The accounts of a seed that mind their margins.
pub struct Margins {
    /// Their messages.
    pub aside: Aside,
    due: Vec<Due>,
}

impl Margins {
    /// Those of `seed`.
    pub fn of(seed: u64, tag: &str) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let aside = Aside::of(format!("{tag}{seed}-m"), MARKETS.iter().map(|market| market.group));
        let mut margins = Self { aside, due: Vec::new() };
        for (account, market) in MARKETS.iter().enumerate() {
            let mut opened = json!({ "type": "account.opened", "customer": "C-1" });
            if market.hedge {
                opened["position_mode"] = json!("hedge");
            }
            margins.aside.add(account, opened);
            let sides: &[_] = if market.hedge {
                &[Some(HedgeSide::Long), Some(HedgeSide::Short)]
            } else {
                &[None]
            };
            let lots = sides.iter().map(|side| (*side, 0)).collect();
            margins.due.push(Due { units: 0, lots });
            margins.deposit(account, 20);
            for side in sides {
                margins.fill(
                    account,
                    *side,
                    if *side == Some(HedgeSide::Short) { -40 } else { 60 },
                    10,
                );
            }
        }
        for _ in 0..ROUNDS {
            for account in 0..MARKETS.len() {
                margins.add_one(account, &mut dice);
            }
        }
        for (account, _) in MARKETS.iter().enumerate().filter(|(_, market)| market.closes) {
            for (side, lots) in margins.due[account].lots.clone() {
                margins.fill(account, side, -lots, 10);
            }
        }
        margins
    }

    /// Whatever the dice say the account does next.
    fn add_one(&mut self, account: usize, dice: &mut StdRng) {
        let market = &MARKETS[account];
        let sides: Vec<_> = self.due[account].lots.clone().into_iter().collect();
        let (side, held) = sides[dice.random_range(0..sides.len())];
        let leverage = LEVERAGES[dice.random_range(0..LEVERAGES.len())];
        match dice.random_range(0..12) {
            0..3 => self.change_margin(account, side, dice.random_range(1..=10)),
            3 => self.change_margin(account, side, -dice.random_range(1..=6)),
            4..6 => {
                let event = json!({
                    "type": "leverage.changed", "symbol": market.symbol,
                    "leverage": leverage.to_string(),
                });
                self.aside.add(account, event);
            }
            6..9 => self.charge_funding(account, dice.random_range(-40..=160)),
            9 => self.deposit(account, dice.random_range(1..=12)),
            // Of a hedge account, what is held on a side is reduced by no more than there is.
            10 => {
                let lots = dice.random_range(1..=held.abs().max(1)) * -held.signum();
                self.fill(account, side, lots, leverage);
            }
            _ => {
                let lots = dice.random_range(10..=50);
                let sells = side == Some(HedgeSide::Short)
                    || (side.is_none() && dice.random_range(0..2) == 0);
                self.fill(account, side, if sells { -lots } else { lots }, leverage);
            }
        }
    }

    /// What so many lots are worth comes in.
    fn deposit(&mut self, account: usize, lots: i128) {
        let Market { currency, worth, .. } = &MARKETS[account];
        let units = worth * lots;
        self.due[account].units += units;
        let amount = amount(account, units);
        let event = json!({
            "type": "deposit.received", "currency": currency, "amount": amount, "reference": "tx-1",
        });
        self.aside.add(account, event);
    }

    /// So many lots more or less, isolated; none at all is no fill.
    fn fill(&mut self, account: usize, side: Option<HedgeSide>, lots: i64, leverage: u32) {
        if lots == 0 {
            return;
        }
        *self.due[account].lots.entry(side).or_default() += lots;
        let Market { symbol, price, currency, .. } = &MARKETS[account];
        let number = self.aside.messages.len();
        let mut event = json!({
            "type": "trade.filled", "trade_id": format!("t-{number}"),
            "order_id": format!("o-{number}"), "symbol": symbol,
            "side": if lots > 0 { "buy" } else { "sell" },
            "quantity": quantity(account, lots.abs()).to_string(), "price": price,
            "leverage": leverage.to_string(), "margin_mode": "isolated",
            "fee": { "currency": currency, "amount": "0" }, "liquidity": "taker",
        });
        if let Some(side) = side {
            event["position_side"] = json!(side.as_str());
        }
        self.aside.add(account, event);
    }

    /// What so many tenths of a lot are worth is put to the margin, or taken out.
    fn change_margin(&mut self, account: usize, side: Option<HedgeSide>, tenths: i128) {
        let Market { symbol, worth, .. } = &MARKETS[account];
        let amount = amount(account, worth * tenths / 10);
        let mut event = json!({ "type": "margin.changed", "symbol": symbol, "amount": amount });
        if let Some(side) = side {
            event["position_side"] = json!(side.as_str());
        }
        self.aside.add(account, event);
    }

    /// Funding of so many thousandths: longs pay what is above zero.
    fn charge_funding(&mut self, account: usize, per_mille: i64) {
        let Market { symbol, price, worth, .. } = &MARKETS[account];
        let due = &mut self.due[account];
        let net: i64 = due.lots.values().sum();
        due.units -= worth * i128::from(net) * i128::from(per_mille) / 1_000;
        let event = json!({
            "type": "funding.charged", "symbol": symbol,
            "rate": Decimal::new(per_mille, 3).to_string(), "mark_price": price,
        });
        self.aside.add(account, event);
    }

    /// Everything that is not as it must be in the end.
    ///
    /// # Errors
    /// If a database does not answer.
    pub async fn check(
        &self,
        arena: &Arena,
        outcomes: &Outcomes,
        violations: &mut Vec<Violation>,
    ) -> anyhow::Result<()> {
        for (index, account) in self.aside.accounts.iter().enumerate() {
            let key: AccountKey = account.key().parse()?;
            let (clearing, _) = load::<Clearing>(arena, &key).await?;
            let (position, positions) = load::<Positions>(arena, &key).await?;
            let (lane, state) = load::<Accounts>(arena, &key).await?;
            let mut wrong = |invariant, what: String| {
                violations.push(Violation { invariant, what: format!("{key}: {what}") });
            };
            let told = outcomes.of(&account.name);
            self.differences(index, &state, &positions, &mut wrong);
            self.unanswered(index, &told, &lane, &mut wrong);
            let lanes = [
                (StageName::Clearing, clearing),
                (StageName::Position, position),
                (StageName::Account, lane),
            ];
            for (stage, lane) in lanes.iter().filter(|(_, lane)| lane.status != LaneStatus::Active)
            {
                wrong(invariant::OPEN, format!("{stage} is {}", lane.status));
            }
            let options = VerifyOptions { settled: true, account: Some(key.clone()) };
            for mismatch in verify(&arena.databases, &options).await?.mismatches {
                wrong(invariant::REPLAY, mismatch.to_string());
            }
        }
        Ok(())
    }

    /// What the account has that it must not, or has not.
    fn differences(
        &self,
        index: usize,
        state: &AccountState,
        positions: &PositionState,
        wrong: &mut impl FnMut(&'static str, String),
    ) {
        let (market, due) = (&MARKETS[index], &self.due[index]);
        for (side, lots) in &due.lots {
            let mut held = positions.positions.iter();
            let held = held.find(|(at, _)| at.symbol.as_str() == market.symbol && at.side == *side);
            let found = held.map(|(_, held)| held.quantity).unwrap_or_default();
            let due = quantity(index, *lots);
            if found != due {
                wrong(
                    invariant::BOOKS,
                    format!("{} {side:?} is {found}, due {due}", market.symbol),
                );
            }
        }
        let held = positions.positions.values();
        let in_positions: i128 = held.clone().map(|held| held.margin.units()).sum();
        for held in held.filter(|held| held.quantity.is_zero() && !held.margin.is_zero()) {
            wrong(invariant::MARGINS, format!("a closed position has {} margin", held.margin));
        }
        let mut balances = state.balances.values();
        let balance =
            balances.find(|one| one.available.currency().code.as_str() == market.currency);
        let in_account = balance.map_or(0, |balance| balance.margin.units());
        if in_account != in_positions {
            let (account, positions) = (amount(index, in_account), amount(index, in_positions));
            let what = format!("account holds {account} margin, its positions have {positions}");
            wrong(invariant::MARGINS, what);
        }
        if !state.unpaid.is_empty() {
            wrong(invariant::MARGINS, format!("{:?} is still unpaid", state.unpaid));
        }
        let shares = balance.into_iter().flat_map(|balance| balance.shares());
        let sign = |name: &str| if name == "borrowed" { -1 } else { 1 };
        let has: i128 = shares.map(|(name, money)| sign(name) * money.units()).sum();
        if has != due.units {
            let (has, due) = (amount(index, has), amount(index, due.units));
            let what = format!("has {has} {} in all, due {due}", market.currency);
            wrong(invariant::BOOKS, what);
        }
    }

    /// Every request has an outcome, every fact is posted, and no number of the lane is left untold.
    fn unanswered(
        &self,
        index: usize,
        told: &[Value],
        lane: &Lane,
        wrong: &mut impl FnMut(&'static str, String),
    ) {
        let first = first_tellings(told);
        for Asked { request_id, event, .. } in
            self.aside.messages.iter().filter(|asked| asked.account == index)
        {
            let outcome = first.iter().find(|one| one["request_id"] == request_id.as_str());
            let status = outcome.map_or(&Value::Null, |outcome| &outcome["status"]);
            let kind = event["type"].as_str().unwrap_or_default();
            let may_be_refused = matches!(kind, "margin.changed" | "leverage.changed");
            if status != "posted" && !(may_be_refused && status == "rejected") {
                wrong(invariant::COUNTED, format!("{kind} {request_id} is {status}"));
            }
        }
        let numbers: BTreeSet<u64> =
            first.iter().filter_map(|outcome| outcome["lane_seq"].as_u64()).collect();
        let missing: Vec<u64> = (1..=lane.seq).filter(|number| !numbers.contains(number)).collect();
        if !missing.is_empty() {
            wrong(invariant::COUNTED, format!("numbers {missing:?} of the lane were not told"));
        }
    }
}

/// Units of what the account trades in, as events say them.
fn amount(account: usize, units: i128) -> String {
    Decimal::from_i128_with_scale(units, MARKETS[account].decimals).to_string()
}

/// The quantity of so many lots.
fn quantity(account: usize, lots: i64) -> Decimal {
    let (lot, decimals) = MARKETS[account].lot;
    Decimal::new(lot * lots, decimals)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cap_reference::model::{Expected, Model};
    use cap_reference::script::{Content, Message, Nature};
    use serde_json::json;

    use super::{Asked, MARKETS, Margins, amount};

    fn message(Asked { account, request_id, event }: &Asked) -> Message {
        Message {
            account: *account,
            request_id: request_id.clone(),
            deduplication_id: request_id.clone(),
            nature: Nature::Sound,
            initiated_at_offset_secs: 0,
            content: Content::Envelope { header: json!({}), event: event.clone() },
        }
    }

    /// What an account has in all, by the model.
    fn in_all(model: &Model, account: usize) -> String {
        let units = |amount: &str| amount.replace('.', "").parse::<i128>().unwrap();
        let balances = model.balances();
        let balance = &balances[MARKETS[account].currency];
        let declared = balance.declared.iter().map(|(name, amount)| (*name, amount.as_str()));
        let shares = balance.amounts().into_iter().chain(declared);
        let sign = |name: &str| if name == "borrowed" { -1 } else { 1 };
        amount(account, shares.map(|(name, amount)| sign(name) * units(amount)).sum())
    }

    #[test]
    fn if_what_cap_sends_itself_came_at_once_the_model_would_have_what_is_due() {
        let mut came_to: BTreeMap<&str, usize> = BTreeMap::new();
        for seed in 0..20 {
            let margins = Margins::of(seed, "t");
            let mut models: Vec<Model> = margins.aside.accounts.iter().map(Model::new).collect();
            for asked in &margins.aside.messages {
                let expected = models[asked.account].take(&message(asked));
                assert_ne!(expected, Expected::Skipped, "seed {seed} {}", asked.event);
                if matches!(expected, Expected::Rejected { .. }) {
                    *came_to.entry("refused").or_default() += 1;
                }
                if let Some(follow_up) = expected.follow_up() {
                    *came_to.entry(follow_up.kind).or_default() += 1;
                }
            }
            for (index, (model, due)) in models.iter().zip(&margins.due).enumerate() {
                assert_eq!(in_all(model, index), amount(index, due.units), "seed {seed}");
                let open = model.positions().values().any(|held| held.side != "flat");
                assert!(!MARKETS[index].closes || !open, "seed {seed}");
            }
        }
        for what in ["margin.posted", "funding.unpaid", "refused"] {
            assert!(came_to.get(what).is_some_and(|times| *times > 50), "{came_to:?}");
        }
    }
}
