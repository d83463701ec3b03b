//! The net rule, for any account and any plan: whole or not at all, and no money is made.

use cap_domain::account::{AccountState, AccountStatus, Balance, Balances, Credit, Leg, post};
use cap_domain::money::{Money, Rates};
use cap_domain::plan::{PlannedAmount, PlannedLeg, Shortfall};
use cap_domain::refusal::Stop;
use cap_domain::subject::Subject;
use proptest::prelude::*;

use crate::common::{balances, by_code, currency, money, show_balances};

pub(crate) fn planned(
    from: Subject,
    to: Subject,
    amount: Money,
    shortfall: Shortfall,
) -> PlannedLeg {
    let (from, to, amount) = (from.into(), to.into(), PlannedAmount::Known(amount));
    PlannedLeg { from, to, amount, shortfall }
}

fn open_account(money: &str) -> AccountState {
    AccountState {
        status: AccountStatus::Open,
        balances: balances(money),
        ..AccountState::default()
    }
}

#[test]
fn a_plan_is_posted_whole_or_not_at_all() {
    let mut account = open_account("BTC 1 available; USDT 1 available");
    let before = account.clone();
    let fees: Subject = "house:fees".parse().unwrap();
    let plan = [
        planned(Subject::Available, fees, money("1 BTC"), Shortfall::Reject),
        planned(Subject::Available, fees, money("2 USDT"), Shortfall::Reject),
    ];
    let stop = post(&mut account, "order.reserved", &plan, &Rates::default()).unwrap_err();
    assert!(matches!(stop, Stop::Refused(_)), "{stop:?}");
    assert_eq!(
        account, before,
        "the currency that had enough moved although the plan was rejected"
    );
}

#[test]
fn a_named_amount_that_nobody_computed_is_poison() {
    let mut account = open_account("USDT 1 available");
    let before = account.clone();
    let amount = PlannedAmount::Named("position.realised_loss".parse().unwrap());
    let leg = PlannedLeg {
        amount,
        ..planned(Subject::Frozen, Subject::Available, money("1 USDT"), Shortfall::Force)
    };
    let stop = post(&mut account, "trade.filled", &[leg], &Rates::default()).unwrap_err();
    let Stop::Poisoned(poison) = stop else { panic!("{stop:?}") };
    assert_eq!(
        poison.to_string(),
        "trade.filled cannot be applied: nobody computed the amount from frozen to available"
    );
    assert_eq!(account, before);
}

#[test]
fn the_strictest_leg_decides_for_its_currency_alone() {
    let fees: Subject = "house:fees".parse().unwrap();
    let take =
        |amount: &str, shortfall| planned(Subject::Available, fees, money(amount), shortfall);
    let mut account = open_account("BTC 1 available");
    let mixed = [take("1 BTC", Shortfall::Reject), take("5 USDT", Shortfall::Force)];
    post(&mut account, "adjustment.posted", &mixed, &Rates::default()).unwrap();
    assert_eq!(show_balances(account.balances.values()), "USDT 5 borrowed");
    let strict = [take("1 USDT", Shortfall::Force), take("1 USDT", Shortfall::Reject)];
    assert!(matches!(
        post(&mut account, "adjustment.posted", &strict, &Rates::default()),
        Err(Stop::Refused(_))
    ));
}

const POLICIES: [Shortfall; 3] = [Shortfall::Reject, Shortfall::Borrow, Shortfall::Force];

fn amounts(code: &'static str) -> impl Strategy<Value = Money> {
    (0_i128..2_000).prop_map(move |units| Money::from_units(currency(code), units).unwrap())
}

pub(crate) fn held(code: &'static str) -> impl Strategy<Value = Balance> {
    let shares = (-1_000_i128..1_000, 0_i128..1_000, 0_i128..1_000, 0_i128..1_000);
    shares.prop_map(move |(net, frozen, margin, withdrawing)| {
        let money = |units: i128| Money::from_units(currency(code), units.max(0)).unwrap();
        Balance {
            available: money(net),
            frozen: money(frozen),
            margin: money(margin),
            withdrawing: money(withdrawing),
            borrowed: money(-net),
            ..Balance::zero(currency(code))
        }
    })
}

fn accounts() -> impl Strategy<Value = AccountState> {
    let credit = prop::option::of((amounts("USDT"), any::<bool>()));
    (held("USDT"), held("BTC"), credit).prop_map(|(usdt, btc, credit)| AccountState {
        status: AccountStatus::Open,
        credit: credit.map(|(limit, enabled)| Credit { limit, enabled }),
        balances: by_code([usdt, btc]),
        ..AccountState::default()
    })
}

fn subjects() -> impl Strategy<Value = Subject> {
    let contra = |name: &str| name.parse::<Subject>().unwrap();
    prop::sample::select(vec![
        Subject::Available,
        Subject::Available,
        Subject::Frozen,
        Subject::Margin,
        Subject::Withdrawing,
        contra("house:fees"),
        contra("external:bank"),
    ])
}

fn plans() -> impl Strategy<Value = Vec<PlannedLeg>> {
    let amount = prop_oneof![3 => amounts("USDT").boxed(), 1 => amounts("BTC").boxed()];
    let leg = (subjects(), subjects(), amount, prop::sample::select(&POLICIES[..]))
        .prop_filter("a leg moves money of the account", |(from, to, ..)| {
            from != to && !(from.is_contra() && to.is_contra())
        })
        .prop_map(|(from, to, amount, shortfall)| planned(from, to, amount, shortfall));
    prop::collection::vec(leg, 0..7)
}

/// What the account has of all subjects in units: what it owes counts against it.
pub(crate) fn own(balance: &Balance) -> i128 {
    let has: i128 = balance.shares().map(|(_, money)| money.units()).sum();
    has - 2 * balance.borrowed.units()
}

/// The balances that `legs` make of `before`, one leg after the other.
pub(crate) fn replayed(before: &Balances, legs: &[Leg]) -> Vec<Balance> {
    let mut after = before.clone();
    for leg in legs {
        let code = leg.money.currency().code;
        let balance = after.entry(code).or_insert_with(|| Balance::zero(leg.money.currency()));
        let mut add = |subject: Subject, money: Money| {
            let (share, money) = match subject {
                Subject::Available => (&mut balance.available, money),
                Subject::Frozen => (&mut balance.frozen, money),
                Subject::Margin => (&mut balance.margin, money),
                Subject::Withdrawing => (&mut balance.withdrawing, money),
                Subject::Borrowed => (&mut balance.borrowed, money.negated()),
                Subject::Declared(name) => {
                    let nothing = Money::zero(money.currency());
                    (balance.declared.entry(name).or_insert(nothing), money)
                }
                Subject::Contra(_) => return,
            };
            *share = share.plus(money).unwrap();
        };
        add(leg.from, leg.money.negated());
        add(leg.to, leg.money);
    }
    after.values().cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_posted_the_net_rule_holds_and_no_money_is_made(
        before in accounts(),
        plan in plans(),
    ) {
        let mut after = before.clone();
        match post(&mut after, "a.plan", &plan, &Rates::default()) {
            Err(Stop::Refused(_) | Stop::Poisoned(_)) => {}
            Ok(posted) => {
                for (code, balance) in &after.balances {
                    let was = before.balances.get(code);
                    let net = was.map_or(0, |b| b.available.units() - b.borrowed.units());
                    let moved: i128 = plan.iter().map(|leg| match leg.amount {
                        PlannedAmount::Known(m) if m.currency().code == *code => {
                            let to = if leg.to == Subject::Available { m.units() } else { 0 };
                            let from = if leg.from == Subject::Available { m.units() } else { 0 };
                            to - from
                        }
                        _ => 0,
                    }).sum();
                    let n = net + moved;
                    prop_assert_eq!(balance.available.units(), n.max(0));
                    prop_assert_eq!(balance.borrowed.units(), (-n).max(0));
                    for (name, share) in balance.shares() {
                        prop_assert!(!share.is_negative(), "{} of {} is below zero", name, code);
                    }
                    let out: i128 = posted.legs.iter().filter(|leg| leg.money.currency().code == *code).map(|leg| {
                        let from = if leg.from.is_contra() { leg.money.units() } else { 0 };
                        let to = if leg.to.is_contra() { leg.money.units() } else { 0 };
                        from - to
                    }).sum();
                    prop_assert_eq!(own(balance), was.map_or(0, own) + out, "what the account gained its contras lost");
                }
                let after: Vec<_> = after.balances.values().cloned().collect();
                prop_assert_eq!(replayed(&before.balances, &posted.legs), after, "the legs tell the whole story");
            }
        }
    }

    #[test]
    fn what_is_refused_changes_nothing(before in accounts(), plan in plans()) {
        let mut after = before.clone();
        if post(&mut after, "a.plan", &plan, &Rates::default()).is_err() {
            prop_assert_eq!(after, before);
        }
    }

    #[test]
    fn borrowing_within_the_line_is_never_refused_and_beyond_it_always(
        available in 0_i128..1_000,
        owed in 0_i128..1_000,
        limit in 1_i128..1_000,
        amount in 1_i128..2_000,
    ) {
        let money = |units| Money::from_units(currency("USDT"), units).unwrap();
        let (available, owed) = if available > owed { (available - owed, 0) } else { (0, owed - available) };
        let balance = Balance { available: money(available), borrowed: money(owed), ..Balance::zero(currency("USDT")) };
        let mut account = AccountState {
            status: AccountStatus::Open,
            credit: Some(Credit { limit: money(limit), enabled: true }),
            balances: by_code([balance]),
            ..AccountState::default()
        };
        let plan = [planned(Subject::Available, Subject::Frozen, money(amount), Shortfall::Borrow)];
        let posted = post(&mut account, "order.reserved", &plan, &Rates::default()).is_ok();
        let enough = amount <= available;
        prop_assert_eq!(posted, enough || owed + amount - available <= limit);
    }
}
