//! A document that cannot be read is refused where it cannot, and nothing of it is half ignored.

use cap_domain::rulebook::RulebookDocument;

use crate::common::shipped;

#[test]
fn a_document_that_cannot_be_read_says_the_line() {
    let text = serde_json::to_string_pretty(&shipped()["rulebooks"][0]).unwrap();
    let broken = text.replace("\"from\": \"external:bank\"", "\"form\": \"external:bank\"");
    let error = serde_json::from_str::<RulebookDocument>(&broken).unwrap_err();
    assert!(error.to_string().starts_with("unknown field `form`, expected one of"), "{error}");
    let line = broken.lines().position(|line| line.contains("\"form\"")).unwrap() + 1;
    assert_eq!(error.line(), line);
}

#[test]
fn a_kind_written_twice_is_refused_rather_than_half_ignored() {
    let text = shipped()["rulebooks"][0].to_string();
    let twice = text.replace("\"events\":{", "\"events\":{\"fee.charged\":{\"legs\":[]},");
    let read = serde_json::from_str::<RulebookDocument>(&twice);
    assert!(read.is_err(), "the first fee.charged was dropped without a word");
}
