//! One account: its three lanes and the model of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cap_domain::configuration::Configuration;
use cap_domain::lane::{LaneStatus, Stage as DomainStage};
use cap_domain::position::{COST_DECIMALS, HedgeSide};
use cap_domain::time::Timestamp;
use cap_reference::model::{Done, Errand, Model, Taken};
use cap_reference::script::{Account, Stage};
use serde_json::{Value, json};

use crate::common::story::{LaneOf, Sent, Story, Told};
use crate::envelopes::settled_in;
use crate::ledger::{Ledger, units};

/// One account.
pub(crate) struct Side {
    pub(crate) account: Account,
    pub(crate) story: Story,
    pub(crate) model: Model,
    pub(crate) ledger: Ledger,
    /// By currency, the margin that positions let go of for what was skipped at account: it is there for
    /// good.
    pub(crate) stranded: BTreeMap<String, i128>,
}

impl Side {
    pub(crate) fn new(account: &Account, configuration: &Arc<Configuration>) -> Self {
        Self {
            account: account.clone(),
            story: Story::account_under(&account.key(), Arc::clone(configuration)),
            model: Model::new(account),
            ledger: Ledger::default(),
            stranded: BTreeMap::new(),
        }
    }

    /// So many seconds pass.
    pub(crate) fn pass(&mut self, secs: u32) {
        self.story.now = self.story.now.plus_seconds(secs.into());
        self.model.pass(secs);
    }

    /// What the stages say of a message, with the requests they say it of, and the stage it suspends.
    /// There support skips it at once.
    pub(crate) fn deliver(&mut self, sent: &Sent) -> (Vec<(String, Value)>, Option<String>) {
        let story = &mut self.story;
        let told = story.deliver(std::slice::from_ref(sent));
        let suspended = story.suspended().first().map(|stage| stage.as_str().to_owned());
        skip(&mut story.clearing);
        skip(&mut story.position);
        skip(&mut story.account);
        // So little that all of a script is within a second, but for what it says it waits.
        story.now = Timestamp::from_millis(story.now.millis() + 1);
        let read = |told: &Told| {
            let mut said: Value = serde_json::from_str(&told.body).unwrap();
            (told.request_id().to_owned(), said["outcome"].take())
        };
        (told.iter().map(read).collect(), suspended)
    }

    /// What the model says of what CAP sent itself.
    pub(crate) fn run(&mut self, errand: &Errand) -> Taken<Done> {
        let before = self.margin_of_positions();
        let taken = self.model.run(errand);
        if taken.expected == Done::Poisoned {
            let after = self.margin_of_positions();
            for (currency, units) in before {
                let let_go = units - after.get(&currency).copied().unwrap_or_default();
                *self.stranded.entry(currency).or_default() += let_go;
            }
        }
        taken
    }

    fn margin_of_positions(&self) -> BTreeMap<String, i128> {
        let mut margin: BTreeMap<String, i128> = BTreeMap::new();
        for position in self.model.positions().values() {
            let currency = settled_in(&position.symbol, &self.account.product);
            *margin.entry(currency.to_owned()).or_default() += units(&position.margin);
        }
        margin
    }

    /// Balances, positions and legs are the model's and each other's; `margin` is what is posted and in
    /// no position yet.
    pub(crate) fn check(&mut self, mut margin: BTreeMap<String, i128>, place: &str) {
        self.ledger.read(&self.story.account.journal, place);
        let seqs = [
            self.story.clearing.lane.seq,
            self.story.position.lane.seq,
            self.story.account.lane.seq,
        ];
        assert_eq!(Stage::ALL.map(|stage| self.model.seq(stage)), seqs, "{place}");
        for (currency, units) in
            self.check_positions(place).into_iter().chain(self.stranded.clone())
        {
            *margin.entry(currency).or_default() += units;
        }
        let (ours, theirs) = (self.model.balances(), &self.story.account.state.balances);
        let codes: Vec<String> = theirs.keys().map(ToString::to_string).collect();
        assert_eq!(ours.keys().collect::<Vec<_>>(), codes.iter().collect::<Vec<_>>(), "{place}");
        let mut sums = self.ledger.sums.clone();
        for (code, balance) in theirs {
            let shown = json!(balance);
            let shown = shown.as_object().unwrap();
            let due = &ours[&code.to_string()];
            let declared = due.declared.iter().map(|(name, amount)| (*name, amount.as_str()));
            let mut due: BTreeMap<&str, &str> = due.amounts().into_iter().chain(declared).collect();
            due.insert("currency", code.as_str());
            let found: BTreeMap<&str, &str> = shown
                .iter()
                .map(|(name, found)| (name.as_str(), found.as_str().unwrap()))
                .collect();
            assert_eq!(found, due, "{place}");
            for (name, amount) in found.into_iter().filter(|(name, _)| *name != "currency") {
                let held = units(amount);
                assert!(held >= 0, "{code} {name} is below zero: {place}");
                let moved = sums.remove(&(code.to_string(), name.to_owned())).unwrap_or_default();
                let sign = if name == "borrowed" { -1 } else { 1 };
                assert_eq!(sign * held, moved, "{code} {name} is what its legs are: {place}");
            }
            let both = balance.available.is_zero() || balance.borrowed.is_zero();
            assert!(both, "{code} is available and borrowed: {place}");
            let posted = margin.remove(&code.to_string()).unwrap_or_default();
            assert_eq!(units(&balance.margin.amount()), posted, "margin of positions: {place}");
        }
        assert!(margin.values().all(|units| *units == 0), "{margin:?}: {place}");
        let ours: BTreeMap<(String, String), i128> = self
            .model
            .contra()
            .into_iter()
            .map(|((subject, currency), amount)| ((currency, subject), units(&amount)))
            .filter(|(_, units)| *units != 0)
            .collect();
        sums.retain(|_, units| *units != 0);
        assert_eq!(ours, sums, "contra subjects: {place}");
    }

    /// What the account has less what it owes, by currency.
    pub(crate) fn held(&self) -> Vec<(String, i128)> {
        let balances = self.story.account.state.balances.values();
        let shares = balances.flat_map(|balance| balance.shares());
        let sign = |name: &str| if name == "borrowed" { -1 } else { 1 };
        let of = |(name, money): (_, cap_domain::money::Money)| {
            let name: String = ToString::to_string(&name);
            (money.currency().to_string(), sign(&name) * units(&money.amount()))
        };
        shares.map(of).collect()
    }

    /// What its legs have brought to contra subjects, by currency.
    pub(crate) fn outside(&self) -> Vec<(String, i128)> {
        let sums = self.ledger.sums.iter();
        let contra = sums.filter(|((_, subject), _)| subject.contains(':') || subject == "transit");
        contra.map(|((currency, _), units)| (currency.clone(), *units)).collect()
    }

    /// Positions are the model's; the margin they have, by currency.
    fn check_positions(&self, place: &str) -> BTreeMap<String, i128> {
        let mut margin: BTreeMap<String, i128> = BTreeMap::new();
        let ours = self.model.positions();
        let theirs = &self.story.position.state.positions;
        assert_eq!(ours.len(), theirs.len(), "{place}");
        for (key, held) in theirs {
            let side = key.side.map(HedgeSide::as_str);
            let due = ours.values().find(|due| {
                due.symbol == key.symbol.as_str() && due.position_side.as_deref() == side
            });
            let due = due.unwrap_or_else(|| panic!("{key}: {place}"));
            let one = 10_i128.pow(COST_DECIMALS);
            let cost = format!("{}.{:0width$}", held.cost / one, held.cost % one, width = 12);
            let found = [
                held.quantity.normalize().to_string(),
                cost,
                held.margin.amount(),
                held.margin_mode.as_str().to_owned(),
                held.realised_profit.amount(),
            ];
            let due =
                [&due.quantity, &due.cost, &due.margin, &due.margin_mode, &due.realised_profit];
            assert_eq!(found.each_ref(), due, "{key}: {place}");
            let currency = held.margin.currency().to_string();
            *margin.entry(currency).or_default() += units(&held.margin.amount());
        }
        margin
    }
}

/// Support skips what suspended the lane.
fn skip<S: DomainStage>(lane: &mut LaneOf<S>) {
    lane.lane.status = LaneStatus::Active;
    lane.lane.suspension = None;
}
