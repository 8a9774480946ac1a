//! How far an interrupted import came. An import that ends well leaves nothing behind, and sending twice changes nothing
//! anyway: the journal only saves time.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::shell::Shell;

/// How often it is written at the most.
const EVERY: Duration = Duration::from_secs(1);

/// The journal of one file.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    state: State,
    written: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    /// The workspace's etag: it changes when the workspace is reset, and then nothing of this is true any more.
    etag: String,
    /// The last line dealt with, by the number of the target.
    lines: BTreeMap<usize, u64>,
    /// The targets that are done.
    done: Vec<usize>,
}

/// What tells one import from another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// Hash of the mapping.
    pub(crate) mapping: blake3::Hash,
    /// Hash of the file and of every file it is looked up in.
    pub(crate) files: blake3::Hash,
    /// The workspace.
    pub(crate) workspace: &'a str,
    /// The workspace's etag.
    pub(crate) etag: &'a str,
}

/// The folder of journals: `keizoku/imports` below XDG_STATE_HOME, or below `.local/state` of the home folder.
pub(crate) fn folder(shell: &Shell) -> Option<PathBuf> {
    let state = shell.variable("XDG_STATE_HOME").map(PathBuf::from);
    let home = || shell.variable("HOME").map(|home| Path::new(home).join(".local/state"));
    Some(state.or_else(home)?.join("keizoku/imports"))
}

impl Journal {
    /// The journal of an import, empty where there is none or where it is not about this workspace as it is now.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub(crate) fn open(folder: &Path, subject: Subject<'_>) -> Result<Self, Failure> {
        let mut name = blake3::Hasher::new();
        name.update(subject.mapping.as_bytes()).update(subject.files.as_bytes()).update(subject.workspace.as_bytes());
        let path = folder.join(format!("{}.json", &name.finalize().to_hex()[..32]));
        let fresh = State { etag: subject.etag.to_owned(), lines: BTreeMap::new(), done: Vec::new() };
        let found = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<State>(&bytes).ok().filter(|state| state.etag == subject.etag),
            Err(fault) if fault.kind() == ErrorKind::NotFound => None,
            Err(source) => return Err(Failure::File { path, source }),
        };
        Ok(Self { path, state: found.unwrap_or(fresh), written: None })
    }

    /// Forgets how far the import came.
    pub(crate) fn restart(&mut self) {
        self.state.lines.clear();
        self.state.done.clear();
    }

    /// Whether an earlier run came anywhere.
    pub(crate) fn is_begun(&self) -> bool {
        !self.state.lines.is_empty() || !self.state.done.is_empty()
    }

    /// The last line dealt with for a target, 0 for none.
    pub(crate) fn line(&self, target: usize) -> u64 {
        self.state.lines.get(&target).copied().unwrap_or(0)
    }

    /// Whether a target is done.
    pub(crate) fn is_done(&self, target: usize) -> bool {
        self.state.done.contains(&target)
    }

    /// Notes that a target is dealt with up to a line.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn reached(&mut self, target: usize, line: u64) -> Result<(), Failure> {
        self.state.lines.insert(target, line);
        if self.written.is_some_and(|written| written.elapsed() < EVERY) {
            return Ok(());
        }
        self.write()
    }

    /// Notes that a target is done.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn finished(&mut self, target: usize) -> Result<(), Failure> {
        self.state.done.push(target);
        self.write()
    }

    /// Removes the journal: the import ended well.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove(self) -> Result<(), Failure> {
        match std::fs::remove_file(&self.path) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(Failure::File { path: self.path, source }),
            _ => Ok(()),
        }
    }

    fn write(&mut self) -> Result<(), Failure> {
        self.written = Some(Instant::now());
        let written = replace(&self.path, &self.state);
        written.map_err(|source| Failure::File { path: self.path.clone(), source })
    }
}

/// Writes it whole or not at all: it is read after a crash.
fn replace(path: &Path, state: &State) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, serde_json::to_vec(state)?)?;
    std::fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use keizoku_testkit::TempDir;

    use super::*;

    fn subject<'a>(mapping: &str, etag: &'a str) -> Subject<'a> {
        let hash = |text: &str| blake3::hash(text.as_bytes());
        Subject { mapping: hash(mapping), files: hash("files"), workspace: "ws_1", etag }
    }

    #[test]
    fn an_import_goes_on_where_it_was_interrupted() {
        let folder = TempDir::new();
        let open = |mapping: &str, etag: &str| Journal::open(folder.path(), subject(mapping, etag)).expect("a journal");
        let mut journal = open("a", "1");
        assert_eq!((journal.line(0), journal.is_done(0)), (0, false));
        journal.reached(0, 100).expect("written");
        journal.reached(1, 7).expect("noted");
        journal.finished(0).expect("written");
        let again = open("a", "1");
        assert_eq!((again.line(0), again.is_done(0), again.line(1), again.is_done(1)), (100, true, 7, false));
        assert_eq!(open("b", "1").line(0), 0);
        again.remove().expect("removed");
        assert_eq!(open("a", "1").line(0), 0);
    }

    #[test]
    fn a_workspace_that_was_reset_or_a_torn_journal_begins_anew() {
        let folder = TempDir::new();
        let open = |etag: &str| Journal::open(folder.path(), subject("a", etag)).expect("a journal");
        let mut journal = open("1");
        journal.reached(0, 100).expect("written");
        assert_eq!(open("2").line(0), 0);
        std::fs::write(&journal.path, b"{\"etag\":\"1\",\"li").expect("torn");
        assert_eq!(open("1").line(0), 0);
        journal.restart();
        assert_eq!(journal.line(0), 0);
    }
}
