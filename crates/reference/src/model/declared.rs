//! Subjects that a product declares of its accounts: what comes into them, what is drawn from them,
//! and what of it repays (ADR 12). Those of `config/rulebooks/cfd.json`, the only product that has any.

use super::currency::Currency;
use super::event::Amount;
use super::fraction::Fraction;
use super::posting::{Contra, Place};
use super::product::Product;

/// A declared subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Declared {
    Bonus,
    Cash,
}

impl Declared {
    pub(crate) const ALL: [Self; 2] = [Self::Bonus, Self::Cash];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bonus => "bonus",
            Self::Cash => "cash",
        }
    }
}

/// Which of a product's declared subjects give, in this order, before available does, if money goes
/// to a place. A bonus pays losses, fees and what operators take, and nothing else.
pub(super) const fn drawn(product: Product, to: Place) -> &'static [Declared] {
    match (product, to) {
        (
            Product::Cfd,
            Place::Contra(
                Contra::Fees
                | Contra::Partner
                | Contra::Profit
                | Contra::Funding
                | Contra::Adjustments,
            ),
        ) => &[Declared::Bonus, Declared::Cash],
        (Product::Cfd, _) => &[Declared::Cash],
        _ => &[],
    }
}

/// What comes from a place, by the declared subject it goes to: a tenth of a deposit is a bonus.
/// None if it goes to available. A part that is nothing does not come.
pub(super) fn credited(
    product: Product,
    from: Place,
    amount: Amount,
) -> Option<Vec<(Declared, i128)>> {
    if product != Product::Cfd {
        return None;
    }
    let bonus = if from == Place::Contra(Contra::Bank) { share(amount, 1) } else { 0 };
    let parts = [(Declared::Bonus, bonus), (Declared::Cash, amount.units - bonus)];
    Some(parts.into_iter().filter(|(_, units)| *units > 0).collect())
}

/// To whom a contra subject's money goes: of a fee, a fifth to the partner.
pub(super) fn divided(product: Product, to: Contra, amount: Amount) -> Vec<(Contra, i128)> {
    if product != Product::Cfd || to != Contra::Fees {
        return vec![(to, amount.units)];
    }
    let partner = share(amount, 2);
    vec![(Contra::Partner, partner), (Contra::Fees, amount.units - partner)]
}

/// So many tenths of an amount, half-even to the currency's decimals, and no more than there is.
fn share(amount: Amount, tenths: i128) -> i128 {
    let Currency { decimals, .. } = amount.currency;
    let part = Fraction::new(amount.units, decimals).times(&Fraction::new(tenths, 1));
    part.half_even(decimals).unwrap_or(amount.units).min(amount.units)
}

#[cfg(test)]
mod tests {
    use super::super::currency::Currency;
    use super::super::event::Amount;
    use super::super::posting::{Contra, Place};
    use super::{Declared, Product, credited, divided};

    #[test]
    fn a_tenth_of_a_deposit_is_a_bonus_and_the_parts_are_the_deposit() {
        let cases = [(1, 0, 1), (5, 0, 5), (15, 2, 13), (25, 2, 23), (35, 4, 31), (100, 10, 90)];
        for (units, bonus, cash) in cases {
            let amount = Amount { currency: Currency::USD, units };
            let parts = credited(Product::Cfd, Place::Contra(Contra::Bank), amount).unwrap();
            let all = [(Declared::Bonus, bonus), (Declared::Cash, cash)];
            let some: Vec<_> = all.into_iter().filter(|(_, units)| *units > 0).collect();
            assert_eq!(parts, some, "{units}");
            let profit = credited(Product::Cfd, Place::Contra(Contra::Profit), amount);
            assert_eq!(profit.unwrap(), [(Declared::Cash, units)]);
        }
    }

    #[test]
    fn a_fifth_of_a_fee_is_the_partners() {
        for (units, partner) in [(1, 0), (2, 0), (3, 1), (10, 2), (13, 3)] {
            let amount = Amount { currency: Currency::USD, units };
            let parts = divided(Product::Cfd, Contra::Fees, amount);
            assert_eq!(parts, [(Contra::Partner, partner), (Contra::Fees, units - partner)]);
            assert_eq!(divided(Product::Spot, Contra::Fees, amount), [(Contra::Fees, units)]);
        }
    }
}
