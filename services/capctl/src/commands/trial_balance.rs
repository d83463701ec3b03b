//! `capctl trial-balance`: all money comes to zero.

use cap_domain::account::Accounts;

use crate::answer::Answer;
use crate::databases::of_stage;
use crate::proof::add_up;

pub(super) async fn trial_balance() -> anyhow::Result<Answer> {
    let books = add_up(&of_stage::<Accounts>()?).await?;
    Ok(Answer::new(&books)?.proved(books.zero))
}
