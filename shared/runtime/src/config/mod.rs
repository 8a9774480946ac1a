//! Settings: defaults, then a TOML file, then `KEIZOKU__SECTION__KEY` variables, then overrides of the command line.
//!
//! A struct of settings is declared once, with [`settings!`](crate::settings): types, defaults and documentation stand
//! together, so what is read, what is printed and what docs/configuration.md says cannot differ.

mod declare;
mod units;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

pub use declare::{Describe, Key, document, effective, keys};
pub use units::{ByteSize, Secret, TimeSpan};

/// What every variable that is a setting begins with.
pub const PREFIX: &str = "KEIZOKU__";

/// Where settings come from; later ones win.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// Variables; those that do not begin with [`PREFIX`] are ignored.
    pub environment: BTreeMap<String, String>,
    /// Keys and values given on the command line.
    pub overrides: Vec<(String, String)>,
}

impl Sources {
    /// The file, if one is given, and the process's variables.
    pub fn of_process(file: Option<PathBuf>) -> Self {
        Self { file, environment: environment(), overrides: Vec::new() }
    }
}

/// The process's variables. Those that are not Unicode are left out.
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// One thing wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} ({origin}): {problem}")]
pub struct ConfigFault {
    /// The key, `node.limits.message`; empty where a whole source cannot be read.
    pub key: String,
    /// Where the value came from.
    pub origin: Origin,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// A variable of that name.
    Variable(String),
    /// The command line.
    Override,
    /// A check over several settings.
    Check,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "file {}", path.display()),
            Self::Variable(name) => write!(formatter, "variable {name}"),
            Self::Override => formatter.write_str("command line"),
            Self::Check => formatter.write_str("check"),
        }
    }
}

/// Everything wrong with the settings, gathered before anything is refused.
#[derive(Debug, Default)]
pub struct Faults(Vec<ConfigFault>);

impl Faults {
    /// Adds what a check over settings found.
    pub fn add(&mut self, key: impl Into<String>, problem: impl Into<String>) {
        self.push(key, Origin::Check, problem);
    }

    fn push(&mut self, key: impl Into<String>, origin: Origin, problem: impl Into<String>) {
        self.0.push(ConfigFault { key: key.into(), origin, problem: problem.into() });
    }
}

/// Reads settings, and checks them with `check` (which sees defaults in place of what could not be read).
///
/// # Errors
/// Everything that is wrong, at once: unreadable sources, unknown keys (each with the nearest known one), bad values, and
/// what `check` found.
pub fn load<T>(sources: &Sources, check: impl FnOnce(&T, &mut Faults)) -> Result<T, Vec<ConfigFault>>
where
    T: Describe + DeserializeOwned + Default,
{
    let known: Vec<String> = keys::<T>().into_iter().map(|key| key.path).collect();
    let mut faults = Faults::default();
    let mut entries = Vec::new();
    if let Some(path) = &sources.file {
        read_file(path, &known, &mut entries, &mut faults);
    }
    read_variables(&sources.environment, &mut entries);
    for (key, text) in &sources.overrides {
        entries.push(Entry { key: key.clone(), origin: Origin::Override, candidates: candidates(text) });
    }

    let mut table = toml::Table::new();
    let mut value = T::default();
    for entry in entries {
        if !known.contains(&entry.key) {
            let problem = unknown(&entry.key, &known);
            faults.push(entry.key, entry.origin, problem);
            continue;
        }
        match apply(&table, &entry) {
            Ok((next, read)) => (table, value) = (next, read),
            Err(problem) => faults.push(entry.key, entry.origin, problem),
        }
    }
    check(&value, &mut faults);
    if faults.0.is_empty() { Ok(value) } else { Err(faults.0) }
}

/// One value of one source. A text has several readings (`5` is a number, or a name), tried in turn.
struct Entry {
    key: String,
    origin: Origin,
    candidates: Vec<toml::Value>,
}

fn read_file(path: &Path, known: &[String], entries: &mut Vec<Entry>, faults: &mut Faults) {
    let origin = Origin::File(path.to_owned());
    let table = match std::fs::read_to_string(path) {
        Ok(text) => text.parse::<toml::Table>().map_err(|fault| fault.to_string().trim_end().to_owned()),
        Err(fault) => Err(format!("cannot be read: {fault}")),
    };
    match table {
        Ok(table) => flatten("", table, known, &origin, entries),
        Err(problem) => faults.push("", origin, problem),
    }
}

/// Leaves of the file with their paths; a table that holds no known key is itself a leaf, and so refused by its own name.
fn flatten(above: &str, table: toml::Table, known: &[String], origin: &Origin, entries: &mut Vec<Entry>) {
    for (name, value) in table {
        let key = if above.is_empty() { name } else { format!("{above}.{name}") };
        let section = format!("{key}.");
        let is_section = known.iter().any(|path| path.starts_with(&section));
        match (is_section, value) {
            (true, toml::Value::Table(inner)) => flatten(&key, inner, known, origin, entries),
            (_, leaf) => entries.push(Entry { key, origin: origin.clone(), candidates: vec![leaf] }),
        }
    }
}

fn read_variables(environment: &BTreeMap<String, String>, entries: &mut Vec<Entry>) {
    for (name, text) in environment {
        if let Some(rest) = name.strip_prefix(PREFIX) {
            let key = rest.to_lowercase().replace("__", ".");
            entries.push(Entry { key, origin: Origin::Variable(name.clone()), candidates: candidates(text) });
        }
    }
}

fn candidates(text: &str) -> Vec<toml::Value> {
    let mut readings = vec![toml::Value::String(text.to_owned())];
    if let Ok(mut table) = format!("value = {text}").parse::<toml::Table>() {
        readings.extend(table.remove("value"));
    }
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    readings.push(toml::Value::Array(parts.map(|part| toml::Value::String(part.to_owned())).collect()));
    readings
}

fn apply<T: DeserializeOwned>(table: &toml::Table, entry: &Entry) -> Result<(toml::Table, T), String> {
    let mut problem = String::new();
    for candidate in &entry.candidates {
        let mut next = table.clone();
        insert(&mut next, &entry.key, candidate.clone());
        match T::deserialize(toml::Value::Table(next.clone())) {
            Ok(read) => return Ok((next, read)),
            // A reading of the wrong type was not what was meant, unless all are; then the first says it best.
            Err(fault) if problem.is_empty() || !fault.message().starts_with("invalid type") => {
                fault.message().clone_into(&mut problem);
            }
            Err(_) => {}
        }
    }
    Err(problem)
}

fn insert(table: &mut toml::Table, key: &str, value: toml::Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let toml::Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

fn unknown(key: &str, known: &[String]) -> String {
    let sections = known.iter().flat_map(|path| path.match_indices('.').map(|(dot, _)| &path[..dot]));
    match known.iter().map(String::as_str).chain(sections).min_by_key(|candidate| distance(key, candidate)) {
        Some(nearest) => format!("is not a setting; the nearest is {nearest}"),
        None => "is not a setting".to_owned(),
    }
}

/// Levenshtein's distance.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, byte) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, other) in right.bytes().enumerate() {
            let substituted = diagonal + usize::from(byte != other);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    crate::choices! {
        /// How loud.
        pub(crate) enum Volume {
            /// Nothing.
            Quiet = "quiet",
            /// Everything.
            Loud = "loud",
        }
    }

    crate::settings! {
        /// The inner part.
        pub(crate) struct Inner {
            /// How long to wait.
            timeout: TimeSpan = TimeSpan::seconds(5),
            /// How much to hold.
            size: ByteSize = ByteSize::mebibytes(4),
            /// Who may enter.
            names: Vec<String> = Vec::new(),
            /// How loud it is.
            volume: Volume = Volume::Quiet,
        }
    }

    crate::settings! {
        /// The whole.
        pub(crate) struct Outer {
            /// How many.
            count: u32 = 3,
            /// What it is called, if it has a name.
            name: Option<String> = None,
            /// What nobody may read.
            token: Secret = Secret::default(),
            /// The inner part.
            inner: Inner,
        }
    }

    fn sources(variables: &[(&str, &str)]) -> Sources {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Sources { file: None, environment, overrides: Vec::new() }
    }

    fn file(name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("keizoku-config-{}-{name}.toml", std::process::id()));
        std::fs::write(&path, text).expect("a file in the temporary folder");
        path
    }

    #[test]
    fn later_sources_win_over_earlier_ones() {
        let mut sources = sources(&[("KEIZOKU__INNER__SIZE", "64KiB"), ("KEIZOKU__COUNT", "7"), ("OTHER", "x")]);
        sources.file = Some(file("wins", "count = 5\nname = \"7\"\n[inner]\ntimeout = \"1m30s\"\nvolume = \"loud\"\n"));
        sources.overrides.push(("inner.names".to_owned(), "a, b".to_owned()));
        let read: Outer = load(&sources, |_, _| ()).expect("valid settings");
        assert_eq!(read.count, 7);
        assert_eq!(read.name.as_deref(), Some("7"));
        assert_eq!(read.inner.timeout.get(), Duration::from_secs(90));
        assert_eq!(read.inner.size.get(), 64 * 1024);
        assert_eq!(read.inner.names, ["a", "b"]);
        assert_eq!(read.inner.volume, Volume::Loud);
    }

    #[test]
    fn tells_everything_that_is_wrong_at_once() {
        let mut sources = sources(&[("KEIZOKU__COUNT", "many"), ("KEIZOKU__INNER__TIMEOUT", "5")]);
        let path = file("wrong", "counts = 5\n[inner]\ntimeuot = \"1s\"\nsize = \"4 apples\"\n[iner]\nx = 1\n");
        sources.file = Some(path.clone());
        let faults = load(&sources, |_: &Outer, faults| faults.add("inner", "does not fit")).expect_err("wrong");
        let told: Vec<String> = faults.iter().map(|fault| format!("{} {}", fault.key, fault.problem)).collect();
        assert_eq!(
            told,
            [
                "counts is not a setting; the nearest is count",
                "iner is not a setting; the nearest is inner",
                "inner.size is not a size like 4MiB: unknown unit \"apples\" (B, KiB, MiB, GiB)",
                "inner.timeuot is not a setting; the nearest is inner.timeout",
                "count invalid type: string \"many\", expected u32",
                "inner.timeout is not a duration like 30s: 5 has no unit (ms, s, m, h, d)",
                "inner does not fit",
            ]
        );
        assert_eq!(faults[0].origin, Origin::File(path));
        assert_eq!(faults[4].origin, Origin::Variable("KEIZOKU__COUNT".to_owned()));
    }

    #[test]
    fn an_unreadable_file_is_one_fault() {
        let sources = Sources { file: Some(PathBuf::from("/nonexistent/keizoku.toml")), ..Sources::default() };
        let faults = load::<Outer>(&sources, |_, _| ()).expect_err("no such file");
        assert_eq!(faults.len(), 1);
        assert!(faults[0].problem.starts_with("cannot be read"), "{faults:?}");
    }

    #[test]
    fn prints_effective_values_but_no_secret() {
        let read: Outer =
            load(&sources(&[("KEIZOKU__TOKEN", "hush"), ("KEIZOKU__COUNT", "4")]), |_, _| ()).expect("valid settings");
        assert_eq!(read.token.reveal(), "hush");
        assert!(!format!("{read:?}").contains("hush"));
        assert_eq!(
            effective(&read),
            "count = 4\n# name is not set\ntoken = \"***\"\ninner.timeout = \"5s\"\ninner.size = \"4MiB\"\n\
             inner.names = []\ninner.volume = \"quiet\"\n"
        );
    }

    #[test]
    fn documents_each_key_with_its_variable_and_default() {
        let table = document::<Outer>();
        assert!(
            table.contains("| `inner.timeout` | `KEIZOKU__INNER__TIMEOUT` | `\"5s\"` | How long to wait. |"),
            "{table}"
        );
        assert!(table.contains("| `inner.volume` | `KEIZOKU__INNER__VOLUME` | `\"quiet\"` | How loud it is. One of"));
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let printed = effective(&Outer::default());
        let sources = Sources { file: Some(file("again", &printed)), ..Sources::default() };
        let read: Outer = load(&sources, |_, _| ()).expect("valid settings");
        assert_eq!(effective(&read), printed);
    }
}
