//! Margin that is put to positions and taken out of them, and what CAP sends itself for it (ADR 11).
//!
//! What raises margin is paid first and comes to the position by an event that CAP sends itself;
//! what lowers it leaves the position at once. In the model that event is taken right after the one
//! it follows from, so it finds the positions as they were, and nothing of it goes back.

use super::book::{Book, Place, Stop};
use super::contract::Contract;
use super::event::{Amount, MarginChange, MarginMode, Rate};
use super::expected::PositionChange;
use super::fill::Holding;
use super::liquidation::Seen;
use super::posting::{Contra, Posting, Share};

/// An event that CAP sends itself.
#[derive(Debug, Clone, Copy)]
pub(super) enum OwnEvent {
    /// `margin.posted`: margin added is paid and comes to the position.
    MarginAdded { place: Place, units: i128 },
    /// `margin.posted` with a leverage: what the open positions of a contract need under it is paid.
    Leveraged { contract: Contract, leverage: Rate },
    /// `funding.unpaid`: what available could not pay of an isolated position's funding.
    FundingUnpaid { place: Place, units: i128 },
}

/// The position as it will be, if it is one; and what CAP sends itself to get there.
type Changed = (Option<Seen>, Option<OwnEvent>);

impl OwnEvent {
    /// Its type.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::MarginAdded { .. } | Self::Leveraged { .. } => "margin.posted",
            Self::FundingUnpaid { .. } => "funding.unpaid",
        }
    }
}

impl Book {
    /// Margin for an open isolated position, out of what is available and never borrowed; or out of
    /// it, down to its initial margin.
    pub(super) fn change_margin(
        &mut self,
        posting: &mut Posting,
        change: &MarginChange,
    ) -> Result<Changed, Stop> {
        let MarginChange { contract, position_side, units } = *change;
        if position_side.is_some() != self.hedge {
            return Err(Stop::INVALID);
        }
        let place = (contract.symbol, position_side);
        let held = self.positions.get_mut(&place).filter(|held| held.quantity != 0);
        let held = held.ok_or(Stop::Rejected("no_open_position"))?;
        if held.margin_mode != MarginMode::Isolated {
            return Err(Stop::INVALID);
        }
        if units < 0 && held.margin_over().ok_or(Stop::INVALID)? < -units {
            return Err(Stop::Rejected("insufficient_funds"));
        }
        let amount = Amount { currency: contract.settled_in, units };
        posting.transfer(amount, Share::Net, Share::Margin);
        let mut after = *held;
        after.margin += units;
        let own = if units > 0 {
            Some(OwnEvent::MarginAdded { place, units })
        } else {
            *held = after;
            None
        };
        Ok((Some(Seen::unchanged(after)), own))
    }

    /// Every open position of the contract, cross or isolated, is to have its initial margin under
    /// the leverage, whatever it had: what all need more, less what they set free, is one amount.
    pub(super) fn change_leverage(
        &mut self,
        posting: &mut Posting,
        contract: &Contract,
        leverage: Rate,
    ) -> Result<Changed, Stop> {
        let before: i128 = self.holdings(contract).map(|held| held.margin).sum();
        let mut after = self.clone();
        after.leverage(contract, leverage).ok_or(Stop::INVALID)?;
        let positions: Vec<Holding> = after.holdings(contract).copied().collect();
        let position = match positions.as_slice() {
            [] => return Err(Stop::Rejected("no_open_position")),
            [one] => Some(Seen::unchanged(*one)),
            _ => None,
        };
        let units = positions.iter().map(|held| held.margin).sum::<i128>() - before;
        let amount = Amount { currency: contract.settled_in, units };
        posting.transfer(amount, Share::Net, Share::Margin);
        if units > 0 {
            return Ok((position, Some(OwnEvent::Leveraged { contract: *contract, leverage })));
        }
        self.positions = after.positions;
        Ok((position, None))
    }

    /// Takes an event that CAP sent itself to the positions, and to the posting what it moves. None
    /// if a figure is longer than any amount.
    pub(super) fn apply_own(&mut self, posting: &mut Posting, own: &OwnEvent) -> Option<()> {
        match own {
            OwnEvent::MarginAdded { place, units } => {
                if let Some(held) = self.positions.get_mut(place) {
                    held.margin += units;
                }
            }
            OwnEvent::Leveraged { contract, leverage } => {
                self.leverage(contract, *leverage)?;
            }
            OwnEvent::FundingUnpaid { place, units } => {
                if let Some(held) = self.positions.get_mut(place) {
                    let currency = held.settled_in();
                    let drawn = held.margin.min(*units);
                    held.margin -= drawn;
                    posting.add(currency, Share::Margin, -drawn, Contra::Funding);
                    posting.add(currency, Share::Net, drawn - units, Contra::Funding);
                }
            }
        }
        Some(())
    }

    /// The open positions that an event of CAP's own is about, as they are.
    pub(super) fn changed_by(&self, own: &OwnEvent) -> Vec<PositionChange> {
        let of = |held: &Holding| self.told(&Seen::unchanged(*held));
        match own {
            OwnEvent::MarginAdded { place, .. } | OwnEvent::FundingUnpaid { place, .. } => {
                self.positions.get(place).map(of).into_iter().collect()
            }
            OwnEvent::Leveraged { contract, .. } => self.holdings(contract).map(of).collect(),
        }
    }

    /// Margins every open position of a contract anew; none if a figure is longer than any amount.
    fn leverage(&mut self, contract: &Contract, leverage: Rate) -> Option<()> {
        let of_contract = |(place, _): &(&Place, &mut Holding)| place.0 == contract.symbol;
        let held = self.positions.iter_mut().filter(of_contract).map(|(_, held)| held);
        for held in held.filter(|held| held.quantity != 0) {
            held.margin = held.initial_margin(leverage)?;
            held.leverage = leverage;
        }
        Some(())
    }
}
