//! Order, split and time of counting must not matter.

use keizoku_base::id::AccountId;
use keizoku_base::number::Millionths;
use keizoku_base::{Day, Micros, Zone};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::domain::event::RecordedEvent;
use crate::domain::metric::{Aggregation, MetricDefinition, MetricDraft, MetricIndex};
use crate::domain::pack::Digest;
use crate::domain::value::Properties;

const ALL: [Aggregation; 5] =
    [Aggregation::Count, Aggregation::Sum, Aggregation::Max, Aggregation::Last, Aggregation::DistinctUsers];
/// The last days of January 2024 and the first of February.
const FIRST: Day = Day(19_750);

fn zone() -> Zone {
    Zone::parse("Asia/Tokyo").expect("a zone")
}

fn account(number: u8) -> AccountId {
    AccountId::seeded(Micros(0), [number; 10])
}

/// One metric of each aggregation, numbered from 1.
fn index() -> MetricIndex {
    let definition = |aggregation| {
        let draft = MetricDraft {
            key: "m".to_owned(),
            event_names: vec!["used".to_owned()],
            aggregation: Some(aggregation),
            ..MetricDraft::default()
        };
        MetricDefinition::check(draft).expect("a definition")
    };
    let (index, unusable) = MetricIndex::new((1..).zip(ALL.map(definition)));
    assert_eq!(unusable, [0_u32; 0]);
    index
}

fn event(seq: i64, (who, day, hour, late_hours, value, user): (u8, i32, i64, i64, i64, u32)) -> RecordedEvent {
    let day = FIRST.plus(day);
    let occurred_at = zone().start_of(day).plus(hour * 3600 * Micros::SECOND);
    RecordedEvent {
        account: account(who),
        source: "app".to_owned(),
        name: "used".to_owned(),
        measurement: false,
        key: Digest(u128::from(seq.unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()),
        seq,
        occurred_at,
        day,
        known_at: occurred_at.plus(late_hours * 3600 * Micros::SECOND),
        user: (user > 0).then_some(user),
        value: Some(Millionths(value)),
        properties: Properties::default(),
    }
}

fn events() -> impl Strategy<Value = Vec<RecordedEvent>> {
    let one = (
        0_u8..2,
        0_i32..20,
        0_i64..24,
        0_i64..200,
        -9_000_000_000_000_000_000_i64..=9_000_000_000_000_000_000,
        0_u32..6,
    );
    vec(one, 0..60).prop_map(|all| (1_i64..).zip(all).map(|(seq, one)| event(seq, one)).collect())
}

/// Bytes of sets, by metric and day.
type SetBytes = BTreeMap<(u32, Day), Vec<u8>>;

/// What is stored of an account's month.
#[derive(Debug, Clone, Default)]
struct Stored {
    block: Vec<u8>,
    sets: SetBytes,
    undo: Vec<UndoEntry>,
}

/// Everything that is stored, by account and month.
#[derive(Default)]
struct Store(BTreeMap<(AccountId, Month), Stored>);

impl Stored {
    fn block(&self, month: Month) -> Block {
        Block::from_bytes(month, &self.block).expect("a block")
    }

    fn users(&self) -> UserSets {
        self.sets.iter().map(|(of, set)| (*of, NumberSet::from_bytes(set).expect("a set"))).collect()
    }
}

impl Store {
    fn unite(&mut self, deltas: &Deltas, today: Day) {
        for (account, month, deltas) in deltas.iter() {
            let stored = self.0.entry((account, month)).or_default();
            let mut block = stored.block(month);
            let needed = block.sets_needed(deltas);
            let mut users: UserSets = stored.users().into_iter().filter(|(of, _)| needed.contains(of)).collect();
            let seq = i64::try_from(stored.undo.len()).expect("few");
            let entries = block.unite(deltas, &mut users, Uniting { today, seq }).expect("united");
            for entry in &entries {
                let read = UndoEntry::change_from_bytes(&entry.change_to_bytes()).expect("an entry");
                assert_eq!(read, (entry.previous, entry.added.clone()));
            }
            stored.undo.extend(entries);
            stored.sets.extend(users.iter().map(|(of, set)| (*of, set.to_bytes())));
            stored.block = block.to_bytes();
        }
    }

    fn bytes(&self) -> Vec<(&Vec<u8>, &SetBytes)> {
        self.0.values().map(|stored| (&stored.block, &stored.sets)).collect()
    }

    fn only(&self) -> &Stored {
        self.0.values().next().expect("an account's month")
    }
}

fn folded<'e>(events: impl IntoIterator<Item = &'e RecordedEvent>) -> Deltas {
    fold(&index(), zone(), events, |_, _| true).expect("counted")
}

fn at_once(events: &[RecordedEvent]) -> Store {
    let mut store = Store::default();
    store.unite(&folded(events), FIRST);
    store
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_order_and_any_split_end_in_the_same_bytes(
        (events, shuffled) in events().prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        size in 1_usize..12,
    ) {
        let mut store = Store::default();
        for batch in shuffled.chunks(size) {
            store.unite(&folded(batch), FIRST);
        }
        let whole = at_once(&events);
        prop_assert_eq!(store.bytes(), whole.bytes());
    }

    #[test]
    fn deltas_unite_in_any_order(events in events(), cut in 0_usize..60) {
        let (head, tail) = events.split_at(cut.min(events.len()));
        let (mut left, mut right) = (folded(head), folded(tail));
        left.unite(folded(tail)).expect("united");
        right.unite(folded(head)).expect("united");
        prop_assert_eq!(&left, &right);
        prop_assert_eq!(&left, &folded(&events));
    }

    #[test]
    fn a_backfill_and_the_roller_together_count_each_event_once(
        events in events(),
        start in 0_i64..60,
        size in 1_usize..9,
    ) {
        let (mut store, index) = (Store::default(), index());
        let rolled = |metric_no: u32, seq: i64| seq > start + i64::from(metric_no);
        for batch in events.chunks(size) {
            let after = fold(&index, zone(), batch, |metric, event| rolled(metric.no, event.seq)).expect("counted");
            store.unite(&after, FIRST);
        }
        for batch in events.chunks(size + 1) {
            let before = fold(&index, zone(), batch, |metric, event| !rolled(metric.no, event.seq)).expect("counted");
            store.unite(&before, FIRST);
        }
        let whole = at_once(&events);
        prop_assert_eq!(store.bytes(), whole.bytes());
    }

    #[test]
    fn a_closed_day_is_shown_as_it_was_known(
        events in events().prop_shuffle(),
        size in 1_usize..9,
        asked in 0_i32..30,
    ) {
        let mut store = Store::default();
        // The workspace's day moves on with what is known; some days are still open when their first events come.
        let mut today = FIRST;
        for batch in events.chunks(size) {
            today = batch.iter().map(|event| zone().day_of(event.known_at)).fold(today, Day::max);
            store.unite(&folded(batch), today);
        }
        let at = zone().start_of(FIRST.plus(asked));
        let known: Vec<_> = events.iter().filter(|event| event.known_at <= at).cloned().collect();
        let expected = at_once(&known);
        for ((account, month), stored) in &store.0 {
            let (then, users) = stored.block(*month).as_known_at(stored.users(), at, &stored.undo).expect("rewound");
            let expected = expected.0.get(&(*account, *month)).cloned().unwrap_or_default();
            let alone = expected.block(*month);
            for day in (0..asked).map(|day| FIRST.plus(day)) {
                let cells = |block: &Block| block.day(day).map(|day| day.cells.clone()).unwrap_or_default();
                prop_assert_eq!(cells(&then), cells(&alone), "{}", day);
                let set = users.get(&(5, day)).filter(|set| !set.is_empty()).map(NumberSet::to_bytes);
                prop_assert_eq!(set.as_ref(), expected.sets.get(&(5, day)).filter(|bytes| bytes.len() > 8));
            }
        }
    }

    #[test]
    fn blocks_survive_a_round_trip(events in events()) {
        for ((_, month), stored) in &at_once(&events).0 {
            let block = stored.block(*month);
            prop_assert_eq!(&block.to_bytes(), &stored.block);
            prop_assert!(block.days().all(|(day, _)| day.month() == *month));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let month = FIRST.month();
        if let (Ok(block), false) = (Block::from_bytes(month, &bytes), bytes.is_empty()) {
            prop_assert_eq!(block.to_bytes(), bytes);
        }
    }
}

#[test]
fn counts_a_day_by_every_aggregation() {
    let at = |seq, hour, value, user| event(seq, (0, 0, hour, 0, value, user));
    let store = at_once(&[at(1, 5, 3, 7), at(2, 9, -1, 7), at(3, 7, 5, 8), at(4, 9, -2, 0)]);
    let block = store.only().block(FIRST.month());
    let day = block.day(FIRST).expect("a day");
    let values = day.values(FIRST).expect("values");
    let numbers: Vec<_> = values.iter().map(|(no, value)| (*no, value.0)).collect();
    // Two events at nine: the one with the larger key is the last.
    let last = if at(2, 9, 0, 0).key > at(4, 9, 0, 0).key { -1 } else { -2 };
    assert_eq!(numbers, [(1, 4_000_000), (2, 5), (3, 5), (4, last), (5, 2_000_000)]);
    assert_eq!(day.known_at, at(2, 9, 0, 0).known_at);
    assert_eq!(store.only().users()[&(5, FIRST)].iter().collect::<Vec<_>>(), [7, 8]);
}

#[test]
fn users_past_the_limit_are_refused_by_name() {
    let mut events: Vec<_> = (0..140_000).map(|user| event(1, (0, 0, 0, 0, 0, user * 17 + 1))).collect();
    let deltas = folded(&events);
    let (_, month, deltas) = deltas.iter().next().expect("deltas");
    let uniting = Uniting { today: FIRST, seq: 1 };
    let refused = Block::new(month).unite(deltas, &mut UserSets::new(), uniting);
    assert_eq!(refused, Err(BlockFault::TooManyUsers { metric_no: 5, day: FIRST }));
    events.truncate(100_000);
    let deltas = folded(&events);
    let (_, month, deltas) = deltas.iter().next().expect("deltas");
    assert_eq!(Block::new(month).unite(deltas, &mut UserSets::new(), uniting), Ok(Vec::new()));
}

#[test]
fn a_sum_past_the_range_is_kept_and_not_published() {
    let most = |seq| event(seq, (0, 0, 0, 0, Millionths::LIMIT, 0));
    let store = at_once(&[most(1), most(2)]);
    let block = store.only().block(FIRST.month());
    let refused = block.day(FIRST).expect("a day").values(FIRST);
    assert_eq!(refused, Err(BlockFault::TooLarge { metric_no: 2, day: FIRST }));
}

#[test]
fn a_day_that_only_later_events_filled_is_empty_before() {
    let late = event(1, (0, 0, 1, 100, 5, 1));
    let mut store = Store::default();
    store.unite(&folded([&late]), FIRST.plus(5));
    let (month, stored) = (FIRST.month(), store.only());
    let (block, users, undo) = (stored.block(month), stored.users(), &stored.undo);
    let before = block.clone().as_known_at(users.clone(), late.known_at.plus(-1), undo).expect("rewound");
    assert_eq!(before, (Block::new(month), UserSets::new()));
    assert_eq!(block.clone().as_known_at(users.clone(), late.known_at, undo), Ok((block, users)));
}

#[test]
fn months_of_every_length_hold_their_last_day() {
    for last in ["1970-01-31", "2024-02-29", "2023-02-28", "2024-04-30", "2199-12-31"] {
        let day = Day::parse(last).expect("a day");
        let mut moved = event(1, (0, 0, 0, 0, 1, 1));
        moved.day = day;
        let store = at_once(&[moved]);
        let block = store.only().block(day.month());
        assert_eq!(block.days().map(|(day, _)| day).collect::<Vec<_>>(), [day]);
    }
}
