//! Labels in both languages of the product.

use clap::ValueEnum;
use keizoku_proto::types::Label;

use crate::shell::Shell;

/// A language of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// English.
    #[value(name = "en")]
    English,
    /// Japanese.
    #[value(name = "ja")]
    Japanese,
}

/// A label in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text {
    en: &'static str,
    ja: &'static str,
}

impl Language {
    /// The language of the surroundings: the first variable that is set decides.
    pub(crate) fn of(shell: &Shell) -> Self {
        let named = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(|name| shell.variable(name));
        if named.is_some_and(|name| name.starts_with("ja")) { Self::Japanese } else { Self::English }
    }

    /// A label of the data: in this language where there is one, else in the other, else `key`.
    pub(crate) fn label(self, label: Option<&Label>, key: &str) -> String {
        let (first, second) = match (self, label) {
            (_, None) => return key.to_owned(),
            (Self::English, Some(label)) => (&label.en, &label.ja),
            (Self::Japanese, Some(label)) => (&label.ja, &label.en),
        };
        [first.as_str(), second.as_str(), key].into_iter().find(|text| !text.is_empty()).unwrap_or_default().to_owned()
    }
}

impl Text {
    /// A label.
    pub(crate) const fn new(en: &'static str, ja: &'static str) -> Self {
        Self { en, ja }
    }

    /// The label in a language.
    pub(crate) const fn of(self, language: Language) -> &'static str {
        match language {
            Language::English => self.en,
            Language::Japanese => self.ja,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn language(variables: &[(&str, &str)]) -> Language {
        let environment: BTreeMap<_, _> = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Language::of(&Shell::of_test(environment, std::io::empty(), std::io::sink(), std::io::sink()))
    }

    #[test]
    fn the_first_variable_that_is_set_decides_the_language() {
        assert_eq!(language(&[]), Language::English);
        assert_eq!(language(&[("LANG", "ja_JP.UTF-8")]), Language::Japanese);
        assert_eq!(language(&[("LANG", "ja_JP.UTF-8"), ("LC_ALL", "C")]), Language::English);
        assert_eq!(language(&[("LANG", "ja_JP.UTF-8"), ("LC_ALL", "")]), Language::Japanese);
    }

    #[test]
    fn a_label_falls_back_to_the_other_language_and_then_to_the_key() {
        let label = Label { en: "Logins".to_owned(), ja: String::new() };
        assert_eq!(Language::Japanese.label(Some(&label), "logins"), "Logins");
        assert_eq!(Language::English.label(Some(&Label::default()), "logins"), "logins");
    }
}
