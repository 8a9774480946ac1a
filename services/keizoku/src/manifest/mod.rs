//! Files for `apply` and `diff`: YAML documents that define metrics, health models and settings.

mod changes;
mod place;
mod shape;
pub(crate) mod work;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost_reflect::DynamicMessage;
use serde::Deserialize as _;
use serde_norway::Value;

use crate::client::reflect;
use crate::failure::{Failure, Problem};
use crate::shell::Shell;

pub(crate) use changes::{Change, changes};
pub(crate) use place::Path as FieldPath;

/// What a document defines. Their order is the order they are applied in: models name metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The settings of the workspace.
    WorkspaceSettings,
    /// A metric.
    Metric,
    /// A health model.
    HealthModel,
}

/// A document of a file.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// What it defines.
    pub(crate) kind: Kind,
    /// Its content.
    pub(crate) message: DynamicMessage,
    /// The names of the fields it sets itself, as in the proto.
    pub(crate) fields: Vec<String>,
    origin: Origin,
}

/// Where a document stands.
#[derive(Debug, Clone)]
struct Origin {
    file: String,
    text: Arc<str>,
    place: usize,
}

impl Kind {
    const ALL: [Self; 3] = [Self::WorkspaceSettings, Self::Metric, Self::HealthModel];

    /// What `kind:` says.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::WorkspaceSettings => "WorkspaceSettings",
            Self::Metric => "Metric",
            Self::HealthModel => "HealthModel",
        }
    }

    /// The message a document of this kind is.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::WorkspaceSettings => "keizoku.ingestion.v1.WorkspaceSettings",
            Self::Metric => "keizoku.ingestion.v1.MetricDefinition",
            Self::HealthModel => "keizoku.scoring.v1.HealthModel",
        }
    }

    /// Fields that only the server sets: they are left out of comparisons.
    pub(crate) const fn set_by_server(self) -> &'static [&'static str] {
        match self {
            Self::WorkspaceSettings => &[],
            Self::Metric => &["version", "created_at", "backfill"],
            Self::HealthModel => &["version", "created_at", "in_force"],
        }
    }

    /// How the request names the document: what the server's violations begin with.
    const fn in_request(self) -> &'static str {
        match self {
            Self::WorkspaceSettings => "workspace.settings",
            Self::Metric => "metric",
            Self::HealthModel => "model",
        }
    }
}

impl Document {
    /// The key of what it defines; empty for settings.
    pub(crate) fn key(&self) -> String {
        let key = self.message.get_field_by_name("key");
        key.and_then(|key| key.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// The file it stands in.
    pub(crate) fn file(&self) -> &str {
        &self.origin.file
    }

    /// The content as a generated type.
    ///
    /// # Errors
    /// It is of another kind.
    pub(crate) fn typed<M: prost::Message + Default>(&self) -> Result<M, Failure> {
        reflect::typed(&self.message)
    }

    /// Problems that the server has with the document, at their places in the file.
    pub(crate) fn placed(&self, problems: Vec<Problem>) -> Vec<Problem> {
        let place = |problem: Problem| {
            let field = problem.place.strip_prefix(self.kind.in_request()).unwrap_or(&problem.place);
            let path = FieldPath::parse(field.trim_start_matches('.'));
            self.origin.problem(&path, problem.text)
        };
        problems.into_iter().map(place).collect()
    }
}

impl Origin {
    fn problem(&self, path: &FieldPath, text: String) -> Problem {
        let line = place::line(&self.text, self.place, path);
        let file = line.map_or_else(|| self.file.clone(), |line| format!("{}:{line}", self.file));
        let place = if path.is_empty() { file } else { format!("{file}: {path}") };
        Problem { place, text }
    }
}

/// Reads the documents of files, in the order they are applied in. `-` is standard input.
///
/// # Errors
/// A file cannot be read; or everything that is wrong in any of them.
pub(crate) fn read(shell: &mut Shell, files: &[PathBuf]) -> Result<Vec<Document>, Failure> {
    let mut documents = Vec::new();
    let mut problems = Vec::new();
    for path in files {
        let text = read_file(shell, path)?;
        let name = if path == Path::new("-") { "(input)".to_owned() } else { path.display().to_string() };
        parse(&name, &text, &mut documents, &mut problems);
    }
    if documents.is_empty() && problems.is_empty() {
        problems.push(Problem { place: "files".to_owned(), text: "hold no document".to_owned() });
    }
    repeated(&documents, &mut problems);
    if !problems.is_empty() {
        return Err(Failure::Invalid {
            what: "nothing was sent: the files are wrong in these places".to_owned(),
            problems,
        });
    }
    documents.sort_by_key(|document| document.kind);
    Ok(documents)
}

/// Reads the documents of a text that comes with the program.
///
/// # Errors
/// Everything that is wrong in it.
pub(crate) fn of_text(name: &str, text: &str) -> Result<Vec<Document>, Failure> {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    parse(name, text, &mut documents, &mut problems);
    if problems.is_empty() {
        Ok(documents)
    } else {
        Err(Failure::Invalid { what: format!("{name} is wrong"), problems })
    }
}

/// A message that is a part of another YAML file.
///
/// # Errors
/// Everything that is wrong with it, at the fields' paths.
pub(crate) fn part<M: prost::Message + Default>(kind: Kind, value: &Value) -> Result<M, Vec<Problem>> {
    let whole = |failure: Failure| vec![Problem { place: String::new(), text: failure.to_string() }];
    let shaped = shape::message(value, &reflect::message(kind.message()).map_err(whole)?);
    if shaped.problems.is_empty() {
        return reflect::typed(&shaped.message).map_err(whole);
    }
    Err(shaped.problems.into_iter().map(|(path, text)| Problem { place: path.to_string(), text }).collect())
}

/// A key that is defined twice is a mistake: which one counts would hang on the order.
fn repeated(documents: &[Document], problems: &mut Vec<Problem>) {
    for (index, document) in documents.iter().enumerate() {
        let same = |other: &&Document| other.kind == document.kind && other.key() == document.key();
        if let Some(first) = documents[..index].iter().find(same) {
            let text = format!("{} {} is defined in {} already", document.kind.name(), document.key(), first.file());
            problems.push(document.origin.problem(&FieldPath::root(), text));
        }
    }
}

fn read_file(shell: &mut Shell, path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        shell.take_input().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map(|_| text).map_err(|source| Failure::File { path: path.to_owned(), source })
}

fn parse(file: &str, text: &str, documents: &mut Vec<Document>, problems: &mut Vec<Problem>) {
    let text: Arc<str> = text.into();
    for (place, document) in serde_norway::Deserializer::from_str(&text).enumerate() {
        let origin = Origin { file: file.to_owned(), text: text.clone(), place };
        match Value::deserialize(document) {
            // What stands between two separators may be a comment alone.
            Ok(Value::Null) => {}
            Ok(value) => match parse_document(value, origin) {
                Ok(document) => documents.push(document),
                Err(found) => problems.extend(found),
            },
            Err(fault) => {
                let line = fault.location().map(|location| format!(":{}", location.line())).unwrap_or_default();
                problems.push(Problem { place: format!("{file}{line}"), text: fault.to_string() });
                // Nothing after a mistake of syntax can be trusted.
                return;
            }
        }
    }
}

fn parse_document(mut value: Value, origin: Origin) -> Result<Document, Vec<Problem>> {
    let whole = |text: String| vec![origin.problem(&FieldPath::root(), text)];
    let kinds = || Kind::ALL.map(Kind::name).join(", ");
    let Some(mapping) = value.as_mapping_mut() else { return Err(whole("is no mapping of fields".to_owned())) };
    let Some(kind) = mapping.shift_remove("kind") else {
        return Err(whole(format!("has no `kind`: write one of {}", kinds())));
    };
    let Some(kind) = Kind::ALL.into_iter().find(|known| kind.as_str() == Some(known.name())) else {
        return Err(vec![origin.problem(&FieldPath::parse("kind"), format!("must be one of {}", kinds()))]);
    };
    let descriptor = reflect::message(kind.message()).map_err(|failure| whole(failure.to_string()))?;
    let shaped = shape::message(&value, &descriptor);
    if !shaped.problems.is_empty() {
        return Err(shaped.problems.into_iter().map(|(path, text)| origin.problem(&path, text)).collect());
    }
    let fields =
        descriptor.fields().filter(|field| shaped.message.has_field(field)).map(|field| field.name().to_owned());
    let fields = fields.collect();
    Ok(Document { kind, fields, message: shaped.message, origin })
}

#[cfg(test)]
mod tests {
    use keizoku_proto::ingestion::MetricDefinition;
    use keizoku_proto::ingestion::metric_definition::Aggregation;
    use keizoku_proto::scoring::HealthModel;

    use super::*;

    const MODEL: &str = "\
# Comments may stand anywhere.
kind: HealthModel
key: main
label: {en: Main, ja: 主}
primary: true
effective_from: 2024-04-01
measures:
  - key: usage
    weight: 2
    window: {metric: logins, aggregation: sum, bucket: day, length: 28}
    scale: [{value: 0, points: 0}, {value: 100, points: 100}]
bands:
  - {key: good, polarity: good, when: score.value >= 60}
  - {key: bad, polarity: POLARITY_BAD}
---
kind: Metric
key: logins
eventNames: [login]
aggregation: count
";

    fn parsed(text: &str) -> Result<Vec<Document>, Vec<Problem>> {
        let (mut documents, mut problems) = (Vec::new(), Vec::new());
        parse("file.yaml", text, &mut documents, &mut problems);
        if problems.is_empty() { Ok(documents) } else { Err(problems) }
    }

    fn places(text: &str) -> Vec<String> {
        parsed(text).expect_err("it is wrong").into_iter().map(|problem| problem.place).collect()
    }

    #[test]
    fn a_document_is_its_proto_in_yaml_with_short_names_for_enums_and_dates() {
        let documents = parsed(MODEL).expect("documents");
        assert_eq!(
            documents.iter().map(|one| (one.kind, one.key())).collect::<Vec<_>>(),
            [(Kind::HealthModel, "main".to_owned()), (Kind::Metric, "logins".to_owned())]
        );
        let model: HealthModel = documents[0].typed().expect("a model");
        assert_eq!(model.effective_from.map(|day| (day.year, day.month, day.day)), Some((2024, 4, 1)));
        assert_eq!(model.bands[0].polarity(), keizoku_proto::scoring::Polarity::Good);
        assert_eq!(model.label.map(|label| label.ja), Some("主".to_owned()));
        let metric: MetricDefinition = documents[1].typed().expect("a metric");
        assert_eq!((metric.aggregation(), metric.event_names), (Aggregation::Count, vec!["login".to_owned()]));
    }

    #[test]
    fn everything_wrong_is_named_with_its_line() {
        let wrong = MODEL.replace("    weight: 2", "    wieght: 2").replace("bucket: day", "bucket: dya");
        let problems = parsed(&wrong).expect_err("it is wrong");
        assert_eq!(problems[0].place, "file.yaml:9: measures[0].wieght");
        assert!(problems[0].text.contains("did you mean weight?"), "{}", problems[0].text);
        assert_eq!(problems[1].place, "file.yaml:10: measures[0].window.bucket");
        assert!(problems[1].text.contains("day, week, month"), "{}", problems[1].text);
    }

    #[test]
    fn lines_count_from_the_start_of_the_file_in_later_documents_too() {
        let wrong = MODEL.replace("aggregation: count", "aggregation: [1]");
        assert_eq!(places(&wrong), ["file.yaml:19: aggregation"]);
    }

    #[test]
    fn the_kind_is_required_and_known() {
        assert_eq!(places("key: a"), ["file.yaml:1"]);
        assert_eq!(places("# nothing\nkey: a\nkind: Modle"), ["file.yaml:3: kind"]);
        assert_eq!(places("- 1"), ["file.yaml:1"]);
        assert!(parsed("# only a comment\n").expect("no document").is_empty());
    }

    #[test]
    fn a_mistake_of_syntax_has_its_line() {
        assert_eq!(places("kind: Metric\nkey: [a\n"), ["file.yaml:3"]);
        assert_eq!(places("kind: Metric\nkey: a\nkey: b\n").len(), 1);
    }

    #[test]
    fn violations_of_the_server_are_found_in_the_file() {
        let documents = parsed(MODEL).expect("documents");
        let found = |place: &str| {
            let problem = Problem { place: place.to_owned(), text: "wrong".to_owned() };
            documents[0].placed(vec![problem]).remove(0).place
        };
        assert_eq!(found("model.measures[0].scale[1].points"), "file.yaml:11: measures[0].scale[1].points");
        assert_eq!(found("measures[0].target"), "file.yaml:8: measures[0].target");
        assert_eq!(found("bands[1].when"), "file.yaml:14: bands[1].when");
        assert_eq!(found("request_id"), "file.yaml:2: request_id");
    }

    #[test]
    fn a_key_defined_twice_is_a_mistake() {
        let documents = parsed("{kind: Metric, key: a}\n---\n{kind: Metric, key: a}").expect("documents");
        let mut problems = Vec::new();
        repeated(&documents, &mut problems);
        assert_eq!(problems.len(), 1);
    }
}
