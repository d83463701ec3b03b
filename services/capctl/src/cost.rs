//! What CAP costs on AWS (T16), from a rate of events: prices times figures, added up.
//!
//! Guarantees exact decimals throughout and that the lines shown add up to the sum shown, for a
//! million events and for a month. Knows nothing of any installation: it asks no service, and reads
//! no bill. Rates are steady, all events are fills, and all are of one scope.

pub mod calls;
pub mod figures;
pub mod prices;

use cap_domain::lane::StageName;
use cap_pipeline::Limits;
use clap::ValueEnum;
use rust_decimal::Decimal;
use serde::Serialize;

use calls::Calls;
use figures::{Basis, Measured};
use prices::{Instance, Price};

/// The hours of a month, as AWS counts them.
const MONTH_HOURS: u32 = 730;
const MONTH_SECS: u32 = MONTH_HOURS * 3_600;
/// The highest rate of one installation here; more is several, and their costs add up.
pub const EVENTS_PER_SECOND_MAX: u32 = 20_000;

const MILLION: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);
const BYTES_A_GB: Decimal = Decimal::from_parts(1_073_741_824, 0, 0, false, 0);

/// Which stages a product's events go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ProductPath {
    /// Clearing and account.
    Spot,
    /// Clearing, position and account.
    Perpetual,
}

impl ProductPath {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Spot, Self::Perpetual];

    /// The stages, in order.
    pub const fn stages(self) -> &'static [StageName] {
        match self {
            Self::Spot => &[StageName::Clearing, StageName::Account],
            Self::Perpetual => &[StageName::Clearing, StageName::Position, StageName::Account],
        }
    }

    /// The name in the trade.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Perpetual => "perpetual",
        }
    }
}

/// One kind of cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What is paid for.
    pub of: &'static str,
    /// How much of it, in words.
    pub quantity: String,
    /// How good the figures are that it is made of.
    pub basis: Basis,
    /// Dollars for a million events, to the cent.
    pub dollars_a_million: Decimal,
    /// Dollars a month, to the cent.
    pub dollars_a_month: Decimal,
}

/// What a rate of events costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// The product's path.
    pub product: ProductPath,
    /// The rate, day and night.
    pub events_per_second: u32,
    /// The parts.
    pub lines: Vec<Line>,
    /// The sum of the parts for a million events.
    pub dollars_a_million: Decimal,
    /// The sum of the parts for a month.
    pub dollars_a_month: Decimal,
}

/// What `events_per_second`, up to [`EVENTS_PER_SECOND_MAX`], cost with the figures that were
/// `measured`; those that were not are derived or assumed.
pub fn estimate(product: ProductPath, events_per_second: u32, measured: &[Measured]) -> Estimate {
    let sheet = Sheet::new(product, events_per_second, measured);
    let mut lines = sheet.queues();
    lines.extend([sheet.claims(), sheet.services()]);
    lines.extend(sheet.databases());
    let sum = |dollars: fn(&Line) -> Decimal| lines.iter().map(dollars).sum();
    let dollars_a_million = sum(|line| line.dollars_a_million);
    let dollars_a_month = sum(|line| line.dollars_a_month);
    Estimate { product, events_per_second, lines, dollars_a_million, dollars_a_month }
}

/// What every line is made from.
struct Sheet<'a> {
    product: ProductPath,
    rate: u32,
    measured: &'a [Measured],
    limits: Limits,
    tasks: u32,
    /// Of a task: hundredths of a virtual CPU, and gigabytes.
    task: (u32, u32),
    cpu_basis: Basis,
    calls: Calls,
}

impl<'a> Sheet<'a> {
    fn new(product: ProductPath, rate: u32, measured: &'a [Measured]) -> Self {
        let limits = Limits::default();
        let cpu_micros = figures::measured(measured, product, rate, |row| row.service_cpu_micros);
        let cpu_basis = if cpu_micros.is_some() { Basis::Measured } else { Basis::Assumed };
        let needed = vcpus(rate, cpu_micros.unwrap_or(figures::SERVICE_CPU_MICROS));
        let of = |(hundredths, _): (u32, u32)| Decimal::new(hundredths.into(), 2);
        let [.., largest] = figures::TASK_SIZES;
        let carries = |size: &(u32, u32)| of(*size) * Decimal::from(figures::TASKS_MIN) >= needed;
        let task = figures::TASK_SIZES.into_iter().find(carries).unwrap_or(largest);
        let tasks = whole(needed / of(task)).max(figures::TASKS_MIN);
        let calls = Calls::at(rate, tasks, &limits);
        Self { product, rate, measured, limits, tasks, task, cpu_basis, calls }
    }

    fn stages(&self) -> u32 {
        self.product.stages().len() as u32
    }

    /// A line of `dollars` a month.
    fn line(&self, of: &'static str, quantity: String, basis: Basis, dollars: Decimal) -> Line {
        let millions = self.millions_a_month(Decimal::ONE);
        Line {
            of,
            quantity,
            basis,
            dollars_a_million: (dollars / millions).round_dp(2),
            dollars_a_month: dollars.round_dp(2),
        }
    }

    /// How many millions a month what every event needs so often comes to.
    fn millions_a_month(&self, an_event: Decimal) -> Decimal {
        an_event * Decimal::from(self.rate) * Decimal::from(MONTH_SECS) / MILLION
    }

    fn queues(&self) -> Vec<Line> {
        const OF: &str = "SQS FIFO requests";
        const POLLS: &str = "SQS empty polls, at most";
        let counted = figures::measured(self.measured, self.product, self.rate, |row| {
            row.sqs_requests_thousandths
        });
        if let Some(thousandths) = counted {
            let an_event = Decimal::new(thousandths.into(), 3);
            let dollars = tiered(self.millions_a_month(an_event));
            let quantity = format!("{} an event, empty polls included", shown(an_event));
            return vec![
                self.line(OF, quantity, Basis::Measured, dollars),
                self.line(POLLS, "among the requests".to_owned(), Basis::Measured, Decimal::ZERO),
            ];
        }
        // The outcomes have a queue too, which trade services read.
        let an_event = self.calls.requests_a_queue() * Decimal::from(self.stages() + 1);
        let requests = self.millions_a_month(an_event);
        let receivers = self.tasks * self.limits.receivers_per_queue as u32;
        let wait_secs = Decimal::from(self.limits.receive_wait_secs);
        let polls_a_second = Decimal::from(receivers * self.stages()) / wait_secs;
        let polls = polls_a_second * Decimal::from(MONTH_SECS) / MILLION;
        vec![
            self.line(
                OF,
                format!("{} an event", shown(an_event)),
                Basis::Derived,
                tiered(requests),
            ),
            self.line(
                POLLS,
                format!("{} a second", shown(polls_a_second)),
                Basis::Derived,
                tiered(requests + polls) - tiered(requests),
            ),
        ]
    }

    fn claims(&self) -> Line {
        let together = Decimal::from(figures::CLAIM_UNITS_TOGETHER);
        let an_event = together - self.calls.alone() * (together - Decimal::ONE);
        let dollars = self.millions_a_month(an_event) * prices::DYNAMODB_WRITES.dollars;
        let quantity = format!("{} write units an event", shown(an_event));
        self.line("DynamoDB claims", quantity, Basis::Derived, dollars)
    }

    fn services(&self) -> Line {
        let (hundredths, gigabytes) = self.task;
        let vcpus = Decimal::new(hundredths.into(), 2).normalize();
        let an_hour = vcpus * prices::FARGATE_VCPU.dollars
            + Decimal::from(gigabytes) * prices::FARGATE_GB.dollars;
        let tasks = self.tasks * self.stages();
        let dollars = an_hour * Decimal::from(tasks) * Decimal::from(MONTH_HOURS);
        let quantity = format!("{tasks} tasks of {vcpus} vCPU, {gigabytes} GB");
        self.line("Fargate tasks", quantity, self.cpu_basis, dollars)
    }

    /// Instances, I/O and storage, as Aurora Standard or I/O-Optimized, whichever is cheaper.
    fn databases(&self) -> [Line; 3] {
        let needed = vcpus(self.rate, figures::DATABASE_CPU_MICROS);
        let [.., largest] = prices::INSTANCES;
        let carries = |one: &Instance| Decimal::from(one.vcpus) >= needed;
        let instance = prices::INSTANCES.into_iter().find(carries).unwrap_or(largest);
        // Each module has a database of its own (T12).
        let clusters = whole(needed / Decimal::from(instance.vcpus)) * self.stages();
        let instances = clusters * figures::INSTANCES_A_CLUSTER;
        let hours = Decimal::from(instances) * Decimal::from(MONTH_HOURS);

        let stored: u32 = figures::stored_bytes(self.product).iter().sum();
        let gigabytes = self.millions_a_month(Decimal::from(stored)) * MILLION / BYTES_A_GB;
        let logged = Decimal::from(stored * figures::LOG_BYTES_A_STORED_BYTE);
        // A commit flushes its log, and its last page is hardly ever full.
        let commits = Decimal::from(self.stages()) / self.calls.gathered;
        let writes = commits + logged / Decimal::from(prices::AURORA_IO_BYTES);
        let requests = self.millions_a_month(writes);

        let under = |hour: Price, request: Decimal, month: Price| {
            [hours * hour.dollars, requests * request, gigabytes * month.dollars]
        };
        let standard = under(instance.standard, prices::AURORA_IO.dollars, prices::AURORA_STORAGE);
        let io_optimized =
            under(instance.io_optimized, Decimal::ZERO, prices::AURORA_STORAGE_IO_OPTIMIZED);
        let sum = |parts: &[Decimal; 3]| parts.iter().sum::<Decimal>();
        let (kind, [hours, requests, stored_dollars]) = if sum(&io_optimized) < sum(&standard) {
            ("I/O-Optimized", io_optimized)
        } else {
            ("Standard", standard)
        };
        [
            self.line(
                "Aurora instances",
                format!("{instances} × {}, {kind}", instance.class),
                Basis::Assumed,
                hours,
            ),
            self.line(
                "Aurora I/O",
                format!("{} writes an event", shown(writes)),
                Basis::Assumed,
                requests,
            ),
            self.line(
                "Aurora storage, one month",
                format!("{stored} bytes an event"),
                Basis::Derived,
                stored_dollars,
            ),
        ]
    }
}

/// Virtual CPUs for `rate` times `micros` a second, at [`figures::BUSY_PERCENT`].
fn vcpus(rate: u32, micros: u32) -> Decimal {
    let busy = Decimal::from(rate) * Decimal::from(micros) / MILLION;
    busy / Decimal::new(figures::BUSY_PERCENT.into(), 2)
}

/// The least whole number that is not less, and at least one.
fn whole(number: Decimal) -> u32 {
    u32::try_from(number.ceil()).unwrap_or(u32::MAX).max(1)
}

/// Dollars for so many million SQS FIFO requests in a month. The first million, which is free once
/// an AWS account, is left out.
fn tiered(millions: Decimal) -> Decimal {
    let step = Decimal::from(prices::SQS_STEP_MILLIONS);
    let first = millions.min(step);
    let next = (millions - first).min(step);
    let beyond = millions - first - next;
    first * prices::SQS_FIRST.dollars
        + next * prices::SQS_NEXT.dollars
        + beyond * prices::SQS_BEYOND.dollars
}

/// A quantity as people read it: two decimals, no zeros behind.
fn shown(quantity: Decimal) -> Decimal {
    quantity.round_dp(2).normalize()
}

#[cfg(test)]
mod tests;
