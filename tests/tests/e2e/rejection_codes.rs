//! Every code of the contract, through the real queues: what has to be so, what is asked for, and
//! the sentence that is answered.

use std::collections::HashMap;

use cap_aws::ConfigurationStore;
use cap_aws::files::read_configuration;
use cap_domain::configuration::{ConfigurationDocument, InstrumentsDocument};
use cap_domain::outcome::ReasonCode;
use cap_domain::refusal::RejectionCode;
use cap_domain::rulebook::RuleDocument;
use cap_pipeline::system_time;
use cap_tests::{Upstream, World, envelope, repository};
use serde_json::{Value, json};

use crate::events::{deposit, opened, reserve};

/// Codes about what an account is: there is no figure to tell.
const WITHOUT_FIGURES: [RejectionCode; 3] = [
    RejectionCode::AccountNotFound,
    RejectionCode::AccountAlreadyOpen,
    RejectionCode::AccountClosed,
];

/// One code: an account of its own, what happens to it first, and the request that is refused.
struct Row {
    code: ReasonCode,
    /// Company and product.
    of: &'static str,
    given: Vec<Value>,
    request: Request,
    /// The sentence; an asterisk stands for a time or a count of milliseconds.
    detail: &'static str,
}

enum Request {
    /// Made now, under an id of its own.
    Now(Value),
    /// Made then.
    At(&'static str, Value),
    /// Under the id of the event before it.
    SameId(Value),
}

fn rejected(code: RejectionCode, given: &[Value], request: Value, detail: &'static str) -> Row {
    let (code, given) = (ReasonCode::Rejected(code), given.to_vec());
    Row { code, of: "acme/spot", given, request: Request::Now(request), detail }
}

fn rows() -> Vec<Row> {
    use RejectionCode::*;
    let none: &[Value] = &[];
    let funded = &[opened(), deposit("USDT", "1000")];
    let closed = json!({ "type": "account.closed" });
    let credit =
        json!({ "type": "credit.changed", "currency": "USDT", "limit": "100", "enabled": true });
    let mut borrowing = reserve("o-1", "USDT", "1200");
    borrowing["may_borrow"] = json!(true);
    let withdrawal = |amount: &str| {
        json!({
            "type": "withdrawal.requested", "withdrawal_id": "w-1", "currency": "USDT",
            "amount": amount,
        })
    };
    let poison = json!({
        "type": "order.released", "order_id": "o-1", "currency": "USDT", "amount": "5",
    });
    let reserved = || reserve("o-1", "USDT", "1");
    vec![
        rejected(
            InsufficientFunds,
            funded,
            reserve("o-1", "USDT", "5000"),
            "needs 5000.000000 USDT, has 1000.000000 available, credit left 0.000000",
        ),
        rejected(
            CreditLimitExceeded,
            &[&funded[..], &[credit]].concat(),
            borrowing,
            "needs 1200.000000 USDT, has 1000.000000 available, credit left 100.000000",
        ),
        Row {
            of: "zenith/savings",
            ..rejected(
                InsufficientFrozen,
                &[opened(), deposit("USDT", "100")],
                withdrawal("300"),
                "needs 300.000000 USDT frozen, has 100.000000 USDT frozen",
            )
        },
        rejected(AccountNotFound, none, reserved(), "the account was never opened"),
        rejected(AccountAlreadyOpen, &[opened()], opened(), "the account is open already"),
        rejected(AccountClosed, &[opened(), closed.clone()], reserved(), "the account was closed"),
        rejected(AccountNotEmpty, funded, closed, "still has USDT 1000.000000 available"),
        Row {
            of: "zenith/perpetual",
            ..rejected(
                NoOpenPosition,
                funded,
                json!({ "type": "margin.changed", "symbol": "BTC-USDT", "amount": "100" }),
                "of BTC-USDT nothing is held, so it has no margin to change by 100.000000 USDT",
            )
        },
        rejected(
            InvalidRequest,
            funded,
            reserve("o-1", "USDT", "-5"),
            "amount: -5.000000 USDT is not above zero",
        ),
        Row {
            request: Request::At("2126-01-01T00:00:00Z", reserved()),
            ..rejected(
                InitiatedInTheFuture,
                funded,
                Value::Null,
                "made at 2126-01-01T00:00:00.000Z but sent at *, * ms earlier; 60000 ms is the most",
            )
        },
        Row {
            request: Request::SameId(deposit("USDT", "6")),
            ..rejected(
                RequestIdConflict,
                funded,
                Value::Null,
                "request id request_id_conflict-1 was used at * for another deposit.received (number 2 of this lane)",
            )
        },
        Row {
            code: ReasonCode::Expired,
            request: Request::At("2001-01-01T00:00:00Z", reserved()),
            ..rejected(
                InvalidRequest,
                funded,
                Value::Null,
                "made at 2001-01-01T00:00:00.000Z and sent at *, * ms later; 300000 ms is the most",
            )
        },
        Row {
            code: ReasonCode::LaneSuspended,
            ..rejected(
                InvalidRequest,
                &[&funded[..], &[poison]].concat(),
                reserved(),
                "parked untried behind the message that suspended the lane: order.released cannot be applied: needs 5.000000 USDT frozen, has 0.000000 USDT frozen",
            )
        },
    ]
}

fn word(code: ReasonCode) -> String {
    serde_json::to_value(code).unwrap().as_str().unwrap().to_owned()
}

/// Every code there is. Those of rejections are told by serde, which knows them from the type.
fn every_code() -> Vec<String> {
    let told = serde_json::from_str::<RejectionCode>("\"none of them\"").unwrap_err().to_string();
    let (_, listed) = told.split_once("expected one of ").unwrap();
    let rejections = listed.split('`').skip(1).step_by(2).map(str::to_owned);
    // A code that is added beside these does not compile here until it is listed too.
    let others = [ReasonCode::Expired, ReasonCode::LaneSuspended].map(|code| match code {
        ReasonCode::Expired | ReasonCode::LaneSuspended | ReasonCode::Rejected(_) => word(code),
    });
    rejections.chain(others).collect()
}

#[test]
fn every_code_of_the_contract_has_a_row() {
    let every = every_code();
    assert!(every.len() >= 13 && every.contains(&"insufficient_funds".to_owned()), "{every:?}");
    let found: Vec<String> = rows().into_iter().map(|row| word(row.code)).collect();
    let mut every: Vec<&String> = every.iter().collect();
    let mut found: Vec<&String> = found.iter().collect();
    every.sort();
    found.sort();
    assert_eq!(found, every);
}

/// A product by data alone (C9): what is paid in is locked at once, and paid out of what is locked.
fn with_savings(mut document: ConfigurationDocument) -> ConfigurationDocument {
    let spot = document.rulebooks.iter().find(|rulebook| rulebook.product.as_str() == "spot");
    let mut savings = spot.unwrap().clone();
    savings.product = "savings".parse().unwrap();
    savings.version = 1;
    savings.about = "Money that is locked from the moment it is paid in.".to_owned();
    let legs = |from: &str, to: &str, amount: &str| {
        serde_json::from_value::<RuleDocument>(
            json!({ "legs": [{ "from": from, "to": to, "amount": amount }] }),
        )
    };
    let rules = [
        ("deposit.received", legs("external:bank", "frozen", "event.amount")),
        ("withdrawal.requested", legs("frozen", "withdrawing", "event.amount")),
        ("withdrawal.cancelled", legs("withdrawing", "frozen", "account.withdrawal_amount")),
    ];
    for (event, legs) in rules {
        savings.events.insert(event.to_owned(), legs.unwrap());
    }
    let traded = InstrumentsDocument::Pairs(Vec::new());
    document.instruments.insert(savings.product.clone(), traded);
    document.rulebooks.push(savings);
    document
}

/// Publishes all of a row; gives the number of outcomes it has.
async fn publish(upstream: &Upstream, row: &Row) -> usize {
    let name = word(row.code);
    let account = account_of(row);
    let (queue, group) = match row.of.split_once('/') {
        Some(("zenith", product)) => ("clearing-zenith", format!("{product}_retail_{account}")),
        _ => ("clearing-acme_spot", format!("retail_{account}")),
    };
    let key = format!("{}/retail/{account}", row.of);
    let id = |number: usize| format!("{name}-{number}");
    let last = row.given.len();
    let mut messages: Vec<Value> = Vec::new();
    for (number, event) in row.given.iter().enumerate() {
        messages.push(envelope(&key, &id(number), event.clone()));
    }
    messages.push(match &row.request {
        Request::Now(event) => envelope(&key, &id(last), event.clone()),
        Request::SameId(event) => envelope(&key, &id(last - 1), event.clone()),
        Request::At(time, event) => {
            let mut message = envelope(&key, &id(last), event.clone());
            message["header"]["initiated_at"] = json!(time);
            message
        }
    });
    for (number, message) in messages.iter().enumerate() {
        // SQS is not to recognise anything: CAP is.
        let deduplication_id = format!("{name}-message-{number}");
        upstream.send(queue, &group, &deduplication_id, &message.to_string()).await;
    }
    messages.len()
}

fn account_of(row: &Row) -> String {
    word(row.code).replace('_', "-")
}

/// Whether `text` is `pattern`, in which an asterisk stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut last = "";
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        (rest, last) = (after, part);
    }
    rest.is_empty() || (pattern.ends_with('*') && last.is_empty())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_is_answered_with_a_sentence_and_its_figures() {
    // Given an installation with a product of its own beside the shipped ones
    let world = World::install().await;
    let store = ConfigurationStore::new(world.aws.dynamodb.clone(), &world.installation.prefix);
    let shipped = read_configuration(&repository().join("config")).unwrap();
    store.push(&with_savings(shipped), "e2e", system_time()).await.unwrap();
    let stages = world.run_stages().await;
    let rows = rows();

    // When every row happens to an account of its own
    let (mut acme, mut zenith) = (0, 0);
    for row in &rows {
        let outcomes = publish(&world.upstream, row).await;
        *if row.of == "acme/spot" { &mut acme } else { &mut zenith } += outcomes;
    }
    let mut outcomes = world.upstream.outcomes("acme_spot", acme).await;
    outcomes.extend(world.upstream.outcomes("zenith", zenith).await);

    // Then its last outcome says why not, in words and figures, and all before it went through
    let mut told: HashMap<String, Vec<&Value>> = HashMap::new();
    for outcome in &outcomes {
        let account = outcome["header"]["account"].as_str().unwrap().to_owned();
        told.entry(account).or_default().push(&outcome["outcome"]);
    }
    for row in &rows {
        let name = word(row.code);
        let (last, before) = told[&account_of(row)].split_last().unwrap();
        let status = match row.code {
            ReasonCode::Expired => "expired",
            ReasonCode::LaneSuspended => "parked",
            ReasonCode::Rejected(_) => "rejected",
        };
        assert_eq!((&last["status"], &last["reason"]["code"]), (&json!(status), &json!(name)));
        let detail = last["reason"]["detail"].as_str().unwrap();
        assert!(is_like(detail, row.detail), "{name}: {detail}");
        let has_figures = detail.bytes().any(|byte| byte.is_ascii_digit());
        let must_have = !WITHOUT_FIGURES.iter().any(|code| row.code == ReasonCode::Rejected(*code));
        assert_eq!(has_figures, must_have, "{name}: {detail}");
        assert_eq!(last["balances"], json!([]), "{name} changes nothing");
        let posted = before.iter().filter(|outcome| outcome["status"] == "posted").count();
        let poisoned = usize::from(row.code == ReasonCode::LaneSuspended);
        assert_eq!(posted + poisoned, row.given.len(), "{name}: {before:#?}");
    }
    stages.stop().await;
}
