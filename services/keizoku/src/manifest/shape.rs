//! A YAML value as a message, by the message's descriptor. Everything that does not fit is found at once.
//!
//! Beside proto3 JSON it takes the proto's own field names, the short names of enum values (`sum` for `AGGREGATION_SUM`),
//! days as `2024-12-31`, and a text for a label.

use keizoku_base::Day;
use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value as Field};
use serde_norway::Value;

use super::place::Path;

/// A message, and what was wrong where.
pub(super) struct Shaped {
    pub(super) message: DynamicMessage,
    pub(super) problems: Vec<(Path, String)>,
}

/// The message that a YAML value says.
pub(super) fn message(value: &Value, descriptor: &MessageDescriptor) -> Shaped {
    let mut shaper = Shaper { path: Path::root(), problems: Vec::new() };
    let message = shaper.message(value, descriptor).unwrap_or_else(|| DynamicMessage::new(descriptor.clone()));
    Shaped { message, problems: shaper.problems }
}

struct Shaper {
    path: Path,
    problems: Vec<(Path, String)>,
}

impl Shaper {
    fn problem(&mut self, text: impl Into<String>) {
        self.problems.push((self.path.clone(), text.into()));
    }

    fn message(&mut self, value: &Value, descriptor: &MessageDescriptor) -> Option<DynamicMessage> {
        if let Some(short) = short_form(value, descriptor) {
            return Some(short);
        }
        let Some(mapping) = value.as_mapping() else {
            let fields: Vec<String> = descriptor.fields().map(|field| field.name().to_owned()).collect();
            self.problem(format!("must be a mapping with the fields {}", fields.join(", ")));
            return None;
        };
        let mut message = DynamicMessage::new(descriptor.clone());
        for (key, value) in mapping {
            let Some(name) = key.as_str() else {
                self.problem("a field's name must be a text");
                continue;
            };
            let field = descriptor.get_field_by_name(name).or_else(|| descriptor.get_field_by_json_name(name));
            self.path.enter(field.as_ref().map_or(name, FieldDescriptor::name));
            match field {
                None => self.problem(unknown(name, descriptor)),
                Some(_) if value.is_null() => {}
                Some(field) => self.set(&mut message, &field, value),
            }
            self.path.leave();
        }
        Some(message)
    }

    fn set(&mut self, message: &mut DynamicMessage, field: &FieldDescriptor, value: &Value) {
        if let Some(choice) = field.containing_oneof()
            && let Some(other) = choice.fields().find(|other| message.has_field(other))
        {
            return self.problem(format!("only one of {} and {} may be set", other.name(), field.name()));
        }
        let found = if field.is_list() { self.list(field, value) } else { self.single(field, value) };
        if let Some(found) = found {
            message.set_field(field, found);
        }
    }

    fn list(&mut self, field: &FieldDescriptor, value: &Value) -> Option<Field> {
        let Some(values) = value.as_sequence() else {
            self.problem("must be a list");
            return None;
        };
        let mut found = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            self.path.enter_index(index);
            found.extend(self.single(field, value));
            self.path.leave();
        }
        Some(Field::List(found))
    }

    fn single(&mut self, field: &FieldDescriptor, value: &Value) -> Option<Field> {
        let kind = field.kind();
        if let Some(names) = kind.as_enum() {
            return self.name_of(value, names).map(Field::EnumNumber);
        }
        // Those of Google's own types have forms of their own, such as the text of an instant.
        if let Some(descriptor) = kind.as_message()
            && !descriptor.full_name().starts_with("google.protobuf.")
        {
            return self.message(value, descriptor).map(Field::Message);
        }
        self.leaf(field, value)
    }

    fn name_of(&mut self, value: &Value, names: &EnumDescriptor) -> Option<i32> {
        let prefix = prefix(names);
        let given = value.as_str().unwrap_or_default();
        let same = |name: &str| name == given || name.trim_start_matches(&prefix).eq_ignore_ascii_case(given);
        let found = names.values().find(|known| same(known.name()));
        if found.is_none() {
            let known = names.values().filter(|known| known.number() != 0);
            let known: Vec<String> =
                known.map(|known| known.name().trim_start_matches(&prefix).to_lowercase()).collect();
            self.problem(format!("must be one of {}", known.join(", ")));
        }
        found.map(|found| found.number())
    }

    /// Anything without parts, read as proto3 JSON reads it.
    fn leaf(&mut self, field: &FieldDescriptor, value: &Value) -> Option<Field> {
        let json = serde_json::to_value(value).ok();
        let json = json.map(|leaf| if field.is_list() { serde_json::json!([leaf]) } else { leaf });
        let whole = json.map(|leaf| serde_json::json!({ field.json_name(): leaf }));
        let read = whole.and_then(|whole| DynamicMessage::deserialize(field.parent_message().clone(), whole).ok());
        let found = read.map(|message| message.get_field(field).into_owned());
        let found = match found {
            Some(Field::List(mut one)) if field.is_list() => one.pop(),
            found => found,
        };
        if found.is_none() {
            self.problem(wanted(&field.kind()));
        }
        found
    }
}

/// What a value without parts must be.
fn wanted(kind: &Kind) -> &'static str {
    if *kind == Kind::String {
        "must be a text; quote it where it looks like a number"
    } else if *kind == Kind::Bool {
        "must be true or false"
    } else if matches!(kind, Kind::Double | Kind::Float) {
        "must be a number"
    } else if kind.as_message().is_some() {
        "must be an instant such as 2024-12-31T09:30:00Z"
    } else {
        "must be a whole number"
    }
}

/// Messages that have a shorter form than a mapping.
fn short_form(value: &Value, descriptor: &MessageDescriptor) -> Option<DynamicMessage> {
    let text = value.as_str()?;
    let mut message = DynamicMessage::new(descriptor.clone());
    match descriptor.full_name() {
        "google.type.Date" => {
            let (year, month, day) = Day::parse(text)?.ymd();
            message.set_field_by_name("year", Field::I32(year));
            message.set_field_by_name("month", Field::I32(i32::try_from(month).ok()?));
            message.set_field_by_name("day", Field::I32(i32::try_from(day).ok()?));
        }
        "keizoku.type.v1.Label" => message.set_field_by_name("en", Field::String(text.to_owned())),
        _ => return None,
    }
    Some(message)
}

/// What all values of an enum begin with.
fn prefix(names: &EnumDescriptor) -> String {
    let first = names.get_value(0).map(|value| value.name().to_owned()).unwrap_or_default();
    first.strip_suffix("UNSPECIFIED").unwrap_or_default().to_owned()
}

fn unknown(name: &str, descriptor: &MessageDescriptor) -> String {
    let near = descriptor
        .fields()
        .map(|field| (distance(name, field.name()), field.name().to_owned()))
        .filter(|(distance, known)| *distance <= known.len().div_ceil(3))
        .min();
    match near {
        Some((_, known)) => format!("is no field of {}; did you mean {known}?", descriptor.name()),
        None => {
            let known: Vec<String> = descriptor.fields().map(|field| field.name().to_owned()).collect();
            format!("is no field of {}, which has {}", descriptor.name(), known.join(", "))
        }
    }
}

/// How many letters must be added, taken away, changed or swapped with their neighbour to make one word the other.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let change = usize::from(left[i - 1] != right[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::reflect;

    fn problems(text: &str) -> Vec<String> {
        let value: Value = serde_norway::from_str(text).expect("YAML");
        let descriptor = reflect::message("keizoku.scoring.v1.HealthModel").expect("a message");
        message(&value, &descriptor).problems.into_iter().map(|(path, text)| format!("{path}: {text}")).collect()
    }

    #[test]
    fn wrong_types_are_named_where_they_stand() {
        assert_eq!(problems("key: 12"), ["key: must be a text; quote it where it looks like a number"]);
        assert_eq!(problems("primary: 1"), ["primary: must be true or false"]);
        assert_eq!(problems("measures: {}"), ["measures: must be a list"]);
        assert_eq!(problems("measures: [{weight: heavy}]"), ["measures[0].weight: must be a number"]);
        assert_eq!(problems("measures: [{minimum_days: 1.5}]"), ["measures[0].minimum_days: must be a whole number"]);
        assert_eq!(problems("effective_from: 2024-02-30").len(), 1);
        assert_eq!(problems("created_at: soon"), ["created_at: must be an instant such as 2024-12-31T09:30:00Z"]);
    }

    #[test]
    fn two_of_a_choice_are_refused() {
        let text = "measures: [{expression: '1', window: {metric: a}}]";
        assert_eq!(problems(text), ["measures[0].window: only one of expression and window may be set"]);
    }

    #[test]
    fn a_null_is_not_set() {
        assert!(problems("applies_to: null\nmeasures: ~").is_empty());
    }

    #[test]
    fn words_are_near_when_few_letters_differ() {
        assert_eq!(distance("wieght", "weight"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("scale", "scale"), 0);
    }
}
