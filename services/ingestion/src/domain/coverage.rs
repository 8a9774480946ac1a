//! What has arrived: from which source, since when, for whom, with which properties.
//!
//! Everything unites commutatively: counts add, spans widen, kinds and days unite.

use std::collections::BTreeMap;

use keizoku_base::{AccountId, Day};

use crate::domain::event::RecordedEvent;
use crate::domain::key::{KEY_MOST, Key};
use crate::domain::pack::{Corrupt, Packer, Unpacker};
use crate::domain::set::NumberSet;
use crate::domain::value::ValueKind;

/// The most property keys that are told of one event name; those first in the alphabet are kept.
pub const PROPERTIES_MOST: usize = 500;

/// A name of events or measurements of a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKind {
    /// The source.
    pub source: String,
    /// The name.
    pub name: String,
    /// Whether it is a measurement.
    pub measurement: bool,
}

/// How much of something arrived, over which days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first day of one.
    pub first: Day,
    /// The last day of one.
    pub last: Day,
    /// How many.
    pub count: u64,
}

/// How often a property came, as which kinds of value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PropertySeen {
    kinds: u8,
    /// How many events carried it.
    pub count: u64,
}

/// The properties seen on a name of events, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PropertiesSeen(BTreeMap<String, PropertySeen>);

/// What a batch adds to coverage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Coverage {
    /// By account and name of events.
    pub events: BTreeMap<(AccountId, EventKind), Span>,
    /// By account and source, all names together.
    pub sources: BTreeMap<(AccountId, String), Span>,
    /// By name of events.
    pub properties: BTreeMap<EventKind, PropertiesSeen>,
    /// The days on which a source delivered, as numbers since 1970.
    pub days: BTreeMap<String, NumberSet>,
}

impl Span {
    /// One on a day.
    pub fn on(day: Day) -> Self {
        Self { first: day, last: day, count: 1 }
    }

    /// Both together.
    #[must_use]
    pub fn unite(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            count: self.count.saturating_add(other.count),
        }
    }
}

impl PropertySeen {
    /// One event that carried it as this kind of value.
    pub fn once(kind: ValueKind) -> Self {
        Self { kinds: bit(kind), count: 1 }
    }

    /// The kinds of value seen, in the order of [`ValueKind::ALL`].
    pub fn kinds(&self) -> impl Iterator<Item = ValueKind> {
        let kinds = self.kinds;
        ValueKind::ALL.into_iter().filter(move |kind| kinds & bit(*kind) != 0)
    }

    fn unite(&mut self, other: Self) {
        self.kinds |= other.kinds;
        self.count = self.count.saturating_add(other.count);
    }
}

impl PropertiesSeen {
    /// These properties.
    pub fn of<'k>(properties: impl IntoIterator<Item = (&'k str, PropertySeen)>) -> Self {
        let mut seen = Self::default();
        properties.into_iter().for_each(|(key, property)| seen.add(key, property));
        seen
    }

    /// Adds all of `other`.
    pub fn unite(&mut self, other: &Self) {
        for (key, seen) in &other.0 {
            self.add(key, *seen);
        }
    }

    /// The properties, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, PropertySeen)> {
        self.0.iter().map(|(key, seen)| (key.as_str(), *seen))
    }

    /// Its bytes: the same for the same properties.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut packer = Packer::new();
        for (key, seen) in &self.0 {
            packer.text(key);
            packer.byte(seen.kinds);
            packer.unsigned(seen.count);
        }
        packer.into_bytes()
    }

    /// Reads what [`PropertiesSeen::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let (mut unpacker, mut seen) = (Unpacker::new(bytes), Self::default());
        while !unpacker.is_empty() {
            let key = unpacker.text()?;
            let in_order = seen.0.last_key_value().is_none_or(|(last, _)| last.as_str() < key);
            if key.len() > KEY_MOST || !in_order {
                return Err(Corrupt);
            }
            let one = PropertySeen { kinds: unpacker.byte()?, count: unpacker.unsigned()? };
            seen.0.insert(key.to_owned(), one);
        }
        Ok(seen)
    }

    /// A key that falls out never comes back, because those before it stay; so the counts of the keys that are kept are
    /// whole, whatever the order.
    fn add(&mut self, key: &str, seen: PropertySeen) {
        if let Some(held) = self.0.get_mut(key) {
            return held.unite(seen);
        }
        self.0.insert(key.to_owned(), seen);
        if self.0.len() > PROPERTIES_MOST {
            self.0.pop_last();
        }
    }
}

impl Coverage {
    /// What these events add.
    ///
    /// # Errors
    /// [`Corrupt`] where an event's properties cannot be read.
    pub fn of<'e>(events: impl IntoIterator<Item = &'e RecordedEvent>) -> Result<Self, Corrupt> {
        let mut coverage = Self::default();
        for event in events {
            coverage.add(event)?;
        }
        Ok(coverage)
    }

    /// Adds all of `other`.
    pub fn unite(&mut self, other: &Self) {
        for (of, span) in &other.events {
            widen(&mut self.events, of.clone(), *span);
        }
        for (of, span) in &other.sources {
            widen(&mut self.sources, of.clone(), *span);
        }
        for (kind, properties) in &other.properties {
            self.properties.entry(kind.clone()).or_default().unite(properties);
        }
        for (source, days) in &other.days {
            self.days.entry(source.clone()).or_default().unite(days);
        }
    }

    fn add(&mut self, event: &RecordedEvent) -> Result<(), Corrupt> {
        let kind = EventKind { source: event.source.clone(), name: event.name.clone(), measurement: event.measurement };
        let span = Span::on(event.day);
        let properties = event.properties.read()?;
        if !properties.is_empty() {
            let seen = self.properties.entry(kind.clone()).or_default();
            for (key, value) in properties {
                seen.add(key, PropertySeen::once(value.kind()));
            }
        }
        widen(&mut self.events, (event.account, kind), span);
        widen(&mut self.sources, (event.account, event.source.clone()), span);
        if let Some(day) = day_number(event.day) {
            self.days.entry(event.source.clone()).or_default().insert(day);
        }
        Ok(())
    }
}

/// The days of a declared interval on which a source was alive, both ends in it.
pub fn alive(source: &Key, first: Day, last: Day) -> (String, NumberSet) {
    let days = (first.0..=last.0).filter_map(|day| day_number(Day(day)));
    (source.as_str().to_owned(), days.collect())
}

fn widen<K: Ord>(spans: &mut BTreeMap<K, Span>, of: K, span: Span) {
    spans.entry(of).and_modify(|held| *held = held.unite(span)).or_insert(span);
}

/// A day's number in sets; none before 1970, where nothing is accepted.
fn day_number(day: Day) -> Option<u32> {
    u32::try_from(day.0).ok()
}

fn bit(kind: ValueKind) -> u8 {
    match kind {
        ValueKind::Text => 1,
        ValueKind::Integer => 1 << 1,
        ValueKind::Number => 1 << 2,
        ValueKind::Flag => 1 << 3,
        ValueKind::Instant => 1 << 4,
        ValueKind::Date => 1 << 5,
        ValueKind::Texts => 1 << 6,
    }
}

#[cfg(test)]
mod tests {
    use keizoku_base::Micros;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::check::Checks;
    use crate::domain::pack::Digest;
    use crate::domain::value::{Properties, PropertyDraft, ValueDraft};

    fn event(who: u8, day: i32, name: &str, properties: &[(&str, ValueDraft)]) -> RecordedEvent {
        let draft =
            |(key, value): &(&str, ValueDraft)| PropertyDraft { key: (*key).to_owned(), value: Some(value.clone()) };
        let properties = properties.iter().map(draft).collect();
        RecordedEvent {
            account: AccountId::seeded(Micros(0), [who; 10]),
            source: "app".to_owned(),
            name: name.to_owned(),
            measurement: false,
            key: Digest([0; 16]),
            seq: 0,
            occurred_at: Micros(0),
            day: Day(day),
            known_at: Micros(0),
            user: None,
            value: None,
            properties: Properties::check(&mut Checks::new(), "properties", properties).expect("properties"),
        }
    }

    #[test]
    fn tells_spans_properties_and_days() {
        let events = [
            event(1, 20, "login", &[("plan", ValueDraft::Text("pro".to_owned()))]),
            event(1, 10, "login", &[("plan", ValueDraft::Integer(3)), ("os", ValueDraft::Flag(true))]),
            event(2, 15, "export", &[]),
        ];
        let coverage = Coverage::of(&events).expect("coverage");
        let spans: Vec<_> = coverage.events.iter().map(|((_, kind), span)| (kind.name.as_str(), *span)).collect();
        let login = Span { first: Day(10), last: Day(20), count: 2 };
        assert_eq!(spans, [("login", login), ("export", Span::on(Day(15)))]);
        assert_eq!(coverage.sources.values().copied().collect::<Vec<_>>(), [login, Span::on(Day(15))]);
        assert_eq!(coverage.days["app"].iter().collect::<Vec<_>>(), [10, 15, 20]);
        let seen: Vec<_> = coverage.properties.values().flat_map(PropertiesSeen::iter).collect();
        let told: Vec<(_, _, Vec<_>)> =
            seen.iter().map(|(key, seen)| (*key, seen.count, seen.kinds().map(ValueKind::name).collect())).collect();
        assert_eq!(told, [("os", 1, vec!["flag"]), ("plan", 2, vec!["text", "integer"])]);
    }

    #[test]
    fn a_heartbeat_is_a_span_of_days() {
        let source = Key::check("app".to_owned()).expect("a key");
        let (_, days) = alive(&source, Day(3), Day(5));
        assert_eq!(days.iter().collect::<Vec<_>>(), [3, 4, 5]);
    }

    #[test]
    fn keys_past_the_limit_are_left_out_and_the_rest_stay_whole() {
        let names: Vec<_> = (0..600).map(|index| format!("k{index:03}")).collect();
        let seen = |names: &mut dyn Iterator<Item = &String>| {
            let mut seen = PropertiesSeen::default();
            names.for_each(|name| seen.add(name, PropertySeen::once(ValueKind::Flag)));
            seen
        };
        let (mut up, mut down) = (seen(&mut names.iter()), seen(&mut names.iter().rev()));
        let again = up.clone();
        up.unite(&down);
        down.unite(&again);
        assert_eq!(up, down);
        assert_eq!(up.iter().count(), PROPERTIES_MOST);
        assert!(up.iter().all(|(_, seen)| seen.count == 2));
    }

    proptest! {
        #[test]
        fn any_split_comes_to_the_same(
            events in vec((0_u8..3, 0_i32..40, "[ab]", vec(("[a-d]", any::<bool>()), 0..3)), 0..20),
            cut in 0_usize..20,
        ) {
            let events: Vec<_> = events
                .into_iter()
                .map(|(who, day, name, properties)| {
                    let mut distinct: Vec<_> = properties.iter().map(|(key, flag)| {
                        (key.as_str(), if *flag { ValueDraft::Flag(true) } else { ValueDraft::Integer(1) })
                    }).collect();
                    distinct.sort_by_key(|(key, _)| *key);
                    distinct.dedup_by_key(|(key, _)| *key);
                    event(who, day, &name, &distinct)
                })
                .collect();
            let (head, tail) = events.split_at(cut.min(events.len()));
            let whole = Coverage::of(&events).expect("coverage");
            let mut united = Coverage::of(tail).expect("coverage");
            united.unite(&Coverage::of(head).expect("coverage"));
            prop_assert_eq!(&united, &whole);
            for seen in whole.properties.values() {
                prop_assert_eq!(&PropertiesSeen::from_bytes(&seen.to_bytes()), &Ok(seen.clone()));
            }
        }
    }
}
