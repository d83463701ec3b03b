//! One line of a CSV file: fields between commas, in quotation marks where they hold one.

/// The fields of a line. Spaces around a field do not count; within quotation marks everything does,
/// and two of them are one.
pub(super) fn fields(line: &str) -> Result<Vec<String>, &'static str> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = match rest.trim_start().strip_prefix('"') {
            Some(quoted) => in_quotation_marks(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let field = rest[..end].trim();
                if field.contains('"') {
                    return Err(
                        "a quotation mark stands within a field that does not begin with one",
                    );
                }
                (field.to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Ok(fields),
        }
    }
}

/// A field up to its closing quotation mark, and what follows it.
fn in_quotation_marks(quoted: &str) -> Result<(String, &str), &'static str> {
    let (mut field, mut rest) = (String::new(), quoted);
    loop {
        let end = rest.find('"').ok_or("a quotation mark is not closed on the same line")?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => break,
        }
    }
    let after = rest.trim_start();
    if after.is_empty() || after.starts_with(',') {
        Ok((field, after))
    } else {
        Err("something follows a closing quotation mark")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_between_commas_and_in_quotation_marks() {
        let cases: [(&str, &[&str]); 6] = [
            ("a,b,c", &["a", "b", "c"]),
            (" a , ,c,", &["a", "", "c", ""]),
            ("\"a, b\",c", &["a, b", "c"]),
            ("a, \"say \"\"so\"\" \" ,c", &["a", "say \"so\" ", "c"]),
            ("\"\"", &[""]),
            ("", &[""]),
        ];
        for (line, wanted) in cases {
            assert_eq!(fields(line).unwrap(), wanted, "{line}");
        }
    }

    #[test]
    fn what_is_no_csv_is_told() {
        let cases = [
            ("a,\"b", "not closed"),
            ("a,\"b\"c,d", "follows a closing"),
            ("a,b\"c\",d", "within a field"),
        ];
        for (line, reason) in cases {
            assert!(fields(line).unwrap_err().contains(reason), "{line}");
        }
    }
}
