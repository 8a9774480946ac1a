//! The service's settings.

use keizoku_runtime::config::{Secret, TimeSpan};

keizoku_runtime::choices! {
    /// Whether a workspace's data are real.
    pub enum BootstrapKind {
        /// Real data.
        Live = "live",
        /// Data for trying out: the workspace can be reset and its clock set.
        Test = "test",
    }
}

keizoku_runtime::settings! {
    /// Ingestion.
    pub struct IngestionSettings {
        /// A key `kz_…` that opens the first workspace; made at the start where it is not there yet. For machines that
        /// are set up without a person.
        bootstrap_key: Secret = Secret::default(),
        /// Zone of the workspace that the bootstrap key opens.
        bootstrap_zone: String = "UTC".to_owned(),
        /// Name of the workspace that the bootstrap key opens.
        bootstrap_name: String = "default".to_owned(),
        /// Whether the workspace that the bootstrap key opens holds real data.
        bootstrap_kind: BootstrapKind = BootstrapKind::Live,
        /// Whether a generator makes the data of the workspace that the bootstrap key opens.
        bootstrap_synthetic: bool = false,
        /// How many events may wait to be stored before more are refused.
        waiting_events: u32 = 50_000,
        /// How long changes are kept in the feed.
        feed_retention: TimeSpan = TimeSpan::days(14),
        /// How long events are kept. Their metrics and keys stay.
        event_retention: TimeSpan = TimeSpan::days(800),
    }
}
