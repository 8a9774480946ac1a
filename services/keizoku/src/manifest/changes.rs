//! What is different between two versions of a document, field by field.

use serde_json::{Map, Value as Json};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The field; entries of a list are named by their key, `measures[usage].weight`.
    pub(crate) path: String,
    /// What it was; `None`: not there.
    pub(crate) before: Option<Json>,
    /// What it is; `None`: not there.
    pub(crate) after: Option<Json>,
}

/// The differences between two documents; top-level fields in `ignored` are left out.
pub(crate) fn changes(before: &Json, after: &Json, ignored: &[&str]) -> Vec<Change> {
    let kept = |document: &Json| {
        let fields = document.as_object().into_iter().flatten();
        Json::Object(
            fields.filter(|(name, _)| !ignored.contains(&name.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect(),
        )
    };
    let mut found = Vec::new();
    compare("", Some(&kept(before)), Some(&kept(after)), &mut found);
    found
}

impl Change {
    /// The difference on one line, `measures[usage].weight: 2 → 3`.
    pub(crate) fn line(&self) -> String {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => format!("{}: {} → {}", self.path, short(before), short(after)),
            (None, Some(after)) => format!("{}: + {}", self.path, short(after)),
            (Some(before), None) => format!("{}: - {}", self.path, short(before)),
            (None, None) => self.path.clone(),
        }
    }
}

fn compare(path: &str, before: Option<&Json>, after: Option<&Json>, found: &mut Vec<Change>) {
    match (before, after) {
        (left, right) if left == right => {}
        (Some(Json::Object(left)), Some(Json::Object(right))) if !is_date(left) => {
            let names = left.keys().chain(right.keys().filter(|name| !left.contains_key(*name)));
            for name in names {
                let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(&inner, left.get(name), right.get(name), found);
            }
        }
        (Some(Json::Array(left)), Some(Json::Array(right))) => lists(path, left, right, found),
        (left, right) => {
            found.push(Change { path: path.to_owned(), before: left.cloned(), after: right.cloned() });
        }
    }
}

/// Lists of things with keys are compared thing by thing, others place by place.
fn lists(path: &str, left: &[Json], right: &[Json], found: &mut Vec<Change>) {
    let (Some(before), Some(after)) = (keys(left), keys(right)) else {
        for index in 0..left.len().max(right.len()) {
            compare(&format!("{path}[{index}]"), left.get(index), right.get(index), found);
        }
        return;
    };
    let place = |keys: &[&str], key: &str| keys.iter().position(|known| *known == key);
    let all = before.iter().chain(after.iter().filter(|key| !before.contains(key)));
    for key in all {
        let inner = format!("{path}[{key}]");
        let of = |keys: &[&str], list: &[Json]| place(keys, key).and_then(|index| list.get(index)).cloned();
        compare(&inner, of(&before, left).as_ref(), of(&after, right).as_ref(), found);
    }
    let common = |keys: &[&str], other: &[&str]| {
        keys.iter().filter(|key| other.contains(key)).map(|key| Json::from(*key)).collect()
    };
    let (before, after): (Vec<Json>, Vec<Json>) = (common(&before, &after), common(&after, &before));
    if before != after {
        let (before, after) = (Some(Json::Array(before)), Some(Json::Array(after)));
        found.push(Change { path: format!("{path} (order)"), before, after });
    }
}

fn keys(list: &[Json]) -> Option<Vec<&str>> {
    list.iter().map(|entry| entry.get("key")?.as_str()).collect()
}

fn is_date(object: &Map<String, Json>) -> bool {
    ["year", "month", "day"].iter().all(|name| object.contains_key(*name))
}

fn short(value: &Json) -> String {
    if let Some(object) = value.as_object().filter(|object| is_date(object)) {
        let part = |name| object.get(name).and_then(Json::as_i64).unwrap_or_default();
        return format!("{:04}-{:02}-{:02}", part("year"), part("month"), part("day"));
    }
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(before: &Json, after: &Json) -> Vec<String> {
        changes(before, after, &["version"]).iter().map(Change::line).collect()
    }

    #[test]
    fn entries_are_told_apart_by_their_key_not_by_their_place() {
        let before = json!({"version": 1, "measures": [{"key": "a", "weight": 1}, {"key": "b", "weight": 2}]});
        let after = json!({"version": 2, "measures": [{"key": "c"}, {"key": "b", "weight": 3}]});
        assert_eq!(
            lines(&before, &after),
            [
                "measures[a]: - {\"key\":\"a\",\"weight\":1}",
                "measures[b].weight: 2 → 3",
                "measures[c]: + {\"key\":\"c\"}",
            ]
        );
    }

    #[test]
    fn another_order_is_a_difference() {
        let before = json!({"bands": [{"key": "a"}, {"key": "b"}]});
        let after = json!({"bands": [{"key": "b"}, {"key": "a"}]});
        assert_eq!(lines(&before, &after), ["bands (order): [\"a\",\"b\"] → [\"b\",\"a\"]"]);
        assert!(lines(&before, &before).is_empty());
    }

    #[test]
    fn dates_and_texts_are_shown_plainly() {
        let day = |day: i32| json!({"year": 2024, "month": 4, "day": day});
        let before = json!({"effective_from": day(1), "names": ["x"], "when": "a > 1"});
        let after = json!({"effective_from": day(2), "names": ["x", "y"]});
        assert_eq!(
            lines(&before, &after),
            ["effective_from: 2024-04-01 → 2024-04-02", "names[1]: + y", "when: - a > 1"]
        );
    }
}
