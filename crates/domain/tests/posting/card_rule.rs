//! The card, for any account, any plan and any rates: whole or not at all, no money is made, what
//! is short is covered by as little as can be, and what comes in repays before it stays.

use std::collections::BTreeMap;

use cap_domain::account::{
    AccountState, AccountStatus, Balances, Credit, Leg, Posted, Withdrawal, WithdrawalRequest, post,
};
use cap_domain::ids::ExternalId;
use cap_domain::money::{Currency, CurrencyCode, Money, Rates};
use cap_domain::plan::{PlannedAmount, PlannedLeg, Shortfall};
use cap_domain::subject::Subject;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::common::story::noon;
use crate::common::{by_code, currency};
use crate::net_rule::{held, own, planned, replayed};

/// How many cases each property is tried on.
const CASES: u32 = 4_000;

const CODES: [&str; 3] = ["USD", "USDT", "BTC"];

fn amounts() -> impl Strategy<Value = Money> {
    (prop::sample::select(&CODES[..]), 1_i128..2_000)
        .prop_map(|(code, units)| Money::from_units(currency(code), units).unwrap())
}

fn accounts() -> impl Strategy<Value = AccountState> {
    let credit = (prop::sample::select(&CODES[..2]), 0_i128..3_000, prop::bool::weighted(0.8));
    (held("USD"), held("USDT"), held("BTC"), credit, any::<bool>()).prop_map(
        |(usd, usdt, btc, (code, limit, enabled), liquidating)| AccountState {
            status: AccountStatus::Open,
            credit: Some(Credit {
                limit: Money::from_units(currency(code), limit).unwrap(),
                enabled,
            }),
            liquidating,
            balances: by_code([usd, usdt, btc]),
            ..AccountState::default()
        },
    )
}

/// Accounts with withdrawals on hold, most of them being liquidated, and most withdrawals waiting.
fn accounts_paying_out() -> impl Strategy<Value = AccountState> {
    let withdrawals = prop::collection::vec((amounts(), prop::bool::weighted(0.7)), 0..6);
    (accounts(), withdrawals).prop_map(|(mut account, withdrawals)| {
        for (n, (amount, waits)) in withdrawals.into_iter().enumerate() {
            let request_id = format!("r-{n}").parse().unwrap();
            let request = Some(WithdrawalRequest { number: n as u64, request_id });
            let payable_at = waits.then(noon);
            let withdrawal = Withdrawal { amount, payable_at, request };
            account.withdrawals.insert(ExternalId::new(&format!("w-{n}")).unwrap(), withdrawal);
            let balance = account.balances.get_mut(&amount.currency().code).unwrap();
            balance.withdrawing = balance.withdrawing.plus(amount).unwrap();
        }
        account
    })
}

/// Rates at which a unit of one currency is worth from a hundredth of a unit of another to a
/// hundred of them: figures small enough to be off by one visibly.
fn rates() -> impl Strategy<Value = Rates> {
    let entry = |a: &'static str, b: &'static str| {
        let value = (1_u32..10_000).prop_map(move |hundredths| {
            let scale = i32::from(currency(a).decimals) - i32::from(currency(b).decimals);
            let digits = i128::from(hundredths) * 10_i128.pow(u32::try_from(scale + 6).unwrap());
            rust_decimal::Decimal::from_i128_with_scale(digits, 8).normalize().to_string()
        });
        prop::option::weighted(0.7, value).prop_map(move |rate| Some((format!("{a}/{b}"), rate?)))
    };
    let entries = (
        prop_oneof![entry("USD", "USDT"), entry("USDT", "USD")],
        prop_oneof![entry("USD", "BTC"), entry("BTC", "USD")],
        prop_oneof![entry("USDT", "BTC"), entry("BTC", "USDT")],
    );
    entries.prop_map(|(a, b, c)| {
        let entries: BTreeMap<String, String> = [a, b, c].into_iter().flatten().collect();
        Rates::read(&entries, |_| true).unwrap()
    })
}

/// A plan whose legs all say the same of a shortage, as every shipped rule does.
fn plans() -> impl Strategy<Value = (Shortfall, Vec<PlannedLeg>)> {
    let policies = [Shortfall::Reject, Shortfall::Borrow, Shortfall::Force, Shortfall::Force];
    let fees: Subject = "house:fees".parse().unwrap();
    let (available, frozen) = (Subject::Available, Subject::Frozen);
    let moves = vec![
        (available, fees),
        (fees, available),
        (available, frozen),
        (frozen, available),
        (Subject::Margin, available),
        (Subject::Withdrawing, "external:bank".parse().unwrap()),
    ];
    let leg = (prop::sample::select(moves), amounts());
    (prop::sample::select(policies.to_vec()), prop::collection::vec(leg, 1..4)).prop_map(
        |(policy, legs)| {
            let legs = legs.into_iter();
            (policy, legs.map(|((from, to), money)| planned(from, to, money, policy)).collect())
        },
    )
}

fn net(balances: &Balances, code: CurrencyCode) -> i128 {
    balances.get(&code).map_or(0, |b| b.available.units() - b.borrowed.units())
}

/// What the plan's own legs add to available, in units.
fn moved(plan: &[PlannedLeg], code: CurrencyCode) -> i128 {
    let of = |leg: &PlannedLeg| match leg.amount {
        PlannedAmount::Known(money) if money.currency().code == code => {
            let to = if leg.to == Subject::Available { money.units() } else { 0 };
            let from = if leg.from == Subject::Available { money.units() } else { 0 };
            to - from
        }
        _ => 0,
    };
    plan.iter().map(of).sum()
}

/// What was given to the exchange and what it gave, pair by pair.
fn exchanges(posted: &Posted) -> Vec<(Money, Money)> {
    let house = Subject::house_exchange();
    let legs: Vec<&Leg> =
        posted.legs.iter().filter(|leg| leg.from == house || leg.to == house).collect();
    legs.chunks(2)
        .map(|pair| {
            assert_eq!((pair[0].from, pair[0].to), (Subject::Available, house));
            assert_eq!((pair[1].from, pair[1].to), (house, Subject::Available));
            (pair[0].money, pair[1].money)
        })
        .collect()
}

fn one_unit_less(money: Money) -> Money {
    Money::from_units(money.currency(), money.units() - 1).unwrap()
}

fn all_owed(account: &AccountState, line: Currency, rates: &Rates) -> i128 {
    let debts = account.balances.values().map(|balance| balance.borrowed);
    debts
        .filter(|debt| debt.is_positive())
        .map(|debt| match debt.currency() == line {
            true => debt.units(),
            false => rates.between(debt.currency(), line).unwrap().of(debt).unwrap().units(),
        })
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_money_is_made_and_the_legs_tell_the_whole_story(
        before in accounts_paying_out(), (_, plan) in plans(), rates in rates(),
    ) {
        let mut after = before.clone();
        let Ok(posted) = post(&mut after, "a.plan", &plan, &rates) else {
            prop_assert_eq!(after, before, "a no changes nothing");
            return Ok(());
        };
        for (code, balance) in &after.balances {
            for (name, share) in balance.shares() {
                prop_assert!(!share.is_negative(), "{} of {} is below zero", name, code);
            }
            prop_assert!(balance.available.is_zero() || balance.borrowed.is_zero());
            let legs = posted.legs.iter().filter(|leg| leg.money.currency().code == *code);
            let contra: i128 = legs.map(|leg| {
                let to = if leg.to.is_contra() { leg.money.units() } else { 0 };
                let from = if leg.from.is_contra() { leg.money.units() } else { 0 };
                to - from
            }).sum();
            let was = before.balances.get(code).map_or(0, own);
            prop_assert_eq!(own(balance) + contra, was, "the trial balance of {} is zero", code);
        }
        let told: Vec<_> = posted.balances.iter().map(|b| b.available.currency().code).collect();
        for (code, balance) in &after.balances {
            let touched = posted.legs.iter().any(|leg| leg.money.currency().code == *code);
            prop_assert_eq!(told.contains(code), touched);
            prop_assert!(touched || before.balances.get(code) == Some(balance));
        }
        let after: Vec<_> = after.balances.values().cloned().collect();
        prop_assert_eq!(replayed(&before.balances, &posted.legs), after);
    }

    #[test]
    fn losses_take_only_the_withdrawals_they_need_and_nothing_is_borrowed_before(
        before in accounts_paying_out(), (policy, plan) in plans(), rates in rates(),
    ) {
        let mut after = before.clone();
        let Ok(posted) = post(&mut after, "a.plan", &plan, &rates) else { return Ok(()) };
        for currency in CODES.map(currency) {
            let (was, moves) = (net(&before.balances, currency.code), moved(&plan, currency.code));
            let mut short = (-(was + moves)).min(-moves).max(0);
            let mut newest_first: Vec<_> = before.withdrawals.iter()
                .filter(|(_, withdrawal)| withdrawal.amount.currency() == currency)
                .filter(|(_, withdrawal)| withdrawal.payable_at.is_some()).collect();
            newest_first.reverse();
            let mut due = Vec::new();
            for (id, withdrawal) in newest_first {
                if short > 0 && policy == Shortfall::Force && before.liquidating {
                    short -= withdrawal.amount.units();
                    due.push(id);
                }
            }
            let taken: Vec<_> = posted.cancelled.iter()
                .filter(|cancelled| cancelled.amount.currency() == currency)
                .map(|cancelled| &cancelled.withdrawal_id).collect();
            prop_assert_eq!(&taken, &due);
            prop_assert!(taken.iter().all(|id| !after.withdrawals.contains_key(*id)));
        }
        prop_assert_eq!(before.withdrawals.len(), after.withdrawals.len() + posted.cancelled.len());
    }

    #[test]
    fn what_is_short_is_covered_by_as_little_as_can_be_within_the_limit(
        before in accounts(), (policy, plan) in plans(), rates in rates(),
    ) {
        let mut after = before.clone();
        let Ok(posted) = post(&mut after, "a.plan", &plan, &rates) else { return Ok(()) };
        let credit = before.credit.unwrap();
        let line = credit.limit.currency();
        let lends = credit.enabled && credit.limit.is_positive();
        let exchanges = exchanges(&posted);
        for code in CODES.map(|code| currency(code).code).into_iter().filter(|code| *code != line.code) {
            let (was, moves) = (net(&before.balances, code), moved(&plan, code));
            let short = (-(was + moves)).min(-moves).max(0);
            let bought = exchanges.iter().find(|(_, got)| got.currency().code == code);
            if short == 0 {
                prop_assert!(bought.is_none());
            } else if lends {
                let (given, got) = bought.unwrap();
                prop_assert!(policy != Shortfall::Reject && got.units() >= short);
                let exchange = rates.between(line, got.currency()).unwrap();
                prop_assert_eq!(exchange.of(*given), Ok(*got));
                let less = one_unit_less(*given);
                prop_assert!(less.is_zero() || exchange.of(less).unwrap().units() < short);
            } else {
                prop_assert!(policy == Shortfall::Force && bought.is_none());
                prop_assert_eq!(net(&after.balances, code), was + moves, "owed in itself");
            }
        }
        let (was, is) = (net(&before.balances, line.code), net(&after.balances, line.code));
        if is < was && is < 0 && policy != Shortfall::Force {
            prop_assert!(lends && policy == Shortfall::Borrow);
            prop_assert!(all_owed(&after, line, &rates) <= credit.limit.units());
        }
    }

    #[test]
    fn what_comes_in_repays_the_card_before_it_stays_available(
        before in accounts(), (_, plan) in plans(), rates in rates(),
    ) {
        let mut after = before.clone();
        let Ok(posted) = post(&mut after, "a.plan", &plan, &rates) else { return Ok(()) };
        let line = before.credit.unwrap().limit.currency();
        let exchanges = exchanges(&posted);
        let owes = net(&after.balances, line.code) < 0;
        for from in CODES.map(currency).into_iter().filter(|from| *from != line) {
            let (was, moves) = (net(&before.balances, from.code), moved(&plan, from.code));
            let most = moves.min(was + moves).max(0);
            let given = exchanges.iter().find(|(given, _)| given.currency() == from);
            let Some(exchange) = rates.between(from, line) else {
                prop_assert!(given.is_none(), "without a rate it stays available");
                continue;
            };
            let of = |units| exchange.of(Money::from_units(from, units).unwrap()).unwrap();
            match given {
                Some((given, got)) => {
                    prop_assert!(given.units() <= most, "no more than came in");
                    prop_assert!(got.is_positive() && of(given.units()) == *got);
                    prop_assert!(!owes || given.units() == most, "all of it while anything is owed");
                }
                None if owes && most > 0 => prop_assert!(of(most).is_zero(), "worth nothing"),
                None => {}
            }
        }
    }
}

/// The properties above say nothing if what they speak of never happens.
#[test]
fn the_cases_reach_what_the_properties_speak_of() {
    let mut runner = TestRunner::deterministic();
    let (mut bought, mut repaid, mut cancelled) = (0, 0, 0);
    let mut refused = 0;
    for _ in 0..CASES {
        let cases = (accounts_paying_out(), plans(), rates());
        let (before, (_, plan), rates) = cases.new_tree(&mut runner).unwrap().current();
        let line = before.credit.unwrap().limit.currency();
        match post(&mut before.clone(), "a.plan", &plan, &rates) {
            Ok(posted) => {
                let exchanges = exchanges(&posted);
                let of_line = exchanges.iter().filter(|(given, _)| given.currency() == line);
                bought += of_line.clone().count();
                repaid += exchanges.len() - of_line.count();
                cancelled += posted.cancelled.len();
            }
            Err(_) => refused += 1,
        }
    }
    let reached = [bought, repaid, cancelled];
    assert!(reached.into_iter().all(|times| times >= 100), "{reached:?}");
    assert!(refused < CASES - 1_000, "{refused} refused");
}
