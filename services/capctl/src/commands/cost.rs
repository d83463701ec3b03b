//! `capctl cost`: what a rate of events costs on AWS.

use std::fmt;

use serde::Serialize;

use crate::answer::Answer;
use crate::arguments::CostArguments;
use crate::cost::figures::MEASURED;
use crate::cost::prices::{self, Price};
use crate::cost::{Estimate, ProductPath, estimate};
use crate::table::{Align, Table};

#[derive(Debug, Serialize)]
struct Costs {
    region: &'static str,
    prices_noted_on: &'static str,
    prices: Vec<Price>,
    estimates: Vec<Estimate>,
}

pub(super) fn cost(arguments: &CostArguments) -> anyhow::Result<Answer> {
    let products = arguments.product.as_ref().map_or(&ProductPath::ALL[..], std::slice::from_ref);
    let of = |product: &ProductPath| estimate(*product, arguments.events_per_second, MEASURED);
    Answer::new(&Costs {
        region: prices::REGION,
        prices_noted_on: prices::NOTED_ON,
        prices: prices::all(),
        estimates: products.iter().map(of).collect(),
    })
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for estimate in &self.estimates {
            let (product, rate) = (estimate.product.as_str(), estimate.events_per_second);
            writeln!(f, "{product}, {rate} events a second\n\n{}", table(estimate))?;
        }
        writeln!(
            f,
            "list prices of {} as known on {}, not read from AWS: check them; --json has them all",
            self.region, self.prices_noted_on
        )?;
        writeln!(f, "docs/COST.md says what is not in it")
    }
}

fn table(estimate: &Estimate) -> Table {
    let mut table = Table::new(&[
        ("", Align::Left),
        ("how much", Align::Left),
        ("basis", Align::Left),
        ("$ a million events", Align::Right),
        ("$ a month", Align::Right),
    ]);
    for line in &estimate.lines {
        let (a_million, a_month) = (line.dollars_a_million, line.dollars_a_month);
        table.row([
            line.of.to_owned(),
            line.quantity.clone(),
            line.basis.to_string(),
            format!("{a_million:.2}"),
            format!("{a_month:.2}"),
        ]);
    }
    table.row([
        "total".to_owned(),
        String::new(),
        String::new(),
        format!("{:.2}", estimate.dollars_a_million),
        format!("{:.2}", estimate.dollars_a_month),
    ]);
    table
}
