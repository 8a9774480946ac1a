//! The service's settings.

use keizoku_runtime::config::TimeSpan;

keizoku_runtime::settings! {
    /// Scoring.
    pub struct ScoringSettings {
        /// How long changes are kept in the feed.
        feed_retention: TimeSpan = TimeSpan::days(14),
        /// How long single changes of scores are kept. Their daily closes stay.
        change_retention: TimeSpan = TimeSpan::days(90),
    }
}
