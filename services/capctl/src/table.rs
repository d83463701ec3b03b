//! Tables for people: aligned, and never longer or wider than a person reads.

use std::fmt;

/// The most rows of a table; `--json` has them all.
pub const ROWS_MAX: usize = 200;

/// The most characters of a cell.
pub const CELL_CHARS_MAX: usize = 72;

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Figures.
    Right,
}

/// Rows under headings.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these headings.
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; cells that are missing stay empty.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into_iter().map(|cell| shortened(&cell, CELL_CHARS_MAX)).collect());
    }
}

/// `text` on one line, at most `chars_max` long, with an ellipsis where something is left out.
pub fn shortened(text: &str, chars_max: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= chars_max {
        return line;
    }
    let kept: String = line.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.rows[..self.rows.len().min(ROWS_MAX)];
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let cells =
                    shown.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
                cells.chain([self.columns[column].0.len()]).max().unwrap_or_default()
            })
            .collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells =
                cells.zip(&self.columns).zip(&widths).map(
                    |((cell, (_, align)), width)| match align {
                        Align::Left => format!("{cell:<width$}"),
                        Align::Right => format!("{cell:>width$}"),
                    },
                );
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        writeln!(f, "{}", line(&mut self.columns.iter().map(|(heading, _)| *heading)))?;
        for row in shown {
            writeln!(f, "{}", line(&mut row.iter().map(String::as_str)))?;
        }
        match self.rows.len() - shown.len() {
            0 => Ok(()),
            more => writeln!(f, "… and {more} more; --json shows all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_left_and_figures_right() {
        let mut table = Table::new(&[("queue", Align::Left), ("visible", Align::Right)]);
        table.row(["a".into(), "1".into()]);
        table.row(["clearing".into(), "12345678".into()]);
        assert_eq!(
            table.to_string(),
            "queue      visible\na                1\nclearing  12345678\n"
        );
    }

    #[test]
    fn a_table_is_bounded_in_both_directions_and_says_so() {
        let mut table = Table::new(&[("n", Align::Left)]);
        (0..ROWS_MAX + 3).for_each(|_| table.row(["x".repeat(500)]));
        let text = table.to_string();
        assert_eq!(text.lines().count(), ROWS_MAX + 2);
        assert!(text.lines().all(|line| line.chars().count() <= CELL_CHARS_MAX));
        assert!(text.ends_with("… and 3 more; --json shows all\n"), "{text}");
        assert_eq!(shortened("two\nlines", 20), "two lines");
    }
}
