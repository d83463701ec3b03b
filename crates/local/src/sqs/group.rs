//! Message groups and the list of those that are free.
//!
//! Guarantees that taking the next free group costs the same however many groups are locked or
//! empty: a group stands in the list once, from the moment it can be received from until it is
//! taken.
//! Source: Amazon SQS Developer Guide, "FIFO queue delivery logic".

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// A group's place in [`Groups`].
pub(crate) type GroupIndex = u32;

pub(crate) struct Group {
    id: Arc<str>,
    /// Slots of all its messages in order of arrival. Those in flight are among the first ten.
    pub(crate) line: VecDeque<u32>,
    /// While this is not zero the group is locked.
    pub(crate) in_flight: u32,
    /// Whether it stands in the list of free groups.
    listed: bool,
}

#[derive(Default)]
pub(crate) struct Groups {
    by_id: HashMap<Arc<str>, GroupIndex>,
    groups: Vec<Group>,
    unused: Vec<GroupIndex>,
    free: VecDeque<GroupIndex>,
}

impl Groups {
    pub(crate) fn find_or_open(&mut self, id: &Arc<str>) -> GroupIndex {
        if let Some(index) = self.by_id.get(id) {
            return *index;
        }
        let group =
            Group { id: Arc::clone(id), line: VecDeque::new(), in_flight: 0, listed: false };
        let index = match self.unused.pop() {
            Some(index) => {
                self.groups[index as usize] = group;
                index
            }
            None => {
                self.groups.push(group);
                u32::try_from(self.groups.len() - 1).expect("fewer groups than slots")
            }
        };
        self.by_id.insert(Arc::clone(id), index);
        index
    }

    pub(crate) fn get(&self, index: GroupIndex) -> &Group {
        &self.groups[index as usize]
    }

    pub(crate) fn get_mut(&mut self, index: GroupIndex) -> &mut Group {
        &mut self.groups[index as usize]
    }

    /// Puts the group at the end of the free ones, unless it stands there.
    pub(crate) fn list_free(&mut self, index: GroupIndex) {
        let group = &mut self.groups[index as usize];
        if !group.listed {
            group.listed = true;
            self.free.push_back(index);
        }
    }

    /// Takes the group that has been free for longest.
    pub(crate) fn take_free(&mut self) -> Option<GroupIndex> {
        let index = self.free.pop_front()?;
        self.groups[index as usize].listed = false;
        Some(index)
    }

    /// Forgets a group without messages. One that is still listed is forgotten when it is taken.
    pub(crate) fn close_if_empty(&mut self, index: GroupIndex) {
        let group = &mut self.groups[index as usize];
        if group.line.is_empty() && !group.listed && self.by_id.remove(&group.id).is_some() {
            group.line = VecDeque::new();
            self.unused.push(index);
        }
    }

    pub(crate) fn has_free(&self) -> bool {
        !self.free.is_empty()
    }
}
