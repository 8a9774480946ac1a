//! A folder that lives as long as its value.

use std::path::{Path, PathBuf};

use crate::database::unique_name;

/// A fresh, empty folder below the system's temporary folder; removed with all it holds when dropped.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// Creates the folder. Panics where the temporary folder is not writable.
    #[expect(clippy::new_without_default, reason = "creating a folder is an act, not a default value")]
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(unique_name());
        std::fs::create_dir_all(&path).unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of `name` inside it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A server of the test may still be writing its last file; what stays behind is the system's to clear.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_away_with_its_value() {
        let folder = TempDir::new();
        let path = folder.path().to_owned();
        std::fs::write(folder.join("file"), b"x").unwrap();
        assert!(path.is_dir());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn two_folders_are_never_the_same() {
        assert_ne!(TempDir::new().path(), TempDir::new().path());
    }
}
