//! What upstream publishes: a script of messages, sound and broken, made from a seed.
//!
//! The same seed, shape and tag give the same script. Each account has an author, who knows of it
//! what an upstream service knows from its outcomes, and writes only facts that can be applied:
//! whatever is broken is so on purpose, and says how in its [`Nature`].
//!
//! It asks no clock: a message gets its time when it is published.

mod account;
mod author;
mod card;
mod cash;
mod choice;
mod contradiction;
mod desk;
mod draft;
mod fault;
mod margin;
mod message;
mod perpetual;
mod post;
mod spot;
mod transfer;

use std::rc::Rc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub use account::Account;
use author::Author;
use desk::{happens, one_of, share};
pub use message::{Content, KINDS, Message, Nature, Stage, Step};
use post::Post;

/// The most accounts of a script.
pub const ACCOUNTS_MAX: usize = 1_000;

/// The most messages of a script.
pub const MESSAGES_MAX: usize = 100_000;

/// The longest tag, in characters: an account's name takes it, the seed and a number in 36.
pub const TAG_CHARS_MAX: usize = 12;

/// How often nothing is written where an account could only refuse it.
const QUIET_PER_MILLE: u32 = 700;

/// How long nothing comes, in seconds: until a withdrawal that waits is payable, until just before, and
/// that last second.
const WAITS: [u32; 5] = [30 * 60, 30 * 60, 30 * 60 - 1, 1, 2 * 60 * 60];

/// How large a script is and what it is made of. Shares are of all messages, in thousandths, one
/// after the other: a message is poison, else a repetition, else a conflict, else sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// How many accounts; at least 1, at most [`ACCOUNTS_MAX`].
    pub accounts: usize,
    /// How many messages, of all accounts together; at most [`MESSAGES_MAX`].
    pub messages: usize,
    /// What suspends a lane.
    pub poison_per_mille: u32,
    /// Requests that come again under another deduplication id.
    pub repetitions_per_mille: u32,
    /// Other contents under a request id that is used.
    pub conflicts_per_mille: u32,
    /// Of sound messages: what is made too long before it is sent, or after.
    pub untimely_per_mille: u32,
    /// Of accounts: those that nobody ever opens.
    pub strangers_per_mille: u32,
    /// Of accounts: those that put money in, take it out and close.
    pub passers_by_per_mille: u32,
    /// Of accounts with positions: those that are opened as hedge accounts.
    pub hedge_per_mille: u32,
    /// Of positions: those that are opened isolated.
    pub isolated_per_mille: u32,
    /// Of what is traded by accounts with positions: the inverse contract.
    pub inverse_per_mille: u32,
    /// Of accounts: those that borrow on a card whose currency may be another than what is short;
    /// their events carry rates.
    pub card_per_mille: u32,
    /// Of sound messages of open accounts: those that lead to a loss during a liquidation, with
    /// withdrawals on hold. At 0 no loss takes a withdrawal: what would is a deposit instead.
    pub losses_per_mille: u32,
    /// Of sound messages of open accounts with positions: those that change margin or leverage, or
    /// lead to funding that an isolated position cannot pay from what is available; and some of
    /// those of other accounts. At 0 CAP sends itself nothing: what it would follow up with an
    /// event of its own is a deposit instead. Otherwise whoever publishes has to wait with an
    /// account's next message until such an event has its outcome, as the model takes it before.
    pub margin_per_mille: u32,
    /// Of accounts: those of contracts for difference, whose free money is divided over subjects.
    pub declared_per_mille: u32,
    /// Of sound messages: transfers to other accounts of the script, to one that is nobody's or of a
    /// product that is not there. Above 0 the script's [`Step`]s say when each arrives, and lands or
    /// comes back.
    pub transfers_per_mille: u32,
    /// Of what CAP sends itself: what comes behind other messages and not at once, when the script's
    /// [`Step`]s say so.
    pub late_per_mille: u32,
    /// Of poison: fills that contradict the position, facts without the rate they need, and facts for
    /// accounts that are closed.
    pub contradictions_per_mille: u32,
    /// Of messages of accounts with a withdrawal that waits, besides: those that settle it too early.
    pub early_per_mille: u32,
    /// Of messages: those before which nothing comes for a while, half an hour most of the time. Above 0
    /// the script's [`Step`]s say when.
    pub waits_per_mille: u32,
}

impl Default for Shape {
    /// Small: what one installation goes through in seconds.
    fn default() -> Self {
        Self {
            accounts: 12,
            messages: 150,
            poison_per_mille: 30,
            repetitions_per_mille: 40,
            conflicts_per_mille: 20,
            untimely_per_mille: 20,
            strangers_per_mille: 80,
            passers_by_per_mille: 150,
            hedge_per_mille: 0,
            isolated_per_mille: 0,
            inverse_per_mille: 0,
            card_per_mille: 0,
            losses_per_mille: 0,
            margin_per_mille: 0,
            declared_per_mille: 0,
            transfers_per_mille: 0,
            late_per_mille: 0,
            contradictions_per_mille: 0,
            early_per_mille: 0,
            waits_per_mille: 0,
        }
    }
}

impl Shape {
    /// As small as the default, and with everything there is of accounts that have nothing to do with
    /// each other, in the products that `cargo xtask up` sets up.
    pub fn everything() -> Self {
        Self {
            hedge_per_mille: 500,
            isolated_per_mille: 400,
            inverse_per_mille: 350,
            card_per_mille: 500,
            losses_per_mille: 80,
            margin_per_mille: 150,
            contradictions_per_mille: 350,
            early_per_mille: 60,
            ..Self::default()
        }
    }

    /// Everything, with contracts for difference too, with transfers between all accounts, and with time
    /// that passes.
    pub fn together() -> Self {
        Self {
            declared_per_mille: 350,
            transfers_per_mille: 200,
            late_per_mille: 700,
            waits_per_mille: 20,
            ..Self::everything()
        }
    }
}

/// Messages of several accounts, in the order in which they are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// What it was made from.
    pub seed: u64,
    /// Whose messages they are.
    pub accounts: Vec<Account>,
    /// In publish order, accounts interleaved.
    pub messages: Vec<Message>,
    /// The messages, and between them what CAP sends itself and how long nothing comes.
    pub steps: Vec<Step>,
}

/// A script that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScript {
    /// Too many accounts, or none.
    #[error("a script has 1 to {ACCOUNTS_MAX} accounts, not {0}")]
    Accounts(usize),
    /// Too many messages.
    #[error("a script has at most {MESSAGES_MAX} messages, not {0}")]
    Messages(usize),
    /// A tag that no account name could start with.
    #[error("tag {0:?} is not 1 to {TAG_CHARS_MAX} characters of [A-Za-z0-9-]")]
    Tag(String),
}

impl Script {
    /// The script of `seed`. Account names and request ids start with `tag` and the seed, so that
    /// scripts with different tags share an installation.
    ///
    /// # Errors
    /// If `shape` is out of bounds, or `tag` cannot stand in an account name.
    pub fn generate(seed: u64, shape: &Shape, tag: &str) -> Result<Self, InvalidScript> {
        check(shape, tag)?;
        let mut dice = StdRng::seed_from_u64(seed);
        let prefix = format!("{tag}-{seed:x}");
        let nth = |index| {
            let account = Account::nth(index, &prefix);
            if share(&mut dice, shape.declared_per_mille) { account.cfd() } else { account }
        };
        let accounts: Rc<[Account]> = (0..shape.accounts).map(nth).collect();
        let mut authors: Vec<Author> = (0..shape.accounts)
            .map(|index| Author::new(index, &accounts, shape, &mut dice))
            .collect();
        let mut messages: Vec<Message> = Vec::with_capacity(shape.messages);
        let mut post = Post::new(&prefix, shape.late_per_mille);
        while messages.len() < shape.messages {
            post.deliver_some(&mut authors, &mut messages, &mut dice);
            if share(&mut dice, shape.waits_per_mille) {
                let secs = one_of(&mut dice, &WAITS);
                authors.iter_mut().for_each(|author| author.model.pass(secs));
                post.steps.push(Step::Wait(secs));
            }
            let index = dice.random_range(0..authors.len());
            let author = &mut authors[index];
            if author.is_quiet() && happens(&mut dice, QUIET_PER_MILLE) {
                continue;
            }
            let message = author.write(&prefix, &messages, &mut dice);
            messages.push(message);
            post.published(index, &mut authors, &mut messages, &mut dice);
        }
        post.deliver_all(&mut authors, &mut messages, &mut dice);
        Ok(Self { seed, accounts: accounts.to_vec(), messages, steps: post.steps })
    }

    /// The messages of one account, in order.
    pub fn messages_of(&self, account: usize) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(move |message| message.account == account)
    }
}

fn check(shape: &Shape, tag: &str) -> Result<(), InvalidScript> {
    if !(1..=ACCOUNTS_MAX).contains(&shape.accounts) {
        return Err(InvalidScript::Accounts(shape.accounts));
    }
    if shape.messages > MESSAGES_MAX {
        return Err(InvalidScript::Messages(shape.messages));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !(1..=TAG_CHARS_MAX).contains(&tag.len()) || !tag.bytes().all(allowed) {
        return Err(InvalidScript::Tag(tag.chars().take(40).collect()));
    }
    Ok(())
}
