//! Goes through every state that can be reached, breadth first, and shows the shortest way to one
//! that must not be.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::case::Case;
use crate::properties;
use crate::world::{Act, World};

/// More states than this are not explored within a test's patience.
const STATES_MAX: usize = 1_500_000;

/// What an exploration came to.
#[derive(Debug)]
pub(crate) struct Explored {
    /// Different states that were reached.
    pub(crate) states: usize,
    /// Among them those in which nothing is under way.
    pub(crate) at_rest: usize,
    /// The first property that did not hold, and the shortest way there.
    pub(crate) broken: Option<String>,
}

/// Explores `case` until a property is broken or every state was seen. States are told apart by
/// 64 bits of hash: among a million, two are taken for one once in 37 million explorations.
pub(crate) fn explore(case: &Case) -> Explored {
    let beginning = case.beginning();
    let mut seen = HashSet::from([print_of(&beginning)]);
    // Many states differ only in what a restart forgets.
    let mut ended = HashSet::new();
    let mut ways: Vec<(u32, Option<Act>)> = vec![(0, None)];
    let mut frontier = VecDeque::from([(beginning, 0)]);
    let mut explored = Explored { states: 0, at_rest: 0, broken: None };
    while let Some((world, way)) = frontier.pop_front() {
        explored.states += 1;
        assert!(explored.states <= STATES_MAX, "the world is too large to be explored: {case:?}");
        explored.at_rest += usize::from(world.is_at_rest());
        let mut holds = properties::hold(case, &world);
        let restarted = world.restarted();
        if holds.is_ok() && ended.insert(print_of(&restarted)) {
            holds = properties::end_well(case, &restarted);
        }
        if let Err(broken) = holds {
            explored.broken = Some(told(case, &broken, &way_to(&ways, way)));
            break;
        }
        for act in world.acts(case) {
            let after = world.after(case, act);
            if seen.insert(print_of(&after)) {
                ways.push((way, Some(act)));
                frontier.push_back((after, u32::try_from(ways.len() - 1).unwrap()));
            }
        }
    }
    explored
}

fn print_of(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

fn way_to(ways: &[(u32, Option<Act>)], end: u32) -> Vec<Act> {
    let mut way = Vec::new();
    let mut place = end;
    while let (before, Some(act)) = ways[place as usize] {
        way.push(act);
        place = before;
    }
    way.reverse();
    way
}

/// What is broken, and the story that leads there, one act a line.
fn told(case: &Case, broken: &str, way: &[Act]) -> String {
    let mut story = format!("{broken}\nin {case:?}\n");
    let mut world = case.beginning();
    for act in way {
        world = world.after(case, *act);
        story += &format!("  {:<14} {world}\n", format!("{act:?}"));
    }
    story
}
