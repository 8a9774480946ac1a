//! Contracts as sources tell them, when they are in force, when they come up for renewal.

use keizoku_base::money::Money;
use keizoku_base::{AccountId, AccountRef, Day, ExternalId, Micros, Violations};

use crate::domain::account::money::{MoneyDraft, money, pack_money};
use crate::domain::account::{pack_accounts, pack_day};
use crate::domain::check::{Checks, Wrong};
use crate::domain::key::{AccountRefDraft, ExternalIdDraft, Key};
use crate::domain::key::{account_ref, required_external_id};
use crate::domain::pack::{Digest, Packer};
use crate::domain::reason;
use crate::domain::time::{DateDraft, InstantDraft, date, past_instant};
use crate::domain::value::{Attribute, AttributeDraft, Attributes};

/// The most accounts a contract covers.
pub const ACCOUNTS_MOST: usize = 20;

/// A contract as it was sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContractDraft {
    /// Its id in the source.
    pub external_id: Option<ExternalIdDraft>,
    /// The accounts it covers, the one that pays first.
    pub accounts: Vec<AccountRefDraft>,
    /// The plan; empty: not known.
    pub plan: String,
    /// Whether nothing is paid for it yet.
    pub trial: bool,
    /// What is paid.
    pub amount: Option<MoneyDraft>,
    /// The seats bought.
    pub seats: Option<i64>,
    /// The first day covered.
    pub starts_on: Option<DateDraft>,
    /// The first day no longer covered.
    pub ends_on: Option<DateDraft>,
    /// Whether it renews by itself.
    pub renews_automatically: Option<bool>,
    /// How many terms came before this one.
    pub renewal_ordinal: Option<i32>,
    /// Anything else.
    pub attributes: Vec<AttributeDraft>,
    /// When the source knew this version.
    pub known_at: Option<InstantDraft>,
}

/// A contract that may be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewContract {
    /// Its id in the source.
    pub external_id: ExternalId,
    /// The accounts it covers, the one that pays first.
    pub accounts: Vec<AccountRef>,
    /// When the source knew this version; `None`: when it arrived.
    pub known_at: Option<Micros>,
    details: ContractDetails,
    attributes: Vec<Attribute>,
}

/// What is known of a contract; `None`: not known.
#[derive(Debug, Clone, PartialEq)]
pub struct ContractDetails {
    /// The plan.
    pub plan: Option<Key>,
    /// Whether nothing is paid for it yet.
    pub trial: bool,
    /// What is paid.
    pub amount: Option<Money>,
    /// The seats bought.
    pub seats: Option<i64>,
    /// The first day covered.
    pub starts_on: Day,
    /// The first day no longer covered; `None`: until it is cancelled.
    pub ends_on: Option<Day>,
    /// Whether it renews by itself.
    pub renews_automatically: Option<bool>,
    /// How many terms came before this one.
    pub renewal_ordinal: Option<i32>,
    /// Anything else.
    pub attributes: Attributes,
}

/// A contract together with the word that it ends.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// The contract.
    pub details: &'a ContractDetails,
    /// The day on which a cancellation that names this contract takes effect; the earliest, where there are several. A
    /// cancellation of the customer as a whole is a word about the customer and ends no contract by itself.
    pub cancelled_on: Option<Day>,
}

impl NewContract {
    /// Checks a contract.
    ///
    /// # Errors
    /// Every violation, by paths relative to the item.
    pub fn check(draft: ContractDraft, now: Micros) -> Result<Self, Violations> {
        let mut checks = Checks::new();
        let external_id = required_external_id(&mut checks, "external_id", draft.external_id);
        let accounts = accounts(&mut checks, draft.accounts);
        let plan = checks.take("plan", Key::check_optional(draft.plan));
        let amount = draft.amount.and_then(|amount| money(&mut checks, "amount", amount));
        let seats = checks.optional("seats", draft.seats, |seats| none_or_more(seats, "seats"));
        let starts_on = checks.required("starts_on", draft.starts_on, date);
        let ends_on = checks.optional("ends_on", draft.ends_on, date);
        if let (Some(start), Some(end)) = (starts_on, ends_on)
            && end <= start
        {
            let wrong = Wrong::new(reason::BEFORE_START, "must be after starts_on: it is the first day not covered");
            checks.add("ends_on", wrong);
        }
        let renewal_ordinal =
            checks.optional("renewal_ordinal", draft.renewal_ordinal, |ordinal| none_or_more(ordinal, "terms"));
        let attributes = Attributes::check(&mut checks, "attributes", draft.attributes, now);
        let known_at = checks.optional("known_at", draft.known_at, |at| past_instant(at, now));
        let made = || {
            let details = ContractDetails {
                plan: plan?,
                trial: draft.trial,
                amount,
                seats,
                starts_on: starts_on?,
                ends_on,
                renews_automatically: draft.renews_automatically,
                renewal_ordinal,
                attributes: Attributes::default(),
            };
            let (external_id, accounts, attributes) = (external_id?, accounts?, attributes?);
            Some(Self { external_id, accounts, known_at, details, attributes })
        };
        let made = made();
        checks.finish(made)
    }

    /// The contract as it is from here on, where `before` is what was known.
    pub fn onto(self, before: Option<&ContractDetails>) -> ContractDetails {
        let mut details = self.details;
        details.attributes = before.map(|before| before.attributes.clone()).unwrap_or_default();
        details.attributes.apply(self.attributes);
        details
    }
}

impl ContractDetails {
    /// The digest of everything that is known of it, but for when it was known.
    pub fn content(&self, accounts: &[AccountId]) -> Digest {
        let mut packer = Packer::new();
        pack_accounts(&mut packer, accounts);
        packer.optional(self.plan.as_ref(), |packer, plan| packer.text(plan.as_str()));
        packer.byte(u8::from(self.trial));
        packer.optional(self.amount, pack_money);
        packer.optional(self.seats, Packer::signed);
        packer.signed(self.starts_on.0);
        pack_day(&mut packer, self.ends_on);
        packer.optional(self.renews_automatically, |packer, renews| packer.byte(u8::from(renews)));
        packer.optional(self.renewal_ordinal, Packer::signed);
        self.attributes.pack_content(&mut packer);
        packer.digest()
    }
}

impl Held<'_> {
    /// The first day no longer covered: its end, or for an open one the day a cancellation takes effect.
    pub fn ends_on(&self) -> Option<Day> {
        self.details.ends_on.or(self.cancelled_on)
    }

    /// Whether it covers a day.
    pub fn in_force(&self, on: Day) -> bool {
        self.details.starts_on <= on && self.ends_on().is_none_or(|end| on < end)
    }
}

/// The next end among the contracts in force, where any has one. Trials are not due for renewal.
pub fn renewal_date<'a>(contracts: impl IntoIterator<Item = Held<'a>>, today: Day) -> Option<Day> {
    let due = contracts.into_iter().filter(|held| !held.details.trial && held.in_force(today));
    due.filter_map(|held| held.ends_on()).min()
}

fn accounts(checks: &mut Checks, drafts: Vec<AccountRefDraft>) -> Option<Vec<AccountRef>> {
    if drafts.is_empty() {
        return checks.take("accounts", Err(Wrong::required()));
    }
    let mut accounts = Vec::with_capacity(drafts.len());
    for (index, draft) in checks.at_most("accounts", drafts, ACCOUNTS_MOST).into_iter().enumerate() {
        let Some(account) = account_ref(checks, format_args!("accounts[{index}]"), draft) else { continue };
        if accounts.contains(&account) {
            let twice = Wrong::new(reason::DUPLICATE_KEY, "names an account that the contract names already");
            checks.add(format_args!("accounts[{index}]"), twice);
        }
        accounts.push(account);
    }
    Some(accounts)
}

fn none_or_more<T: Into<i64> + Copy>(number: T, what: &'static str) -> Result<T, Wrong> {
    if number.into() < 0 {
        return Err(Wrong::new(reason::OUT_OF_RANGE, format!("must be 0 {what} or more")));
    }
    Ok(number)
}

#[cfg(test)]
pub(crate) mod tests {
    use keizoku_base::money::Period;

    use super::*;
    use crate::domain::check::named;
    use crate::domain::value::ValueDraft;

    const NOW: Micros = Micros(1_700_000_000 * Micros::SECOND);

    fn on(year: i32, month: i32, day: i32) -> Option<DateDraft> {
        Some(DateDraft { year, month, day })
    }

    fn external(id: &str) -> ExternalIdDraft {
        ExternalIdDraft { source: "billing".to_owned(), id: id.to_owned() }
    }

    /// A contract of 120 dollars a year over 2024.
    pub(crate) fn draft() -> ContractDraft {
        ContractDraft {
            external_id: Some(external("c1")),
            accounts: vec![AccountRefDraft::External(external("a1"))],
            plan: "pro".to_owned(),
            amount: Some(MoneyDraft {
                minor_units: 12_000,
                currency_code: "USD".to_owned(),
                period: Some(Period::Year),
            }),
            seats: Some(0),
            starts_on: on(2024, 1, 1),
            ends_on: on(2025, 1, 1),
            ..ContractDraft::default()
        }
    }

    pub(crate) fn details(draft: ContractDraft) -> ContractDetails {
        NewContract::check(draft, NOW).expect("a contract").onto(None)
    }

    pub(crate) fn held(details: &ContractDetails) -> Held<'_> {
        Held { details, cancelled_on: None }
    }

    #[test]
    fn names_everything_that_is_wrong() {
        let wrong = ContractDraft {
            external_id: None,
            accounts: vec![AccountRefDraft::Unset; 21],
            plan: "Pro plan".to_owned(),
            amount: Some(MoneyDraft { minor_units: -1, currency_code: "$".to_owned(), period: None }),
            seats: Some(-1),
            starts_on: on(2024, 13, 1),
            ends_on: on(9999, 12, 31),
            renewal_ordinal: Some(-1),
            known_at: Some(InstantDraft { seconds: -1, nanos: 0 }),
            ..ContractDraft::default()
        };
        let refused = NewContract::check(wrong, NOW).expect_err("refused");
        let mut expected = vec![("external_id", reason::REQUIRED), ("accounts", reason::TOO_MANY)];
        let accounts: Vec<_> = (0..20).map(|index| format!("accounts[{index}]")).collect();
        expected.extend(accounts.iter().map(|field| (field.as_str(), reason::REQUIRED)));
        expected.extend([
            ("plan", reason::NOT_A_KEY),
            ("amount.minor_units", reason::OUT_OF_RANGE),
            ("amount.currency_code", reason::NOT_A_CURRENCY),
            ("amount.period", reason::REQUIRED),
            ("seats", reason::OUT_OF_RANGE),
            ("starts_on", reason::DATE_DOES_NOT_EXIST),
            ("ends_on", reason::OUT_OF_RANGE),
            ("renewal_ordinal", reason::OUT_OF_RANGE),
            ("known_at", reason::OUT_OF_RANGE),
        ]);
        assert_eq!(named(&refused), expected);
    }

    #[test]
    fn ends_after_it_starts_and_names_no_account_twice() {
        let mut wrong = ContractDraft { ends_on: on(2024, 1, 1), ..draft() };
        wrong.accounts.push(wrong.accounts[0].clone());
        assert_eq!(
            named(&NewContract::check(wrong, NOW).expect_err("refused")),
            [("accounts[1]", reason::DUPLICATE_KEY), ("ends_on", reason::BEFORE_START)]
        );
        assert!(NewContract::check(ContractDraft { ends_on: on(2024, 1, 2), ..draft() }, NOW).is_ok());
        let empty = NewContract::check(ContractDraft { accounts: Vec::new(), ..draft() }, NOW).expect_err("refused");
        assert_eq!(named(&empty), [("accounts", reason::REQUIRED)]);
    }

    #[test]
    fn the_same_again_has_the_same_content_and_attributes_stay() {
        let account = [AccountId::generate(NOW)];
        let tier = AttributeDraft { key: "tier".to_owned(), value: Some(ValueDraft::Integer(1)), known_at: None };
        let first = details(ContractDraft { attributes: vec![tier], ..draft() });
        let known_at = Some(InstantDraft { seconds: 1, nanos: 0 });
        let again = NewContract::check(ContractDraft { known_at, ..draft() }, NOW).expect("a contract");
        assert_eq!(again.onto(Some(&first)).content(&account), first.content(&account));
        let others = [
            ContractDraft { plan: String::new(), ..draft() },
            ContractDraft { trial: true, ..draft() },
            ContractDraft { amount: None, ..draft() },
            ContractDraft { seats: None, ..draft() },
            ContractDraft { ends_on: None, ..draft() },
            ContractDraft { renews_automatically: Some(false), ..draft() },
            ContractDraft { renewal_ordinal: Some(0), ..draft() },
        ];
        for other in others {
            let other = NewContract::check(other, NOW).expect("a contract").onto(Some(&first));
            assert_ne!(other.content(&account), first.content(&account), "{other:?}");
        }
        assert_ne!(first.content(&[]), first.content(&account));
    }

    #[test]
    fn is_in_force_from_its_start_until_the_day_before_its_end() {
        let year = details(draft());
        let day = |text| Day::parse(text).expect("a day");
        let table = [("2023-12-31", false), ("2024-01-01", true), ("2024-12-31", true), ("2025-01-01", false)];
        for (on, expected) in table {
            assert_eq!(held(&year).in_force(day(on)), expected, "{on}");
        }
        let open = details(ContractDraft { ends_on: None, ..draft() });
        let cancelled = Held { details: &open, cancelled_on: Some(day("2024-06-01")) };
        assert!(held(&open).in_force(day("2199-12-31")));
        assert!(cancelled.in_force(day("2024-05-31")) && !cancelled.in_force(day("2024-06-01")));
    }

    #[test]
    fn the_next_end_in_force_is_due_and_trials_never_are() {
        let day = |text| Day::parse(text).expect("a day");
        let until = |year, trial| details(ContractDraft { ends_on: on(year, 1, 1), trial, ..draft() });
        let open = details(ContractDraft { ends_on: None, ..draft() });
        let contracts = [until(2026, false), until(2025, true), until(2027, false), open];
        assert_eq!(renewal_date(contracts.iter().map(held), day("2024-05-01")), Some(day("2026-01-01")));
        assert_eq!(renewal_date(contracts.iter().map(held), day("2026-01-01")), Some(day("2027-01-01")));
        assert_eq!(renewal_date(contracts.iter().map(held), day("2023-12-31")), None);
    }
}
