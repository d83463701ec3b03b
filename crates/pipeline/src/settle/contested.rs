//! A rival beside a batch: what is attempted again, and with whom.

use std::sync::Mutex;

use async_trait::async_trait;
use cap_domain::account::Accounts;
use cap_domain::lane::Memory;
use cap_domain::routing::{Channel, QueueName, Scope};
use cap_domain::time::Timestamp;
use tokio::time::Instant;

use super::*;
use crate::batch::into_lanes;
use crate::lane_store::Wanted;
use crate::prepare::Complete;
use crate::queues::Received;

/// A database in which a rival gets in before the first commits.
struct Contested {
    /// How many commits are fenced.
    rivals: usize,
    /// The accounts of every commit, in the order they came.
    commits: Mutex<Vec<Vec<String>>>,
}

#[async_trait]
impl LaneStore<Accounts> for Contested {
    fn kept(&self, _: &[&AccountKey]) -> Vec<(AccountKey, Loaded<Accounts>)> {
        Vec::new()
    }

    async fn load(
        &self,
        wanted: &[Wanted],
    ) -> Result<HashMap<AccountKey, Loaded<Accounts>>, LoadError> {
        let fresh = || Loaded { lane: None, state: Arc::default(), memory: Memory::default() };
        Ok(wanted.iter().map(|wanted| (wanted.account.clone(), fresh())).collect())
    }

    async fn are_resolved(&self, parked: &[(AccountKey, u64)]) -> Result<Vec<bool>, LoadError> {
        Ok(vec![false; parked.len()])
    }

    async fn commit(&self, changes: &[LaneChange<Accounts>]) -> Result<(), CommitError> {
        let mut accounts: Vec<_> =
            changes.iter().map(|change| change.account.to_string()).collect();
        accounts.sort();
        let mut commits = self.commits.lock().unwrap();
        commits.push(accounts);
        if commits.len() <= self.rivals { Err(CommitError::Fenced) } else { Ok(()) }
    }
}

const A: &str = "acme_spot_retail_A";
const B: &str = "acme_spot_retail_B";

/// Settles a batch with one message for [`A`] and one for [`B`]: what was committed, in order, and which accounts
/// are settled. The messages cannot be read, so each is parked: what is written of a lane makes no difference here.
async fn settled(rivals: usize) -> (Vec<Vec<String>>, Vec<String>) {
    let scope: Scope = "acme_spot".parse().unwrap();
    let queue = Arc::new(QueueName::new(Channel::Stage(Accounts::NAME), scope.clone()));
    let messages = [A, B].map(|account| {
        let account: AccountKey = account.parse().unwrap();
        let message = Received {
            message_id: format!("m-{account}"),
            receipt_handle: "r".to_owned(),
            message_group_id: scope.message_group_id(&account).unwrap(),
            deduplication_id: "d".to_owned(),
            sent_at: Timestamp::from_millis(0),
            receives: 1,
            body: "nonsense".to_owned(),
            attributes: Vec::new(),
        };
        Arc::new(InHand::new(Arc::clone(&queue), message, Instant::now(), 60))
    });
    let store = Contested { rivals, commits: Mutex::default() };
    let clock: Clock = Arc::new(|| Timestamp::from_millis(1));
    let settler = Settler::<Accounts> {
        stage: Arc::new(Accounts::default()),
        store: &store,
        prepare: &Complete,
        clock: &clock,
        gate: &Gate::default(),
        stop: &CancellationToken::new(),
    };
    let settled = settler.settle(into_lanes(&messages)).await;
    let accounts = settled.iter().map(|settled| settled.work.account.to_string()).collect();
    (store.commits.into_inner().unwrap(), accounts)
}

#[tokio::test]
async fn a_batch_that_a_rival_fenced_is_attempted_once_more_as_a_whole() {
    let (commits, accounts) = settled(1).await;
    assert_eq!(commits, [[A, B], [A, B]]);
    assert_eq!(accounts, [A, B]);
}

#[tokio::test]
async fn a_batch_that_is_fenced_twice_is_settled_lane_by_lane() {
    let (commits, accounts) = settled(2).await;
    assert_eq!(commits, [vec![A, B], vec![A, B], vec![A], vec![B]]);
    assert_eq!(accounts, [A, B]);
}

#[tokio::test]
async fn lanes_that_a_rival_keeps_moving_are_left_to_come_again() {
    let (commits, accounts) = settled(usize::MAX).await;
    let alone = |account: &'static str| vec![vec![account]; FENCED_TRIES_MAX as usize];
    assert_eq!(commits[..2], [[A, B], [A, B]]);
    assert_eq!(commits[2..], [alone(A), alone(B)].concat());
    assert_eq!(accounts, [""; 0]);
}
