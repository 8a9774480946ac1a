//! The words of the feed: logs, sets of partitions, positions, changes, batches.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use keizoku_base::{Micros, Partition, WorkspaceId};

/// Which log a head counts. Both give seqs by the same statement; only their rows live in different tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Log {
    /// `feed_change`: what `Follow` serves.
    Changes,
    /// A service's own table whose rows carry (partition, seq): ingestion's events.
    Events,
}

impl Log {
    /// Every log.
    pub const ALL: [Self; 2] = [Self::Changes, Self::Events];

    /// Its number in `feed_head`.
    pub fn number(self) -> i16 {
        match self {
            Self::Changes => 0,
            Self::Events => 1,
        }
    }

    /// The log of that number.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|log| log.number() == number)
    }
}

/// A set of partitions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Partitions(u64);

impl Partitions {
    /// All 64.
    pub const ALL: Self = Self(u64::MAX);
    /// None.
    pub const NONE: Self = Self(0);

    /// The set whose bit n stands for partition n.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Bit n stands for partition n.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    pub fn len(self) -> usize {
        usize::try_from(self.0.count_ones()).unwrap_or(0)
    }

    /// Whether it holds `partition`.
    pub fn contains(self, partition: Partition) -> bool {
        self.0 & bit(partition) != 0
    }

    /// Adds `partition`.
    pub fn insert(&mut self, partition: Partition) {
        self.0 |= bit(partition);
    }

    /// Takes `partition` out.
    pub fn remove(&mut self, partition: Partition) {
        self.0 &= !bit(partition);
    }

    /// What is in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Its partitions, ascending.
    pub fn iter(self) -> impl Iterator<Item = Partition> {
        Partition::all().filter(move |partition| self.contains(*partition))
    }

    /// Their numbers, ascending, as the database holds them.
    pub(crate) fn numbers(self) -> Vec<i16> {
        self.iter().map(number).collect()
    }
}

impl FromIterator<Partition> for Partitions {
    fn from_iter<I: IntoIterator<Item = Partition>>(partitions: I) -> Self {
        let mut found = Self::NONE;
        for partition in partitions {
            found.insert(partition);
        }
        found
    }
}

impl fmt::Debug for Partitions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter().map(Partition::number)).finish()
    }
}

fn bit(partition: Partition) -> u64 {
    1 << partition.number()
}

/// A partition's number as the database holds it.
pub(crate) fn number(partition: Partition) -> i16 {
    i16::from(partition.number())
}

/// Names one life of a log: new after a restore, so that positions of the life before are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FeedEpoch([u8; 16]);

impl FeedEpoch {
    /// From its 16 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its 16 bytes, for cursors and cache keys.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A change that has no position yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The partition of the account (or of the row, where there is no account).
    pub partition: Partition,
    /// The kind of resource, as the service numbers its kinds.
    pub kind: i16,
    /// Names the resource within its kind.
    pub key: Vec<u8>,
    /// The service's encoded `Change` without its fields 1 (seq) and 2 (commit time).
    pub body: Vec<u8>,
}

/// A change as stored and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedRow {
    /// Its place in the partition. In a snapshot: the head that the snapshot was taken at or after.
    pub seq: i64,
    /// The kind of resource.
    pub kind: i16,
    /// Names the resource within its kind.
    pub key: Bytes,
    /// When it was committed, by the writer's clock.
    pub commit_at: Micros,
    /// The encoded `Change`.
    pub bytes: Bytes,
}

/// A stretch of one partition: every change after `after` up to `through` that the reader asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The partition.
    pub partition: Partition,
    /// The position before it.
    pub after: i64,
    /// The position it reaches; beyond the last row where later changes were of kinds not asked for.
    pub through: i64,
    /// Which life of the consumer's state this belongs to; set by the consumer. Rows of the state keep
    /// (generation, seq), and an update that is not greater is ignored.
    pub generation: i64,
    /// The changes, ascending by seq.
    pub rows: Vec<FeedRow>,
}

/// Segments of one workspace, ascending by partition: what is handled and committed at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Whether the rows are current state listed by a bootstrap, and not changes one by one.
    pub snapshot: bool,
    /// The segments.
    pub segments: Vec<Segment>,
}

impl Batch {
    /// How many changes it holds.
    pub fn len(&self) -> usize {
        self.segments.iter().map(|segment| segment.rows.len()).sum()
    }

    /// Whether it only moves positions.
    pub fn is_empty(&self) -> bool {
        self.segments.iter().all(|segment| segment.rows.is_empty())
    }

    /// Its changes with the segment each lies in.
    pub fn rows(&self) -> impl Iterator<Item = (&Segment, &FeedRow)> {
        self.segments.iter().flat_map(|segment| segment.rows.iter().map(move |row| (segment, row)))
    }

    /// When its oldest change was committed.
    pub fn oldest(&self) -> Option<Micros> {
        self.rows().map(|(_, row)| row.commit_at).min()
    }

    /// Two batches that do the same one after the other, the first with half of the changes; `None` if it holds
    /// fewer than two.
    pub(crate) fn split(&self) -> Option<(Self, Self)> {
        let half = self.len() / 2;
        if half == 0 {
            return None;
        }
        let mut room = half;
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for segment in &self.segments {
            if !second.is_empty() {
                second.push(segment.clone());
                continue;
            }
            let taken = segment.rows.len().min(room);
            if taken == segment.rows.len() {
                room -= taken;
                first.push(segment.clone());
                continue;
            }
            let (head, tail) = segment.rows.split_at(taken);
            let cut = head.last().map_or(segment.after, |row| if self.snapshot { segment.after } else { row.seq });
            if !head.is_empty() {
                first.push(Segment { through: cut, rows: head.to_vec(), ..segment.clone() });
            }
            second.push(Segment { after: cut, rows: tail.to_vec(), ..segment.clone() });
        }
        let part = |segments| Self { workspace: self.workspace, snapshot: self.snapshot, segments };
        Some((part(first), part(second)))
    }

    /// A batch of `rows` of several partitions, all at the given segment for their partition.
    pub(crate) fn of_snapshot(
        workspace: WorkspaceId,
        frames: &BTreeMap<Partition, Segment>,
        rows: Vec<(Partition, FeedRow)>,
    ) -> Self {
        let mut segments: BTreeMap<Partition, Segment> = BTreeMap::new();
        for (partition, row) in rows {
            let Some(frame) = frames.get(&partition) else { continue };
            let segment = segments.entry(partition).or_insert_with(|| frame.clone());
            segment.rows.push(FeedRow { seq: frame.through, ..row });
        }
        Self { workspace, snapshot: true, segments: segments.into_values().collect() }
    }
}

/// How far a partition has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The partition.
    pub partition: Partition,
    /// The last position given.
    pub last_seq: i64,
    /// Positions up to here are no longer kept.
    pub trimmed_seq: i64,
}

/// How far a partition has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The partition.
    pub partition: Partition,
    /// The last position read; 0 before the first.
    pub seq: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: u8) -> Partition {
        Partition::new(number).expect("below 64")
    }

    fn segment(number: u8, after: i64, seqs: &[i64], through: i64) -> Segment {
        let rows = seqs
            .iter()
            .map(|seq| FeedRow { seq: *seq, kind: 1, key: Bytes::new(), commit_at: Micros(*seq), bytes: Bytes::new() })
            .collect();
        Segment { partition: partition(number), after, through, generation: 1, rows }
    }

    fn batch(segments: Vec<Segment>) -> Batch {
        Batch { workspace: WorkspaceId(uuid::Uuid::nil()), snapshot: false, segments }
    }

    #[test]
    fn a_set_lists_its_partitions_in_order() {
        let mut set: Partitions = [63, 0, 7].into_iter().map(partition).collect();
        assert_eq!(set.numbers(), vec![0, 7, 63]);
        set.remove(partition(0));
        assert_eq!((set.len(), set.contains(partition(0)), set.contains(partition(63))), (2, false, true));
        assert_eq!(Partitions::ALL.len(), 64);
    }

    #[test]
    fn split_halves_reach_the_same_positions() {
        let whole = batch(vec![segment(1, 4, &[5, 6, 7], 9), segment(2, 0, &[1], 1), segment(3, 2, &[], 8)]);
        let (first, second) = whole.split().expect("four changes");
        assert_eq!(first, batch(vec![segment(1, 4, &[5, 6], 6)]));
        assert_eq!(second, batch(vec![segment(1, 6, &[7], 9), segment(2, 0, &[1], 1), segment(3, 2, &[], 8)]));
        assert_eq!(batch(vec![segment(1, 0, &[1], 1), segment(2, 0, &[], 3)]).split(), None);
    }

    #[test]
    fn splitting_down_to_single_changes_loses_none() {
        let whole = batch(vec![segment(0, 0, &[1, 2, 3, 4, 5], 5), segment(9, 1, &[], 3), segment(60, 7, &[8, 9], 9)]);
        let mut waiting = vec![whole.clone()];
        let mut seen = Vec::new();
        let mut reached: BTreeMap<Partition, i64> = whole.segments.iter().map(|s| (s.partition, s.after)).collect();
        while let Some(next) = waiting.pop() {
            if let Some((first, second)) = next.split() {
                waiting.extend([second, first]);
                continue;
            }
            for part in &next.segments {
                assert_eq!(reached.insert(part.partition, part.through), Some(part.after));
                seen.extend(part.rows.iter().map(|row| (part.partition.number(), row.seq)));
            }
        }
        assert_eq!(seen, vec![(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (60, 8), (60, 9)]);
        assert!(whole.segments.iter().all(|segment| reached.get(&segment.partition) == Some(&segment.through)));
    }
}
