//! Texts with columns in them: `{account_id}/{user_id}`.

use super::row::Row;

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Plain(String),
    /// A column, by its place in the mapping's list.
    Column(usize),
}

/// A text with columns in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

impl Template {
    /// Reads a template; `{{` and `}}` stand for the braces themselves.
    ///
    /// # Errors
    /// A sentence for each column that is not among `columns` and for each brace without its partner.
    pub(super) fn parse(text: &str, columns: &[String]) -> Result<Self, Vec<String>> {
        let (mut parts, mut wrong) = (Vec::new(), Vec::new());
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let Some((name, after)) = rest.split_once('}').filter(|_| brace == "{") else {
                wrong.push(format!(
                    "{text:?} has a {brace} without its partner; write {brace}{brace} for the brace itself"
                ));
                break;
            };
            rest = after;
            match columns.iter().position(|column| column == name) {
                Some(place) => {
                    if !plain.is_empty() {
                        parts.push(Part::Plain(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Column(place));
                }
                None => wrong.push(format!("the file's columns do not list {name:?}")),
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Plain(plain));
        }
        if wrong.is_empty() { Ok(Self(parts)) } else { Err(wrong) }
    }

    /// The text for a row; `None` where one of its columns is empty, or there is nothing in it at all.
    pub(super) fn fill(&self, row: &Row<'_>) -> Option<String> {
        match self.0.as_slice() {
            [] => None,
            [Part::Column(place)] => row.column(*place).map(str::to_owned),
            parts => {
                let mut filled = String::new();
                for part in parts {
                    match part {
                        Part::Plain(text) => filled.push_str(text),
                        Part::Column(place) => filled.push_str(row.column(*place)?),
                    }
                }
                Some(filled)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<String> {
        ["a", "b c"].map(str::to_owned).to_vec()
    }

    #[test]
    fn braces_name_columns_and_doubled_ones_are_plain() {
        let parsed = Template::parse("x{a}{{{b c}}}", &columns()).expect("a template");
        assert_eq!(
            parsed.0,
            [
                Part::Plain("x".into()),
                Part::Column(0),
                Part::Plain("{".into()),
                Part::Column(1),
                Part::Plain("}".into())
            ]
        );
        assert_eq!(Template::parse("", &columns()), Ok(Template::default()));
    }

    #[test]
    fn every_unknown_column_and_lone_brace_is_named() {
        let wrong = Template::parse("{x} {a} {y} }", &columns()).expect_err("refused");
        assert_eq!(wrong.len(), 3);
        assert!(wrong[0].contains("\"x\"") && wrong[1].contains("\"y\"") && wrong[2].contains("partner"));
        assert!(Template::parse("{a", &columns()).is_err());
    }
}
