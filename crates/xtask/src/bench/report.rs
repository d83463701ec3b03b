//! The table of what was measured.

use std::fmt;

use cap_bench::{Bound, Figure, Report, Section};

/// A report as a person reads it.
pub(super) struct Told<'a>(pub(super) &'a Report);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.0.machine;
        writeln!(
            f,
            "\n  {}, {} cores, {} GiB, {}, {} build",
            machine.processor, machine.cores, machine.memory_gib, machine.kernel, machine.build
        )?;
        let settings: Vec<String> = machine
            .postgres_settings
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        writeln!(f, "  PostgreSQL {}: {}", machine.postgres, settings.join(", "))?;
        for section in &self.0.sections {
            tell(f, section)?;
        }
        for broken in &self.0.broken {
            writeln!(f, "\n  {} · not measured: {}", broken.name, broken.reason)?;
        }
        Ok(())
    }
}

fn tell(f: &mut fmt::Formatter<'_>, section: &Section) -> fmt::Result {
    writeln!(f, "\n  {} · {}", section.name, section.about)?;
    writeln!(f, "    {:<52} {:>12} {:>25}  target", "", "median", "min – max")?;
    for figure in &section.figures {
        let range = format!("{} – {}", number(figure, figure.min), number(figure, figure.max));
        let check = section.checks.iter().find(|check| check.figure == figure.name);
        let target = check.map(|check| {
            let sign = if check.holds { "✓" } else { "✗" };
            let (word, bound) = match check.bound {
                Bound::AtLeast(bound) => ("≥", bound),
                Bound::AtMost(bound) => ("≤", bound),
                Bound::Below(bound) => ("<", bound),
            };
            format!("{sign} {word} {}", number(figure, bound))
        });
        writeln!(
            f,
            "    {:<52} {:>12} {range:>25}  {}",
            figure.name,
            format!("{} {}", number(figure, figure.median), short(figure.unit)),
            target.unwrap_or_default()
        )?;
    }
    section.notes.iter().try_for_each(|note| writeln!(f, "    {note}"))
}

/// A rate without decimals, a ratio with two, anything else with one.
fn number(figure: &Figure, value: f64) -> String {
    match figure.unit {
        "×" => format!("{value:.2}"),
        unit if unit.ends_with("/s") => thousands(value),
        _ => format!("{value:.1}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut told = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    told
}

/// A rate's unit goes without saying which messages.
fn short(unit: &str) -> &str {
    if unit.ends_with("/s") { "/s" } else { unit }
}
