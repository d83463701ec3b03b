//! What `capctl cost` is asked.

use clap::Args;

use crate::cost::{EVENTS_PER_SECOND_MAX, ProductPath};

/// A rate, and whose.
#[derive(Debug, Clone, Args)]
pub struct CostArguments {
    /// How many, day and night.
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(EVENTS_PER_SECOND_MAX))
    )]
    pub events_per_second: u32,
    /// Whose events they are; both if left out, each as if it were alone.
    #[arg(long, value_enum)]
    pub product: Option<ProductPath>,
}
