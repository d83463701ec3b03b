//! The account stage: applies plans and says what came of them.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::balance::Balance;
use super::posting::Posted;
use super::state::{
    AccountState, CancelledWithdrawal, Leg, UnderWay, UnpaidFunding, WithdrawalRequest,
};
use super::withdrawal::Takes;
use super::{lifecycle, liquidation, margin, posting, under_way, withdrawal};
use crate::division::Source;
use crate::event::{Event, EventClass};
use crate::ids::{AccountKey, ExternalId};
use crate::lane::{
    Arrival, Body, Echo, EchoKind, Item, Lane, Message, Output, RawMessage, Row, Rules, Stage,
    StageName, read_pack,
};
use crate::money::{Money, Rates};
use crate::outcome::{OutcomeMessage, Unapplied};
use crate::plan::{AmountName, PlannedLeg, Shortfall, resolve};
use crate::position::replay_item;
use crate::refusal::{Poison, Refusal, Stop};
use crate::subject::Subject;
use crate::time::Timestamp;
use crate::transfer;

/// The version of this stage's `decide`. Under the first one, losses during a liquidation took also
/// withdrawals that were payable; before the third, unpaid funding was not kept until it came back.
const RULES_VERSION: u16 = 3;

/// The account stage. It needs no configuration: amounts say their own scale.
#[derive(Debug, Clone, Copy)]
pub struct Accounts {
    rules_version: u16,
}

impl Default for Accounts {
    fn default() -> Self {
        Self { rules_version: RULES_VERSION }
    }
}

impl Accounts {
    /// The stage as it decided under a version of its rules, to prove what was decided then; none if
    /// this release does not know it.
    pub fn under(rules_version: u16) -> Option<Self> {
        (1..=RULES_VERSION).contains(&rules_version).then_some(Self { rules_version })
    }
}

/// A message whose plan is being applied.
#[derive(Clone, Copy)]
struct Asked<'a> {
    account: &'a AccountKey,
    item: &'a Item,
    rules_version: u16,
    now: Timestamp,
}

/// What the account stage decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountRuling {
    /// The plan was posted.
    Posted {
        /// Every movement, with what was borrowed and repaid.
        legs: Vec<Leg>,
        /// The balances touched, afterwards.
        balances: Vec<Balance>,
        /// When a withdrawal requested during a liquidation is payable (A8).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payable_at: Option<Timestamp>,
        /// Withdrawals that were cancelled for losses during a liquidation, in that order; each has
        /// an outcome of its own.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        cancelled: Vec<CancelledWithdrawal>,
        /// What of an isolated position's funding available did not cover: the position is asked
        /// for it (ADR 11).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unpaid: Option<Money>,
        /// Of the cross position that the outcome shows, by what the account has now (ADR 14).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        liquidation_price: Option<Decimal>,
    },
    /// It was not, here or at an earlier stage.
    Refused(Refusal),
}

impl Stage for Accounts {
    const NAME: StageName = StageName::Account;
    type State = AccountState;
    type Input = Item;
    type Ruling = AccountRuling;

    fn rules(&self) -> Rules {
        Rules { version: self.rules_version, configuration: 0 }
    }

    fn read(lane: &AccountKey, message: RawMessage<'_>) -> Vec<Arrival<Item>> {
        read_pack(lane, message)
    }

    fn journal_input(raw: &str, _input: &Item) -> String {
        raw.to_owned()
    }

    fn replay(row: &Row) -> Result<Message<Item>, Poison> {
        replay_item(row)
    }

    fn decide(
        &self,
        account: &AccountKey,
        state: &AccountState,
        message: &Message<Item>,
        now: Timestamp,
    ) -> Result<(AccountRuling, AccountState), Poison> {
        let (event, legs, rates) = match &message.input.body {
            Body::Refused(refusal) => {
                return Ok((AccountRuling::Refused(refusal.clone()), state.clone()));
            }
            Body::Planned { event, legs, rates, .. } => (event, legs, rates),
        };
        let item = &message.input;
        let asked = Asked { account, item, rules_version: self.rules_version, now };
        // What is not refused as made up has come back: then it is a fact.
        let class = match event.as_ref() {
            Event::TransferReturned { .. } => EventClass::Fact,
            event => class_here(event, legs),
        };
        let mut after = state.clone();
        match apply(&mut after, asked, event, legs, rates).map_err(|stop| stop.of_class(class)) {
            Ok(ruling) => Ok((ruling, after)),
            Err(Stop::Refused(refusal)) => Ok((AccountRuling::Refused(refusal), state.clone())),
            Err(Stop::Poisoned(poison)) => Err(poison),
        }
    }

    fn say(
        account: &AccountKey,
        row: &Row,
        message: &Message<Item>,
        ruling: AccountRuling,
    ) -> Result<Vec<Output>, Poison> {
        let told = OutcomeMessage::all_of(row, &message.input, &ruling);
        let told = told.iter().map(|outcome| outcome.output(account, &row.source_id));
        let mut outputs = told.collect::<Result<Vec<_>, _>>()?;
        outputs.extend(transfer::what_follows(account, row)?);
        outputs.extend(margin::what_follows(account, row)?);
        Ok(outputs)
    }

    fn answer(
        &self,
        account: &AccountKey,
        lane: &Lane,
        echo: &Echo,
        first: Option<&Row>,
    ) -> Result<Output, Poison> {
        let unapplied = |answer| OutcomeMessage::of_echo(account, lane, echo, answer);
        let answer = match (&echo.kind, first) {
            (EchoKind::Repeated, Some(row)) => OutcomeMessage::of_row(row)?.replayed(),
            (EchoKind::Repeated, None) => {
                let detail = "the first message of this request is parked; its outcome follows when it is redriven";
                unapplied(Unapplied::Parked { stage: Self::NAME, detail }).replayed()
            }
            (EchoKind::Conflict { detail }, _) => unapplied(Unapplied::Conflict { detail }),
            (EchoKind::Parked { stage, detail }, _) => {
                unapplied(Unapplied::Parked { stage: *stage, detail })
            }
        };
        answer.output(account, &echo.source_id)
    }
}

/// Whether account may still refuse: not what lowers a position's margin, which that stage has done
/// (ADR 11).
fn class_here(event: &Event, legs: &[PlannedLeg]) -> EventClass {
    if legs.iter().any(|leg| leg.from == Source::One(Subject::Margin)) {
        EventClass::Fact
    } else {
        event.class()
    }
}

fn apply(
    account: &mut AccountState,
    asked: Asked<'_>,
    event: &Event,
    legs: &[PlannedLeg],
    rates: &Rates,
) -> Result<AccountRuling, Stop> {
    let Asked { account: key, item, rules_version, now } = asked;
    lifecycle::check_status(account, event, class_here(event, legs))?;
    let kind = event.kind().name();
    let mut payable_at = None;
    let mut withdrawn = None;
    match event {
        Event::AccountOpened { customer, credit_limit, .. } => {
            lifecycle::open(account, customer, *credit_limit)
        }
        Event::AccountClosed => lifecycle::close(account)?,
        Event::CreditChanged { limit, enabled } => {
            lifecycle::change_credit(account, *limit, *enabled)?
        }
        Event::TransferRequested { transfer_id, to, amount, acknowledge } => {
            withdrawal::check_transfer(account)?;
            if *acknowledge {
                let arrival = transfer::arrival_id(key, &item.header.request_id)?;
                under_way::keep(account, arrival, sent(transfer_id, to, *amount))?;
            }
        }
        Event::TransferReturned { transfer_id, to, amount, arrival: Some(arrival), .. }
        | Event::TransferLanded { transfer_id, to, amount, arrival } => {
            under_way::finish(account, arrival, &sent(transfer_id, to, *amount))?;
        }
        Event::WithdrawalRequested { withdrawal_id, amount } => {
            let request_id = item.header.request_id.clone();
            let request = WithdrawalRequest { number: item.upstream_seq, request_id };
            payable_at = withdrawal::request(account, withdrawal_id, *amount, request, now)?;
        }
        Event::WithdrawalSettled { withdrawal_id } => {
            withdrawn = Some(withdrawal::finish(account, kind, withdrawal_id, Some(now))?);
        }
        Event::WithdrawalCancelled { withdrawal_id } => {
            withdrawn = Some(withdrawal::finish(account, kind, withdrawal_id, None)?);
        }
        Event::FundingUnpaid { .. } if rules_version >= 3 => {
            account.unpaid.remove(&item.header.request_id);
        }
        Event::LiquidationStarted => account.liquidating = true,
        Event::LiquidationEnded => account.liquidating = false,
        Event::DepositReceived { .. }
        | Event::OrderReserved { .. }
        | Event::OrderReleased { .. }
        | Event::PairFilled(_)
        | Event::ContractFilled(_)
        | Event::FundingCharged { .. }
        | Event::FundingUnpaid { .. }
        | Event::MarginChanged { .. }
        | Event::LeverageChanged { .. }
        | Event::MarginPosted { .. }
        | Event::FeeCharged { .. }
        | Event::InterestCharged { .. }
        | Event::TransferArrived { .. }
        | Event::TransferReturned { .. }
        | Event::AdjustmentPosted { .. } => {}
    }
    let mut legs = resolve(legs.iter().cloned(), |name| match name {
        AmountName::WithdrawalAmount => withdrawn,
        _ => None,
    })?;
    let keeps_unpaid = rules_version >= 3 && item.clearing_seq.is_some();
    if keeps_unpaid && account.unpaid.len() >= under_way::UNPAID_MAX {
        force_what_falls_on_positions(&mut legs);
    }
    let takes = if rules_version == 1 { Takes::All } else { Takes::NotPayableAt(now) };
    let Posted { legs, balances, cancelled, unpaid } =
        posting::post_at(account, kind, &legs, rates, takes)?;
    if let (true, Some(amount), Event::FundingCharged { contract, .. }) =
        (keeps_unpaid, unpaid, event)
    {
        let id = margin::unpaid_id(key, &item.header.request_id)?;
        account.unpaid.insert(id, UnpaidFunding { symbol: contract.symbol.clone(), amount });
    }
    let liquidation_price = liquidation::cross_liquidation_price(account, &item.body);
    Ok(AccountRuling::Posted { legs, balances, payable_at, cancelled, unpaid, liquidation_price })
}

fn force_what_falls_on_positions(legs: &mut [PlannedLeg]) {
    for leg in legs.iter_mut().filter(|leg| leg.shortfall == Shortfall::Position) {
        leg.shortfall = Shortfall::Force;
    }
}

fn sent(transfer_id: &ExternalId, to: &AccountKey, amount: Money) -> UnderWay {
    UnderWay { transfer_id: transfer_id.clone(), to: to.clone(), amount }
}
