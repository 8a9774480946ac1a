//! Changes as ingestion writes them.

use keizoku_base::id::{ContractId, MetricId};
use keizoku_base::{AccountId, Day, Micros, Partition, WorkspaceId};
use keizoku_convert::{date, timestamp};
use keizoku_proto::ingestion::change::State;
use keizoku_proto::ingestion::metric_definition::{Absence, Aggregation};
use keizoku_proto::ingestion::{self as proto, Change, ChangeKind};
use keizoku_proto::types;
use roaring::RoaringBitmap;

/// A change with its partition.
pub(crate) type Placed = (Partition, Change);

/// An account whose id ends with a byte, which decides its partition.
pub(crate) fn account_id(number: u8) -> AccountId {
    AccountId::seeded(Micros(1_700_000_000_000_000), [7, 7, 7, 7, 7, 7, 7, 7, 7, number])
}

pub(crate) fn day(text: &str) -> Day {
    Day::parse(text).expect("a date")
}

fn change(kind: ChangeKind, key: Vec<u8>, state: State) -> Change {
    Change { kind: kind.into(), key: key.into(), state: Some(state), ..Change::default() }
}

pub(crate) fn workspace(id: WorkspaceId, clock_set_to: Option<Micros>, version: i64) -> Placed {
    let message = proto::Workspace {
        id: id.to_string(),
        display_name: "rig".to_owned(),
        kind: proto::workspace::Kind::Test.into(),
        time_zone: "Asia/Tokyo".to_owned(),
        settings: Some(proto::WorkspaceSettings { reporting_currency: "JPY".to_owned(), ..Default::default() }),
        clock_set_to: clock_set_to.map(timestamp),
        created_at: Some(timestamp(Micros(1))),
        etag: version.to_string(),
        synthetic: true,
    };
    let state = State::Workspace(message);
    (Partition::of(id.0), change(ChangeKind::Workspace, id.0.as_bytes().to_vec(), state))
}

/// An account with text attributes.
pub(crate) fn account(id: AccountId, attributes: &[(&str, &str)]) -> Placed {
    let attribute = |(key, text): &(&str, &str)| types::Attribute {
        key: (*key).to_owned(),
        value: Some(types::Value { kind: Some(types::value::Kind::Text((*text).to_owned())) }),
        known_at: None,
    };
    let external = types::ExternalId { source: "crm".to_owned(), id: format!("c-{}", id.0.as_bytes()[15]) };
    let message = proto::Account {
        id: id.to_string(),
        external_ids: vec![external],
        display_name: format!("Account {}", id.0.as_bytes()[15]),
        attributes: attributes.iter().map(attribute).collect(),
        ..proto::Account::default()
    };
    (id.partition(), change(ChangeKind::Account, id.0.as_bytes().to_vec(), State::Account(message)))
}

/// A contract that pays monthly, in yen.
pub(crate) fn contract(id: AccountId, number: u8, monthly: i64, starts_on: Day, ends_on: Option<Day>) -> Placed {
    let contract = ContractId::seeded(Micros(1), [number; 10]);
    let amount = types::Money {
        minor_units: monthly,
        currency_code: "JPY".to_owned(),
        period: types::BillingPeriod::Month.into(),
    };
    let message = proto::Contract {
        id: contract.to_string(),
        account_ids: vec![id.to_string()],
        plan: "pro".to_owned(),
        amount: Some(amount),
        starts_on: Some(date(starts_on)),
        ends_on: ends_on.map(date),
        ..proto::Contract::default()
    };
    let key = [contract.0.as_bytes().as_slice(), id.0.as_bytes()].concat();
    (id.partition(), change(ChangeKind::Contract, key, State::Contract(message)))
}

/// A thing is gone.
pub(crate) fn gone(of: &Placed) -> Placed {
    (of.0, Change { state: Some(State::Tombstone(proto::Tombstone {})), ..of.1.clone() })
}

/// A metric that counts events of a source.
pub(crate) fn metric(key: &str, source: &str, version: i32, aggregation: Aggregation) -> Placed {
    let message = proto::MetricDefinition {
        key: key.to_owned(),
        version,
        event_names: vec![key.to_owned()],
        source: source.to_owned(),
        aggregation: aggregation.into(),
        absence: Absence::ZeroWhenSourceAlive.into(),
        stale_after_days: 3,
        ..proto::MetricDefinition::default()
    };
    let id = MetricId::seeded(Micros(1), [key.len() as u8; 10]);
    let key = [id.0.as_bytes().as_slice(), &version.to_be_bytes()].concat();
    (id.partition(), change(ChangeKind::MetricDefinition, key, State::MetricDefinition(message)))
}

/// What an account's metrics came to on a day, in whole numbers, all of version 1.
pub(crate) fn counted(id: AccountId, on: Day, values: &[(&str, i64)]) -> Placed {
    let value = |(key, whole): &(&str, i64)| proto::MetricValue {
        key: (*key).to_owned(),
        version: 1,
        value_millionths: whole * 1_000_000,
        users: Default::default(),
    };
    metric_day(id, on, values.iter().map(value).collect())
}

/// Who used the product on a day.
pub(crate) fn used(id: AccountId, on: Day, metric: &str, users: &[u32]) -> Placed {
    let set: RoaringBitmap = users.iter().copied().collect();
    let mut bytes = Vec::new();
    set.serialize_into(&mut bytes).expect("memory");
    let value_millionths = users.len() as i64 * 1_000_000;
    metric_day(
        id,
        on,
        vec![proto::MetricValue { key: metric.to_owned(), version: 1, value_millionths, users: bytes.into() }],
    )
}

fn metric_day(id: AccountId, on: Day, values: Vec<proto::MetricValue>) -> Placed {
    let message = proto::MetricDay { account_id: id.to_string(), day: on.0, values, known_at_micros: 1 };
    let key = [id.0.as_bytes().as_slice(), &on.0.to_be_bytes()].concat();
    (id.partition(), change(ChangeKind::MetricDay, key, State::MetricDay(message)))
}

/// A source covers an account between two days.
pub(crate) fn covered(id: AccountId, source: &str, first: Day, last: Day) -> Placed {
    let message = proto::AccountSource {
        account_id: id.to_string(),
        source: source.to_owned(),
        first_day: first.0,
        last_day: last.0,
    };
    let key = [id.0.as_bytes().as_slice(), source.as_bytes()].concat();
    (id.partition(), change(ChangeKind::AccountSource, key, State::AccountSource(message)))
}

/// The days on which a source delivered anything to the accounts of a partition.
pub(crate) fn delivered(partition: Partition, source: &str, days: impl Iterator<Item = Day>) -> Placed {
    let set: RoaringBitmap = days.map(|day| day.0 as u32).collect();
    let mut bytes = Vec::new();
    set.serialize_into(&mut bytes).expect("memory");
    let message = proto::SourceDays { source: source.to_owned(), days: bytes.into() };
    (partition, change(ChangeKind::SourceDays, source.as_bytes().to_vec(), State::SourceDays(message)))
}

/// Events up to a position are counted.
pub(crate) fn watermark(partition: Partition, events_seq: i64) -> Placed {
    let message = proto::Watermark { partition: i32::from(partition.number()), events_seq };
    (partition, change(ChangeKind::Watermark, vec![partition.number()], State::Watermark(message)))
}

/// All days from one to another.
pub(crate) fn days(first: &str, last: &str) -> impl Iterator<Item = Day> + Clone {
    (day(first).0..=day(last).0).map(Day)
}
