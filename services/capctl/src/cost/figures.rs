//! What CAP needs of each thing that AWS charges for: measured where it was, else derived from the
//! code or assumed, and never called more than it is.
//!
//! To update: run `cargo xtask bench pipeline --json` in the `release` profile, add its medians to
//! [`MEASURED`], and copy the table that `cargo test -p capctl --test cost` then prints to
//! `docs/COST.md`.

use std::fmt;

use serde::Serialize;

use super::ProductPath;

/// How good a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// CAP was run, and it was counted.
    Measured,
    /// It follows from the code and its limits, or from rows that the tests make, and from how long
    /// work and calls are assumed to take.
    Derived,
    /// A guess on the careful side.
    Assumed,
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Measured => "measured",
            Self::Derived => "derived",
            Self::Assumed => "assumed",
        })
    }
}

/// What a bench counted on one path at one rate.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// The path.
    pub product: ProductPath,
    /// At how many events a second.
    pub events_per_second: u32,
    /// `SQS requests an event`, in thousandths: every call that reached the queues, those of trade
    /// services and those that came back empty included.
    pub sqs_requests_thousandths: Option<u32>,
    /// Processor time an event of the service that needs most, in microseconds.
    pub service_cpu_micros: Option<u32>,
}

/// What was measured: by `cargo xtask bench` at the pipeline's top rate, on two cores of an AMD EPYC
/// (`docs/BENCHMARKS.md`).
pub const MEASURED: &[Measured] = &[
    Measured {
        product: ProductPath::Spot,
        events_per_second: 5_816,
        sqs_requests_thousandths: Some(907),
        service_cpu_micros: Some(68),
    },
    Measured {
        product: ProductPath::Perpetual,
        events_per_second: 4_322,
        sqs_requests_thousandths: Some(1_164),
        service_cpu_micros: Some(75),
    },
];

/// The measured row for a rate: the one nearest below it. Calls carry more and batches share more as
/// the rate goes up, so what holds below it is not too little.
pub(super) fn measured<T>(
    rows: &[Measured],
    product: ProductPath,
    events_per_second: u32,
    figure: impl Fn(&Measured) -> Option<T>,
) -> Option<T> {
    let rows = rows.iter().filter(|row| row.product == product);
    let below = rows.filter(|row| row.events_per_second <= events_per_second);
    let with_figure = below.filter_map(|row| Some((row.events_per_second, figure(row)?)));
    with_figure.max_by_key(|(rate, _)| *rate).map(|(_, figure)| figure)
}

/// Assumed: processor time of one event in one service, in microseconds.
pub(super) const SERVICE_CPU_MICROS: u32 = 300;
/// Assumed: processor time of one journal row in its database, in microseconds.
pub(super) const DATABASE_CPU_MICROS: u32 = 400;
/// How busy a processor is to be, in percent: of two tasks, one alone can carry all.
pub(super) const BUSY_PERCENT: u32 = 50;
/// Assumed: how long an SQS receive that finds messages is under way, in milliseconds.
pub(super) const RECEIVE_MILLIS: u32 = 10;
/// Assumed: how long a batch is worked on, which is two calls to SQS and a transaction, in milliseconds.
pub(super) const BATCH_MILLIS: u32 = 20;
/// The fewest tasks of a service, in two availability zones.
pub(super) const TASKS_MIN: u32 = 2;
/// Sizes of a task: virtual CPUs in hundredths, and gigabytes of memory.
pub(super) const TASK_SIZES: [(u32, u32); 4] = [(50, 1), (100, 2), (200, 4), (400, 8)];
/// A writer and a reader to fail over to, in another availability zone.
pub(super) const INSTANCES_A_CLUSTER: u32 = 2;
/// Write request units of a claim among others, which is part of a transaction.
pub(super) const CLAIM_UNITS_TOGETHER: u32 = 2;
/// Assumed: bytes of PostgreSQL's log for each byte that stays in its tables and indexes.
pub(super) const LOG_BYTES_A_STORED_BYTE: u32 = 2;

/// The most bytes that a message of a fill has in any queue. Derived: the tests make one and look.
pub const MESSAGE_BYTES: u32 = 2_500;

/// What one event leaves in a stage's journal, its indexes included, in bytes, by stage in the order
/// of the path. Derived: the tests take a fill through the stages and add up.
pub const fn stored_bytes(product: ProductPath) -> &'static [u32] {
    match product {
        ProductPath::Spot => &[1_900, 2_400],
        ProductPath::Perpetual => &[2_600, 3_100, 2_400],
    }
}
