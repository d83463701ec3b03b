//! What must hold in every state, whoever was killed wherever.

use cap_domain::lane::LaneStatus;

use crate::case::Case;
use crate::database::Resolution;
use crate::queue::{By, Entry};
use crate::toy::Saying;
use crate::world::{Act, World};

/// Rounds within which a redrive that is left alone must have opened the lane.
const ROUNDS_MAX: usize = 12;

/// Whether all properties hold of `world`, and if not, which.
pub(crate) fn hold(case: &Case, world: &World) -> Result<(), String> {
    counters_agree(world)?;
    order_is_kept(case, world)?;
    parked_are_resolved_in_order(world)?;
    nothing_is_lost(world)?;
    outputs_are_the_journal(world)
}

/// Whether a world in which every process was `restarted` ends well, whoever redrives.
pub(crate) fn end_well(case: &Case, restarted: &World) -> Result<(), String> {
    chains_go_on(case, restarted)?;
    ends_well(case, restarted, redriven_by_an_operator, "a redrive begun afresh")?;
    ends_well(case, restarted, moved_by_aws, "moving the dead-letter queue")
}

fn check(holds: bool, sentence: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(sentence()) }
}

fn counters_agree(world: &World) -> Result<(), String> {
    let (lane, database) = (&world.database.lane, &world.database);
    let is_active = lane.status() == LaneStatus::Active;
    check(lane.redriven_seq <= lane.parked_seq, || format!("more redriven than parked: {lane:?}"))?;
    check(is_active == (lane.redriven_seq == lane.parked_seq), || {
        format!("a lane is active exactly if nothing waits: {lane:?}")
    })?;
    let rows = database.journal.iter().map(|row| row.seq);
    check(rows.eq(1..=lane.seq), || format!("the journal has gaps: {:?}", database.journal))?;
    let numbers = database.parked.iter().map(|parked| parked.number);
    check(numbers.eq(1..=lane.parked_seq), || format!("parked has gaps: {:?}", database.parked))
}

/// The journal is publish order as far as it goes, without what was skipped: so nothing is twice,
/// and nothing live is applied while a poison waits. A repair may go ahead.
fn order_is_kept(case: &Case, world: &World) -> Result<(), String> {
    let applied: Vec<u8> = world.database.journal.iter().map(|row| row.id).collect();
    let in_turn = applied.iter().copied().filter(|id| case.repair != Some(*id));
    let kept = ids_kept(case, world).filter(|id| case.repair != Some(*id));
    let repairs = applied.iter().filter(|id| case.repair == Some(**id)).count();
    let in_turn: Vec<u8> = in_turn.collect();
    let expected: Vec<u8> = kept.take(in_turn.len()).collect();
    check(in_turn == expected && repairs <= 1, || format!("applied out of order: {applied:?}"))
}

/// The published messages, in order, without those that were given up.
fn ids_kept<'a>(case: &Case, world: &'a World) -> impl Iterator<Item = u8> + use<'a> {
    let skipped = |id: &u8| {
        let mut parked = world.database.parked.iter();
        parked.any(|parked| parked.saying.id == *id && parked.resolution == Resolution::Skipped)
    };
    let applied = |id: &u8| world.database.journal.iter().any(|row| row.id == *id);
    (1..=case.messages).filter(move |id| applied(id) || !skipped(id))
}

fn parked_are_resolved_in_order(world: &World) -> Result<(), String> {
    let redriven = world.database.lane.redriven_seq;
    let mut parked = world.database.parked.iter();
    let in_order = parked.all(|p| (p.resolution == Resolution::Waits) == (p.number > redriven));
    check(in_order, || format!("resolved out of turn: {:?}", world.database.parked))
}

/// What was published is in the queue, the journal or parked; what waits can be seen.
fn nothing_is_lost(world: &World) -> Result<(), String> {
    let (database, entries) = (&world.database, &world.queue.entries);
    for id in 1..=world.published {
        let is_source = |entry: &Entry| entry.saying.id == id;
        let kept = entries.iter().any(is_source)
            || database.journal.iter().any(|row| row.id == id)
            || database.parked.iter().any(|parked| parked.saying.id == id);
        check(kept, || format!("message {id} was deleted and is nowhere"))?;
    }
    for parked in database.parked.iter().filter(|p| p.resolution == Resolution::Waits) {
        let mut letters = world.dead_letters.letters.iter();
        let shows = |entry: &Entry| match entry.parked {
            None => entry.saying.id == parked.saying.id,
            Some(back) => back.by == By::Letter && u64::from(back.number) == parked.number,
        };
        let shown = letters.any(|letter| u64::from(letter.number) == parked.number)
            || entries.iter().any(shows);
        check(shown, || format!("number {} waits, and nothing shows it", parked.number))?;
    }
    Ok(())
}

/// What was sent is what is journaled, in order and without a gap.
fn outputs_are_the_journal(world: &World) -> Result<(), String> {
    let journal = world.database.journal.iter().map(|row| (row.seq, row.id));
    let journaled: Vec<(u64, u8)> = journal.take(world.sent.len()).collect();
    check(journaled == world.sent, || format!("sent {:?} of {journaled:?}", world.sent))
}

/// What AWS moved needs nobody's help from then on: unless an operator redrives too, the lane is
/// redriving only as long as there is a copy that goes on.
fn chains_go_on(case: &Case, world: &World) -> Result<(), String> {
    let mut world = world.clone();
    drain(&mut world, case);
    let lane = &world.database.lane;
    check(case.redrives > 0 || lane.status() != LaneStatus::Redriving, || {
        format!("the chain of copies is broken: {lane:?}")
    })
}

/// Whatever happened, once the stage is repaired and one consumer lives, `redrive` opens the
/// lane, and everything was applied and sent, once and in order.
fn ends_well(
    case: &Case,
    world: &World,
    redrive: fn(&mut World, &Case),
    by: &str,
) -> Result<(), String> {
    let mut world = world.clone();
    world.repaired = true;
    while world.published < case.messages {
        world.act(case, Act::Publish);
    }
    drain(&mut world, case);
    let mut rounds = 0..ROUNDS_MAX;
    while world.database.lane.status() != LaneStatus::Active && rounds.next().is_some() {
        redrive(&mut world, case);
        drain(&mut world, case);
    }
    let lane = &world.database.lane;
    check(lane.status() == LaneStatus::Active, || {
        format!("{by} does not open the lane: {lane:?}")
    })?;
    let mut applied: Vec<u8> = world.database.journal.iter().map(|row| row.id).collect();
    order_is_kept(case, &world).map_err(|broken| format!("{by}: {broken}"))?;
    outputs_are_the_journal(&world).map_err(|broken| format!("{by}: {broken}"))?;
    check(world.sent.len() == applied.len(), || format!("{by}: sent only {:?}", world.sent))?;
    applied.sort_unstable();
    let all: Vec<u8> = ids_kept(case, &world).collect();
    check(applied == all, || format!("{by} applies {applied:?} of {all:?}"))
}

/// One consumer takes everything in the queue and does its work.
fn drain(world: &mut World, case: &Case) {
    while !world.queue.entries.is_empty() {
        let count = world.queue.entries.len().min(case.batch);
        world.act(case, Act::Receive(0, count));
        world.consume_all(case, 0);
    }
}

fn redriven_by_an_operator(world: &mut World, case: &Case) {
    let seen = world.database.lane;
    if world.database.begin_redrive(&seen, None) {
        let by = By::Copy { redrive: world.database.lane.redrive_seq };
        let number = u8::try_from(seen.redriven_seq + 1).unwrap();
        world.queue.put_back(Saying::ticket(case.upstream), number, by);
    }
}

fn moved_by_aws(world: &mut World, case: &Case) {
    while let Some(last) = world.dead_letters.letters.len().checked_sub(1) {
        world.act(case, Act::Move(last));
    }
}
