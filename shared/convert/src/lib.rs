//! The words of `keizoku.type.v1` and `google.type` as the words of base, and back.
//!
//! Only what more than one service needs. Reading from the wire gathers violations and never stops at the first; no
//! rule of any service lives here.

use keizoku_base::estimate::{Design, Estimate, Method, Uncertainty};
use keizoku_base::money::{Currency, Money, Period};
use keizoku_base::reference::is_key;
use keizoku_base::{AccountRef, Day, ExternalId, Micros, Partition, Violations};
use keizoku_proto::google::Date;
use keizoku_proto::types as proto;
use prost::Message as _;
use prost_types::Timestamp;

pub mod reason;

/// An instant as a timestamp.
pub fn timestamp(at: Micros) -> Timestamp {
    Timestamp {
        seconds: at.0.div_euclid(Micros::SECOND),
        nanos: i32::try_from(at.0.rem_euclid(Micros::SECOND) * 1000).unwrap_or_default(),
    }
}

/// A timestamp of our own writing as an instant.
pub fn instant(at: &Timestamp) -> Micros {
    Micros(at.seconds.saturating_mul(Micros::SECOND).saturating_add(i64::from(at.nanos) / 1000))
}

/// A timestamp of a caller as an instant, cut to the microsecond.
pub fn parse_instant(at: &Timestamp, field: &str, violations: &mut Violations) -> Option<Micros> {
    let whole = at.seconds.checked_mul(Micros::SECOND).filter(|_| (0..1_000_000_000).contains(&at.nanos));
    let found = whole.map(|whole| Micros(whole + i64::from(at.nanos) / 1000));
    let found = found.filter(|found| (Micros::MIN..Micros::END).contains(found));
    if found.is_none() {
        violations.add(field, reason::OUT_OF_RANGE, "must be an instant from 1970 to 2199");
    }
    found
}

/// A day as a date.
pub fn date(day: Day) -> Date {
    let (year, month, day) = day.ymd();
    let part = |number: u32| i32::try_from(number).unwrap_or_default();
    Date { year, month: part(month), day: part(day) }
}

/// A date of our own writing as a day.
pub fn day(date: &Date) -> Option<Day> {
    Day::from_ymd(date.year, u32::try_from(date.month).ok()?, u32::try_from(date.day).ok()?)
}

/// A date of a caller as a day.
pub fn parse_day(date: &Date, field: &str, violations: &mut Violations) -> Option<Day> {
    let found = day(date);
    if found.is_none() {
        let text = format!("{:04}-{:02}-{:02} is no day from 1970 to 2199", date.year, date.month, date.day);
        violations.add(field, reason::DATE_DOES_NOT_EXIST, text);
    }
    found
}

/// Money as its message.
pub fn money(money: &Money) -> proto::Money {
    let period = match money.period {
        Period::OneOff => proto::BillingPeriod::OneOff,
        Period::Month => proto::BillingPeriod::Month,
        Period::Year => proto::BillingPeriod::Year,
    };
    proto::Money { minor_units: money.minor, currency_code: money.currency.code().to_owned(), period: period.into() }
}

/// A caller's money.
pub fn parse_money(message: &proto::Money, field: &str, violations: &mut Violations) -> Option<Money> {
    let currency = Currency::parse(&message.currency_code);
    if currency.is_none() {
        let text = "must be three capital letters of ISO 4217";
        violations.add(format!("{field}.currency_code"), reason::NOT_A_CURRENCY, text);
    }
    let period = match message.period() {
        proto::BillingPeriod::OneOff => Some(Period::OneOff),
        proto::BillingPeriod::Month => Some(Period::Month),
        proto::BillingPeriod::Year => Some(Period::Year),
        proto::BillingPeriod::Unspecified => {
            violations.add(format!("{field}.period"), reason::REQUIRED, "must say how often the amount recurs");
            None
        }
    };
    if message.minor_units < 0 {
        violations.add(format!("{field}.minor_units"), reason::OUT_OF_RANGE, "must not be negative");
        return None;
    }
    Some(Money { minor: message.minor_units, currency: currency?, period: period? })
}

/// A caller's external id.
pub fn parse_external(message: &proto::ExternalId, field: &str, violations: &mut Violations) -> Option<ExternalId> {
    let before = violations.len();
    if !is_key(&message.source) {
        let text = "must be 1 to 63 lower-case letters, digits and underscores, a letter first";
        violations.add(format!("{field}.source"), reason::NOT_A_KEY, text);
    }
    if message.id.is_empty() || message.id.len() > 255 || message.id.contains('\0') {
        let text = "must be 1 to 255 bytes without a zero byte";
        violations.add(format!("{field}.id"), reason::OUT_OF_RANGE, text);
    }
    (violations.len() == before).then(|| ExternalId { source: message.source.clone(), id: message.id.clone() })
}

/// A caller's reference to an account, which is required.
pub fn parse_account(
    message: Option<&proto::AccountRef>,
    field: &str,
    violations: &mut Violations,
) -> Option<AccountRef> {
    match message.and_then(|message| message.r#ref.as_ref()) {
        None => {
            violations.add(field, reason::REQUIRED, "must name an account by id or by external id");
            None
        }
        Some(proto::account_ref::Ref::Id(id)) => match id.parse() {
            Ok(id) => Some(AccountRef::Id(id)),
            Err(_) => {
                let text = "is no account id; another system's id goes into `external`";
                violations.add(format!("{field}.id"), reason::NOT_AN_ID, text);
                None
            }
        },
        Some(proto::account_ref::Ref::External(external)) => {
            parse_external(external, &format!("{field}.external"), violations).map(AccountRef::External)
        }
    }
}

/// An external id as its message.
pub fn external(id: &ExternalId) -> proto::ExternalId {
    proto::ExternalId { source: id.source.clone(), id: id.id.clone() }
}

/// An estimate as its message.
pub fn estimate(estimate: &Estimate) -> proto::Estimate {
    use proto::estimate::Uncertainty as Wire;
    let uncertainty = match estimate.uncertainty {
        Uncertainty::Interval { low, high, level, method } => {
            let method = match method {
                Method::Wilson => "wilson",
                Method::Newcombe => "newcombe",
            };
            Wire::Interval(proto::Interval { low, high, level, method: method.to_owned(), seed: None })
        }
        Uncertainty::Census => Wire::Census(proto::Census {}),
        Uncertainty::TooFew { needed } => Wire::TooFew(proto::TooFew { needed }),
    };
    let design = match estimate.design {
        Design::Association => proto::estimate::Design::Association,
        Design::Randomised => proto::estimate::Design::Randomised,
    };
    proto::Estimate {
        value: estimate.value,
        numerator: estimate.numerator,
        denominator: estimate.denominator,
        undecided: estimate.undecided,
        missing: estimate.missing,
        lost: estimate.lost,
        uncertainty: Some(uncertainty),
        definition_version: i32::try_from(estimate.definition_version).unwrap_or(i32::MAX),
        design: design.into(),
    }
}

/// Places in the two logs of a service, for `position` bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// Places in the log of changes.
    pub changes: Vec<(Partition, i64)>,
    /// Places in the log of events.
    pub events: Vec<(Partition, i64)>,
}

impl Position {
    /// The opaque bytes.
    pub fn encode(&self) -> Vec<u8> {
        let places = |log: &[(Partition, i64)]| {
            log.iter()
                .map(|(partition, seq)| proto::PartitionPosition {
                    partition: i32::from(partition.number()),
                    seq: *seq,
                })
                .collect()
        };
        proto::Position { changes: places(&self.changes), events: places(&self.events) }.encode_to_vec()
    }

    /// Reads opaque bytes that a caller hands back.
    pub fn parse(bytes: &[u8], field: &str, violations: &mut Violations) -> Option<Self> {
        let places = |log: &[proto::PartitionPosition]| {
            log.iter()
                .map(|place| Some((Partition::new(u8::try_from(place.partition).ok()?)?, place.seq)))
                .collect::<Option<Vec<_>>>()
        };
        let read = proto::Position::decode(bytes).ok();
        let found = read
            .and_then(|message| Some(Self { changes: places(&message.changes)?, events: places(&message.events)? }));
        if found.is_none() {
            violations.add(field, reason::NOT_A_POSITION, "must be the bytes of an earlier answer, unchanged");
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_a_round_trip_and_odd_ones_are_refused() {
        let at = Micros(1_714_521_599_999_999);
        let mut violations = Violations::new();
        assert_eq!(parse_instant(&timestamp(at), "at", &mut violations), Some(at));
        assert!(violations.is_empty());
        for (seconds, nanos) in [(-1, 0), (7_258_118_400, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, 0)] {
            let mut violations = Violations::new();
            assert_eq!(parse_instant(&Timestamp { seconds, nanos }, "at", &mut violations), None);
            assert_eq!(violations.len(), 1);
        }
    }

    #[test]
    fn a_reference_names_everything_wrong_with_it() {
        let mut violations = Violations::new();
        let wrong = proto::ExternalId { source: "CRM".to_owned(), id: String::new() };
        let wrong = proto::AccountRef { r#ref: Some(proto::account_ref::Ref::External(wrong)) };
        assert_eq!(parse_account(Some(&wrong), "account", &mut violations), None);
        let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["account.external.source", "account.external.id"]);
    }

    #[test]
    fn positions_survive_a_round_trip() {
        let place = |number| Partition::new(number).expect("a partition");
        let position = Position { changes: vec![(place(3), 7)], events: vec![(place(0), 1), (place(63), 2)] };
        let mut violations = Violations::new();
        assert_eq!(Position::parse(&position.encode(), "at_least", &mut violations), Some(position));
        assert_eq!(Position::parse(b"\xff", "at_least", &mut violations), None);
    }
}
