//! Transfers to other accounts of the script, and to such as cannot take them.

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::Account;
use super::author::Author;
use super::cash::of;
use super::desk::{amount, happens, one_of, part};
use super::draft::Draft;
use super::fault::break_field;

impl Author {
    /// A transfer of some of what is free, all of it, or more; now and then a broken one.
    pub(super) fn transferred(&self, number: usize, dice: &mut StdRng) -> Draft {
        let currency = self.any_currency(dice);
        let free = self.held(currency).spendable();
        let units = match dice.random_range(0..10) {
            0 => free + amount(dice, currency),
            // To the last unit of what is free, and one more.
            1 => (free + dice.random_range(0..2)).max(1),
            _ if free == 0 => amount(dice, currency),
            _ => part(dice, free),
        };
        let mut event = of("transfer.requested", currency, "amount", units, dice);
        event["transfer_id"] = json!(format!("x-{number}"));
        event["to"] = destination(&self.receiver(number, dice));
        if happens(dice, 40) {
            break_transfer(&mut event, dice);
        }
        event.into()
    }

    /// An account of the script most of the time, itself among them; else one that is nobody's, or of
    /// a product that is not there.
    fn receiver(&self, number: usize, dice: &mut StdRng) -> Account {
        let place = dice.random_range(0..self.others.len());
        let known = self.others[place].clone();
        match dice.random_range(0..12) {
            0 => Account { name: format!("nobody-{}", number % 7), ..known },
            1 => {
                let (company, product) = ("zenith".to_owned(), "futures".to_owned());
                Account { company, product, ..known }
            }
            2 => self.account.clone(),
            _ => known,
        }
    }
}

fn destination(account: &Account) -> Value {
    json!({
        "company": account.company, "product": account.product,
        "customer_group": account.customer_group, "account": account.name,
    })
}

/// Something that no transfer says.
fn break_transfer(event: &mut Value, dice: &mut StdRng) {
    let whole = [
        ("transfer_id", None),
        ("to", None),
        ("to", Some(json!("A-1"))),
        ("amount", Some(json!("0"))),
    ];
    if happens(dice, 500) {
        let (field, wrong) = whole[dice.random_range(0..whole.len())].clone();
        return break_field(event, field, wrong);
    }
    let field = one_of(dice, &["company", "product", "customer_group", "account", "colour"]);
    let wrong = one_of(
        dice,
        &[Some("no_name"), Some(""), Some("far-too-long-for-any-name-of-an-account"), None],
    );
    let wrong = if field == "colour" { Some("red") } else { wrong };
    break_field(&mut event["to"], field, wrong.map(|wrong| json!(wrong)));
}
