//! Transfers between two lanes whose queues deliver in any order of the two, and more than once:
//! money is conserved at every instant, and in the end nothing is under way.

use std::collections::VecDeque;

use proptest::prelude::*;
use serde_json::Value;

use crate::common::events::*;
use crate::common::story::{Sent, Story};
use crate::transfers::{in_transit, transfer, under_way};

const ONE: &str = "acme_spot_retail_A-1";
const OTHER: &str = "zenith_perpetual_vip_Z-9";

/// What each of the two lanes began with.
const EACH: i128 = 100_000_000;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// One lane is asked for a transfer of so many units, to the other lane or to nobody.
    Ask { from: usize, units: i128, to_nobody: bool },
    /// A queue delivers its next message.
    Deliver { to: usize },
    /// A queue delivers a message that it delivered before, under another id of its own.
    Again { to: usize, which: prop::sample::Index },
    /// A lane is asked to close.
    Close { lane: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lane = 0..2_usize;
    let ask = (lane.clone(), 1..60_000_000_i128, prop::bool::weighted(0.2))
        .prop_map(|(from, units, to_nobody)| Step::Ask { from, units, to_nobody });
    let again = (0..3_usize, any::<prop::sample::Index>())
        .prop_map(|(to, which)| Step::Again { to, which });
    let step = prop_oneof![
        4 => ask,
        6 => (0..3_usize).prop_map(|to| Step::Deliver { to }),
        2 => again,
        1 => lane.prop_map(|lane| Step::Close { lane }),
    ];
    prop::collection::vec(step, 1..40)
}

/// Two lanes, and one that nobody opened, with their queues.
struct World {
    stories: [Story; 3],
    queues: [VecDeque<Sent>; 3],
    delivered: [Vec<Sent>; 3],
}

const NOBODY: &str = "zenith_spot_retail_nobody";

impl World {
    fn new() -> Self {
        let open = |key| {
            let mut story = Story::account(key);
            story.posted(&opened());
            story.posted(&deposit("100 USDT"));
            story
        };
        Self {
            stories: [open(ONE), open(OTHER), Story::account(NOBODY)],
            queues: Default::default(),
            delivered: Default::default(),
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Ask { from, units, to_nobody } => {
                let to = if *to_nobody { NOBODY } else { [OTHER, ONE][*from] };
                let money = format!("{}.{:06} USDT", units / 1_000_000, units % 1_000_000);
                self.stories[*from].tell(&transfer(to, &money));
                self.collect(*from);
            }
            Step::Deliver { to } => {
                let Some(sent) = self.queues[*to].pop_front() else { return };
                self.stories[*to].tell_sent(&sent);
                self.delivered[*to].push(sent);
                self.collect(*to);
            }
            Step::Again { to, which } => {
                if self.delivered[*to].is_empty() {
                    return;
                }
                let sent = which.get(&self.delivered[*to]).again();
                self.stories[*to].tell_sent(&sent);
                self.collect(*to);
            }
            Step::Close { lane } => drop(self.stories[*lane].tell(&closed())),
        }
    }

    /// What a lane sent goes into the queues of others, as often as it says so.
    fn collect(&mut self, lane: usize) {
        for (account, body) in std::mem::take(&mut self.stories[lane].followed) {
            let to = [ONE, OTHER, NOBODY].iter().position(|key| account.as_str() == *key).unwrap();
            let envelope: Value = serde_json::from_str(&body).unwrap();
            let request_id = envelope["header"]["request_id"].as_str().unwrap();
            let sent = self.stories[to].sent(request_id, body);
            self.queues[to].push_back(sent);
        }
    }

    fn available(&self) -> i128 {
        let balances = self.stories.iter().flat_map(|story| story.account.state.balances.values());
        balances.map(|balance| balance.available.units()).sum()
    }

    fn in_transit(&self) -> i128 {
        self.stories.iter().map(in_transit).sum()
    }

    fn kept(&self) -> i128 {
        let kept = self.stories.iter().flat_map(|story| story.account.state.under_way.values());
        kept.map(|kept| kept.amount.units()).sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn money_is_conserved_and_in_the_end_nothing_is_under_way(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
            prop_assert_eq!(world.available() + world.in_transit(), 2 * EACH, "{:?}", step);
            prop_assert!(world.in_transit() >= 0 && world.kept() >= world.in_transit());
        }
        while world.queues.iter().any(|queue| !queue.is_empty()) {
            (0..3).for_each(|to| world.take(&Step::Deliver { to }));
            prop_assert_eq!(world.available() + world.in_transit(), 2 * EACH);
        }
        prop_assert_eq!((world.in_transit(), world.kept(), world.available()), (0, 0, 2 * EACH));
        for story in &world.stories {
            prop_assert!(under_way(story).is_empty() && story.suspended().is_empty());
            story.clearing.prove();
            story.position.prove();
            story.account.prove();
        }
    }
}
