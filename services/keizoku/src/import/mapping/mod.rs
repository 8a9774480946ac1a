//! Mappings: which columns of which files become which fields of which messages. docs/guides/import.md describes the YAML.

pub(super) mod check;
pub(super) mod draft;
pub(super) mod expression;
pub(super) mod field;
pub(super) mod named;
pub(super) mod row;
pub(super) mod table;
mod template;
#[cfg(test)]
mod tests;
mod time;

use std::collections::{BTreeMap, BTreeSet};

use keizoku_base::reference::is_key;
use keizoku_base::{Violations, Zone};
use keizoku_proto::ingestion::MetricDefinition;

use crate::failure::{Failure, Problem};
use crate::import::metrics;
use crate::import::target::{Sources, Target};

use check::Checker;
use draft::{FileDraft, MappingDraft};
use row::Flags;
use table::TableSpec;

/// The version of the outline that is read.
const OUTLINE: u32 = 1;

/// A mapping that can be used.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// What the data are called in messages.
    pub(crate) name: String,
    /// Under which names ids are sent.
    pub(crate) sources: Sources,
    /// What parts the cells of a file.
    pub(crate) delimiter: u8,
    /// What surrounds cells that hold a delimiter.
    pub(crate) quote: u8,
    /// The zone of times that name none; `None`: the workspace's.
    pub(crate) zone: Option<Zone>,
    /// Texts that mean that nothing is known.
    pub(crate) absent: Vec<String>,
    /// Texts that mean yes and no.
    pub(crate) flags: Flags,
    /// Metrics to define.
    pub(crate) metrics: Vec<MetricDefinition>,
    /// The files, by name.
    pub(crate) files: Vec<FileMapping>,
    /// Which columns of which files are looked up.
    pub(crate) tables: Vec<TableSpec>,
    /// Hash of the whole text.
    pub(crate) digest: blake3::Hash,
}

/// What one kind of file holds.
#[derive(Debug)]
pub(crate) struct FileMapping {
    /// Its name in the mapping.
    pub(crate) name: String,
    /// Every column that is used.
    pub(crate) columns: Vec<String>,
    /// What its rows become.
    pub(crate) targets: Vec<Target>,
    /// Which of the mapping's tables its rows look into.
    pub(crate) tables: BTreeSet<usize>,
    patterns: Vec<String>,
}

impl Mapping {
    /// Reads a mapping; `shown` is where it comes from.
    ///
    /// # Errors
    /// [`Failure::Invalid`] with everything that is wrong, or with the first place that is not of the outline.
    pub(crate) fn parse(text: &str, shown: &str) -> Result<Self, Failure> {
        let invalid = |problems| Failure::Invalid { what: format!("the mapping {shown} cannot be used"), problems };
        let draft: MappingDraft = serde_norway::from_str(text).map_err(|fault| {
            let place = fault.location().map_or_else(String::new, |at| format!("line {}", at.line()));
            invalid(vec![Problem { place, text: fault.to_string() }])
        })?;
        Self::check(&draft, text).map_err(|violations| {
            let problem = |violation: &keizoku_base::violations::Violation| Problem {
                place: violation.field.clone(),
                text: violation.description.clone(),
            };
            invalid(violations.iter().map(problem).collect())
        })
    }

    /// The place of the file that a name fits.
    ///
    /// # Errors
    /// The names of the mapping's files that fit, where they are none or several.
    pub(crate) fn file_of(&self, name: &str) -> Result<usize, Vec<&str>> {
        let name = name.strip_suffix(".gz").unwrap_or(name);
        let fits = |file: &FileMapping| file.patterns.iter().any(|pattern| like(pattern, name));
        let found: Vec<usize> = (0..self.files.len()).filter(|place| fits(&self.files[*place])).collect();
        match found.as_slice() {
            [place] => Ok(*place),
            others => Err(others.iter().map(|place| self.files[*place].name.as_str()).collect()),
        }
    }

    fn check(draft: &MappingDraft, text: &str) -> Result<Self, Violations> {
        let mut violations = Violations::new();
        let mut wrong = |field: &str, sentence: String| violations.add(field, "MAPPING_INVALID", sentence);
        if draft.mapping != OUTLINE {
            wrong("mapping", format!("is {}, this version reads {OUTLINE}", draft.mapping));
        }
        for (field, source) in [("source", Some(&draft.source)), ("account_source", draft.account_source.as_ref())] {
            if source.is_some_and(|source| !is_key(source)) {
                wrong(field, "must be a key: small letters, digits and _, a letter first".to_owned());
            }
        }
        let zone = draft.times.zone.as_ref().and_then(|name| Zone::parse(name));
        if let (Some(name), None) = (&draft.times.zone, zone) {
            wrong("times.zone", format!("{name:?} is not in the IANA database"));
        }
        let mut ascii = |field: &str, letter: char| {
            let byte = u8::try_from(letter).ok().filter(u8::is_ascii);
            if byte.is_none() {
                wrong(field, format!("{letter:?} is not ASCII"));
            }
            byte.unwrap_or_default()
        };
        let (delimiter, quote) = (ascii("csv.delimiter", draft.csv.delimiter), ascii("csv.quote", draft.csv.quote));
        let metrics = metrics::read(&draft.metrics, &mut violations);
        let (files, tables) = files(draft, &mut violations);
        let small = |texts: &[draft::Scalar]| texts.iter().map(|text| text.0.to_lowercase()).collect();
        violations.or(Self {
            name: draft.name.clone(),
            sources: Sources {
                own: draft.source.clone(),
                account: draft.account_source.clone().unwrap_or_else(|| draft.source.clone()),
            },
            delimiter,
            quote,
            zone,
            absent: draft.absent.clone(),
            flags: Flags { yes: small(&draft.flags.yes), no: small(&draft.flags.no) },
            metrics,
            files,
            tables,
            digest: blake3::hash(text.as_bytes()),
        })
    }
}

fn files(draft: &MappingDraft, violations: &mut Violations) -> (Vec<FileMapping>, Vec<TableSpec>) {
    let columns: BTreeMap<String, Vec<String>> =
        draft.files.iter().map(|(name, file)| (name.clone(), file.columns.clone())).collect();
    let (mut files, mut tables) = (Vec::new(), Vec::new());
    for (name, file) in &draft.files {
        let at = format!("files.{name}");
        outline(file, &at, violations);
        let mut used = BTreeSet::new();
        let mut checker = Checker {
            columns: &file.columns,
            files: &columns,
            times: &draft.times,
            tables: &mut tables,
            used: &mut used,
            violations,
            at,
        };
        let targets = Target::compile(file, &mut checker);
        files.push(FileMapping {
            name: name.clone(),
            columns: file.columns.clone(),
            targets,
            tables: used,
            patterns: file.pattern.0.clone(),
        });
    }
    (files, tables)
}

fn outline(file: &FileDraft, at: &str, violations: &mut Violations) {
    let mut wrong =
        |field: &str, sentence: String| violations.add(format!("{at}.{field}"), "MAPPING_INVALID", sentence);
    if file.pattern.0.is_empty() {
        wrong("match", "needs at least one name such as accounts*.csv".to_owned());
    }
    if file.columns.is_empty() {
        wrong("columns", "needs every column that the mapping uses".to_owned());
    }
    let mut known = BTreeSet::new();
    for column in &file.columns {
        if !known.insert(column) {
            wrong("columns", format!("lists {column:?} twice"));
        }
        if column.contains(['{', '}']) {
            wrong("columns", format!("{column:?} has a brace in it, which expressions cannot name"));
        }
    }
}

/// Whether a name fits a pattern in which `*` stands for any letters.
fn like(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}
