//! What AWS asks, on demand, in [`REGION`], in dollars.
//!
//! They were taken from public descriptions of the price pages named here, not from the pages
//! themselves, which change without notice: check each against its page before you rely on a sum.
//! This file is the only place to correct one.

use rust_decimal::Decimal;
use serde::Serialize;

/// Where these prices hold.
pub const REGION: &str = "us-east-1";

/// When they were taken as known.
pub const NOTED_ON: &str = "2026-11-28";

/// A price, and where to check it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Price {
    /// What it buys.
    pub of: &'static str,
    /// In dollars.
    pub dollars: Decimal,
    /// The title of the page that AWS publishes it on.
    pub page: &'static str,
}

const SQS: &str = "Amazon SQS pricing";
const DYNAMODB: &str = "Amazon DynamoDB pricing for on-demand capacity";
const FARGATE: &str = "AWS Fargate pricing";
const AURORA: &str = "Amazon Aurora pricing";

const fn price(of: &'static str, millionths: u32, page: &'static str) -> Price {
    Price { of, dollars: Decimal::from_parts(millionths, 0, 0, false, 6), page }
}

/// A million FIFO requests, of the first hundred thousand million a month.
pub const SQS_FIRST: Price = price("million SQS FIFO requests, up to 100 billion", 500_000, SQS);
/// A million FIFO requests, of the next hundred thousand million.
pub const SQS_NEXT: Price = price("million SQS FIFO requests, the next 100 billion", 400_000, SQS);
/// A million FIFO requests, of all beyond.
pub const SQS_BEYOND: Price = price("million SQS FIFO requests, beyond", 350_000, SQS);
/// How many million requests a month each of the first two steps holds.
pub const SQS_STEP_MILLIONS: u32 = 100_000;
/// The payload that one SQS request pays for; a call with more is several.
pub const SQS_CHUNK_BYTES: u32 = 64 * 1024;

/// A million write request units: an item of up to 1 KB, twice that in a transaction.
pub const DYNAMODB_WRITES: Price = price("million DynamoDB write request units", 625_000, DYNAMODB);

/// One virtual CPU for an hour, Linux on x86.
pub const FARGATE_VCPU: Price = price("vCPU-hour, Fargate Linux/x86", 40_480, FARGATE);
/// One gigabyte of memory for an hour, Linux on x86.
pub const FARGATE_GB: Price = price("GB-hour, Fargate Linux/x86", 4_445, FARGATE);

/// A million requests to Aurora's storage; with I/O-Optimized they are free.
pub const AURORA_IO: Price = price("million Aurora I/O requests, Standard", 200_000, AURORA);
/// One gigabyte for a month.
pub const AURORA_STORAGE: Price = price("GB-month, Aurora Standard", 100_000, AURORA);
/// One gigabyte for a month, I/O-Optimized.
pub const AURORA_STORAGE_IO_OPTIMIZED: Price =
    price("GB-month, Aurora I/O-Optimized", 225_000, AURORA);
/// The payload that one write to Aurora's storage pays for.
pub const AURORA_IO_BYTES: u32 = 4 * 1024;

/// A kind of database instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Instance {
    /// Its class.
    pub class: &'static str,
    /// Its virtual CPUs.
    pub vcpus: u32,
    /// An hour of it under Aurora Standard.
    pub standard: Price,
    /// An hour of it under Aurora I/O-Optimized.
    pub io_optimized: Price,
}

/// Aurora PostgreSQL's instances on Graviton2, from small to large.
pub const INSTANCES: [Instance; 4] = [
    Instance {
        class: "db.r6g.large",
        vcpus: 2,
        standard: price("hour of db.r6g.large, Standard", 260_000, AURORA),
        io_optimized: price("hour of db.r6g.large, I/O-Optimized", 338_000, AURORA),
    },
    Instance {
        class: "db.r6g.xlarge",
        vcpus: 4,
        standard: price("hour of db.r6g.xlarge, Standard", 519_000, AURORA),
        io_optimized: price("hour of db.r6g.xlarge, I/O-Optimized", 675_000, AURORA),
    },
    Instance {
        class: "db.r6g.2xlarge",
        vcpus: 8,
        standard: price("hour of db.r6g.2xlarge, Standard", 1_038_000, AURORA),
        io_optimized: price("hour of db.r6g.2xlarge, I/O-Optimized", 1_349_000, AURORA),
    },
    Instance {
        class: "db.r6g.4xlarge",
        vcpus: 16,
        standard: price("hour of db.r6g.4xlarge, Standard", 2_076_000, AURORA),
        io_optimized: price("hour of db.r6g.4xlarge, I/O-Optimized", 2_699_000, AURORA),
    },
];

/// Every price that a sum may be made of.
pub fn all() -> Vec<Price> {
    let mut all = vec![
        SQS_FIRST,
        SQS_NEXT,
        SQS_BEYOND,
        DYNAMODB_WRITES,
        FARGATE_VCPU,
        FARGATE_GB,
        AURORA_IO,
        AURORA_STORAGE,
        AURORA_STORAGE_IO_OPTIMIZED,
    ];
    all.extend(INSTANCES.iter().flat_map(|one| [one.standard, one.io_optimized]));
    all
}
