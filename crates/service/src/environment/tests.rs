use std::time::Duration;

use super::*;

#[derive(Debug, PartialEq)]
struct Example {
    database_url: String,
    batch_messages_max: u32,
    wait: Duration,
    region: Option<String>,
}

impl Settings for Example {
    fn read(environment: &mut Environment<'_>) -> Option<Self> {
        let database_url = environment.required(
            Setting::parsed_by("DATABASE_URL", "where the journal is", |text| {
                let known = text.starts_with("postgres://");
                known.then(|| text.to_owned()).ok_or_else(|| format!("{text} has no scheme"))
            })
            .example("postgres://service@localhost/account")
            .secret(),
        );
        let batch_messages_max = environment.with_default(
            Setting::new("BATCH_MESSAGES_MAX", "how many messages one transaction takes")
                .bounded(1..=10_000),
            "100",
        );
        let wait =
            environment.required(Setting::millis("WAIT_MILLIS", "how long to wait", 1..=60_000));
        let region = environment.optional(Setting::new("REGION", "where the queues are"));
        Some(Self {
            database_url: database_url?,
            batch_messages_max: batch_messages_max?,
            wait: wait?,
            region: region?,
        })
    }
}

fn read_from(variables: &[(&str, &str)]) -> Result<Example, String> {
    let source = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    read(&source).map_err(|error| error.to_string())
}

#[test]
fn values_are_parsed_and_what_is_left_out_has_its_default() {
    let example = read_from(&[("DATABASE_URL", "postgres://a/b"), ("WAIT_MILLIS", "250")]);
    assert_eq!(
        example,
        Ok(Example {
            database_url: "postgres://a/b".to_owned(),
            batch_messages_max: 100,
            wait: Duration::from_millis(250),
            region: None,
        })
    );
}

#[test]
fn everything_wrong_is_reported_together_one_line_each() {
    let error = read_from(&[("BATCH_MESSAGES_MAX", "0"), ("WAIT_MILLIS", "soon")]).unwrap_err();
    assert_eq!(
        error,
        "reading the settings from the environment:\
         \n  DATABASE_URL is not set: where the journal is; e.g. postgres://service@localhost/account\
         \n  BATCH_MESSAGES_MAX is not accepted: how many messages one transaction takes; \
         must be from 1 to 10000; found \"0\"\
         \n  WAIT_MILLIS is not accepted: how long to wait; must be from 1 to 60000; found \"soon\""
    );
}

#[test]
fn a_secret_is_never_printed() {
    let error = read_from(&[("DATABASE_URL", "user:hunter2@host"), ("WAIT_MILLIS", "1")]);
    assert_eq!(
        error.unwrap_err(),
        "reading the settings from the environment:\
         \n  DATABASE_URL is not accepted: where the journal is; its value is not shown; \
         e.g. postgres://service@localhost/account"
    );
}

#[test]
fn an_empty_value_counts_as_not_set() {
    let example = read_from(&[
        ("DATABASE_URL", "postgres://a/b"),
        ("WAIT_MILLIS", "1"),
        ("BATCH_MESSAGES_MAX", ""),
        ("REGION", ""),
    ])
    .unwrap();
    assert_eq!((example.batch_messages_max, example.region), (100, None));
}

#[test]
fn bounds_include_both_ends() {
    for (value, accepted) in [("0", false), ("1", true), ("10000", true), ("10001", false)] {
        let example = read_from(&[
            ("DATABASE_URL", "postgres://a/b"),
            ("WAIT_MILLIS", "1"),
            ("BATCH_MESSAGES_MAX", value),
        ]);
        assert_eq!(example.is_ok(), accepted, "{value}");
    }
}

#[test]
fn all_settings_can_be_listed() {
    let lines: Vec<String> = describe::<Example>().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "DATABASE_URL  where the journal is; required; e.g. postgres://service@localhost/account",
            "BATCH_MESSAGES_MAX  how many messages one transaction takes; from 1 to 10000; \
             default 100",
            "WAIT_MILLIS  how long to wait; from 1 to 60000; required",
            "REGION  where the queues are; optional",
        ]
    );
}

#[test]
fn two_groups_report_their_problems_together() {
    let nothing = |_: &str| None;
    let error = read::<(Example, Example)>(&nothing).unwrap_err();
    let names: Vec<_> = error.names().collect();
    assert_eq!(names, ["DATABASE_URL", "WAIT_MILLIS", "DATABASE_URL", "WAIT_MILLIS"]);
}
