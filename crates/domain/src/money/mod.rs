//! Money is a whole number of a currency's smallest unit (T27): sums are exact, every operation
//! is checked, and nothing is rounded except where a [`exact::Rounding`] is named.

mod amount;
mod currency;
pub mod exact;
mod rates;

pub use amount::{Money, MoneyError};
pub use currency::{Currency, CurrencyCode, InvalidCurrency};
pub use exact::{Exact, Rounding, TooLarge};
pub use rates::{Exchange, InvalidRates, RATES_MAX, Rates};

/// The most decimals a price, quantity, rate or currency may have.
pub const DECIMALS_MAX: u32 = 12;

/// The most digits before the point of a price, quantity, rate or amount at the door. Far above
/// any real figure, and low enough that sums never round and 256-bit products of two never overflow.
pub const INTEGER_DIGITS_MAX: usize = 15;
