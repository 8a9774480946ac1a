//! Coverage as it is kept: of an account, and of a partition's properties. Both are bounded, and what is left out past
//! the bound does not depend on the order in which things arrived.

use std::collections::BTreeMap;

use keizoku_base::Day;

use crate::domain::coverage::{EventKind, PropertiesSeen, Span};
use crate::domain::pack::{Corrupt, Packer, Unpacker};

/// The most names of events that are told of an account, and of a partition; those first in the alphabet are kept.
pub const KINDS_MOST: usize = 1000;
/// The most sources that are told of an account; those first in the alphabet are kept.
pub const SOURCES_MOST: usize = 1000;

/// What arrived for an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountCoverage {
    sources: BTreeMap<String, Span>,
    kinds: BTreeMap<EventKind, Span>,
}

/// Which properties arrived, by name of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PropertyCoverage(BTreeMap<EventKind, PropertiesSeen>);

impl AccountCoverage {
    /// Adds what arrived of a name of events.
    pub fn add_kind(&mut self, kind: &EventKind, span: Span) {
        widen(&mut self.kinds, kind, span, KINDS_MOST);
    }

    /// Adds what arrived from a source, all names together; answers its span where the first or the last day changed.
    pub fn add_source(&mut self, source: &String, span: Span) -> Option<Span> {
        let before = self.sources.get(source).copied();
        widen(&mut self.sources, source, span, SOURCES_MOST);
        let after = self.sources.get(source).copied()?;
        before.is_none_or(|before| (before.first, before.last) != (after.first, after.last)).then_some(after)
    }

    /// Every source with its span, all names together.
    pub fn sources(&self) -> impl Iterator<Item = (&str, Span)> {
        self.sources.iter().map(|(source, span)| (source.as_str(), *span))
    }

    /// Every name of events with its span.
    pub fn kinds(&self) -> impl Iterator<Item = (&EventKind, Span)> {
        self.kinds.iter().map(|(kind, span)| (kind, *span))
    }

    /// Its bytes: the same for the same coverage.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut packer = Packer::new();
        packer.unsigned(self.sources.len() as u128);
        for (source, span) in &self.sources {
            packer.text(source);
            pack_span(&mut packer, *span);
        }
        for (kind, span) in &self.kinds {
            pack_kind(&mut packer, kind);
            pack_span(&mut packer, *span);
        }
        packer.into_bytes()
    }

    /// Reads what [`AccountCoverage::to_bytes`] wrote; no bytes are nothing.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let (mut unpacker, mut found) = (Unpacker::new(bytes), Self::default());
        if unpacker.is_empty() {
            return Ok(found);
        }
        for _ in 0..unpacker.unsigned::<u32>()? {
            let source = unpacker.text()?.to_owned();
            found.sources.insert(source, unpack_span(&mut unpacker)?);
        }
        while !unpacker.is_empty() {
            let kind = unpack_kind(&mut unpacker)?;
            found.kinds.insert(kind, unpack_span(&mut unpacker)?);
        }
        Ok(found)
    }
}

impl PropertyCoverage {
    /// Adds the properties that arrived with a name of events.
    pub fn add(&mut self, kind: &EventKind, seen: &PropertiesSeen) {
        match self.0.get_mut(kind) {
            Some(held) => held.unite(seen),
            None => {
                self.0.insert(kind.clone(), seen.clone());
                if self.0.len() > KINDS_MOST {
                    self.0.pop_last();
                }
            }
        }
    }

    /// Every name of events with its properties.
    pub fn iter(&self) -> impl Iterator<Item = (&EventKind, &PropertiesSeen)> {
        self.0.iter()
    }

    /// Its bytes: the same for the same coverage.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut packer = Packer::new();
        for (kind, seen) in &self.0 {
            pack_kind(&mut packer, kind);
            packer.bytes(&seen.to_bytes());
        }
        packer.into_bytes()
    }

    /// Reads what [`PropertyCoverage::to_bytes`] wrote; no bytes are nothing.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let (mut unpacker, mut found) = (Unpacker::new(bytes), Self::default());
        while !unpacker.is_empty() {
            let kind = unpack_kind(&mut unpacker)?;
            found.0.insert(kind, PropertiesSeen::from_bytes(unpacker.bytes()?)?);
        }
        Ok(found)
    }
}

fn widen<K: Ord + Clone>(spans: &mut BTreeMap<K, Span>, of: &K, span: Span, most: usize) {
    if let Some(held) = spans.get_mut(of) {
        *held = held.unite(span);
        return;
    }
    spans.insert(of.clone(), span);
    if spans.len() > most {
        spans.pop_last();
    }
}

fn pack_kind(packer: &mut Packer, kind: &EventKind) {
    packer.text(&kind.source);
    packer.text(&kind.name);
    packer.byte(u8::from(kind.measurement));
}

fn unpack_kind(unpacker: &mut Unpacker<'_>) -> Result<EventKind, Corrupt> {
    let (source, name) = (unpacker.text()?.to_owned(), unpacker.text()?.to_owned());
    Ok(EventKind { source, name, measurement: unpacker.byte()? == 1 })
}

fn pack_span(packer: &mut Packer, span: Span) {
    packer.signed(span.first.0);
    packer.signed(span.last.0);
    packer.unsigned(span.count);
}

fn unpack_span(unpacker: &mut Unpacker<'_>) -> Result<Span, Corrupt> {
    Ok(Span { first: Day(unpacker.signed()?), last: Day(unpacker.signed()?), count: unpacker.unsigned()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::coverage::PropertySeen;
    use crate::domain::value::ValueKind;

    fn kind(name: &str) -> EventKind {
        EventKind { source: "app".to_owned(), name: name.to_owned(), measurement: false }
    }

    #[test]
    fn an_account_tells_a_source_only_when_its_days_change() {
        let (mut coverage, app) = (AccountCoverage::default(), "app".to_owned());
        let days = |first, last| Span { first: Day(first), last: Day(last), count: 1 };
        assert_eq!(coverage.add_source(&app, days(5, 7)), Some(days(5, 7)));
        assert_eq!(coverage.add_source(&app, days(6, 6)), None);
        assert_eq!(coverage.add_source(&app, days(4, 9)), Some(Span { count: 3, ..days(4, 9) }));
        coverage.add_kind(&kind("login"), days(4, 9));
        assert_eq!(AccountCoverage::from_bytes(&coverage.to_bytes()), Ok(coverage));
        assert_eq!(AccountCoverage::from_bytes(&[]), Ok(AccountCoverage::default()));
        assert_eq!(AccountCoverage::from_bytes(&[1]), Err(Corrupt));
    }

    #[test]
    fn names_past_the_limit_are_left_out_whatever_the_order() {
        let names: Vec<_> = (0..1100).map(|number| kind(&format!("n{number:04}"))).collect();
        let filled = |names: &mut dyn Iterator<Item = &EventKind>| {
            let mut coverage = AccountCoverage::default();
            names.for_each(|name| coverage.add_kind(name, Span::on(Day(1))));
            coverage
        };
        let up = filled(&mut names.iter());
        assert_eq!(up, filled(&mut names.iter().rev()));
        assert_eq!(up.kinds().count(), KINDS_MOST);
    }

    #[test]
    fn properties_survive_a_round_trip() {
        let seen = PropertiesSeen::of([("plan", PropertySeen::once(ValueKind::Text))]);
        let mut coverage = PropertyCoverage::default();
        coverage.add(&kind("login"), &seen);
        coverage.add(&kind("login"), &seen);
        let read = PropertyCoverage::from_bytes(&coverage.to_bytes()).expect("coverage");
        assert_eq!(read, coverage);
        let counts: Vec<_> = read.iter().flat_map(|(_, seen)| seen.iter().map(|(_, seen)| seen.count)).collect();
        assert_eq!(counts, [2]);
    }
}
