//! Claims that meet rivals' writes under way: DynamoDB's own answers, given by a stub, because
//! the embedded one does one thing at a time and never has a conflict.

#![allow(clippy::unwrap_used, reason = "tests")]

use cap_aws::{DynamoClaims, connect_to};
use cap_domain::ids::RequestId;
use cap_domain::time::Timestamp;
use cap_pipeline::claims::{Claim, Claimed, Claims as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How long the stub waits to be asked for all of its answers.
const ASKED_MAX: std::time::Duration = std::time::Duration::from_secs(10);

const DONE: (u16, &str) = (200, "{}");
const CONFLICT: (u16, &str) = (
    400,
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message":"Transaction cancelled","CancellationReasons":[{"Code":"None"},
        {"Code":"TransactionConflict","Message":"Transaction is ongoing for the item"}]}"#,
);
/// What a known id is answered that was claimed as a new one.
const KNOWN: (u16, &str) = (
    400,
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message":"Transaction cancelled","CancellationReasons":[{"Code":"None"},
        {"Code":"ConditionalCheckFailed","Message":"The conditional request failed"}]}"#,
);
const HELD: (u16, &str) = (
    400,
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message":"Transaction cancelled","CancellationReasons":[{"Code":"TransactionConflict"},
        {"Code":"ConditionalCheckFailed","Item":{"account":{"S":"zenith_spot_retail_B-1"}}}]}"#,
);
const SINGLE_CONFLICT: (u16, &str) = (
    400,
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionConflictException","message":"ongoing"}"#,
);
const DENIED: (u16, &str) =
    (400, r#"{"__type":"com.amazon.coral.service#AccessDeniedException","message":"not for you"}"#);

#[tokio::test]
async fn a_conflict_is_tried_again_as_it_was() {
    let (answers, asked) = claim_two(vec![CONFLICT, CONFLICT, DONE]).await;
    assert_eq!(answers.unwrap(), [Claimed::Granted, Claimed::Granted]);
    assert_eq!(asked, ["TransactWriteItems"; 3]);
}

#[tokio::test]
async fn an_id_that_its_own_account_has_is_granted_again() {
    let (answers, asked) = claim_two(vec![KNOWN, DONE]).await;
    assert_eq!(answers.unwrap(), [Claimed::Granted, Claimed::Granted]);
    assert_eq!(asked, ["TransactWriteItems"; 2]);
}

#[tokio::test]
async fn a_held_id_is_told_although_its_neighbour_met_a_conflict() {
    let (answers, asked) = claim_two(vec![KNOWN, HELD, SINGLE_CONFLICT, DONE]).await;
    let holder = Claimed::HeldBy("zenith_spot_retail_B-1".parse().unwrap());
    assert_eq!(answers.unwrap(), [Claimed::Granted, holder]);
    assert_eq!(asked, ["TransactWriteItems", "TransactWriteItems", "PutItem", "PutItem"]);
}

#[tokio::test]
async fn ids_are_claimed_one_by_one_when_rivals_let_no_transaction_through() {
    let mut script = vec![CONFLICT; 6];
    script.extend([DONE, DONE]);
    let (answers, asked) = claim_two(script).await;
    assert_eq!(answers.unwrap(), [Claimed::Granted, Claimed::Granted]);
    assert_eq!(asked[6..], ["PutItem", "PutItem"]);
}

#[tokio::test]
async fn what_trying_again_cannot_mend_is_told_at_once() {
    let (answers, asked) = claim_two(vec![DENIED]).await;
    assert_eq!(
        answers.unwrap_err(),
        "claiming 2 request ids in cap-claims: AccessDeniedException: not for you"
    );
    assert_eq!(asked.len(), 1);
}

/// Claims two ids of a DynamoDB that gives these answers; tells what it was asked.
async fn claim_two(
    script: Vec<(u16, &'static str)>,
) -> (Result<Vec<Claimed>, String>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stub = tokio::spawn(async move {
        let mut asked = Vec::new();
        for (status, body) in script {
            let (stream, _) = listener.accept().await.unwrap();
            asked.push(answer(stream, status, body).await);
        }
        asked
    });
    let claims = DynamoClaims::new(connect_to(&url, &url).await.dynamodb, "");
    let two = ["r-1", "r-2"].map(|request_id| Claim {
        request_id: RequestId::new(request_id).unwrap(),
        account: "acme_spot_retail_A-1".parse().unwrap(),
    });
    let answers = claims.claim(&two, Timestamp::from_millis(1_795_000_000_000)).await;
    let asked = tokio::time::timeout(ASKED_MAX, stub).await;
    (answers.map_err(|error| error.to_string()), asked.expect("all answers are asked for").unwrap())
}

/// Answers one request and closes; tells the operation it asked for.
async fn answer(mut stream: TcpStream, status: u16, body: &str) -> String {
    let mut request = Vec::new();
    let (head, length) = loop {
        assert!(stream.read_buf(&mut request).await.unwrap() > 0);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            break (
                head.to_lowercase(),
                head.len() + 4 + header(head, "content-length").parse::<usize>().unwrap(),
            );
        }
    };
    while request.len() < length {
        stream.read_buf(&mut request).await.unwrap();
    }
    let reply = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.0\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(reply.as_bytes()).await.unwrap();
    let asked = String::from_utf8_lossy(&request).into_owned();
    assert!(head.contains("x-amz-target"));
    header(&asked, "x-amz-target").rsplit('.').next().unwrap().to_owned()
}

fn header(head: &str, name: &str) -> String {
    let line = head.lines().find(|line| line.to_lowercase().starts_with(name)).unwrap();
    line.split_once(':').unwrap().1.trim().to_owned()
}
