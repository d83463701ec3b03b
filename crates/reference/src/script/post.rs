//! What CAP sends itself, on its way between the accounts of a script: when each comes is thrown.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::rngs::StdRng;

use super::author::Author;
use super::desk::{happens, share};
use super::{Message, Step};
use crate::model::{Errand, Model, Taken};

/// How often something comes that is under way, before the next message.
const ARRIVALS_PER_MILLE: u32 = 120;

/// How often unpaid funding that would be poison finds nothing to save it.
const STRANDED_PER_MILLE: u32 = 600;

/// What is on its way, and the steps so far.
#[derive(Debug)]
pub(super) struct Post {
    prefix: String,
    late_per_mille: u32,
    under_way: Vec<(usize, Errand)>,
    sent: usize,
    /// Accounts that are written to and are not of the script.
    strangers: BTreeMap<String, Model>,
    pub(super) steps: Vec<Step>,
}

impl Post {
    pub(super) fn new(prefix: &str, late_per_mille: u32) -> Self {
        Self {
            prefix: prefix.to_owned(),
            late_per_mille,
            under_way: Vec::new(),
            sent: 0,
            strangers: BTreeMap::new(),
            steps: Vec::new(),
        }
    }

    /// The last message is published, by the author of this number.
    pub(super) fn published(
        &mut self,
        author: usize,
        authors: &mut [Author],
        messages: &mut Vec<Message>,
        dice: &mut StdRng,
    ) {
        self.steps.push(Step::Publish(messages.len() - 1));
        for errand in std::mem::take(&mut authors[author].errands) {
            self.send(errand, authors, messages, dice);
        }
    }

    /// Something of what is under way comes, or nothing.
    pub(super) fn deliver_some(
        &mut self,
        authors: &mut [Author],
        messages: &mut Vec<Message>,
        dice: &mut StdRng,
    ) {
        while !self.under_way.is_empty() && happens(dice, ARRIVALS_PER_MILLE) {
            self.deliver_one(authors, messages, dice);
        }
    }

    /// Everything comes that is under way, and what follows from it.
    pub(super) fn deliver_all(
        &mut self,
        authors: &mut [Author],
        messages: &mut Vec<Message>,
        dice: &mut StdRng,
    ) {
        while !self.under_way.is_empty() {
            self.deliver_one(authors, messages, dice);
        }
    }

    fn deliver_one(
        &mut self,
        authors: &mut [Author],
        messages: &mut Vec<Message>,
        dice: &mut StdRng,
    ) {
        let place = dice.random_range(0..self.under_way.len());
        let (number, errand) = self.under_way.swap_remove(place);
        self.deliver(number, &errand, authors, messages, dice);
    }

    fn send(
        &mut self,
        errand: Errand,
        authors: &mut [Author],
        messages: &mut Vec<Message>,
        dice: &mut StdRng,
    ) {
        let number = self.sent;
        self.sent += 1;
        if share(dice, self.late_per_mille) {
            self.under_way.push((number, errand));
        } else {
            self.deliver(number, &errand, authors, messages, dice);
        }
    }

    fn deliver(
        &mut self,
        number: usize,
        errand: &Errand,
        authors: &mut [Author],
        messages: &mut Vec<Message>,
        dice: &mut StdRng,
    ) {
        let mut of = authors.iter_mut();
        let Taken { errand: next, .. } = match of.find(|author| author.account == errand.to) {
            Some(author) => {
                // Nobody sends the rates that it would need by now: mostly it finds the money instead.
                if let Some(unpaid) = errand.unpaid()
                    && author.model.would_stop(errand)
                    && !happens(dice, STRANDED_PER_MILLE)
                {
                    let message = author.rescue(&self.prefix, messages.len(), unpaid, dice);
                    self.steps.push(Step::Publish(messages.len()));
                    messages.push(message);
                }
                author.model.run(errand)
            }
            None => {
                let stranger = self.strangers.entry(errand.to.key());
                stranger.or_insert_with(|| Model::new(&errand.to)).run(errand)
            }
        };
        self.steps.push(Step::Deliver(number));
        if let Some(next) = next {
            self.send(next, authors, messages, dice);
        }
    }
}
