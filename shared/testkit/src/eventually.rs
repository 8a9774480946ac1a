//! Waiting for a state instead of for a time.

use std::fmt::Debug;
use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// What a check can answer: `true`, `Some` and `Ok` end the waiting, the others are asked again.
pub trait Outcome {
    /// What `eventually` gives back.
    type Value;

    /// The value, or a text that says what was there instead.
    ///
    /// # Errors
    /// The state waited for is not reached.
    fn settle(self) -> Result<Self::Value, String>;
}

impl Outcome for bool {
    type Value = ();

    fn settle(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("false".into()) }
    }
}

impl<T> Outcome for Option<T> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.ok_or_else(|| "None".into())
    }
}

impl<T, E: Debug> Outcome for Result<T, E> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.map_err(|error| format!("{error:?}"))
    }
}

/// Asks `check` again and again, soon at first and every 50 ms later, until it is settled.
///
/// # Panics
/// After `limit`, with the place of the call and the last answer. A check that hangs counts as unanswered.
#[track_caller]
pub fn eventually<C, F>(limit: Duration, mut check: C) -> impl Future<Output = <F::Output as Outcome>::Value>
where
    C: FnMut() -> F,
    F: Future<Output: Outcome>,
{
    let place = Location::caller();
    async move {
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_millis(1);
        let mut last = "no answer yet".to_owned();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Ok(answer) = timeout(left, check()).await {
                match answer.settle() {
                    Ok(value) => return value,
                    Err(seen) => last = seen,
                }
            }
            // An answer that is ready at once is never timed out, so the clock is read here too.
            assert!(Instant::now() < deadline, "{place}: not reached within {limit:?}; the last answer was {last}");
            sleep(pause.min(left)).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_check_is_asked_until_it_holds() {
        let mut asked = 0;
        let value = eventually(SOON, || {
            asked += 1;
            let answer = (asked == 4).then_some(asked);
            async move { answer }
        })
        .await;
        assert_eq!(value, 4);
    }

    #[tokio::test]
    #[should_panic(expected = "the last answer was \"still down\"")]
    async fn the_last_answer_is_told_when_time_is_up() {
        eventually(Duration::from_millis(30), || async { Err::<(), _>("still down") }).await;
    }

    #[tokio::test]
    #[should_panic(expected = "no answer yet")]
    async fn a_check_that_hangs_ends_too() {
        eventually(Duration::from_millis(30), std::future::pending::<bool>).await;
    }
}
