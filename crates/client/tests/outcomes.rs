//! Reading outcomes through the real SDK from the embedded broker.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use cap_client::{OutcomeReader, VISIBILITY_SECS};
use cap_domain::outcome::OutcomeStatus;
use cap_domain::routing::{Channel, QueueName};
use cap_pipeline::queues::{Outgoing, Queues as _};
use serde_json::json;
use support::Stack;
use tokio::sync::Notify;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn outcomes_of_all_scopes_come_until_they_are_deleted() {
    let stack = Stack::start(&["acme_spot", "zenith"]).await;
    tell(&stack, "acme_spot", "retail_A-1", 1).await;
    tell(&stack, "zenith", "spot_retail_A-1", 2).await;
    let mut reader = OutcomeReader::new(stack.queues.clone());
    let mut read = Vec::new();
    for _ in 0..2 {
        let batch = reader.next_batch().await.unwrap();
        let outcome = batch.outcomes[0].as_ref().unwrap();
        assert_eq!(outcome.outcome.status, OutcomeStatus::Posted);
        read.push((outcome.outcome.lane_seq, batch.queue.to_name("")));
        if batch.queue.scope.to_string() == "zenith" {
            batch.delete().await.unwrap();
        } else {
            batch.give_back().await.unwrap();
        }
    }
    read.sort();
    let expected =
        [(1, "outcome-acme_spot.fifo".to_owned()), (2, "outcome-zenith.fifo".to_owned())];
    assert_eq!(read, expected);
    let again = reader.next_batch().await.unwrap();
    assert_eq!(again.outcomes[0].as_ref().unwrap().outcome.lane_seq, 1, "it was given back");
    again.delete().await.unwrap();

    stack.broker.advance(Duration::from_secs(u64::from(VISIBILITY_SECS) + 1));
    let nothing = tokio::time::timeout(Duration::from_millis(300), reader.next_batch()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

#[tokio::test]
async fn one_scope_alone_can_be_read() {
    let stack = Stack::start(&["acme_spot", "zenith"]).await;
    let all = OutcomeReader::new(stack.queues.clone());
    let one = all.only(&"zenith".parse().unwrap()).unwrap();
    assert_eq!(one.queues(), [outcome("zenith")]);
    let error = one.only(&"other".parse().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "there is no outcome queue of scope other");
}

#[tokio::test]
async fn what_is_no_outcome_is_handed_over_as_it_came() {
    let stack = Stack::start(&["zenith"]).await;
    send(&stack, "zenith", "spot_retail_A-1", 1, "nonsense".to_owned()).await;
    let mut reader = OutcomeReader::new(stack.queues.clone());
    let batch = reader.next_batch().await.unwrap();
    assert_eq!(batch.outcomes[0].as_ref().unwrap_err().body, "nonsense");
}

#[tokio::test]
async fn a_handler_gets_every_account_in_order_and_what_it_fails_on_again() {
    let stack = Stack::start(&["acme_spot"]).await;
    for seq in 1..=15 {
        for account in ["retail_A-1", "retail_A-2", "retail_A-3"] {
            tell(&stack, "acme_spot", account, seq).await;
        }
    }
    let reader = OutcomeReader::new(stack.queues.clone());
    let read: Mutex<BTreeMap<String, Vec<u64>>> = Mutex::default();
    let (failed, done) = (Mutex::new(false), Notify::new());
    let handler = async |outcomes: Vec<Result<cap_domain::outcome::OutcomeMessage, _>>| {
        tokio::task::yield_now().await;
        if !std::mem::replace(&mut *failed.lock().unwrap(), true) {
            return Err("the first batch is not handled");
        }
        let mut read = read.lock().unwrap();
        for outcome in outcomes {
            let outcome: cap_domain::outcome::OutcomeMessage =
                outcome.map_err(|_: cap_client::UnreadableOutcome| "unreadable")?;
            read.entry(outcome.header.account.to_string())
                .or_default()
                .push(outcome.outcome.lane_seq);
        }
        if read.values().map(Vec::len).sum::<usize>() == 45 {
            done.notify_one();
        }
        Ok(())
    };
    let running = reader.run(handler, done.notified());
    tokio::time::timeout(PATIENCE, running).await.unwrap();
    let read = read.into_inner().unwrap();
    assert_eq!(read.len(), 3);
    for (account, sequence) in read {
        assert_eq!(sequence, (1..=15).collect::<Vec<_>>(), "{account}");
    }
    stack.broker.advance(Duration::from_secs(u64::from(VISIBILITY_SECS) + 1));
    let left = stack.queues.receive(&outcome("acme_spot"), 0, 60).await.unwrap();
    assert_eq!(left, [], "everything that was handled is deleted");
}

fn outcome(scope: &str) -> QueueName {
    QueueName::new(Channel::Outcome, scope.parse().unwrap())
}

async fn tell(stack: &Stack, scope: &str, group: &str, lane_seq: u64) {
    let (_, account) = group.rsplit_once('_').unwrap();
    let body = json!({
        "header": {
            "version": 1, "request_id": format!("r-{lane_seq}"), "company": "acme",
            "product": "spot", "customer_group": "retail", "account": account,
        },
        "outcome": {
            "status": "posted", "stage": "account", "lane_seq": lane_seq,
            "decided_at": "2026-11-21T10:00:00.187Z", "balances": [],
        },
    });
    send(stack, scope, group, lane_seq, body.to_string()).await;
}

async fn send(stack: &Stack, scope: &str, group: &str, n: u64, body: String) {
    let message = Outgoing {
        message_group_id: group.to_owned(),
        deduplication_id: format!("r-{n}"),
        body,
        attributes: Vec::new(),
    };
    assert_eq!(stack.queues.send(&outcome(scope), &[&message]).await.unwrap(), [Ok(())]);
}
