//! What `capctl cost` says, the rows its figures stand for, and the document that shows them.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up stops there")]

#[path = "../../../crates/domain/tests/common/mod.rs"]
mod common;
mod support;

use std::fmt::Write as _;

use cap_domain::clearing::Clearing;
use cap_domain::lane::{Output, Row, Stage, pack};
use cap_domain::outcome::OutcomeStatus;
use cap_domain::position::Positions;
use capctl::cost::figures::{MEASURED, MESSAGE_BYTES, stored_bytes};
use capctl::cost::prices;
use capctl::cost::{Estimate, Line, ProductPath, estimate};
use common::events::{perpetual, spot, with};
use common::story::Story;
use rust_decimal::Decimal;
use serde_json::json;
use support::Tool;

/// The rates of the tables, and as people write them.
const RATES: [(u32, &str); 3] = [(100, "100"), (1_000, "1,000"), (10_000, "10,000")];
/// How far above a real row a figure may lie, in percent.
const CARE_PERCENT: usize = 15;

#[test]
fn the_document_shows_what_the_calculator_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/COST.md");
    let document = std::fs::read_to_string(path).unwrap();
    let mut blocks = vec![("prices".to_owned(), price_table())];
    blocks
        .extend(ProductPath::ALL.map(|product| (product.as_str().to_owned(), cost_table(product))));
    let is_behind = |(name, expected): &(String, String)| {
        let begin = format!("<!-- {name}: kept true by services/capctl/tests/cost.rs -->\n");
        let shown = document.split_once(&begin).and_then(|(_, rest)| rest.split_once("\n\n"));
        shown.is_none_or(|(shown, _)| shown.trim_end() != expected.trim_end())
    };
    let behind: Vec<_> = blocks.into_iter().filter(is_behind).collect();
    let told: Vec<_> = behind.iter().map(|(name, table)| format!("{name}\n\n{table}")).collect();
    assert!(
        behind.is_empty(),
        "docs/COST.md is behind; these are its tables:\n\n{}",
        told.join("\n")
    );
}

#[test]
fn the_document_says_on_which_day_prices_were_noted() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/COST.md");
    let document = std::fs::read_to_string(path).unwrap();
    assert!(document.contains(prices::NOTED_ON) && document.contains(prices::REGION));
}

#[test]
fn the_journal_rows_of_a_fill_are_as_large_as_they_are_counted() {
    for product in ProductPath::ALL {
        let story = filled(product);
        let account = story.account_key.as_str();
        let mut rows = vec![story.clearing.journal.last().unwrap()];
        rows.extend(story.position.journal.last());
        rows.push(story.account.journal.last().unwrap());
        let real: Vec<usize> = rows.iter().map(|row| stored(account, row)).collect();
        let counted = stored_bytes(product);
        assert_eq!(real.len(), counted.len(), "{product:?}");
        let near = |(real, counted): (&usize, &u32)| {
            (*real..=real + real * CARE_PERCENT / 100).contains(&(*counted as usize))
        };
        assert!(
            real.iter().zip(counted).all(near),
            "{product:?}: rows have {real:?} bytes and are counted as {counted:?}"
        );
    }
}

#[test]
fn no_message_of_a_fill_is_larger_than_it_is_counted() {
    for product in ProductPath::ALL {
        let story = filled(product);
        let account = &story.account_key;
        let mut outputs =
            Clearing::outputs(account, story.clearing.journal.last().unwrap()).unwrap();
        if let Some(row) = story.position.journal.last() {
            outputs.extend(Positions::outputs(account, row).unwrap());
        }
        let units: Vec<usize> = outputs
            .iter()
            .map(|output| match output {
                Output::Forward { unit, .. } => pack(account, &[unit])[0].1.len(),
                other => panic!("a fill is forwarded: {other:?}"),
            })
            .collect();
        assert_eq!(units.len() + 1, product.stages().len());
        let largest = units.into_iter().max().unwrap();
        assert!(
            largest <= MESSAGE_BYTES as usize,
            "{product:?}: a message has {largest} bytes and is counted as {MESSAGE_BYTES}"
        );
    }
}

#[tokio::test]
async fn the_table_has_every_line_and_the_total() {
    let told = Tool::default().text("cost --events-per-second 1000 --product spot").await;
    let expected = estimate(ProductPath::Spot, 1_000, MEASURED);
    assert!(told.starts_with("spot, 1000 events a second"), "{told}");
    for line in &expected.lines {
        let row = told.lines().find(|row| row.starts_with(line.of)).unwrap();
        for cell in [&line.quantity, &line.basis.to_string(), &money(line.dollars_a_month)] {
            assert!(row.contains(cell), "{cell}: {row}");
        }
    }
    let total = told.lines().find(|row| row.starts_with("total")).unwrap();
    assert!(total.ends_with(&money(expected.dollars_a_month)), "{total}");
    assert!(told.contains("not read from AWS: check them"), "{told}");
    assert!(!told.contains("perpetual"), "{told}");
}

#[tokio::test]
async fn without_a_product_both_are_told_and_programs_get_exact_decimals() {
    let told = Tool::default().json("cost --events-per-second 100").await;
    let estimates = told["estimates"].as_array().unwrap();
    assert_eq!(estimates.len(), 2);
    for (shown, product) in estimates.iter().zip(ProductPath::ALL) {
        let expected = estimate(product, 100, MEASURED);
        assert_eq!(*shown, serde_json::to_value(&expected).unwrap());
        let total: Decimal = shown["dollars_a_million"].as_str().unwrap().parse().unwrap();
        assert_eq!(total, expected.dollars_a_million);
    }
    assert_eq!(told["prices"].as_array().unwrap().len(), prices::all().len());
}

/// A lane that took one fill with everything a fill usually has.
fn filled(product: ProductPath) -> Story {
    let usual = json!({ "trade_id": "t-20261121-00012345", "order_id": "o-20261121-00067890",
        "fee": { "currency": "USDT", "amount": "3.503992" }, "reserved": "700.800000" });
    let (mut story, fill) = match product {
        ProductPath::Spot => {
            (Story::spot(), with(spot("buy", "0.17481500", "40090.02175395"), usual))
        }
        ProductPath::Perpetual => {
            (Story::perpetual(), with(perpetual("buy", "0.17481500", "40090.02175395"), usual))
        }
    };
    story = story.holding("USDT 99999.123456 available, 5000 frozen");
    // As long as a UUID, which many request ids are.
    let mut message = story.message("5f0c7a52-6d1b-4c8e-9a35-0d8f2b7c6e14", &fill);
    message.message_id = "b1d0a3c4-2f6e-4a7b-8c9d-1e2f3a4b5c6d".to_owned();
    assert!(message.body.len() <= MESSAGE_BYTES as usize);
    let told = story.tell_sent(&message);
    assert_eq!(told.status(), OutcomeStatus::Posted, "{}", told.body);
    assert!(told.body.len() <= MESSAGE_BYTES as usize);
    story
}

/// What PostgreSQL keeps of a journal row: the row with its header and pointer, and an entry in each
/// of its two keys, whose pages are two thirds full. Long texts may be compressed, which is left out.
fn stored(account: &str, row: &Row) -> usize {
    const ROW_HEADER: usize = 28;
    const ENTRY_HEADER: usize = 12;
    // seq, upstream_seq, sent_at, decided_at, configuration; rules_version; fingerprint; hash; and the
    // length in front of each text and of each bytea.
    const FIXED: usize = 5 * 8 + 2 + 16 + 32 + 8 * 4;
    let texts = account.len()
        + row.request_id.as_str().len()
        + row.source_id.len()
        + row.kind.len()
        + row.input.len()
        + row.result.len();
    let primary_key = ENTRY_HEADER + account.len() + 8;
    let request_once = ENTRY_HEADER + account.len() + row.request_id.as_str().len();
    ROW_HEADER + FIXED + texts + (primary_key + request_once) * 3 / 2
}

fn price_table() -> String {
    let mut table = "| price of a … | $ | AWS's page |\n|---|---:|---|\n".to_owned();
    for price in prices::all() {
        writeln!(table, "| {} | {} | {} |", price.of, price.dollars.normalize(), price.page)
            .unwrap();
    }
    table
}

/// Dollars a million events at each rate, line by line, then what a month is.
fn cost_table(product: ProductPath) -> String {
    let estimates: Vec<Estimate> =
        RATES.map(|(rate, _)| estimate(product, rate, MEASURED)).to_vec();
    let rates = RATES.map(|(_, rate)| format!("at {rate}/s")).join(" | ");
    let mut table =
        format!("| {} | basis | {rates} |\n|---|---|---:|---:|---:|\n", product.as_str());
    for (index, line) in estimates[0].lines.iter().enumerate() {
        let row: Vec<&Line> = estimates.iter().map(|estimate| &estimate.lines[index]).collect();
        assert!(row.iter().all(|cell| cell.of == line.of), "one row, one kind of cost");
        let cells: Vec<String> = row.iter().map(|cell| money(cell.dollars_a_million)).collect();
        writeln!(table, "| {} | {} | {} |", line.of, basis_of(&row), cells.join(" | ")).unwrap();
    }
    let total: Vec<String> =
        estimates.iter().map(|one| format!("**{}**", money(one.dollars_a_million))).collect();
    writeln!(table, "| **$ a million events** | | {} |", total.join(" | ")).unwrap();
    let month: Vec<String> =
        estimates.iter().map(|one| one.dollars_a_month.round_dp(0).to_string()).collect();
    writeln!(table, "| $ a month | | {} |", month.join(" | ")).unwrap();
    table
}

/// What a row rests on: at the lowest rate, and from which rate on it is something else.
fn basis_of(row: &[&Line]) -> String {
    let mut told = row[0].basis.to_string();
    for (index, pair) in row.windows(2).enumerate() {
        if pair[0].basis != pair[1].basis {
            write!(told, ", at {}/s {}", RATES[index + 1].1, pair[1].basis).unwrap();
        }
    }
    told
}

fn money(dollars: Decimal) -> String {
    format!("{dollars:.2}")
}
