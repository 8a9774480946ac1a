//! What an account did in one calendar month, packed: one row of day values, and one of user sets per distinct metric.
//!
//! A day arrives whole and replaces what was known of it. What it replaced can be kept as an [`Undo`], so that the month
//! can be read as it was known at an earlier time.

use std::collections::BTreeMap;
use std::sync::Arc;

use keizoku_base::number::Millionths;
use keizoku_base::time::{Day, Micros, Month};
use roaring::RoaringBitmap;

use super::packed::{Corrupt, Reader, put, put_bytes, put_signed};

/// A name of the workspace's: of a metric, a source, a band and the like. Cheap to copy.
pub type Key = Arc<str>;

/// A metric in one version of its definition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricRef {
    /// The metric's key.
    pub key: Key,
    /// The version of its definition.
    pub version: i32,
}

/// What one metric came to on a day.
#[derive(Debug, Clone, PartialEq)]
pub struct DayValue {
    /// The value; for distinct users their number.
    pub value: Millionths,
    /// For distinct users who they were, as ordinals.
    pub users: Option<RoaringBitmap>,
}

/// Everything a day came to, by metric. Empty: nothing is known of the day.
pub type DayState = BTreeMap<MetricRef, DayValue>;

const FORM: u8 = 1;
const SETS_FORM: u8 = 1;

/// The values of the days of a month, by metric; without the sets of users.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MonthBlock(BTreeMap<MetricRef, BTreeMap<u8, Millionths>>);

/// One metric's values as they lie in a packed row.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a str,
    pub(super) version: i32,
    /// Bit n is set where day n + 1 of the month has a value.
    pub(super) days: u32,
    /// The values of those days, in their order; the rest is filled up.
    pub(super) values: [i64; 31],
}

impl MonthBlock {
    /// Packs it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORM];
        for (metric, days) in &self.0 {
            put_bytes(&mut out, metric.key.as_bytes());
            put_signed(&mut out, i64::from(metric.version));
            out.extend_from_slice(&mask_of(days.keys()).to_le_bytes());
            // Most values are whole numbers, which are a fifth as long.
            let unit = if days.values().all(|value| value.0 % Millionths::ONE == 0) { Millionths::ONE } else { 1 };
            out.push(u8::from(unit == 1));
            days.values().for_each(|value| put_signed(&mut out, value.0 / unit));
        }
        out
    }

    /// Unpacks it.
    ///
    /// # Errors
    /// [`Corrupt`] where the bytes are no such row.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut block = Self::default();
        visit(bytes, |entry| {
            let metric = MetricRef { key: entry.key.into(), version: entry.version };
            let days = days_of(entry.days).zip(entry.values.iter().map(|value| Millionths(*value))).collect();
            block.0.insert(metric, days);
        })?;
        Ok(block)
    }

    /// Whether it holds no value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Shows every metric of a packed row to `each`, without building anything.
pub(super) fn visit(bytes: &[u8], mut each: impl FnMut(&Entry<'_>)) -> Result<(), Corrupt> {
    let mut reader = Reader::open(bytes, FORM)?;
    while !reader.is_at_end() {
        let (key, version) = (reader.text()?, reader.small_signed()?);
        let days = mask(&mut reader)?;
        let unit = if reader.byte()? == 0 { Millionths::ONE } else { 1 };
        let mut values = [0; 31];
        for value in values.iter_mut().take(days.count_ones() as usize) {
            *value = reader.signed()?.checked_mul(unit).ok_or(Corrupt)?;
        }
        each(&Entry { key, version, days, values });
    }
    Ok(())
}

/// Who used the product on the days of a month, for one distinct metric.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SetBlock(BTreeMap<u8, RoaringBitmap>);

impl SetBlock {
    /// Packs it: per day the set in roaring's portable form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![SETS_FORM];
        out.extend_from_slice(&mask_of(self.0.keys()).to_le_bytes());
        for users in self.0.values() {
            put_bytes(&mut out, &portable(users));
        }
        out
    }

    /// Unpacks it.
    ///
    /// # Errors
    /// [`Corrupt`] where the bytes are no such row.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut block = Self::default();
        visit_sets(bytes, |day, users| {
            block.0.insert(day, users);
        })?;
        Ok(block)
    }

    /// Whether it holds no set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Shows the set of every day (1 to 31) of a packed row to `each`.
pub(super) fn visit_sets(bytes: &[u8], mut each: impl FnMut(u8, RoaringBitmap)) -> Result<(), Corrupt> {
    let mut reader = Reader::open(bytes, SETS_FORM)?;
    for day in days_of(mask(&mut reader)?) {
        each(day, RoaringBitmap::deserialize_from(reader.bytes()?).map_err(|_| Corrupt)?);
    }
    if reader.is_at_end() { Ok(()) } else { Err(Corrupt) }
}

/// A month of an account with everything in it.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountMonth {
    /// Which month.
    pub month: Month,
    /// The values.
    pub values: MonthBlock,
    /// The sets of users, by distinct metric.
    pub sets: BTreeMap<MetricRef, SetBlock>,
}

/// What [`AccountMonth::set_day`] changed.
#[derive(Debug, Clone, PartialEq)]
pub struct DayChange {
    /// What was known of the day before.
    pub previous: DayState,
    /// The metrics whose set block changed; an empty block can be deleted.
    pub sets: Vec<MetricRef>,
}

impl AccountMonth {
    /// A month nothing is known of.
    pub fn new(month: Month) -> Self {
        Self { month, values: MonthBlock::default(), sets: BTreeMap::new() }
    }

    /// What is known of a day; nothing for a day of another month.
    pub fn day(&self, day: Day) -> DayState {
        let Some(number) = self.number(day) else { return DayState::new() };
        let values = self.values.0.iter().filter_map(|(metric, days)| Some((metric, *days.get(&number)?)));
        values
            .map(|(metric, value)| {
                let users = self.sets.get(metric).and_then(|block| block.0.get(&number).cloned());
                (metric.clone(), DayValue { value, users })
            })
            .collect()
    }

    /// Replaces what is known of a day as a whole. `None` where that changes nothing or the day is of another month.
    pub fn set_day(&mut self, day: Day, state: &DayState) -> Option<DayChange> {
        let number = self.number(day)?;
        let previous = self.day(day);
        if previous == *state {
            return None;
        }
        let mut sets = Vec::new();
        for metric in previous.keys().chain(state.keys()) {
            let (before, after) = (previous.get(metric), state.get(metric));
            self.put_value(metric, number, after.map(|value| value.value));
            let users = |value: Option<&DayValue>| value.and_then(|value| value.users.clone());
            if users(before) != users(after) && !sets.contains(metric) {
                self.put_users(metric, number, users(after));
                sets.push(metric.clone());
            }
        }
        Some(DayChange { previous, sets })
    }

    /// Goes back to what was known at `at`: undoes what became known later, the last first. `undo` is in the order in which
    /// the changes were made.
    pub fn rewind(&mut self, undo: &[Undo], at: Micros) {
        for entry in undo.iter().rev().filter(|entry| entry.known_at > at) {
            self.set_day(entry.day, &entry.previous);
        }
    }

    fn number(&self, day: Day) -> Option<u8> {
        (day.month() == self.month).then(|| u8::try_from(day.0 - self.month.first().0 + 1).ok()).flatten()
    }

    fn put_value(&mut self, metric: &MetricRef, number: u8, value: Option<Millionths>) {
        let days = self.values.0.entry(metric.clone()).or_default();
        match value {
            Some(value) => days.insert(number, value),
            None => days.remove(&number),
        };
        if days.is_empty() {
            self.values.0.remove(metric);
        }
    }

    fn put_users(&mut self, metric: &MetricRef, number: u8, users: Option<RoaringBitmap>) {
        let block = self.sets.entry(metric.clone()).or_default();
        match users {
            Some(users) => block.0.insert(number, users),
            None => block.0.remove(&number),
        };
    }
}

/// What a change to a day replaced.
#[derive(Debug, Clone, PartialEq)]
pub struct Undo {
    /// The day that was changed.
    pub day: Day,
    /// When the change became known; never earlier than that of the change before it.
    pub known_at: Micros,
    /// What was known of the day before.
    pub previous: DayState,
}

impl Undo {
    /// Adds it to the end of a packed row, which may be empty.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        put_signed(out, i64::from(self.day.0));
        put_signed(out, self.known_at.0);
        put(out, self.previous.len() as u64);
        for (metric, value) in &self.previous {
            put_bytes(out, metric.key.as_bytes());
            put_signed(out, i64::from(metric.version));
            put_signed(out, value.value.0);
            put_bytes(out, &value.users.as_ref().map_or_else(Vec::new, portable));
        }
    }

    /// Reads a packed row, in the order in which it was written.
    ///
    /// # Errors
    /// [`Corrupt`] where the bytes are no such row.
    pub fn decode_all(bytes: &[u8]) -> Result<Vec<Self>, Corrupt> {
        let mut reader = Reader::new(bytes);
        let mut entries = Vec::new();
        while !reader.is_at_end() {
            let (day, known_at) = (Day(reader.small_signed()?), Micros(reader.signed()?));
            let count: usize = reader.small()?;
            let previous = (0..count).map(|_| day_value(&mut reader)).collect::<Result<_, _>>()?;
            entries.push(Self { day, known_at, previous });
        }
        Ok(entries)
    }
}

fn day_value(reader: &mut Reader<'_>) -> Result<(MetricRef, DayValue), Corrupt> {
    let metric = MetricRef { key: reader.text()?.into(), version: reader.small_signed()? };
    let value = Millionths(reader.signed()?);
    let users = match reader.bytes()? {
        [] => None,
        bytes => Some(RoaringBitmap::deserialize_from(bytes).map_err(|_| Corrupt)?),
    };
    Ok((metric, DayValue { value, users }))
}

fn portable(users: &RoaringBitmap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(users.serialized_size());
    // Writing into memory has no way to fail.
    users.serialize_into(&mut bytes).unwrap_or_default();
    bytes
}

fn mask(reader: &mut Reader<'_>) -> Result<u32, Corrupt> {
    let mut bytes = [0; 4];
    for byte in &mut bytes {
        *byte = reader.byte()?;
    }
    let mask = u32::from_le_bytes(bytes);
    if mask >> 31 == 0 { Ok(mask) } else { Err(Corrupt) }
}

fn mask_of<'a>(days: impl Iterator<Item = &'a u8>) -> u32 {
    days.fold(0, |mask, day| mask | 1 << (day - 1))
}

/// The numbers of the days (1 to 31) whose bits are set, ascending.
pub(super) fn days_of(mask: u32) -> impl Iterator<Item = u8> {
    (1..=31_u8).filter(move |day| mask & (1 << (day - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, proptest};

    const MONTH: Month = Month(650);

    fn metric(number: u8) -> MetricRef {
        MetricRef { key: format!("metric_{}", number / 2).into(), version: i32::from(number % 2) + 1 }
    }

    fn any_value() -> impl Strategy<Value = DayValue> {
        let value = (any::<i32>(), prop_oneof_units())
            .prop_map(|(number, unit)| DayValue { value: Millionths(i64::from(number) * unit), users: None });
        let users = prop::collection::btree_set(0_u32..200_000, 0..20).prop_map(|users| DayValue {
            value: Millionths(i64::try_from(users.len()).expect("small") * Millionths::ONE),
            users: Some(users.into_iter().collect()),
        });
        (value, users, prop::bool::ANY).prop_map(|(value, users, distinct)| if distinct { users } else { value })
    }

    fn prop_oneof_units() -> impl Strategy<Value = i64> {
        prop::bool::ANY.prop_map(|whole| if whole { 1_000_000 } else { 1 })
    }

    fn any_state() -> impl Strategy<Value = DayState> {
        prop::collection::btree_map((0_u8..6).prop_map(metric), any_value(), 0..5)
    }

    fn any_days() -> impl Strategy<Value = Vec<(Day, DayState)>> {
        prop::collection::vec(((0..MONTH.days()).prop_map(|number| MONTH.first().plus(number)), any_state()), 0..40)
    }

    fn decoded(month: &AccountMonth) -> AccountMonth {
        let sets = month
            .sets
            .iter()
            .map(|(metric, block)| (metric.clone(), SetBlock::decode(&block.encode()).expect("its own bytes")));
        AccountMonth {
            month: month.month,
            values: MonthBlock::decode(&month.values.encode()).expect("its own bytes"),
            sets: sets.collect(),
        }
    }

    #[test]
    fn a_month_of_whole_numbers_takes_a_byte_or_two_a_value() {
        let mut month = AccountMonth::new(MONTH);
        for number in 0..MONTH.days() {
            let value = DayValue { value: Millionths(i64::from(number) * Millionths::ONE), users: None };
            month.set_day(MONTH.first().plus(number), &DayState::from([(metric(1), value)]));
        }
        assert!(month.values.encode().len() < 60, "{}", month.values.encode().len());
    }

    #[test]
    fn refuses_bytes_that_are_no_month() {
        for wrong in [&[][..], &[9], &[1, 5, b'a'], &[1, 1, 0xff, 2, 0, 0, 0, 0, 0]] {
            assert_eq!(MonthBlock::decode(wrong), Err(Corrupt), "{wrong:?}");
        }
        assert_eq!(SetBlock::decode(&[1, 1, 0, 0, 0, 2, 9, 9]), Err(Corrupt));
        assert_eq!(SetBlock::decode(&[1, 0, 0, 0, 0x80]), Err(Corrupt));
    }

    #[test]
    fn a_day_of_another_month_is_left_alone() {
        let mut month = AccountMonth::new(MONTH);
        let state = DayState::from([(metric(0), DayValue { value: Millionths(1), users: None })]);
        assert_eq!(month.set_day(MONTH.plus(1).first(), &state), None);
        assert!(month.values.is_empty());
    }

    proptest! {
        #[test]
        fn the_last_word_on_each_day_stands_and_survives_packing(days in any_days()) {
            let mut month = AccountMonth::new(MONTH);
            for (day, state) in &days {
                let before = month.day(*day);
                match month.set_day(*day, state) {
                    Some(change) => prop_assert_eq!(change.previous, before),
                    None => prop_assert_eq!(state, &before),
                }
            }
            let month = decoded(&month);
            let last: BTreeMap<_, _> = days.into_iter().collect();
            for number in 0..MONTH.days() {
                let day = MONTH.first().plus(number);
                prop_assert_eq!(month.day(day), last.get(&day).cloned().unwrap_or_default());
            }
        }

        #[test]
        fn can_be_read_as_it_was_known_at_any_time((days, at) in any_days().prop_flat_map(|days| {
            let count = days.len();
            (Just(days), 0..=count)
        })) {
            let (mut month, mut wanted, mut bytes) = (AccountMonth::new(MONTH), AccountMonth::new(MONTH), Vec::new());
            for (known_at, (day, state)) in days.iter().enumerate() {
                let known_at = Micros(i64::try_from(known_at).expect("small"));
                if let Some(change) = month.set_day(*day, state) {
                    Undo { day: *day, known_at, previous: change.previous }.append_to(&mut bytes);
                }
                if usize::try_from(known_at.0).expect("small") < at {
                    wanted.set_day(*day, state);
                }
            }
            month.rewind(&Undo::decode_all(&bytes).expect("its own bytes"), Micros(i64::try_from(at).expect("small") - 1));
            for number in 0..MONTH.days() {
                let day = MONTH.first().plus(number);
                prop_assert_eq!(month.day(day), wanted.day(day));
            }
        }
    }
}
