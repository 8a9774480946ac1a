//! A workspace as services use it: its zone, its clock, what it decided.

use keizoku_base::money::Currency;
use keizoku_base::{Clock, Day, Micros, WorkspaceId, Zone};

use crate::entity::workspace::Model;

/// Whether a workspace's data are real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Real.
    Live,
    /// For trying out.
    Test,
}

/// What happens to data of an account nobody told us about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownAccount {
    /// A stub is made.
    CreateStub,
    /// The item is rejected.
    Reject,
}

/// What a unit of a currency is worth in the reporting currency from a day on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The currency.
    pub currency: Currency,
    /// The first day.
    pub from: Day,
    /// Millionths of a major unit of the reporting currency for one major unit.
    pub micros: i64,
}

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name.
    pub display_name: String,
    /// Whether its data are real.
    pub kind: Kind,
    /// The zone that its days are taken in.
    pub zone: Zone,
    /// What happens to data of unknown accounts.
    pub unknown_account: UnknownAccount,
    /// The currency of sums.
    pub reporting_currency: Currency,
    /// Rates into it.
    pub rates: Vec<Rate>,
    /// Where its clock stands; `None`: it runs.
    pub clock_set_to: Option<Micros>,
    /// Whether a generator made its data.
    pub synthetic: bool,
    /// When it was made.
    pub created_at: Micros,
    /// Grows with every change.
    pub version: i64,
}

impl Workspace {
    /// The workspace's time: where its clock was set, or the clock's.
    pub fn now(&self, clock: &dyn Clock) -> Micros {
        self.clock_set_to.unwrap_or_else(|| clock.now())
    }

    /// The day it is in the workspace.
    pub fn today(&self, clock: &dyn Clock) -> Day {
        self.zone.day_of(self.now(clock))
    }

    /// As its row says. What cannot be read any more (a zone that was removed) falls back to UTC and US dollars.
    pub fn from_row(row: &Model) -> Self {
        Self {
            id: WorkspaceId(row.workspace_id),
            display_name: row.display_name.clone(),
            kind: if row.test { Kind::Test } else { Kind::Live },
            zone: Zone::parse(&row.time_zone).unwrap_or(Zone::UTC),
            unknown_account: if row.reject_unknown_account {
                UnknownAccount::Reject
            } else {
                UnknownAccount::CreateStub
            },
            reporting_currency: Currency::parse(&row.reporting_currency).unwrap_or_else(usd),
            rates: row.rates.split_whitespace().filter_map(parse_rate).collect(),
            clock_set_to: row.clock_set_to.map(Micros),
            synthetic: row.synthetic,
            created_at: Micros(row.created_at),
            version: row.version,
        }
    }

    /// Its row.
    pub fn to_row(&self) -> Model {
        let rate = |rate: &Rate| format!("{}:{}:{}", rate.currency.code(), rate.from.0, rate.micros);
        Model {
            workspace_id: self.id.0,
            display_name: self.display_name.clone(),
            test: self.kind == Kind::Test,
            time_zone: self.zone.name().to_owned(),
            reject_unknown_account: self.unknown_account == UnknownAccount::Reject,
            reporting_currency: self.reporting_currency.code().to_owned(),
            rates: self.rates.iter().map(rate).collect::<Vec<_>>().join(" "),
            clock_set_to: self.clock_set_to.map(|at| at.0),
            synthetic: self.synthetic,
            created_at: self.created_at.0,
            version: self.version,
        }
    }
}

fn parse_rate(text: &str) -> Option<Rate> {
    let mut parts = text.split(':');
    let currency = Currency::parse(parts.next()?)?;
    let from = Day(parts.next()?.parse().ok()?);
    Some(Rate { currency, from, micros: parts.next()?.parse().ok()? })
}

fn usd() -> Currency {
    Currency::parse("USD").unwrap_or_else(|| panic!("USD is a currency"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_round_trip_through_its_row() {
        let workspace = Workspace {
            id: WorkspaceId::generate(Micros(5)),
            display_name: "継続".to_owned(),
            kind: Kind::Test,
            zone: Zone::parse("Asia/Tokyo").expect("a zone"),
            unknown_account: UnknownAccount::Reject,
            reporting_currency: Currency::parse("JPY").expect("a currency"),
            rates: vec![Rate { currency: usd(), from: Day(19_800), micros: 151_250_000 }],
            clock_set_to: Some(Micros(7)),
            synthetic: true,
            created_at: Micros(5),
            version: 3,
        };
        assert_eq!(Workspace::from_row(&workspace.to_row()), workspace);
    }
}
