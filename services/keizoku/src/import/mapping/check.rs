//! Checks the expressions of a mapping and prepares them: everything that is wrong is found at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use keizoku_base::Violations;
use keizoku_base::money::{Currency, Period};
use keizoku_base::reference::is_key;

use super::draft::{
    AmountDraft, ConditionDraft, ExpressionDraft, LongDraft, LookupDraft, Many, NamedDraft, PeriodDraft, Scalar,
    TimesDraft,
};
use super::expression::{Letters, Take, Text};
use super::field::{Amount, AtInstant, Decimal, Field, Flag, OnDay, Plain, Whole};
use super::named::{Condition, Named, NamedValue, Test};
use super::table::TableSpec;
use super::template::Template;
use super::time::Shape;

/// What the expressions of one file are checked against.
pub(crate) struct Checker<'a> {
    /// The columns of the file.
    pub(super) columns: &'a [String],
    /// The columns of all files, by their names in the mapping.
    pub(super) files: &'a BTreeMap<String, Vec<String>>,
    /// How dates and times are written.
    pub(super) times: &'a TimesDraft,
    /// The look-ups found so far, in all files.
    pub(super) tables: &'a mut Vec<TableSpec>,
    /// Those of this file.
    pub(super) used: &'a mut BTreeSet<usize>,
    /// Everything wrong so far.
    pub(super) violations: &'a mut Violations,
    /// Where the message being checked stands in the mapping.
    pub(crate) at: String,
}

impl Checker<'_> {
    /// A text as it is.
    pub(crate) fn plain(&mut self, path: &str, draft: &ExpressionDraft) -> Field<Plain> {
        self.refuse_times(path, draft);
        self.field(path, draft, Plain)
    }

    /// An id, which may be a hash that numbers rows of the same content.
    pub(crate) fn id(&mut self, draft: &ExpressionDraft) -> Field<Plain> {
        self.refuse_times("id", draft);
        Field { path: "id".to_owned(), text: self.text("id", draft, true), reading: Plain }
    }

    /// Yes or no.
    pub(crate) fn flag(&mut self, path: &str, draft: &ExpressionDraft) -> Field<Flag> {
        self.refuse_times(path, draft);
        self.field(path, draft, Flag)
    }

    /// A whole number.
    pub(crate) fn whole(&mut self, path: &str, draft: &ExpressionDraft) -> Field<Whole> {
        self.refuse_times(path, draft);
        self.field(path, draft, Whole)
    }

    /// A number.
    pub(crate) fn decimal(&mut self, path: &str, draft: &ExpressionDraft) -> Field<Decimal> {
        self.refuse_times(path, draft);
        self.field(path, draft, Decimal)
    }

    /// A day.
    pub(crate) fn day(&mut self, path: &str, draft: &ExpressionDraft) -> Field<OnDay> {
        let times = self.times;
        let shapes = self.shapes(path, draft, &times.dates);
        let plus_days = self.moved(path, draft, |long| long.plus_days.as_ref());
        if long_of(draft).is_some_and(|long| long.plus_minutes.is_some()) {
            self.wrong(path, "a day can be moved by plus_days only");
        }
        self.field(path, draft, OnDay { shapes, plus_days })
    }

    /// An instant.
    pub(crate) fn instant(&mut self, path: &str, draft: &ExpressionDraft) -> Field<AtInstant> {
        let times = self.times;
        let shapes = self.shapes(path, draft, &times.instants);
        let plus_minutes = self.moved(path, draft, |long| long.plus_minutes.as_ref());
        if long_of(draft).is_some_and(|long| long.plus_days.is_some()) {
            self.wrong(path, "an instant can be moved by plus_minutes only");
        }
        self.field(path, draft, AtInstant { shapes, plus_minutes })
    }

    /// An amount of money.
    pub(crate) fn amount(&mut self, path: &str, draft: &AmountDraft) -> Amount {
        if draft.of.0.is_empty() {
            self.wrong(path, "needs at least one part in `of`");
        }
        let parts = draft.of.0.iter().map(|part| self.text(path, part, false)).collect();
        if let ExpressionDraft::Template(code) = &draft.currency
            && !code.contains('{')
            && Currency::parse(code).is_none()
        {
            self.wrong(path, format!("{code:?} is no currency: write three capital letters"));
        }
        let period = match draft.period {
            PeriodDraft::OneOff => Period::OneOff,
            PeriodDraft::Month => Period::Month,
            PeriodDraft::Year => Period::Year,
        };
        let currency = self.text(&format!("{path}.currency"), &draft.currency, false);
        Amount { path: path.to_owned(), parts, currency, period }
    }

    /// Named values: attributes, or properties, which have no time of their own.
    pub(crate) fn named(&mut self, list: &str, drafts: &[NamedDraft], may_be_dated: bool) -> Vec<Named> {
        let mut keys = Vec::new();
        let checked = drafts.iter().map(|draft| {
            let path = format!("{list}.{}", draft.key);
            if !is_key(&draft.key) {
                self.wrong(&path, "is no key: small letters, digits and _, a letter first");
            }
            if keys.contains(&draft.key) {
                self.wrong(&path, "is there twice");
            }
            keys.push(draft.key.clone());
            if draft.known_at.is_some() && !may_be_dated {
                self.wrong(&path, "has no known_at of its own; the event has one");
            }
            let value = self.named_value(&path, draft);
            let known_at = draft.known_at.as_ref().map(|known_at| self.instant(&format!("{path}.known_at"), known_at));
            Some(Named { key: draft.key.clone(), value: value?, known_at })
        });
        checked.collect::<Vec<_>>().into_iter().flatten().collect()
    }

    /// The conditions that a row must meet.
    pub(crate) fn conditions(&mut self, drafts: &[ConditionDraft]) -> Vec<Condition> {
        let texts = |list: &Many<Scalar>| list.0.iter().map(|text| text.0.clone()).collect();
        let checked = drafts.iter().map(|draft| {
            let text = self.text("when", &draft.value, false);
            let test = match (&draft.is, &draft.is_not, draft.present) {
                (Some(is), None, None) => Test::Is(texts(is)),
                (None, Some(is_not), None) => Test::IsNot(texts(is_not)),
                (None, None, Some(present)) => Test::Present(present),
                _ => {
                    self.wrong("when", "takes exactly one of is, is_not and present");
                    Test::Present(true)
                }
            };
            Condition { text, test }
        });
        checked.collect()
    }

    /// Notes what is wrong with a field of the message being checked.
    pub(crate) fn wrong(&mut self, path: &str, sentence: impl Display) {
        self.violations.add(format!("{}.{path}", self.at), "MAPPING_INVALID", sentence.to_string());
    }

    fn field<R>(&mut self, path: &str, draft: &ExpressionDraft, reading: R) -> Field<R> {
        Field { path: path.to_owned(), text: self.text(path, draft, false), reading }
    }

    fn named_value(&mut self, path: &str, draft: &NamedDraft) -> Option<NamedValue> {
        let mut found = Vec::new();
        found.extend(draft.text.as_ref().map(|text| NamedValue::Text(self.plain(path, text))));
        found.extend(draft.whole.as_ref().map(|whole| NamedValue::Whole(self.whole(path, whole))));
        found.extend(draft.number.as_ref().map(|number| NamedValue::Number(self.decimal(path, number))));
        found.extend(draft.flag.as_ref().map(|flag| NamedValue::Flag(self.flag(path, flag))));
        found.extend(draft.date.as_ref().map(|date| NamedValue::Day(self.day(path, date))));
        found.extend(draft.instant.as_ref().map(|instant| NamedValue::Instant(self.instant(path, instant))));
        if found.len() != 1 {
            self.wrong(path, "takes exactly one of text, whole, number, flag, date and instant");
        }
        found.pop()
    }

    /// The text of an expression. What is wrong with it leaves a violation, and a text that is never read.
    fn text(&mut self, path: &str, draft: &ExpressionDraft, may_number: bool) -> Text {
        let plain = |take, shown: &str| Text {
            take,
            letters: Letters::Kept,
            map: None,
            otherwise: None,
            default: None,
            shown: shown.to_owned(),
        };
        let long = match draft {
            ExpressionDraft::Template(text) => return plain(Take::Template(self.template(path, text)), text),
            ExpressionDraft::Long(long) => long,
        };
        let (take, shown) = self.take(path, long, may_number);
        let letters = match (long.lower, long.as_key) {
            (_, true) => Letters::Key,
            (true, false) => Letters::Lower,
            (false, false) => Letters::Kept,
        };
        if long.map.is_none() && long.otherwise.is_some() {
            self.wrong(path, "`otherwise` goes with `map`; for rows without a value write `default`");
        }
        let map = long.map.as_ref().map(|map| map.iter().map(|(from, to)| (from.clone(), to.0.clone())).collect());
        let scalar = |scalar: &Option<Scalar>| scalar.as_ref().map(|scalar| scalar.0.clone());
        Text { letters, map, otherwise: scalar(&long.otherwise), default: scalar(&long.default), ..plain(take, &shown) }
    }

    fn take(&mut self, path: &str, long: &LongDraft, may_number: bool) -> (Take, String) {
        if long.numbered && (long.hash.is_none() || !may_number) {
            self.wrong(path, "`numbered` goes with the `hash` of an id");
        }
        match (&long.from, &long.lookup, &long.hash) {
            (Some(from), None, None) => (Take::Template(self.template(path, &from.0)), from.0.clone()),
            (None, Some(lookup), None) => self.lookup(path, lookup),
            (None, None, Some(hash)) if !hash.is_empty() => {
                let parts = hash.iter().map(|part| self.template(path, part)).collect();
                (Take::Hash { parts, numbered: long.numbered }, "a hash".to_owned())
            }
            _ => {
                self.wrong(path, "takes exactly one of from, lookup and hash");
                (Take::Template(Template::default()), String::new())
            }
        }
    }

    fn lookup(&mut self, path: &str, draft: &LookupDraft) -> (Take, String) {
        let shown = format!("{} of {}", draft.take, draft.file);
        let by = draft.conditions.values().map(|text| self.template(path, &text.0)).collect();
        let Some(columns) = self.files.get(&draft.file) else {
            self.wrong(path, format!("looks into {:?}, which is none of the mapping's files", draft.file));
            return (Take::Template(Template::default()), shown);
        };
        if draft.conditions.is_empty() {
            self.wrong(path, "a look-up needs at least one column in `where`");
        }
        let mut place = |name: &String| {
            let found = columns.iter().position(|column| column == name);
            if found.is_none() {
                self.wrong(path, format!("the columns of {} do not list {name:?}", draft.file));
            }
            found.unwrap_or_default()
        };
        let keys: Vec<usize> = draft.conditions.keys().map(&mut place).collect();
        let take = place(&draft.take);
        let known = self.tables.iter().position(|table| table.file == draft.file && table.keys == keys);
        let table = known.unwrap_or_else(|| {
            self.tables.push(TableSpec { file: draft.file.clone(), keys, takes: Vec::new() });
            self.tables.len() - 1
        });
        self.used.insert(table);
        let takes = &mut self.tables[table].takes;
        let number = takes.iter().position(|taken| *taken == take).unwrap_or_else(|| {
            takes.push(take);
            takes.len() - 1
        });
        (Take::Lookup { table, by, take: number }, shown)
    }

    fn template(&mut self, path: &str, text: &str) -> Template {
        Template::parse(text, self.columns).unwrap_or_else(|wrong| {
            wrong.iter().for_each(|sentence| self.wrong(path, sentence));
            Template::default()
        })
    }

    fn shapes(&mut self, path: &str, draft: &ExpressionDraft, usual: &[String]) -> Vec<Shape> {
        let own = long_of(draft).map(|long| long.shapes.as_slice()).filter(|own| !own.is_empty());
        let parsed = own.unwrap_or(usual).iter().map(|text| Shape::parse(text));
        let parsed: Vec<_> = parsed.collect();
        parsed.into_iter().filter_map(|shape| shape.map_err(|sentence| self.wrong(path, sentence)).ok()).collect()
    }

    fn moved(
        &mut self,
        path: &str,
        draft: &ExpressionDraft,
        which: impl Fn(&LongDraft) -> Option<&Scalar>,
    ) -> Option<Template> {
        let text = which(long_of(draft)?)?;
        Some(self.template(path, &text.0))
    }

    fn refuse_times(&mut self, path: &str, draft: &ExpressionDraft) {
        let times =
            |long: &LongDraft| !long.shapes.is_empty() || long.plus_days.is_some() || long.plus_minutes.is_some();
        if long_of(draft).is_some_and(times) {
            self.wrong(path, "shapes, plus_days and plus_minutes go with dates and instants");
        }
    }
}

fn long_of(draft: &ExpressionDraft) -> Option<&LongDraft> {
    match draft {
        ExpressionDraft::Template(_) => None,
        ExpressionDraft::Long(long) => Some(long),
    }
}
