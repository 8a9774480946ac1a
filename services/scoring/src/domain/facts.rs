//! What is known of an account besides its metrics, and the names under which rules ask for it.

use std::collections::BTreeMap;

use keizoku_base::money::Money;
use keizoku_base::number::Millionths;
use keizoku_base::{Day, Micros};
use keizoku_rules::{Catalogue, Element, Number, Type, Value};

/// A typed value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum FactValue {
    /// Text.
    Text(String),
    /// A number; whole or not.
    Number(Number),
    /// Yes or no.
    Flag(bool),
    /// An instant.
    Instant(Micros),
    /// A calendar day.
    Day(Day),
    /// Texts.
    Texts(Vec<String>),
}

/// A contract, a subscription or a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// The plan; `None`: not known.
    pub plan: Option<String>,
    /// Whether nothing is paid for it yet.
    pub trial: bool,
    /// Whether this account is the one of its accounts that pays.
    pub pays: bool,
    /// What is paid; `None`: not known.
    pub amount: Option<Money>,
    /// The seats bought; `None`: not known.
    pub seats: Option<i64>,
    /// The first day covered.
    pub starts_on: Day,
    /// The first day no longer covered; `None`: until it is cancelled.
    pub ends_on: Option<Day>,
    /// Whether it renews by itself; `None`: not known.
    pub renews_automatically: Option<bool>,
    /// How many terms came before this one; `None`: not known.
    pub renewal_ordinal: Option<i32>,
}

impl Contract {
    fn covers(&self, day: Day) -> bool {
        self.starts_on <= day && self.ends_on.is_none_or(|end| day < end)
    }

    /// What this account pays for it per month; `None` where that is not known, nothing recurring or nothing of its own.
    fn monthly(&self) -> Option<Money> {
        let amount = self.amount.filter(|_| self.pays)?;
        Some(Money { minor: amount.monthly_minor()?, period: keizoku_base::money::Period::Month, ..amount })
    }
}

/// A person at the customer company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The part it plays; `None`: not known.
    pub role: Option<String>,
    /// The first day at the company; `None`: not known, and taken as ever.
    pub joined_on: Option<Day>,
    /// The first day no longer there; `None`: still there.
    pub left_on: Option<Day>,
}

impl Contact {
    fn is_there(&self, day: Day) -> bool {
        self.joined_on.is_none_or(|joined| joined <= day) && self.left_on.is_none_or(|left| day < left)
    }
}

/// What is known of an account besides its metrics.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AccountFacts {
    /// Its attributes, by key.
    pub attributes: BTreeMap<String, FactValue>,
    /// Its contracts, past and to come ones too.
    pub contracts: Vec<Contract>,
    /// Its people, those who left too.
    pub contacts: Vec<Contact>,
    /// How many people use the product; `None`: not known.
    pub user_count: Option<i64>,
}

/// The names about accounts and contracts, which every rule of a model may use.
pub(super) fn account_names() -> Catalogue {
    Catalogue::new()
        .with_open("account", Type::Any)
        .with("contract.active", Type::Bool)
        .with("contract.count", Type::Number)
        .with("contract.trial", Type::Bool)
        .with("contract.plan", Type::Text)
        .with("contract.plans", Type::List(Element::Text))
        .with("contract.seats", Type::Number)
        .with("contract.monthly_revenue", Type::Number)
        .with("contract.currency", Type::Text)
        .with("contract.starts_on", Type::Day)
        .with("contract.ends_on", Type::Day)
        .with("contract.days_to_end", Type::Number)
        .with("contract.days_since_start", Type::Number)
        .with("contract.days_since_end", Type::Number)
        .with("contract.renews_automatically", Type::Bool)
        .with("contract.renewal_ordinal", Type::Number)
}

/// The names about people.
pub(super) fn with_people(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with("people.contacts", Type::Number)
        .with("people.users", Type::Number)
        .with_open("people.roles", Type::Number)
}

impl AccountFacts {
    /// What it pays per month on a day, per currency, in the currencies' order.
    pub fn monthly_revenue(&self, day: Day) -> Vec<Money> {
        let mut sums = BTreeMap::new();
        for money in self.covering(day).filter_map(Contract::monthly) {
            let sum = sums.entry(money.currency).or_insert(Money { minor: 0, ..money });
            sum.minor = sum.minor.saturating_add(money.minor);
        }
        sums.into_values().collect()
    }

    /// The next day after `day` on which a contract that covers it ends. A trial is not due for renewal.
    pub fn next_renewal_on(&self, day: Day) -> Option<Day> {
        self.covering(day).filter(|contract| !contract.trial).filter_map(|contract| contract.ends_on).min()
    }

    /// The fact of that name on a day; `None` where there is no data.
    pub(super) fn fact(&self, name: &str, day: Day) -> Option<Value<'_>> {
        let (group, name) = name.split_once('.')?;
        match group {
            "account" => self.attributes.get(name).map(FactValue::view),
            "contract" => self.contract(name, day),
            "people" => self.people(name, day),
            _ => None,
        }
    }

    fn covering(&self, day: Day) -> impl Iterator<Item = &Contract> {
        self.contracts.iter().filter(move |contract| contract.covers(day))
    }

    /// The contract that stands for all of them where only one can: the one that pays most, then the latest.
    fn leading(&self, day: Day) -> Option<&Contract> {
        self.covering(day).max_by_key(|contract| {
            (!contract.trial, contract.monthly().map(|money| money.minor), contract.starts_on, contract.plan.as_deref())
        })
    }

    fn contract(&self, name: &str, day: Day) -> Option<Value<'_>> {
        let days = |from: Day, to: Day| Value::from(i64::from(to.0 - from.0));
        let ends_on = || self.covering(day).filter_map(|contract| contract.ends_on).min();
        let starts_on = || self.contracts.iter().map(|contract| contract.starts_on).filter(|start| *start <= day).min();
        match name {
            "active" => Some(Value::Bool(self.covering(day).next().is_some())),
            "count" => i64::try_from(self.covering(day).count()).ok().map(Value::from),
            "trial" => {
                self.covering(day).map(|contract| contract.trial).reduce(|all, trial| all && trial).map(Value::Bool)
            }
            "plan" => self.leading(day)?.plan.as_deref().map(Value::from),
            "plans" => Some(self.plans(day)),
            "seats" => {
                self.covering(day).filter_map(|contract| contract.seats).reduce(i64::saturating_add).map(Value::from)
            }
            "monthly_revenue" => self.single_revenue(day).and_then(in_units).map(Value::from),
            "currency" => self.single_revenue(day).map(|money| Value::from(money.currency.code().to_owned())),
            "starts_on" => starts_on().map(Value::Day),
            "ends_on" => ends_on().map(Value::Day),
            "days_to_end" => ends_on().map(|end| days(day, end)),
            "days_since_start" => starts_on().map(|start| days(start, day)),
            "days_since_end" => self.ended_on(day).map(|end| days(end, day)),
            "renews_automatically" => self.leading(day)?.renews_automatically.map(Value::Bool),
            "renewal_ordinal" => self.leading(day)?.renewal_ordinal.map(|terms| Value::from(i64::from(terms))),
            _ => None,
        }
    }

    fn plans(&self, day: Day) -> Value<'_> {
        let plans = self.covering(day).filter_map(|contract| contract.plan.as_deref()).map(Value::from);
        Value::List(keizoku_rules::List::Owned(plans.collect()))
    }

    /// What it pays per month, where that is in one currency.
    fn single_revenue(&self, day: Day) -> Option<Money> {
        match self.monthly_revenue(day).as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// The last day on which a contract ended, where none covers the day any more.
    fn ended_on(&self, day: Day) -> Option<Day> {
        let ends = self.contracts.iter().filter_map(|contract| contract.ends_on).filter(|end| *end <= day);
        ends.max().filter(|_| self.covering(day).next().is_none())
    }

    /// Nobody known of is no data, not 0.
    fn people(&self, name: &str, day: Day) -> Option<Value<'_>> {
        let count = |wanted: &dyn Fn(&Contact) -> bool| {
            let there = self.contacts.iter().filter(|contact| contact.is_there(day) && wanted(contact)).count();
            i64::try_from(there).ok().filter(|_| !self.contacts.is_empty()).map(Value::from)
        };
        match name.strip_prefix("roles.") {
            Some(role) => count(&|contact| contact.role.as_deref() == Some(role)),
            None if name == "contacts" => count(&|_| true),
            None if name == "users" => self.user_count.map(Value::from),
            None => None,
        }
    }
}

impl FactValue {
    fn view(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Number(number) => Value::Number(*number),
            Self::Flag(flag) => Value::Bool(*flag),
            Self::Instant(instant) => Value::Instant(*instant),
            Self::Day(day) => Value::Day(*day),
            Self::Texts(texts) => Value::from(texts.as_slice()),
        }
    }
}

/// An amount in whole units of its currency; `None` past the range of values.
fn in_units(money: Money) -> Option<Millionths> {
    let unit = 10_i64.checked_pow(6_u32.checked_sub(money.currency.minor_digits())?)?;
    money.minor.checked_mul(unit).map(Millionths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keizoku_base::money::{Currency, Period};

    fn day(text: &str) -> Day {
        Day::parse(text).expect("a date")
    }

    fn money(minor: i64, code: &str, period: Period) -> Option<Money> {
        Some(Money { minor, currency: Currency::parse(code).expect("a currency"), period })
    }

    fn contract(plan: &str, amount: Option<Money>, starts_on: &str, ends_on: Option<&str>) -> Contract {
        Contract {
            plan: Some(plan.to_owned()),
            trial: false,
            pays: true,
            amount,
            seats: Some(5),
            starts_on: day(starts_on),
            ends_on: ends_on.map(day),
            renews_automatically: None,
            renewal_ordinal: Some(1),
        }
    }

    fn account() -> AccountFacts {
        let trial = Contract { trial: true, ..contract("trial", None, "2023-12-01", Some("2024-01-01")) };
        AccountFacts {
            attributes: BTreeMap::from([("industry".to_owned(), FactValue::Text("retail".to_owned()))]),
            contracts: vec![
                trial,
                contract("pro", money(120_000, "USD", Period::Year), "2024-01-01", Some("2025-01-01")),
                contract("basic", money(4_050, "USD", Period::Month), "2024-03-01", Some("2024-09-01")),
                contract("setup", money(99, "JPY", Period::OneOff), "2024-01-01", Some("2024-02-01")),
            ],
            contacts: vec![
                Contact { role: Some("champion".to_owned()), joined_on: None, left_on: Some(day("2024-04-01")) },
                Contact { role: None, joined_on: Some(day("2024-02-01")), left_on: None },
            ],
            user_count: Some(12),
        }
    }

    fn fact(name: &str, on: &str) -> Option<Value<'static>> {
        account().fact(name, day(on)).map(Value::into_owned)
    }

    #[test]
    fn contracts_count_from_their_first_day_to_the_one_before_their_end() {
        for (on, count) in
            [("2023-11-30", 0), ("2023-12-31", 1), ("2024-01-01", 2), ("2024-08-31", 2), ("2025-01-01", 0)]
        {
            assert_eq!(fact("contract.count", on), Some(Value::from(count)), "{on}");
        }
        assert_eq!(fact("contract.active", "2025-01-01"), Some(Value::Bool(false)));
        assert_eq!(fact("contract.trial", "2023-12-31"), Some(Value::Bool(true)));
        assert_eq!(fact("contract.trial", "2024-01-01"), Some(Value::Bool(false)));
        assert_eq!(fact("contract.trial", "2025-01-01"), None);
    }

    #[test]
    fn revenue_adds_up_per_currency_and_per_month() {
        let (usd, on) = (Currency::parse("USD").expect("usd"), day("2024-05-01"));
        let revenue = account().monthly_revenue(on);
        assert_eq!(revenue, [Money { minor: 14_050, currency: usd, period: Period::Month }]);
        assert_eq!(fact("contract.monthly_revenue", "2024-05-01"), Some(Value::from(Millionths(140_500_000))));
        assert_eq!(fact("contract.currency", "2024-05-01"), Some(Value::from("USD")));
        assert_eq!(fact("contract.monthly_revenue", "2023-12-05"), None);
        assert_eq!(account().next_renewal_on(on), Some(day("2024-09-01")));
        assert_eq!(account().next_renewal_on(day("2023-12-05")), None, "a trial is not due");
        let paid_by_another = Contract { pays: false, ..account().contracts.remove(1) };
        let facts = AccountFacts { contracts: vec![paid_by_another], ..AccountFacts::default() };
        assert_eq!(facts.monthly_revenue(on), []);
    }

    #[test]
    fn the_contract_that_pays_most_leads() {
        assert_eq!(fact("contract.plan", "2024-05-01"), Some(Value::from("pro")));
        assert_eq!(fact("contract.seats", "2024-05-01"), Some(Value::from(10)));
        assert_eq!(fact("contract.days_to_end", "2024-08-31"), Some(Value::from(1)));
        assert_eq!(fact("contract.days_since_start", "2024-01-01"), Some(Value::from(31)));
        assert_eq!(fact("contract.days_since_end", "2024-05-01"), None);
        assert_eq!(fact("contract.days_since_end", "2025-01-11"), Some(Value::from(10)));
    }

    #[test]
    fn people_count_while_they_are_there_and_nobody_known_is_no_data() {
        assert_eq!(fact("people.contacts", "2024-03-31"), Some(Value::from(2)));
        assert_eq!(fact("people.contacts", "2024-04-01"), Some(Value::from(1)));
        assert_eq!(fact("people.roles.champion", "2024-04-01"), Some(Value::from(0)));
        assert_eq!(fact("people.users", "2024-04-01"), Some(Value::from(12)));
        let unknown = AccountFacts::default();
        for name in ["people.contacts", "people.roles.champion", "people.users", "account.industry", "contract.plan"] {
            assert_eq!(unknown.fact(name, Day(0)), None, "{name}");
        }
    }

    #[test]
    fn attributes_are_known_by_their_key() {
        assert_eq!(fact("account.industry", "2024-01-01"), Some(Value::from("retail")));
        assert_eq!(fact("account.size", "2024-01-01"), None);
    }
}
