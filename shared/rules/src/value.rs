//! Values as rules see them, and where they come from.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use keizoku_base::number::{MilliPoints, Millionths};
use keizoku_base::{Day, Micros};

use crate::number::Number;

/// A fact that goes into a rule, or what comes out of it. Texts and lists borrow where they can.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// True or false.
    Bool(bool),
    /// A number; whole numbers and fractions are one type.
    Number(Number),
    /// A text.
    Text(Cow<'a, str>),
    /// An instant.
    Instant(Micros),
    /// A calendar day.
    Day(Day),
    /// A list.
    List(List<'a>),
}

/// A list of values.
#[derive(Debug, Clone)]
pub enum List<'a> {
    /// Texts that somebody else holds.
    Texts(&'a [String]),
    /// Values that somebody else holds.
    Shared(&'a [Value<'a>]),
    /// Values of its own.
    Owned(Vec<Value<'a>>),
}

/// Where a rule's facts come from. Asked at most once for each name of the rule, and only when the name decides.
pub trait Facts {
    /// The fact of that name; `None` where there is no data.
    fn fact(&self, name: &str) -> Option<Value<'_>>;
}

impl Value<'_> {
    /// The same, borrowed from here.
    pub fn view(&self) -> Value<'_> {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(value) => Value::Number(*value),
            Self::Text(value) => Value::Text(Cow::Borrowed(value)),
            Self::Instant(value) => Value::Instant(*value),
            Self::Day(value) => Value::Day(*value),
            Self::List(List::Texts(texts)) => Value::List(List::Texts(texts)),
            Self::List(List::Shared(values)) => Value::List(List::Shared(values)),
            Self::List(List::Owned(values)) => Value::List(List::Shared(values)),
        }
    }

    /// The same, borrowed from nowhere.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Bool(value) => Value::Bool(value),
            Self::Number(value) => Value::Number(value),
            Self::Text(value) => Value::Text(Cow::Owned(value.into_owned())),
            Self::Instant(value) => Value::Instant(value),
            Self::Day(value) => Value::Day(value),
            Self::List(list) => Value::List(List::Owned(list.iter().map(Value::into_owned).collect())),
        }
    }

    /// What it is called in messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::Text(_) => "text",
            Self::Instant(_) => "instant",
            Self::Day(_) => "day",
            Self::List(_) => "list",
        }
    }
}

impl List<'_> {
    /// How many elements it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Shared(values) => values.len(),
            Self::Owned(values) => values.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at `index`, from 0.
    pub fn get(&self, index: usize) -> Option<Value<'_>> {
        match self {
            Self::Texts(texts) => texts.get(index).map(|text| Value::from(text.as_str())),
            Self::Shared(values) => values.get(index).map(Value::view),
            Self::Owned(values) => values.get(index).map(Value::view),
        }
    }

    /// Its elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl<'a> List<'a> {
    /// Its elements in order, each for as long as the list's own data live.
    pub(crate) fn into_elements(self) -> Elements<'a> {
        match self {
            Self::Texts(texts) => Elements::Texts(texts.iter()),
            Self::Shared(values) => Elements::Shared(values.iter()),
            Self::Owned(values) => Elements::Owned(values.into_iter()),
        }
    }
}

/// The elements of a list.
pub(crate) enum Elements<'a> {
    Texts(std::slice::Iter<'a, String>),
    Shared(std::slice::Iter<'a, Value<'a>>),
    Owned(std::vec::IntoIter<Value<'a>>),
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        match self {
            Self::Texts(texts) => texts.next().map(|text| Value::from(text.as_str())),
            Self::Shared(values) => values.next().map(Value::view),
            Self::Owned(values) => values.next(),
        }
    }
}

impl PartialEq for List<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Number> for Value<'_> {
    fn from(value: Number) -> Self {
        Self::Number(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<Millionths> for Value<'_> {
    fn from(value: Millionths) -> Self {
        Self::Number(value.into())
    }
}

impl From<MilliPoints> for Value<'_> {
    fn from(value: MilliPoints) -> Self {
        Self::Number(value.into())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Text(Cow::Owned(value))
    }
}

impl From<Micros> for Value<'_> {
    fn from(value: Micros) -> Self {
        Self::Instant(value)
    }
}

impl From<Day> for Value<'_> {
    fn from(value: Day) -> Self {
        Self::Day(value)
    }
}

impl<'a> From<&'a [String]> for Value<'a> {
    fn from(value: &'a [String]) -> Self {
        Self::List(List::Texts(value))
    }
}

impl Facts for BTreeMap<String, Value<'_>> {
    fn fact(&self, name: &str) -> Option<Value<'_>> {
        self.get(name).map(Value::view)
    }
}

impl Facts for HashMap<String, Value<'_>> {
    fn fact(&self, name: &str) -> Option<Value<'_>> {
        self.get(name).map(Value::view)
    }
}
