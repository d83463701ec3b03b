//! Margin that is put to positions and taken out of them, and what CAP sends itself for it (ADR 11).
//!
//! What raises margin is paid first and comes to the position by an event that CAP sends itself;
//! what lowers it leaves the position at once. That event may come behind other messages of the
//! account: it finds the positions as they are then, and what finds no place goes back.

use std::collections::BTreeMap;

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
    /// `change` is the number of the change of leverage that it follows from.
    Leveraged { contract: Contract, leverage: Rate, change: u64, units: i128 },
    /// `funding.unpaid`: what available could not pay of an isolated position's funding, which was long
    /// or short.
    FundingUnpaid { place: Place, is_long: bool, units: i128 },
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

    /// The margin that is posted and in no position yet.
    pub(super) fn margin_posted(&self) -> Option<Amount> {
        match self {
            Self::MarginAdded { place, units } => amount_at(*place, *units),
            Self::Leveraged { contract, units, .. } => {
                Some(Amount { currency: contract.settled_in, units: *units })
            }
            Self::FundingUnpaid { .. } => None,
        }
    }

    /// The funding that is unpaid.
    pub(super) fn unpaid(&self) -> Option<Amount> {
        match self {
            Self::FundingUnpaid { place, units, .. } => amount_at(*place, *units),
            _ => None,
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
        self.leverages += 1;
        let change = self.leverages;
        let before: i128 = self.holdings(contract).map(|held| held.margin).sum();
        let mut after = self.clone();
        after.leverage(contract, leverage, change).ok_or(Stop::INVALID)?;
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
            let own = OwnEvent::Leveraged { contract: *contract, leverage, change, units };
            return Ok((position, Some(own)));
        }
        self.positions = after.positions;
        Ok((position, None))
    }

    /// Takes an event that CAP sent itself to the positions as they are by now, and to the posting what
    /// it moves. None if a figure is longer than any amount.
    pub(super) fn apply_own(&mut self, posting: &mut Posting, own: &OwnEvent) -> Option<()> {
        match own {
            OwnEvent::MarginAdded { place, units } => match self.isolated_at(*place) {
                Some(held) => held.margin += units,
                None => back(posting, &Contract::of(place.0)?, *units),
            },
            OwnEvent::Leveraged { contract, leverage, change, units } => {
                let over = if self.is_overtaken(contract, *change) {
                    *units
                } else {
                    self.share_out(contract, *leverage, *change, *units)?
                };
                back(posting, contract, over);
            }
            OwnEvent::FundingUnpaid { place, is_long, units } => {
                self.unpaid = self.unpaid.saturating_sub(1);
                let payer = self.isolated_at(*place);
                let payer = payer.filter(|held| (held.quantity > 0) == *is_long);
                let drawn = payer.map_or(0, |held| {
                    let drawn = held.margin.min(*units);
                    held.margin -= drawn;
                    drawn
                });
                let currency = Contract::of(place.0)?.settled_in;
                posting.add(currency, Share::Margin, -drawn, Contra::Funding);
                posting.add(currency, Share::Net, drawn - units, Contra::Funding);
            }
        }
        Some(())
    }

    /// Whether a later change of leverage has taken hold of anything that is or was held of a contract.
    fn is_overtaken(&self, contract: &Contract, change: u64) -> bool {
        let held = self.positions.values().filter(|held| held.contract.symbol == contract.symbol);
        held.map(|held| held.leveraged_by).any(|later| later > change)
    }

    /// What is open and isolated there.
    fn isolated_at(&mut self, place: Place) -> Option<&mut Holding> {
        let held = self.positions.get_mut(&place);
        held.filter(|held| held.quantity != 0 && held.margin_mode == MarginMode::Isolated)
    }

    /// Margins every open position of a contract anew, out of what they set free and what was paid for
    /// it: the long one first, up to what each needs. What is over; none if a figure is longer than any
    /// amount.
    fn share_out(
        &mut self,
        contract: &Contract,
        leverage: Rate,
        change: u64,
        paid: i128,
    ) -> Option<i128> {
        let mut left = paid;
        let mut needs = Vec::new();
        for held in self.holdings(contract) {
            left += held.margin;
            needs.push((held.place(), held.initial_margin(leverage)?));
        }
        // What has enough keeps what it needs, whatever comes before it.
        let kept: BTreeMap<Place, i128> = needs
            .iter()
            .map(|(place, need)| (*place, (*need).min(self.positions[place].margin)))
            .collect();
        left -= kept.values().sum::<i128>();
        for (place, need) in needs {
            let more = (need - kept[&place]).min(left);
            left -= more;
            if let Some(held) = self.positions.get_mut(&place) {
                held.margin = kept[&place] + more;
                held.leverage = leverage;
                held.leveraged_by = change;
            }
        }
        Some(left)
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
    fn leverage(&mut self, contract: &Contract, leverage: Rate, change: u64) -> Option<()> {
        let of_contract = |(place, _): &(&Place, &mut Holding)| place.0 == contract.symbol;
        let held = self.positions.iter_mut().filter(of_contract).map(|(_, held)| held);
        for held in held.filter(|held| held.quantity != 0) {
            held.margin = held.initial_margin(leverage)?;
            held.leverage = leverage;
            held.leveraged_by = change;
        }
        Some(())
    }
}

/// Margin that finds no place goes back.
fn back(posting: &mut Posting, contract: &Contract, units: i128) {
    let amount = Amount { currency: contract.settled_in, units };
    posting.transfer(amount, Share::Margin, Share::Net);
}

fn amount_at(place: Place, units: i128) -> Option<Amount> {
    let currency = Contract::of(place.0)?.settled_in;
    Some(Amount { currency, units })
}
