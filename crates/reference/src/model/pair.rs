//! Trades of two currencies: what a fill moves.

use super::book::Stop;
use super::currency::Currency;
use super::event::{Amount, PairFill};
use super::fraction::Fraction;
use super::posting::{Contra, Posting, Share};

impl PairFill {
    /// Pays, receives, gives back what is left of the reserve, pays the fee. Whether the reserve is
    /// used up or given back and paid from available comes to the same balances.
    pub(super) fn post(&self, posting: &mut Posting) -> Result<(), Stop> {
        let quantity = Fraction::new(self.quantity, self.base.decimals);
        let value = quantity.times(&self.price.exact()).half_even(Currency::USDT.decimals);
        let value = value.ok_or(Stop::CONTRADICTION)?;
        let (base, quote) = ((self.base, self.quantity), (Currency::USDT, value));
        let ((pays, paid), (receives, received)) =
            if self.buys { (quote, base) } else { (base, quote) };
        let reserved = Amount { currency: pays, units: self.reserved };
        posting.transfer(reserved, Share::Frozen, Share::Net);
        posting.add(pays, Share::Net, -paid, Contra::Trading);
        posting.add(receives, Share::Net, received, Contra::Trading);
        posting.add(self.fee.currency, Share::Net, -self.fee.units, Contra::Fees);
        Ok(())
    }
}
