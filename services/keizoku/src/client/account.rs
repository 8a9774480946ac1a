//! How an account is named on the command line.

use clap::Args;
use keizoku_base::AccountId;
use keizoku_base::reference::is_key;
use keizoku_proto::types::account_ref::Ref;
use keizoku_proto::types::{AccountRef, ExternalId};

use crate::failure::Failure;

/// Names an account.
#[derive(Debug, Clone, Args)]
pub(crate) struct AccountArgs {
    /// The account: its id `acc_…`, or `SOURCE:ID` of another system
    #[arg(value_name = "ACCOUNT")]
    pub(crate) account: String,
    /// Take ACCOUNT whole as the id of this system
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<String>,
}

impl AccountArgs {
    /// The reference that is sent.
    ///
    /// # Errors
    /// It names no account.
    pub(crate) fn reference(&self) -> Result<AccountRef, Failure> {
        reference(&self.account, self.source.as_deref())
    }
}

/// The account that `text` names: the id in `source` where that is given, else one of ours, or `SOURCE:ID`.
///
/// # Errors
/// It names no account.
pub(crate) fn reference(text: &str, source: Option<&str>) -> Result<AccountRef, Failure> {
    let external = |source: &str, id: &str| AccountRef {
        r#ref: Some(Ref::External(ExternalId { source: source.to_owned(), id: id.to_owned() })),
    };
    if let Some(source) = source {
        if is_key(source) && !text.is_empty() {
            return Ok(external(source, text));
        }
    } else if text.parse::<AccountId>().is_ok() {
        return Ok(AccountRef { r#ref: Some(Ref::Id(text.to_owned())) });
    } else if let Some((source, id)) = text.split_once(':')
        && is_key(source)
        && !id.is_empty()
    {
        return Ok(external(source, id));
    }
    Err(Failure::Usage {
        problem: format!("{text:?} names no account"),
        next: "write its id (acc_…), or SOURCE:ID such as crm:42, or ID with --source SOURCE; `keizoku accounts list` shows them"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use keizoku_base::Micros;

    use super::*;

    fn external(source: &str, id: &str) -> Option<Ref> {
        Some(Ref::External(ExternalId { source: source.to_owned(), id: id.to_owned() }))
    }

    #[test]
    fn an_account_is_named_by_our_id_or_by_another_systems() {
        let id = AccountId::generate(Micros(0)).to_string();
        assert_eq!(reference(&id, None).expect("ours").r#ref, Some(Ref::Id(id.clone())));
        assert_eq!(reference("crm:A:1", None).expect("theirs").r#ref, external("crm", "A:1"));
        assert_eq!(
            reference("12345678901234567890", Some("crm")).expect("theirs").r#ref,
            external("crm", "12345678901234567890")
        );
        assert_eq!(reference(&id, Some("crm")).expect("theirs").r#ref, external("crm", &id));
    }

    #[test]
    fn what_names_none_is_refused_with_what_would() {
        for (text, source) in [
            ("42", None),
            ("acc_short", None),
            ("CRM:1", None),
            ("crm:", None),
            ("1", Some("C R M")),
            ("", Some("crm")),
        ] {
            assert_eq!(reference(text, source).expect_err("names none").exit_code(), 2, "{text}");
        }
    }
}
