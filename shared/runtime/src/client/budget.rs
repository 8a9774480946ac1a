//! How many calls may be repeated: a tenth of those that are made, so that repeats cannot drown a peer that struggles.

use std::sync::atomic::{AtomicU32, Ordering};

/// What one repeat costs, in what one call brings in.
const REPEAT: u32 = 10;

/// The most that is saved up: ten repeats. It is there from the start.
const MOST: u32 = 10 * REPEAT;

#[derive(Debug)]
pub(super) struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(MOST))
    }
}

impl Budget {
    /// A call was made.
    pub(super) fn deposit(&self) {
        self.change(|saved| (saved < MOST).then_some(saved + 1));
    }

    /// Whether a call may be repeated; if so, it is paid for.
    pub(super) fn withdraw(&self) -> bool {
        self.change(|saved| saved.checked_sub(REPEAT))
    }

    fn change(&self, change: impl FnMut(u32) -> Option<u32>) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_repeats_are_saved_up_and_no_more() {
        let budget = Budget::default();
        (0..1_000).for_each(|_| budget.deposit());
        let repeats = (0..100).filter(|_| budget.withdraw()).count();
        assert_eq!(repeats, 10);
    }

    #[test]
    fn ten_calls_bring_in_one_repeat() {
        let budget = Budget::default();
        while budget.withdraw() {}
        (0..9).for_each(|_| budget.deposit());
        assert!(!budget.withdraw());
        budget.deposit();
        assert!(budget.withdraw());
        assert!(!budget.withdraw());
    }
}
