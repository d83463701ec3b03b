//! What events do to an account's positions: fills, and funding (ADR 11).

use super::book::{Book, Place, Stop};
use super::contract::Contract;
use super::event::{Amount, ContractFill, MarginMode, Rate};
use super::fill::Holding;
use super::liquidation::Seen;
use super::margin::OwnEvent;
use super::posting::{Contra, Posting, Share};

/// So much funding of an account may be unpaid and under way (ADR 11).
const UNPAID_MAX: usize = 200;

impl Book {
    /// What is open of a contract: one position, or two in a hedge account.
    pub(super) fn holdings(&self, contract: &Contract) -> impl Iterator<Item = &Holding> {
        let of_contract = |(place, _): &(&Place, &Holding)| place.0 == contract.symbol;
        let holdings = self.positions.iter().filter(of_contract).map(|(_, held)| held);
        holdings.filter(|held| held.quantity != 0)
    }

    /// What both sides receive and pay, netted. What is to be paid then is forced from available if
    /// the side that pays is cross; if it is isolated, available pays as far as it goes, and the rest
    /// is left to what CAP sends itself, unless too much of that is under way.
    pub(super) fn charge_funding(
        &self,
        posting: &mut Posting,
        contract: &Contract,
        rate: Rate,
        mark_price: Rate,
    ) -> Result<Option<OwnEvent>, Stop> {
        let mut received = 0;
        let mut payer = None;
        for held in self.holdings(contract) {
            let units = held.funding(rate, mark_price).ok_or(Stop::CONTRADICTION)?;
            received += units;
            if units < 0 {
                payer = Some(held);
            }
        }
        let payable = self.funds.of(contract.settled_in).payable();
        let isolated = payer.filter(|held| held.margin_mode == MarginMode::Isolated);
        let isolated = isolated.filter(|_| self.unpaid < UNPAID_MAX);
        let unpaid = match isolated {
            Some(_) if received < 0 => (-received - payable).max(0),
            _ => 0,
        };
        posting.add(contract.settled_in, Share::Net, received + unpaid, Contra::Funding);
        let unpaid_by = isolated.filter(|_| unpaid > 0);
        Ok(unpaid_by.map(|held| OwnEvent::FundingUnpaid {
            place: held.place(),
            is_long: held.quantity > 0,
            units: unpaid,
        }))
    }

    /// The position that funding tells of: the account's one, open or not; in a hedge account the
    /// open one, if exactly one is (P7).
    pub(super) fn funded(&self, contract: &Contract) -> Option<Seen> {
        if !self.hedge {
            let held = self.positions.get(&(contract.symbol, None)).copied();
            return Some(Seen::unchanged(held.unwrap_or(Holding::flat(*contract, None))));
        }
        let mut open = self.holdings(contract);
        open.next().filter(|_| open.next().is_none()).map(|held| Seen::unchanged(*held))
    }

    /// Margin and profit, and the reserve: what the fill does not need of it goes back. What is closed
    /// is settled before what is opened.
    pub(super) fn contract_filled(
        &mut self,
        posting: &mut Posting,
        fill: &ContractFill,
    ) -> Result<Seen, Stop> {
        if fill.position_side.is_some() != self.hedge {
            return Err(Stop::CONTRADICTS_POSITION);
        }
        let place: Place = (fill.contract.symbol, fill.position_side);
        let flat = Holding::flat(fill.contract, fill.position_side);
        let held = self.positions.entry(place).or_insert(flat);
        let filled = held.fill(fill)?;
        let currency = fill.contract.settled_in;
        let amount = |units| Amount { currency, units };
        let from_reserve = filled.margin_added.min(fill.reserved);
        posting.transfer(amount(filled.margin_released), Share::Margin, Share::Net);
        posting.transfer(amount(fill.reserved - from_reserve), Share::Frozen, Share::Net);
        posting.add(currency, Share::Net, filled.realised, Contra::Profit);
        let [closing_fee, opening_fee] = filled.fees;
        posting.add(currency, Share::Net, -closing_fee, Contra::Fees);
        posting.transfer(amount(from_reserve), Share::Frozen, Share::Margin);
        posting.transfer(amount(filled.margin_added - from_reserve), Share::Net, Share::Margin);
        posting.add(currency, Share::Net, -opening_fee, Contra::Fees);
        Ok(Seen::filled(*held, filled.realised))
    }
}
