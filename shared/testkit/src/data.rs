//! Real data sets that are too large for the repository.

use std::path::{Path, PathBuf};

use crate::setting::setting;

/// The folder `name` of `shared/data` beside the checkout, nothing when this machine has no such data.
///
/// `KEIZOKU_TEST_DATA=required` makes its absence a panic, so that a machine that has the data cannot skip silently.
pub fn shared_data(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    let demand = setting("KEIZOKU_TEST_DATA");
    assert_ne!(demand.as_deref(), Some("required"), "KEIZOKU_TEST_DATA=required, but {} is missing", folder.display());
    None
}
