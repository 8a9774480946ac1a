//! An event or a measurement: from its raw parts to one that may be stored, with everything wrong named at once.

use keizoku_base::number::Millionths;
use keizoku_base::{AccountId, AccountRef, Day, Micros, Violations, Zone};

use crate::domain::check::{Checks, Wrong};
use crate::domain::key::{AccountRefDraft, EventName, ID_MOST_BYTES, Key};
use crate::domain::key::{required_account_ref, source_id, text_of_bytes};
use crate::domain::pack::{Digest, Packer};
use crate::domain::reason;
use crate::domain::time::{DateDraft, InstantDraft, past_instant, start_of_date};
use crate::domain::value::{Properties, PropertyDraft};

/// The most items of one batch.
pub const BATCH_MOST: usize = 10_000;

/// When something was done, as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenDraft {
    /// At an instant.
    At(InstantDraft),
    /// On a day in the workspace's zone.
    On(DateDraft),
}

/// An event or a measurement as it was sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventDraft {
    /// Whether something was measured rather than done: then the value is required.
    pub measurement: bool,
    /// Its id in the source.
    pub id: String,
    /// The account.
    pub account: Option<AccountRefDraft>,
    /// What was done or measured.
    pub name: String,
    /// When.
    pub when: Option<WhenDraft>,
    /// The user's id in the source; empty: not known.
    pub user_id: String,
    /// The number it is about.
    pub value: Option<f64>,
    /// What else the source says.
    pub properties: Vec<PropertyDraft>,
    /// When the source knew it.
    pub known_at: Option<InstantDraft>,
}

/// What an item is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Who sends.
    pub source: &'a Key,
    /// The workspace's zone.
    pub zone: Zone,
    /// The workspace's time.
    pub now: Micros,
}

/// An event or a measurement that may be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Whether it is a measurement.
    pub measurement: bool,
    /// Its id in the source.
    pub id: String,
    /// The account.
    pub account: AccountRef,
    /// What was done or measured.
    pub name: EventName,
    /// When.
    pub occurred_at: Micros,
    /// The day of that in the workspace's zone.
    pub day: Day,
    /// The user's id in the source.
    pub user_id: Option<String>,
    /// The number it is about.
    pub value: Option<Millionths>,
    /// What else the source says.
    pub properties: Properties,
    /// When the source knew it; `None`: when it arrived.
    pub known_at: Option<Micros>,
    /// What it is known by.
    pub identity: Identity,
}

/// What an event is known by: the same id with the same content is the same event, with other content a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Hash of source and id.
    pub id: Digest,
    /// Hash of everything that is said under that id, but for the time at which the source knew it.
    pub content: Digest,
}

/// An item that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its id as it was sent, cut at 255 bytes.
    pub id: String,
    /// Everything that is wrong with it, by paths relative to it.
    pub violations: Violations,
}

/// An event as it was stored, ready to be counted.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    /// The account.
    pub account: AccountId,
    /// The source.
    pub source: String,
    /// What was done or measured.
    pub name: String,
    /// Whether it is a measurement.
    pub measurement: bool,
    /// Hash of source and id.
    pub key: Digest,
    /// Its position in the log of events, in its account's partition.
    pub seq: i64,
    /// When.
    pub occurred_at: Micros,
    /// The day it was stored under.
    pub day: Day,
    /// When it was known: as the source said, or when it arrived.
    pub known_at: Micros,
    /// The workspace's number of the user.
    pub user: Option<u32>,
    /// The number it is about.
    pub value: Option<Millionths>,
    /// What else the source says.
    pub properties: Properties,
}

impl NewEvent {
    /// Checks an item.
    ///
    /// # Errors
    /// Every violation, by paths relative to the item.
    pub fn check(draft: EventDraft, arrival: &Arrival<'_>) -> Result<Self, Refused> {
        let mut checks = Checks::new();
        let sent_id = if draft.id.len() > ID_MOST_BYTES { shortened(&draft.id) } else { draft.id.clone() };
        let id = checks.take("id", source_id(draft.id));
        let account = required_account_ref(&mut checks, "account", draft.account);
        let name = checks.take("name", EventName::check(draft.name));
        let occurred_at = when(&mut checks, draft.when, arrival);
        let user_id = checks.take("user_id", text_of_bytes(draft.user_id, ID_MOST_BYTES));
        let value = match (draft.value, draft.measurement) {
            (None, true) => checks.take("value", Err(Wrong::required())),
            (value, _) => checks.optional("value", value, metric_value),
        };
        let properties = Properties::check(&mut checks, "properties", draft.properties);
        let known_at = checks.optional("known_at", draft.known_at, |at| past_instant(at, arrival.now));
        let made = || {
            let mut event = Self {
                measurement: draft.measurement,
                id: id?,
                account: account?,
                name: name?,
                occurred_at: occurred_at?,
                day: arrival.zone.day_of(occurred_at?),
                user_id: user_id.filter(|user| !user.is_empty()),
                value,
                properties: properties?,
                known_at,
                identity: Identity { id: Digest([0; 16]), content: Digest([0; 16]) },
            };
            event.identity = event.identify(arrival.source);
            Some(event)
        };
        let made = made();
        checks.finish(made).map_err(|violations| Refused { id: sent_id, violations })
    }

    fn identify(&self, source: &Key) -> Identity {
        let mut content = Packer::new();
        content.byte(u8::from(self.measurement));
        match &self.account {
            AccountRef::Id(id) => {
                content.byte(0);
                content.raw(id.0.as_bytes());
            }
            AccountRef::External(external) => {
                content.byte(1);
                content.text(&external.source);
                content.text(&external.id);
            }
        }
        content.text(self.name.as_str());
        content.signed(self.occurred_at.0);
        content.optional(self.user_id.as_deref(), Packer::text);
        content.optional(self.value, |packer, value| packer.signed(value.0));
        content.raw(self.properties.as_bytes());
        Identity { id: id_hash(source, &self.id), content: content.digest() }
    }
}

/// The hash of source and id that an event is known by.
pub fn id_hash(source: &Key, id: &str) -> Digest {
    let mut packer = Packer::new();
    packer.text(source.as_str());
    packer.text(id);
    packer.digest()
}

fn when(checks: &mut Checks, draft: Option<WhenDraft>, arrival: &Arrival<'_>) -> Option<Micros> {
    match draft {
        None => checks.take("when", Err(Wrong::new(reason::REQUIRED, "needs occurred_at or occurred_on"))),
        Some(WhenDraft::At(at)) => checks.take("occurred_at", past_instant(at, arrival.now)),
        Some(WhenDraft::On(day)) => checks.take("occurred_on", start_of_date(day, arrival.zone, arrival.now)),
    }
}

fn metric_value(value: f64) -> Result<Millionths, Wrong> {
    if !value.is_finite() {
        return Err(Wrong::new(reason::NOT_A_NUMBER, "must be a finite number"));
    }
    Millionths::from_f64(value).ok_or_else(|| Wrong::new(reason::OUT_OF_RANGE, "must lie within ±9·10¹²"))
}

fn shortened(id: &str) -> String {
    id[..id.floor_char_boundary(ID_MOST_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::check::named;
    use crate::domain::key::ExternalIdDraft;
    use crate::domain::value::ValueDraft;

    const NOW: Micros = Micros(1_704_067_200 * Micros::SECOND);

    fn crm() -> Key {
        Key::check("crm".to_owned()).expect("a key")
    }

    fn login() -> EventDraft {
        EventDraft {
            id: "e1".to_owned(),
            account: Some(AccountRefDraft::External(ExternalIdDraft {
                source: "crm".to_owned(),
                id: "4711".to_owned(),
            })),
            name: "login".to_owned(),
            when: Some(WhenDraft::At(InstantDraft { seconds: 1_704_060_000, nanos: 0 })),
            ..EventDraft::default()
        }
    }

    fn check(draft: EventDraft) -> Result<NewEvent, Refused> {
        let zone = Zone::parse("Asia/Tokyo").expect("a zone");
        NewEvent::check(draft, &Arrival { source: &crm(), zone, now: NOW })
    }

    fn on(year: i32, month: i32, day: i32) -> Option<WhenDraft> {
        Some(WhenDraft::On(DateDraft { year, month, day }))
    }

    #[test]
    fn names_everything_that_is_wrong_at_once() {
        let nothing = check(EventDraft { measurement: true, ..EventDraft::default() }).expect_err("refused");
        let required = [("id", "REQUIRED"), ("account", "REQUIRED"), ("name", "REQUIRED"), ("when", "REQUIRED")];
        assert_eq!(named(&nothing.violations), [&required[..], &[("value", "REQUIRED")]].concat());

        let wrong = EventDraft {
            measurement: false,
            id: "é".repeat(2_500_000),
            account: Some(AccountRefDraft::Id("x".to_owned())),
            name: "Login".to_owned(),
            when: on(2024, 13, 1),
            user_id: "u".repeat(256),
            value: Some(f64::NAN),
            properties: vec![PropertyDraft { key: "a".to_owned(), value: Some(ValueDraft::Number(f64::INFINITY)) }],
            known_at: Some(InstantDraft { seconds: i64::MAX, nanos: 0 }),
        };
        let refused = check(wrong).expect_err("refused");
        assert_eq!(refused.id, "é".repeat(127));
        assert_eq!(
            named(&refused.violations),
            [
                ("id", reason::TOO_LONG),
                ("account.id", reason::NOT_AN_ID),
                ("name", reason::NOT_A_KEY),
                ("occurred_on", reason::DATE_DOES_NOT_EXIST),
                ("user_id", reason::TOO_LONG),
                ("value", reason::NOT_A_NUMBER),
                ("properties[0].value.number", reason::NOT_A_NUMBER),
                ("known_at", reason::OUT_OF_RANGE),
            ]
        );
        assert!(refused.violations.to_string().len() < 2_000);
    }

    #[test]
    fn a_date_is_the_start_of_its_day_in_the_zone() {
        let event = check(EventDraft { when: on(2023, 12, 31), ..login() }).expect("an event");
        assert_eq!(event.occurred_at.to_string(), "2023-12-30T15:00:00Z");
        assert_eq!(event.day.to_string(), "2023-12-31");
        let event = check(login()).expect("an event");
        assert_eq!(event.day.to_string(), "2024-01-01");
    }

    #[test]
    fn times_at_the_edges_are_refused_with_their_reason() {
        let table = [
            (on(0, 1, 1), ("occurred_on", reason::DATE_DOES_NOT_EXIST)),
            (on(9999, 12, 31), ("occurred_on", reason::OUT_OF_RANGE)),
            (on(2199, 12, 31), ("occurred_on", reason::TOO_FAR_AHEAD)),
            (on(2024, 1, 3), ("occurred_on", reason::TOO_FAR_AHEAD)),
            (
                Some(WhenDraft::At(InstantDraft { seconds: 1_704_153_601, nanos: 0 })),
                ("occurred_at", reason::TOO_FAR_AHEAD),
            ),
            (Some(WhenDraft::At(InstantDraft { seconds: -1, nanos: 0 })), ("occurred_at", reason::OUT_OF_RANGE)),
        ];
        for (when, expected) in table {
            let refused = check(EventDraft { when, ..login() }).expect_err("refused");
            assert_eq!(named(&refused.violations), [expected], "{when:?}");
        }
        assert!(check(EventDraft { when: on(2024, 1, 2), ..login() }).is_ok());
        // The first day of all begins before 1970 east of Greenwich, and that is where it is kept.
        let first = check(EventDraft { when: on(1970, 1, 1), ..login() }).expect("an event");
        assert_eq!((first.occurred_at, first.day), (Micros(-9 * 3600 * Micros::SECOND), Day(0)));
    }

    #[test]
    fn values_lie_within_the_limit_and_are_kept_to_the_millionth() {
        let value = |value| check(EventDraft { value: Some(value), ..login() }).map(|event| event.value);
        assert_eq!(value(9e12), Ok(Some(Millionths(Millionths::LIMIT))));
        assert_eq!(value(0.000_000_5), Ok(Some(Millionths(0))));
        assert_eq!(value(0.000_001_5), Ok(Some(Millionths(2))));
        let refused = value(9.000_001e12).expect_err("refused");
        assert_eq!(named(&refused.violations), [("value", reason::OUT_OF_RANGE)]);
    }

    #[test]
    fn the_id_is_hashed_with_its_source_and_without_its_content() {
        let other = Key::check("cr".to_owned()).expect("a key");
        assert_ne!(id_hash(&crm(), "e1"), id_hash(&other, "me1"));
        let changed = check(EventDraft { value: Some(1.0), ..login() }).expect("an event");
        assert_eq!(changed.identity.id, id_hash(&crm(), "e1"));
    }

    #[test]
    fn the_content_hash_covers_everything_but_known_at() {
        let content = |draft| check(draft).expect("an event").identity.content;
        let same = content(login());
        assert_eq!(content(EventDraft { id: "e2".to_owned(), ..login() }), same);
        assert_eq!(content(EventDraft { known_at: Some(InstantDraft { seconds: 1, nanos: 0 }), ..login() }), same);
        let property = |key: &str| PropertyDraft { key: key.to_owned(), value: Some(ValueDraft::Flag(true)) };
        let others = [
            EventDraft { account: Some(AccountRefDraft::Id(AccountId::generate(NOW).to_string())), ..login() },
            EventDraft { name: "logout".to_owned(), ..login() },
            EventDraft { when: on(2023, 12, 31), ..login() },
            EventDraft { user_id: "u1".to_owned(), ..login() },
            EventDraft { value: Some(0.0), ..login() },
            EventDraft { properties: vec![property("a")], ..login() },
            EventDraft { value: Some(0.0), measurement: true, ..login() },
        ];
        let mut seen = vec![same];
        for draft in others {
            let hash = content(draft.clone());
            assert!(!seen.contains(&hash), "{draft:?}");
            seen.push(hash);
        }
        let both =
            |first, second| content(EventDraft { properties: vec![property(first), property(second)], ..login() });
        assert_eq!(both("a", "b"), both("b", "a"));
    }
}
