//! Up to which instant the cache holds every change, partition by partition.

use std::sync::{PoisonError, RwLock};

use keizoku_base::{Micros, Partition};

use crate::feed::{FeedEpoch, Partitions};

/// The filler's latest word on one partition.
pub(super) type Confirmed = Option<(FeedEpoch, Micros)>;

/// What this process knows of the filler's word. Nothing known means: not fresh.
#[derive(Debug)]
pub(super) struct Freshness(RwLock<[Confirmed; Partition::COUNT as usize]>);

impl Freshness {
    pub(super) fn unknown() -> Self {
        Self(RwLock::new([None; Partition::COUNT as usize]))
    }

    /// The instant up to which `partition` is complete in that life of the feed.
    pub(super) fn of(&self, epoch: FeedEpoch, partition: Partition) -> Option<Micros> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        table[usize::from(partition.number())].filter(|(of, _)| *of == epoch).map(|(_, at)| at)
    }

    /// Takes the filler's word for some partitions.
    pub(super) fn confirm(&self, epoch: FeedEpoch, partitions: Partitions, at: Micros) {
        let mut words = [None; Partition::COUNT as usize];
        for partition in partitions.iter() {
            words[usize::from(partition.number())] = Some((epoch, at));
        }
        self.learn(words);
    }

    /// Takes every word that is later than the one known. A word stays true for ever: it speaks of what was applied, and
    /// whatever is put after a loss was read after it.
    pub(super) fn learn(&self, words: [Confirmed; Partition::COUNT as usize]) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (known, word) in table.iter_mut().zip(words) {
            let is_later = |(_, at): (FeedEpoch, Micros)| known.is_none_or(|(_, before)| before < at);
            if word.is_some_and(is_later) {
                *known = word;
            }
        }
    }
}
