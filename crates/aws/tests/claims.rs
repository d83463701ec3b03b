//! Claims on request ids, through the real SDK against the embedded DynamoDB.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use cap_aws::DynamoClaims;
use cap_domain::ids::RequestId;
use cap_domain::time::Timestamp;
use cap_pipeline::claims::{CLAIM_SECS, Claim, Claimed, Claims as _};
use support::Stack;

const ALICE: &str = "acme_spot_retail_A-1";
const BOB: &str = "zenith_spot_retail_B-1";
const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

#[tokio::test]
async fn the_first_claim_is_granted_and_granted_again_to_the_same_account() {
    let (_stack, claims) = start().await;
    for _ in 0..2 {
        assert_eq!(claims.claim(&[claim("r-1", ALICE)], NOW).await.unwrap(), [Claimed::Granted]);
    }
}

#[tokio::test]
async fn an_id_used_by_another_account_is_held() {
    let (_stack, claims) = start().await;
    claims.claim(&[claim("r-1", ALICE)], NOW).await.unwrap();
    assert_eq!(claims.claim(&[claim("r-1", BOB)], NOW).await.unwrap(), [held_by(ALICE)]);
}

#[tokio::test]
async fn a_claim_is_remembered_for_eight_minutes_and_then_granted_to_whoever_asks() {
    let (_stack, claims) = start().await;
    claims.claim(&[claim("r-1", ALICE)], NOW).await.unwrap();
    let last = NOW.plus_seconds(CLAIM_SECS);
    assert_eq!(claims.claim(&[claim("r-1", BOB)], last).await.unwrap(), [held_by(ALICE)]);
    let after = last.plus_seconds(1);
    assert_eq!(claims.claim(&[claim("r-1", BOB)], after).await.unwrap(), [Claimed::Granted]);
    assert_eq!(claims.claim(&[claim("r-1", ALICE)], after).await.unwrap(), [held_by(BOB)]);
}

#[tokio::test]
async fn one_held_id_of_a_hundred_is_told_and_the_others_are_granted() {
    let (_stack, claims) = start().await;
    claims.claim(&[claim("r-42", BOB)], NOW).await.unwrap();
    let hundred: Vec<_> = (0..100).map(|n| claim(&format!("r-{n}"), ALICE)).collect();
    let answers = claims.claim(&hundred, NOW).await.unwrap();
    assert_eq!(answers.len(), 100);
    for (n, answer) in answers.iter().enumerate() {
        let expected = if n == 42 { held_by(BOB) } else { Claimed::Granted };
        assert_eq!(*answer, expected, "r-{n}");
    }
    let rival = claims.claim(&[claim("r-41", BOB), claim("r-43", BOB)], NOW).await.unwrap();
    assert_eq!(rival, [held_by(ALICE), held_by(ALICE)], "they were written, not only granted");
}

#[tokio::test]
async fn more_claims_than_a_transaction_holds_are_answered_in_order() {
    let (_stack, claims) = start().await;
    claims.claim(&[claim("r-7", BOB), claim("r-207", BOB)], NOW).await.unwrap();
    let many: Vec<_> = (0..250).map(|n| claim(&format!("r-{n}"), ALICE)).collect();
    let answers = claims.claim(&many, NOW).await.unwrap();
    let held: Vec<_> = (0..250).filter(|n| answers[*n] != Claimed::Granted).collect();
    assert_eq!((answers.len(), held), (250, vec![7, 207]));
}

#[tokio::test]
async fn of_rivals_at_the_same_time_exactly_one_is_granted_each_id() {
    let (_stack, claims) = start().await;
    let batch = |account: &'static str| {
        (0..30).map(move |n| claim(&format!("r-{n}"), account)).collect::<Vec<_>>()
    };
    let (alice, bob) = (batch(ALICE), batch(BOB));
    let (alice, bob) = tokio::join!(claims.claim(&alice, NOW), claims.claim(&bob, NOW));
    for (n, (alice, bob)) in alice.unwrap().into_iter().zip(bob.unwrap()).enumerate() {
        let one = match (&alice, &bob) {
            (Claimed::Granted, held) => *held == held_by(ALICE),
            (held, Claimed::Granted) => *held == held_by(BOB),
            _ => false,
        };
        assert!(one, "r-{n}: {alice:?} {bob:?}");
    }
}

#[tokio::test]
async fn without_a_table_the_error_says_what_was_attempted() {
    let stack = Stack::start().await;
    let claims = DynamoClaims::new(stack.aws.dynamodb.clone(), "other");
    let error = claims.claim(&[claim("r-1", ALICE)], NOW).await.unwrap_err();
    assert!(error.attempted.contains("claiming request id r-1 in other-cap-claims"), "{error}");
    assert!(error.cause.contains("ResourceNotFoundException"), "{error}");
}

async fn start() -> (Stack, DynamoClaims) {
    let stack = Stack::start().await;
    let claims = DynamoClaims::new(stack.aws.dynamodb.clone(), "");
    for _ in 0..2 {
        claims.create_table().await.unwrap();
    }
    (stack, claims)
}

fn claim(request_id: &str, account: &str) -> Claim {
    Claim { request_id: RequestId::new(request_id).unwrap(), account: account.parse().unwrap() }
}

fn held_by(account: &str) -> Claimed {
    Claimed::HeldBy(account.parse().unwrap())
}
