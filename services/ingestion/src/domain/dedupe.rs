//! What of a batch is new, what was there already, and which ids were used for something else.

use std::collections::HashMap;

use crate::domain::event::Identity;
use crate::domain::pack::Digest;

/// What becomes of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is new and is stored.
    Stored,
    /// The same was there already.
    Duplicate,
    /// Its id was used for other content: rejected with `EVENT_ID_REUSED`.
    Reused,
}

/// The first item of each id, by the hash of the id: the order in which keys are locked and inserted.
pub fn first_of_each(batch: &[Identity]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..batch.len()).collect();
    order.sort_unstable_by_key(|&index| (batch[index].id, index));
    order.dedup_by_key(|&mut index| batch[index].id);
    order
}

/// What becomes of each item, in order. `stored` holds the content of those ids that were there before the batch.
/// The first occurrence of a new id is stored; every later one is held against it.
pub fn judge(batch: &[Identity], stored: &HashMap<Digest, Digest>) -> Vec<Verdict> {
    let mut first: HashMap<Digest, Digest> = HashMap::with_capacity(batch.len());
    let judged = batch.iter().map(|item| {
        let known = stored.get(&item.id).or_else(|| first.get(&item.id)).copied();
        match known {
            Some(content) if content == item.content => Verdict::Duplicate,
            Some(_) => Verdict::Reused,
            None => {
                first.insert(item.id, item.content);
                Verdict::Stored
            }
        }
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn item((id, content): (u8, u8)) -> Identity {
        Identity { id: Digest([id; 16]), content: Digest([content; 16]) }
    }

    #[test]
    fn the_first_wins_and_later_ones_are_held_against_it() {
        let batch: Vec<_> = [(2, 1), (1, 1), (2, 1), (2, 2), (1, 1), (2, 1)].map(item).to_vec();
        let expected = [
            Verdict::Stored,
            Verdict::Stored,
            Verdict::Duplicate,
            Verdict::Reused,
            Verdict::Duplicate,
            Verdict::Duplicate,
        ];
        assert_eq!(judge(&batch, &HashMap::new()), expected);
        assert_eq!(first_of_each(&batch), [1, 0]);
    }

    #[test]
    fn what_is_stored_counts_more_than_what_came_first() {
        let batch: Vec<_> = [(1, 2), (1, 1), (1, 2)].map(item).to_vec();
        let stored = HashMap::from([(Digest([1; 16]), Digest([1; 16]))]);
        assert_eq!(judge(&batch, &stored), [Verdict::Reused, Verdict::Duplicate, Verdict::Reused]);
    }

    proptest! {
        #[test]
        fn a_batch_cut_in_two_is_judged_as_one(batch in vec((0_u8..6, 0_u8..3), 0..40), at in 0_usize..40) {
            let batch: Vec<_> = batch.into_iter().map(item).collect();
            let (head, tail) = batch.split_at(at.min(batch.len()));
            let first = judge(head, &HashMap::new());
            let stored: HashMap<_, _> = head
                .iter()
                .zip(&first)
                .filter(|(_, verdict)| **verdict == Verdict::Stored)
                .map(|(item, _)| (item.id, item.content))
                .collect();
            prop_assert_eq!([first, judge(tail, &stored)].concat(), judge(&batch, &HashMap::new()));
        }

        #[test]
        fn each_id_is_stored_once(batch in vec((0_u8..6, 0_u8..3), 0..40)) {
            let batch: Vec<_> = batch.into_iter().map(item).collect();
            let verdicts = judge(&batch, &HashMap::new());
            let mut stored: Vec<_> = (0..batch.len()).filter(|&index| verdicts[index] == Verdict::Stored).collect();
            stored.sort_unstable_by_key(|&index| batch[index].id);
            prop_assert_eq!(stored, first_of_each(&batch));
        }
    }
}
