//! The operating system's lock on a data folder: one process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::Arc;

use crate::fault::DbFault;

/// Holds the lock of one service's files in a data folder until it is dropped. The operating system releases it too
/// when the process dies.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Makes the folder if it is missing and takes the lock of `service` in it.
    ///
    /// # Errors
    /// [`DbFault::FolderInUse`] where another process has it; [`DbFault::Folder`] where the folder cannot be written.
    pub fn take(folder: &Path, service: &str) -> Result<Self, DbFault> {
        let unusable = |error: std::io::Error| DbFault::Folder(folder.to_owned(), Arc::new(error));
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let path = folder.join(format!("{service}.lock"));
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(DbFault::FolderInUse(folder.to_owned())),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }
}
