//! The source files: their size, and what must not stand in them.

use std::path::{Path, PathBuf};

use crate::assert_none;
use crate::lexer::code_lines;

const MOST_LINES: usize = 500;

/// A file of the checkout: its path from the root, and its text.
pub(crate) struct SourceFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every text file of the checkout below `folder` whose name has one of these endings; no ending means every file.
pub(crate) fn files(folder: &str, endings: &[&str]) -> Vec<SourceFile> {
    let root = keizoku_tests::root();
    let mut paths = Vec::new();
    collect(&root.join(folder), &mut paths);
    paths.sort();
    let wanted = |path: &&PathBuf| {
        endings.is_empty() || path.extension().and_then(|e| e.to_str()).is_some_and(|ending| endings.contains(&ending))
    };
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(&root).expect("found below the root").to_string_lossy().into_owned();
        Some(SourceFile { path: name, text: std::fs::read_to_string(path).ok()? })
    };
    paths.iter().filter(wanted).filter_map(read).collect()
}

/// What of a source file is built into the product: all before its tests, which stand last; nothing of a file of tests.
pub(crate) fn product(file: &SourceFile) -> &str {
    let tests = ["tests.rs", "fixture.rs", "trial.rs"].iter().any(|name| file.path.ends_with(&format!("/{name}")));
    if tests || file.path.contains("/tests/") {
        return "";
    }
    let last = file.text.match_indices("\n#[cfg(test)]\nmod ").find(|(at, mark)| {
        let line = file.text[at + mark.len()..].lines().next();
        line.is_some_and(|line| line.ends_with('{'))
    });
    last.map_or(file.text.as_str(), |(at, _)| &file.text[..at])
}

#[test]
fn no_source_file_is_longer_than_500_lines() {
    let findings: Vec<String> = files("", &["rs", "proto", "py", "js"])
        .iter()
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > MOST_LINES)
        .map(|(file, lines)| format!("{}: {lines} lines", file.path))
        .collect();
    assert_none("files that should be several", &findings);
}

#[test]
fn no_test_is_skipped_and_nothing_is_left_undone() {
    const MARKS: [&str; 6] = ["#[ignore", "todo!(", "unimplemented!(", "dbg!(", "allow(dead_code", "expect(dead_code"];
    let mut findings = Vec::new();
    for file in files("", &["rs"]) {
        for (line, code) in code_lines(&file.text) {
            let found = MARKS.iter().filter(|mark| code.contains(**mark));
            findings.extend(found.map(|mark| format!("{}:{line}: {mark}", file.path)));
        }
    }
    assert_none("marks of unfinished work", &findings);
}

#[test]
fn no_file_names_a_place_of_one_machine_or_a_thing_to_do_later() {
    // Put together here so that this file does not find itself.
    let marks = [
        ["/wo", "rk/"].concat(),
        ["/ro", "ot/"].concat(),
        ["/tmp/ba", "sh_jobs"].concat(),
        ["FIX", "ME"].concat(),
        ["TO", "DO:"].concat(),
        ["XX", "X:"].concat(),
    ];
    let mut findings = Vec::new();
    for file in files("", &[]).iter().filter(|file| file.path != "Cargo.lock") {
        for (number, line) in file.text.lines().enumerate() {
            let found = marks.iter().filter(|mark| stands_alone(line, mark));
            findings.extend(found.map(|mark| format!("{}:{}: {mark}", file.path, number + 1)));
        }
    }
    assert_none("marks that do not belong into a checkout", &findings);
}

/// Whether the mark is there, and not as the end of a longer name.
fn stands_alone(line: &str, mark: &str) -> bool {
    line.match_indices(mark)
        .any(|(at, _)| !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '.'))
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    const FOREIGN: [&str; 5] = [".git", "target", "node_modules", "__pycache__", ".venv"];
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && !FOREIGN.iter().any(|foreign| name == *foreign) {
            collect(&entry.path(), into);
        } else if kind.is_file() {
            into.push(entry.path());
        }
    }
}
