//! The file: its header, then one record a line, read as a stream.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::{BadLine, JobError, Kind, LINE_BYTES_MAX, LINES_MAX, csv};

/// Columns of every job.
const ACCOUNT_COLUMNS: [&str; 5] = ["company", "product", "customer_group", "account", "currency"];

/// The columns a job's file must have besides those of every job, and those it may have.
const fn columns(kind: &Kind) -> (&'static [&'static str], &'static [&'static str]) {
    match kind {
        Kind::Adjust => (&["amount", "reason"], &["shortfall", "entry"]),
        Kind::Zero { .. } => (&[], &[]),
        Kind::Action { .. } => (&["holding"], &["shortfall", "entry"]),
    }
}

/// A line's fields by column.
#[derive(Debug)]
pub(super) struct Record<'a> {
    /// The line's number from 1.
    pub(super) line: usize,
    header: &'a [String],
    fields: Vec<String>,
}

impl Record<'_> {
    /// The field of a column; empty if the file has no such column.
    pub(super) fn field(&self, column: &str) -> &str {
        let index = self.header.iter().position(|name| name == column);
        index.and_then(|index| self.fields.get(index)).map_or("", String::as_str)
    }
}

/// A file while it is read.
pub(super) struct Records {
    input: BufReader<File>,
    header: Vec<String>,
    line: usize,
    records: usize,
    hash: Sha256,
    bytes: u64,
}

/// What comes next in a file.
pub(super) enum Next<T> {
    /// A line, as it was made of.
    Line(Result<T, BadLine>),
    /// Nothing.
    End,
}

impl Records {
    /// Opens the file and reads its header, which must fit `kind`.
    pub(super) fn open(path: &Path, kind: &Kind) -> Result<Result<Self, BadLine>, JobError> {
        let input = BufReader::new(File::open(path)?);
        let (header, hash) = (Vec::new(), Sha256::new());
        let mut records = Self { input, header, line: 0, records: 0, hash, bytes: 0 };
        let bad = |line: usize, reason: String| {
            Ok(Err(BadLine { line, field: "header".to_owned(), reason }))
        };
        let wanted = || {
            let (must, may) = columns(kind);
            let must = [&ACCOUNT_COLUMNS, must].concat().join(",");
            let may: String = may.iter().map(|column| format!("[,{column}]")).collect();
            format!("{must}{may}")
        };
        let text = match records.next_line()? {
            None => return bad(1, format!("the file is empty; its first line is {}", wanted())),
            Some(Err(error)) => return Ok(Err(error)),
            Some(Ok(text)) => text,
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let header = match csv::fields(text) {
            Ok(header) => header,
            Err(reason) => return bad(records.line, reason.to_owned()),
        };
        let (must, may) = columns(kind);
        let known = |name: &str| [&ACCOUNT_COLUMNS, must, may].concat().contains(&name);
        if let Some(missing) = [&ACCOUNT_COLUMNS, must]
            .concat()
            .into_iter()
            .find(|column| !header.iter().any(|name| name == column))
        {
            let reason = format!("column {missing} is missing; the first line is {}", wanted());
            return bad(records.line, reason);
        }
        for (index, name) in header.iter().enumerate() {
            if !known(name) {
                let reason = format!("{name:?} is no column of this job; they are {}", wanted());
                return bad(records.line, reason);
            }
            if header[..index].contains(name) {
                return bad(records.line, format!("column {name} is there twice"));
            }
        }
        records.header = header;
        Ok(Ok(records))
    }

    /// The next line that holds something, made into what `make` makes of it.
    pub(super) fn next<T>(
        &mut self,
        make: impl FnOnce(&Record<'_>) -> Result<T, BadLine>,
    ) -> Result<Next<T>, JobError> {
        let text = match self.next_line()? {
            None => return Ok(Next::End),
            Some(Err(bad)) => return Ok(Next::Line(Err(bad))),
            Some(Ok(text)) => text,
        };
        self.records += 1;
        if self.records > LINES_MAX {
            return Err(JobError::TooManyLines);
        }
        let bad = |reason: String| BadLine { line: self.line, field: "line".to_owned(), reason };
        let made = match csv::fields(&text) {
            Err(reason) => Err(bad(reason.to_owned())),
            Ok(fields) if fields.len() != self.header.len() => {
                let (found, wanted) = (fields.len(), self.header.len());
                Err(bad(format!("has {found} fields, the header has {wanted} columns")))
            }
            Ok(fields) => make(&Record { line: self.line, header: &self.header, fields }),
        };
        Ok(Next::Line(made))
    }

    /// The number of the line that was read last.
    pub(super) const fn line(&self) -> usize {
        self.line
    }

    /// How many bytes were read.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The SHA-256 of what was read.
    pub(super) fn sha256(&self) -> String {
        hex::encode(self.hash.clone().finalize())
    }

    /// The next line that is not blank, without its end.
    fn next_line(&mut self) -> Result<Option<Result<String, BadLine>>, JobError> {
        loop {
            let mut line = Vec::new();
            let limit = LINE_BYTES_MAX as u64 + 1;
            let read = self.input.by_ref().take(limit).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            self.bytes += read as u64;
            self.hash.update(&line);
            let bad = |line: usize, reason: String| {
                Ok(Some(Err(BadLine { line, field: "line".to_owned(), reason })))
            };
            if read > LINE_BYTES_MAX && line.last() != Some(&b'\n') {
                self.pass_rest_of_line()?;
                return bad(self.line, format!("is longer than {LINE_BYTES_MAX} bytes"));
            }
            match String::from_utf8(line) {
                Err(_) => return bad(self.line, "is not UTF-8".to_owned()),
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => return Ok(Some(Ok(text.trim_end_matches(['\n', '\r']).to_owned()))),
            }
        }
    }

    fn pass_rest_of_line(&mut self) -> Result<(), JobError> {
        loop {
            let mut piece = Vec::new();
            let limit = LINE_BYTES_MAX as u64;
            let read = self.input.by_ref().take(limit).read_until(b'\n', &mut piece)?;
            self.bytes += read as u64;
            self.hash.update(&piece);
            if read == 0 || piece.last() == Some(&b'\n') {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn opened(text: &[u8], kind: &Kind) -> Result<Records, String> {
        let path = std::env::temp_dir().join(format!("capctl-job-{}", uuid::Uuid::new_v4()));
        File::create(&path).unwrap().write_all(text).unwrap();
        let opened = Records::open(&path, kind).unwrap();
        std::fs::remove_file(&path).unwrap();
        opened.map_err(|bad| format!("{} {}: {}", bad.line, bad.field, bad.reason))
    }

    const HEADER: &str = "company,product,customer_group,account,currency,amount,reason";

    #[test]
    fn columns_may_stand_in_any_order_and_lines_keep_their_numbers() {
        let text = "reason,company,product,customer_group,account,currency,amount\r\n\r\n\
            \"a, b\",acme,spot,retail,A-1,USDT,5\r\n";
        let mut records = opened(text.as_bytes(), &Kind::Adjust).unwrap();
        let read = |record: &Record<'_>| {
            Ok((
                record.line,
                record.field("reason").to_owned(),
                record.field("shortfall").to_owned(),
            ))
        };
        let Next::Line(Ok(line)) = records.next(read).unwrap() else { panic!("there is a line") };
        assert_eq!(line, (3, "a, b".to_owned(), String::new()));
        assert!(matches!(records.next(read).unwrap(), Next::End));
    }

    #[test]
    fn a_header_that_does_not_fit_is_told_with_the_one_that_does() {
        let zero = Kind::Zero { of: super::super::ZeroOf::Borrowed, reason: "r".to_owned() };
        let all = "company,product,customer_group,account,currency";
        let cases = [
            (
                String::new(),
                &Kind::Adjust,
                format!("the file is empty; its first line is {HEADER}[,shortfall][,entry]"),
            ),
            (
                all.to_owned(),
                &Kind::Adjust,
                format!("column amount is missing; the first line is {HEADER}[,shortfall][,entry]"),
            ),
            (
                format!("{all},amount"),
                &zero,
                format!("\"amount\" is no column of this job; they are {all}"),
            ),
            (
                format!("{HEADER},entry,entry"),
                &Kind::Adjust,
                "column entry is there twice".to_owned(),
            ),
        ];
        for (text, kind, reason) in cases {
            assert_eq!(opened(text.as_bytes(), kind).err(), Some(format!("1 header: {reason}")));
        }
        let marked = format!("\u{feff}{HEADER}\n");
        assert!(opened(marked.as_bytes(), &Kind::Adjust).is_ok(), "a byte order mark is no column");
    }

    #[test]
    fn a_line_that_cannot_be_read_is_told_and_the_next_one_is_read() {
        let long = "x".repeat(3 * LINE_BYTES_MAX);
        let text = [
            HEADER.as_bytes(),
            b"\n",
            long.as_bytes(),
            b"\na,b\n\xff\nacme,spot,retail,A-1,USDT,5,r",
        ]
        .concat();
        let mut records = opened(&text, &Kind::Adjust).unwrap();
        let mut told = Vec::new();
        while let Next::Line(line) = records.next(|record| Ok(record.line)).unwrap() {
            told.push(line.map_err(|bad| (bad.line, bad.reason)));
        }
        let wanted = [
            Err((2, "is longer than 4096 bytes".to_owned())),
            Err((3, "has 2 fields, the header has 7 columns".to_owned())),
            Err((4, "is not UTF-8".to_owned())),
            Ok(5),
        ];
        assert_eq!(told, wanted);
        assert_eq!(records.bytes(), text.len() as u64);
    }
}
