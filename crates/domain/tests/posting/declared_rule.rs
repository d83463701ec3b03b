//! Declared subjects, for any account, any plan and any rates: whole or not at all, no money is made,
//! draws keep their order, and nothing that comes in stays while something is owed.

use cap_domain::account::{AccountState, AccountStatus, Balance, Credit, post};
use cap_domain::division::{Share, Source, Split, Target};
use cap_domain::money::{Money, Rates};
use cap_domain::plan::{PlannedAmount, PlannedLeg, Shortfall, resolve};
use cap_domain::subject::Subject;
use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::common::{by_code, currency};
use crate::net_rule::{held, own, replayed};

const DECLARED: [&str; 2] = ["bonus", "cash"];

fn subject(name: &str) -> Subject {
    name.parse().unwrap()
}

fn amounts(code: &'static str) -> impl Strategy<Value = Money> {
    (1_i128..2_000).prop_map(move |units| Money::from_units(currency(code), units).unwrap())
}

fn holdings(code: &'static str) -> impl Strategy<Value = Balance> {
    (held(code), 0_i128..1_000, 0_i128..1_000).prop_map(move |(balance, bonus, cash)| {
        let shares = DECLARED.into_iter().zip([bonus, cash]).filter(|(_, units)| *units > 0);
        let money = |units| Money::from_units(currency(code), units).unwrap();
        let declared = shares.map(|(name, units)| (name.parse().unwrap(), money(units)));
        Balance { declared: declared.collect(), ..balance }
    })
}

fn accounts() -> impl Strategy<Value = AccountState> {
    let credit = prop::option::of((amounts("USD"), any::<bool>()));
    (holdings("USD"), holdings("USDT"), credit).prop_map(|(usd, usdt, credit)| AccountState {
        status: AccountStatus::Open,
        credit: credit.map(|(limit, enabled)| Credit { limit, enabled }),
        balances: by_code([usd, usdt]),
        ..AccountState::default()
    })
}

fn sources() -> impl Strategy<Value = Source> {
    let list = |names: &[&str]| Source::InOrder(names.iter().map(|name| subject(name)).collect());
    let one = |name: &str| Source::One(subject(name));
    prop::sample::select(vec![
        list(&["bonus", "cash", "available"]),
        list(&["cash", "available"]),
        list(&["bonus", "cash"]),
        list(&["available", "cash"]),
        one("cash"),
        one("available"),
        one("frozen"),
        one("margin"),
        one("house:pnl"),
        one("house:pnl"),
        one("external:bank"),
        one("external:bank"),
    ])
}

fn targets() -> impl Strategy<Value = Target> {
    let split = |share: i64, to: &str, remainder: &str| {
        let share = Share { to: subject(to), share: Decimal::new(share, 2) };
        Target::Split(Split { shares: vec![share], remainder: subject(remainder) })
    };
    let one = |name: &str| Target::One(subject(name));
    prop::sample::select(vec![
        split(10, "bonus", "cash"),
        split(33, "cash", "available"),
        split(20, "house:partner", "house:fees"),
        one("cash"),
        one("bonus"),
        one("available"),
        one("frozen"),
        one("house:fees"),
    ])
}

fn plans() -> impl Strategy<Value = Vec<PlannedLeg>> {
    let policies = [Shortfall::Reject, Shortfall::Borrow, Shortfall::Force, Shortfall::Force];
    let amount = prop_oneof![3 => amounts("USD").boxed(), 1 => amounts("USDT").boxed()];
    let leg = (sources(), targets(), amount, prop::sample::select(policies.to_vec()))
        .prop_filter("a leg moves money of the account, and not to itself", |(from, to, ..)| {
            let contra = |subject: &Subject| subject.is_contra();
            to.subjects().all(|to| !from.subjects().contains(&to))
                && !(from.subjects().iter().all(contra) && to.subjects().any(|to| to.is_contra()))
        })
        .prop_map(|(from, to, amount, shortfall)| PlannedLeg {
            from,
            to,
            amount: PlannedAmount::Known(amount),
            shortfall,
        });
    let plans = prop::collection::vec(leg, 1..6);
    plans.prop_map(|plan| resolve(plan, |_| None).unwrap())
}

fn rates() -> impl Strategy<Value = Rates> {
    let rate = prop::option::of(prop::sample::select(vec!["0.9991", "1", "2.5", "0.3"]));
    rate.prop_map(|rate| {
        let entries = rate.map(|rate| ("USD/USDT".to_owned(), rate.to_owned()));
        Rates::read(&entries.into_iter().collect(), |_| true).unwrap()
    })
}

fn declared(balance: Option<&Balance>, name: &str) -> i128 {
    let share = balance.and_then(|balance| balance.declared.get(&name.parse().unwrap()));
    share.map_or(0, Money::units)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_posted_adds_up_and_nothing_that_came_in_stays_while_something_is_owed(
        before in accounts(),
        plan in plans(),
        rates in rates(),
    ) {
        let mut after = before.clone();
        let Ok(posted) = post(&mut after, "a.plan", &plan, &rates) else {
            prop_assert_eq!(after, before, "a no changes nothing");
            return Ok(());
        };
        for (code, balance) in &after.balances {
            let was = before.balances.get(code);
            for (name, share) in balance.shares() {
                prop_assert!(!share.is_negative(), "{} of {} is below zero", name, code);
            }
            prop_assert!(balance.available.is_zero() || balance.borrowed.is_zero());
            let legs = || posted.legs.iter().filter(|leg| leg.money.currency().code == *code);
            let contra: i128 = legs().map(|leg| {
                let from = if leg.from.is_contra() { leg.money.units() } else { 0 };
                let to = if leg.to.is_contra() { leg.money.units() } else { 0 };
                from - to
            }).sum();
            prop_assert_eq!(own(balance), was.map_or(0, own) + contra, "what the account gained its contras lost");
            for name in DECLARED {
                let gained = declared(Some(balance), name) - declared(was, name);
                let from_free: i128 = legs()
                    .filter(|leg| leg.to == subject(name) && leg.from.is_free())
                    .map(|leg| leg.money.units())
                    .sum();
                prop_assert!(
                    balance.borrowed.is_zero() || gained <= from_free,
                    "{} came into {} and stayed there, and {} is owed", gained, name, balance.borrowed,
                );
            }
        }
        prop_assert!(posted.legs.iter().all(|leg| leg.money.is_positive() && leg.from != leg.to));
        let after: Vec<_> = after.balances.values().cloned().collect();
        prop_assert_eq!(replayed(&before.balances, &posted.legs), after, "the legs tell the whole story");
    }

    #[test]
    fn a_draw_takes_of_each_subject_what_it_has_before_it_takes_of_the_next(
        before in holdings("USD"),
        amount in amounts("USD"),
    ) {
        let order = ["bonus", "cash", "available"];
        let leg = PlannedLeg {
            from: Source::InOrder(order.map(subject).to_vec()),
            to: subject("house:fees").into(),
            amount: PlannedAmount::Known(amount),
            shortfall: Shortfall::Force,
        };
        let mut account = AccountState {
            status: AccountStatus::Open,
            balances: by_code([before.clone()]),
            ..AccountState::default()
        };
        let posted = post(&mut account, "a.fee", &[leg], &Rates::default()).unwrap();
        let mut left = amount.units();
        let mut expected = Vec::new();
        for name in ["bonus", "cash"] {
            let taken = declared(Some(&before), name).min(left);
            left -= taken;
            expected.push((name, taken));
        }
        expected.push(("available", left));
        expected.retain(|(_, units)| *units > 0);
        let taken: Vec<_> = posted
            .legs
            .iter()
            .filter(|leg| leg.to == subject("house:fees"))
            .map(|leg| (leg.from.name(), leg.money.units()))
            .collect();
        prop_assert_eq!(taken, expected);
    }
}
