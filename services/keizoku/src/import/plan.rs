//! Which file goes where, and in which order: everything that keeps an import from starting is found before it starts.

use std::io;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Problem};

use super::mapping::Mapping;
use super::mapping::table::Table;
use super::reader::Rows;
use super::target::Kind;

/// A file that was given, and what the mapping makes of it.
#[derive(Debug)]
pub(crate) struct Given {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The place among the mapping's files.
    pub(crate) file: usize,
    /// Where in the file each column of the mapping's list stands.
    pub(crate) places: Vec<usize>,
    /// How many bytes it has.
    pub(crate) bytes: u64,
    /// Hash of its bytes.
    pub(crate) digest: blake3::Hash,
}

/// One file on its way to one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// The place among the given files.
    pub(crate) given: usize,
    /// The place among the targets of the mapping's file.
    pub(crate) target: usize,
    /// What its rows become.
    pub(crate) kind: Kind,
}

/// What is done, in order.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The files.
    pub(crate) given: Vec<Given>,
    /// The steps.
    pub(crate) steps: Vec<Step>,
    /// The files that are looked into.
    pub(crate) tables: Vec<Table>,
}

impl Plan {
    /// Looks at every file and puts the steps into their order.
    ///
    /// # Errors
    /// [`Failure::Invalid`] with everything that keeps the import from starting; a file that cannot be read.
    pub(crate) fn make(mapping: &Mapping, paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut problems = Vec::new();
        let given: Vec<Given> = paths.iter().filter_map(|path| look_at(path, mapping, &mut problems)).collect();
        for place in &needed(mapping, &given) {
            let name = &mapping.tables[*place].file;
            if !given.iter().any(|given| mapping.files[given.file].name == *name) {
                let text = format!("is looked into by another file: give it too ({name} in the mapping)");
                problems.push(Problem { place: name.clone(), text });
            }
        }
        if !problems.is_empty() {
            return Err(Failure::Invalid { what: "nothing was sent".to_owned(), problems });
        }
        let mut steps: Vec<Step> = (0..)
            .zip(&given)
            .flat_map(|(place, given)| {
                let targets = mapping.files[given.file].targets.iter();
                targets.enumerate().map(move |(target, found)| Step { given: place, target, kind: found.kind() })
            })
            .collect();
        steps.sort_by_key(|step| step.kind);
        let tables = tables(mapping, &given)?;
        Ok(Self { given, steps, tables })
    }
}

/// The mapping's tables that the given files look into.
fn needed(mapping: &Mapping, given: &[Given]) -> Vec<usize> {
    let mut found: Vec<usize> =
        given.iter().flat_map(|given| mapping.files[given.file].tables.iter().copied()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// A given file; `None` where something is wrong with it.
fn look_at(path: &Path, mapping: &Mapping, problems: &mut Vec<Problem>) -> Option<Given> {
    let before = problems.len();
    let mut wrong = |text: String| problems.push(Problem { place: path.display().to_string(), text });
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let file = match mapping.file_of(&name) {
        Ok(file) => file,
        Err(several) if several.is_empty() => {
            let known: Vec<&str> = mapping.files.iter().map(|file| file.name.as_str()).collect();
            wrong(format!("fits none of the mapping's files ({})", known.join(", ")));
            return None;
        }
        Err(several) => {
            wrong(format!("fits several of the mapping's files: {}", several.join(", ")));
            return None;
        }
    };
    let opened = Rows::open(path, mapping).and_then(|rows| Ok((rows, path.metadata()?.len(), digest(path)?)));
    let (rows, bytes, digest) = match opened {
        Ok(opened) => opened,
        Err(fault) => {
            wrong(fault.to_string());
            return None;
        }
    };
    let header = rows.header();
    for (place, column) in header.iter().enumerate() {
        if header[..place].contains(column) {
            wrong(format!("the header has {column:?} twice"));
        }
    }
    let mut places = Vec::new();
    for column in &mapping.files[file].columns {
        match header.iter().position(|name| name == column) {
            Some(place) => places.push(place),
            None => wrong(format!("the column {column:?} is missing")),
        }
    }
    (problems.len() == before).then(|| Given { path: path.to_owned(), file, places, bytes, digest })
}

fn tables(mapping: &Mapping, given: &[Given]) -> Result<Vec<Table>, Failure> {
    let wanted = needed(mapping, given);
    let mut tables: Vec<Table> = mapping.tables.iter().map(|_| Table::default()).collect();
    for given in given {
        let name = &mapping.files[given.file].name;
        let into: Vec<usize> = wanted.iter().copied().filter(|table| mapping.tables[*table].file == *name).collect();
        if into.is_empty() {
            continue;
        }
        let mut read = || -> io::Result<()> {
            let mut rows = Rows::open(&given.path, mapping)?;
            while let Some(line) = rows.next()? {
                // A row that cannot be read is reported when its own turn comes.
                let Ok(record) = line.cells else { continue };
                for table in &into {
                    tables[*table].add(&record, &given.places, &mapping.tables[*table]);
                }
            }
            Ok(())
        };
        read().map_err(|source| Failure::File { path: given.path.clone(), source })?;
    }
    Ok(tables)
}

fn digest(path: &Path) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::fs::File::open(path)?)?;
    Ok(hasher.finalize())
}
