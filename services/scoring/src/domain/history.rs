//! What an account's health was at the close of every day: a packed row for each month, kept for ever.
//!
//! What was believed on a day is written once and never replaced. What was computed later stands beside it.

use std::collections::BTreeMap;

use keizoku_base::Day;
use keizoku_base::number::MilliPoints;
use keizoku_base::time::Month;

use super::month::Key;
use super::packed::{Corrupt, Reader, put, put_bytes, put_signed};
use super::score::Reason;

/// Whether a close is what was believed on the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// It was computed while the day was the present.
    AsBelieved,
    /// It was computed later: after an import, or with another model.
    Recomputed,
}

/// An account's health by one model at the close of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The day.
    pub day: Day,
    /// Whether it was believed on the day.
    pub basis: Basis,
    /// The version of the model.
    pub model_version: i32,
    /// The stage of the customer's way.
    pub stage: Option<Key>,
    /// The health, or why there is none.
    pub result: Closed,
}

/// The health at a close, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// There is a score.
    Scored {
        /// Thousandths of a point.
        value: MilliPoints,
        /// The band; `None` where no band's condition held.
        band: Option<Key>,
        /// The first day of the band.
        band_since: Day,
        /// The level of use.
        level: Option<Key>,
        /// The persona.
        persona: Option<Key>,
    },
    /// There is none.
    Unscored(Reason),
}

impl Close {
    /// The points; `None` where there is no score.
    pub fn value(&self) -> Option<MilliPoints> {
        match &self.result {
            Closed::Scored { value, .. } => Some(*value),
            Closed::Unscored(_) => None,
        }
    }
}

/// The closes of one account by one model in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryMonth {
    month: Month,
    /// By day and basis.
    closes: BTreeMap<(Day, Basis), Close>,
}

const FORM: u8 = 1;
const IS_RECOMPUTED: u8 = 1;
const IS_SCORED: u8 = 2;

impl HistoryMonth {
    /// A month without a close.
    pub fn new(month: Month) -> Self {
        Self { month, closes: BTreeMap::new() }
    }

    /// Records a close and says whether that changed anything. What was believed on a day stays; what was recomputed is
    /// replaced by a later computation. A day of another month is left out.
    pub fn record(&mut self, close: Close) -> bool {
        let place = (close.day, close.basis);
        let stands = match self.closes.get(&place) {
            Some(before) => close.basis == Basis::AsBelieved || *before == close,
            None => close.day.month() != self.month,
        };
        if !stands {
            self.closes.insert(place, close);
        }
        !stands
    }

    /// Forgets what was computed later of the days from `from` on, and says whether there was anything: its inputs changed.
    pub fn forget_recomputed(&mut self, from: Day) -> bool {
        let before = self.closes.len();
        self.closes.retain(|(day, basis), _| *day < from || *basis == Basis::AsBelieved);
        self.closes.len() != before
    }

    /// All closes, ascending by day; what was believed stands before what was recomputed.
    pub fn closes(&self) -> impl DoubleEndedIterator<Item = &Close> {
        self.closes.values()
    }

    /// The close of a day: what was believed, or else what was recomputed.
    pub fn at(&self, day: Day) -> Option<&Close> {
        self.closes.range((day, Basis::AsBelieved)..=(day, Basis::Recomputed)).next().map(|(_, close)| close)
    }

    /// Packs it.
    pub fn encode(&self) -> Vec<u8> {
        let mut keys: Vec<&Key> = self.closes.values().flat_map(keys_of).flatten().collect();
        keys.sort_unstable();
        keys.dedup();
        let mut out = vec![FORM];
        put(&mut out, keys.len() as u64);
        keys.iter().for_each(|key| put_bytes(&mut out, key.as_bytes()));
        let first = self.month.first();
        self.closes.values().for_each(|close| encode_close(&mut out, close, first, &keys));
        out
    }

    /// Unpacks it.
    ///
    /// # Errors
    /// [`Corrupt`] where the bytes are no such row.
    pub fn decode(month: Month, bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::open(bytes, FORM)?;
        let count: usize = reader.small()?;
        let mut keys = Vec::new();
        for _ in 0..count {
            keys.push(Key::from(reader.text()?));
        }
        let mut found = Self::new(month);
        while !reader.is_at_end() {
            let close = decode_close(&mut reader, month.first(), &keys)?;
            found.closes.insert((close.day, close.basis), close);
        }
        Ok(found)
    }
}

/// The first day of the present band. `before` is the last close before `day`, however long ago; `None` where there is
/// none.
pub fn band_since(band: Option<&Key>, day: Day, before: Option<&Close>) -> Day {
    match before.map(|close| &close.result) {
        Some(Closed::Scored { band: last, band_since, .. }) if last.as_ref() == band => *band_since,
        _ => day,
    }
}

/// The points gained since an earlier close, in thousandths; `None` where there was no score then.
pub fn change(value: MilliPoints, then: Option<&Close>) -> Option<i32> {
    then.and_then(Close::value).map(|earlier| value.0 - earlier.0)
}

fn keys_of(close: &Close) -> [Option<&Key>; 4] {
    let stage = close.stage.as_ref();
    match &close.result {
        Closed::Scored { band, level, persona, .. } => [stage, band.as_ref(), level.as_ref(), persona.as_ref()],
        Closed::Unscored(_) => [stage, None, None, None],
    }
}

fn encode_close(out: &mut Vec<u8>, close: &Close, first: Day, keys: &[&Key]) {
    // 0 stands for none.
    let place =
        |key: Option<&Key>| key.and_then(|key| keys.binary_search(&key).ok()).map_or(0, |place| place as u64 + 1);
    let is_scored = matches!(close.result, Closed::Scored { .. });
    put_signed(out, i64::from(close.day.0 - first.0));
    out.push(if close.basis == Basis::Recomputed { IS_RECOMPUTED } else { 0 } | if is_scored { IS_SCORED } else { 0 });
    put_signed(out, i64::from(close.model_version));
    put(out, place(close.stage.as_ref()));
    match &close.result {
        Closed::Scored { value, band, band_since, level, persona } => {
            put_signed(out, i64::from(value.0));
            put_signed(out, i64::from(close.day.0) - i64::from(band_since.0));
            [band, level, persona].into_iter().for_each(|key| put(out, place(key.as_ref())));
        }
        Closed::Unscored(reason) => out.push(reason.code()),
    }
}

fn decode_close(reader: &mut Reader<'_>, first: Day, keys: &[Key]) -> Result<Close, Corrupt> {
    let key = |reader: &mut Reader<'_>| -> Result<Option<Key>, Corrupt> {
        let place: usize = reader.small()?;
        place.checked_sub(1).map(|place| keys.get(place).cloned().ok_or(Corrupt)).transpose()
    };
    let day = Day(first.0.checked_add(reader.small_signed()?).ok_or(Corrupt)?);
    let flags = reader.byte()?;
    let model_version = reader.small_signed()?;
    let stage = key(reader)?;
    let result = if flags & IS_SCORED == 0 {
        Closed::Unscored(Reason::from_code(reader.byte()?).ok_or(Corrupt)?)
    } else {
        let value = MilliPoints(reader.small_signed()?);
        let since = i64::from(day.0).checked_sub(reader.signed()?).and_then(|since| i32::try_from(since).ok());
        let band_since = Day(since.ok_or(Corrupt)?);
        Closed::Scored { value, band: key(reader)?, band_since, level: key(reader)?, persona: key(reader)? }
    };
    let basis = if flags & IS_RECOMPUTED == 0 { Basis::AsBelieved } else { Basis::Recomputed };
    Ok(Close { day, basis, model_version, stage, result })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, prop, prop_assert_eq, proptest};

    const MONTH: Month = Month(651);

    fn scored(number: i32, band: &str, since: i32) -> Close {
        Close {
            day: MONTH.first().plus(number),
            basis: Basis::AsBelieved,
            model_version: 1,
            stage: None,
            result: Closed::Scored {
                value: MilliPoints(75_000),
                band: Some(band.into()),
                band_since: MONTH.first().plus(since),
                level: None,
                persona: None,
            },
        }
    }

    fn any_key() -> impl Strategy<Value = Option<Key>> {
        prop::option::of((0..4).prop_map(|number| Key::from(format!("key_{number}"))))
    }

    fn any_close() -> impl Strategy<Value = Close> {
        let scored = (0..=100_000_i32, any_key(), 0..900_i32, any_key(), any_key());
        let reason = (0_u8..5).prop_map(|code| Reason::from_code(code).expect("a code"));
        ((0..MONTH.days(), prop::bool::ANY, 1..9_i32, any_key()), prop::option::of(scored), reason).prop_map(
            |((number, recomputed, model_version, stage), scored, reason)| {
                let day = MONTH.first().plus(number);
                let result = scored.map_or(Closed::Unscored(reason), |(value, band, back, level, persona)| {
                    Closed::Scored { value: MilliPoints(value), band, band_since: day.plus(-back), level, persona }
                });
                let basis = if recomputed { Basis::Recomputed } else { Basis::AsBelieved };
                Close { day, basis, model_version, stage, result }
            },
        )
    }

    #[test]
    fn what_was_believed_stays_and_what_is_recomputed_stands_beside_it() {
        let mut month = HistoryMonth::new(MONTH);
        let (good, bad) = (scored(3, "good", 0), scored(3, "bad", 3));
        assert!(month.record(good.clone()));
        assert!(!month.record(bad.clone()));
        let recomputed = Close { basis: Basis::Recomputed, ..bad };
        assert!(month.record(recomputed.clone()));
        assert!(!month.record(recomputed.clone()));
        assert_eq!(month.at(good.day), Some(&good));
        assert_eq!(month.closes().collect::<Vec<_>>(), [&good, &recomputed]);
        assert!(!month.record(scored(31, "good", 0)), "a day of the next month");
    }

    #[test]
    fn a_band_goes_on_until_a_close_says_otherwise() {
        let key = |text: &str| Some(Key::from(text));
        let before = scored(9, "good", 2);
        let today = MONTH.first().plus(10);
        assert_eq!(band_since(key("good").as_ref(), today, Some(&before)), MONTH.first().plus(2));
        assert_eq!(band_since(key("bad").as_ref(), today, Some(&before)), today);
        assert_eq!(band_since(key("good").as_ref(), today, None), today);
        let unscored = Close { result: Closed::Unscored(Reason::NotCovered), ..before.clone() };
        assert_eq!(band_since(key("good").as_ref(), today, Some(&unscored)), today);
        assert_eq!(change(MilliPoints(70_500), Some(&before)), Some(-4_500));
        assert_eq!((change(MilliPoints(1), Some(&unscored)), change(MilliPoints(1), None)), (None, None));
    }

    #[test]
    fn refuses_bytes_that_are_no_history() {
        for wrong in [&[][..], &[2], &[1, 1], &[1, 0, 0, 0, 2, 1], &[1, 0, 0, 0, 2, 0, 99]] {
            assert_eq!(HistoryMonth::decode(MONTH, wrong), Err(Corrupt), "{wrong:?}");
        }
    }

    #[test]
    fn a_month_of_closes_stays_small() {
        let mut month = HistoryMonth::new(MONTH);
        (0..30).for_each(|number| assert!(month.record(scored(number, "good", 0))));
        assert!(month.encode().len() < 345, "{}", month.encode().len());
    }

    proptest! {
        #[test]
        fn survives_packing(closes in prop::collection::vec(any_close(), 0..60)) {
            let mut month = HistoryMonth::new(MONTH);
            closes.into_iter().for_each(|close| {
                month.record(close);
            });
            prop_assert_eq!(HistoryMonth::decode(MONTH, &month.encode()), Ok(month));
        }
    }
}
