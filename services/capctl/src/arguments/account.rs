//! Accounts as people name them.

use std::str::FromStr;

use cap_domain::ids::{AccountKey, AccountName, InvalidAccountKey, InvalidId};

/// An account as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountArgument {
    /// By its full key.
    Key(AccountKey),
    /// By its name alone, which may be that of several.
    Name(AccountName),
}

/// A text that names no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccount {
    /// It looks like a key.
    #[error(transparent)]
    Key(#[from] InvalidAccountKey),
    /// It looks like a name.
    #[error(transparent)]
    Name(#[from] InvalidId),
}

impl FromStr for AccountArgument {
    type Err = InvalidAccount;

    fn from_str(text: &str) -> Result<Self, InvalidAccount> {
        if text.contains(['_', '/']) {
            Ok(Self::Key(text.replace('/', "_").parse()?))
        } else {
            Ok(Self::Name(AccountName::new(text)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_a_key_with_underscores_or_slashes_or_a_bare_name() {
        let key = AccountArgument::Key("acme_spot_retail_A-1001".parse().unwrap());
        assert_eq!("acme_spot_retail_A-1001".parse(), Ok(key.clone()));
        assert_eq!("acme/spot/retail/A-1001".parse(), Ok(key));
        assert_eq!("A-1001".parse(), Ok(AccountArgument::Name("A-1001".parse().unwrap())));
        let refused = |text: &str| text.parse::<AccountArgument>().unwrap_err().to_string();
        assert_eq!(
            refused("acme/spot/A-1"),
            "account \"acme_spot_A-1\" is not company_product_group_account"
        );
        assert!(refused("A 1").starts_with("account \"A 1\" is not 1 to 36 characters"));
    }
}
