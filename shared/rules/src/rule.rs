//! A compiled rule: what it uses, and what it answers.

use std::sync::Arc;

use crate::catalogue::{Catalogue, Type};
use crate::check;
use crate::evaluate::Evaluation;
use crate::limits::{FACT_ELEMENT_BYTES, FACT_ELEMENTS, FACT_TEXT_BYTES};
use crate::node::Node;
use crate::number::Number;
use crate::value::{Facts, Value};
use crate::violation::RuleViolations;

/// A rule that was checked against a catalogue. Cheap to clone, shared between threads.
#[derive(Debug, Clone)]
pub struct Rule {
    source: Arc<str>,
    wanted: Wanted,
    names: Arc<[Arc<str>]>,
    root: Arc<Node>,
}

/// What a rule must give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// A condition.
    Bool,
    /// A formula.
    Number,
    /// A text.
    Text,
}

/// Why a rule has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// A fact that decides is missing. Not an error: the answer is "no data".
    #[error("no data for {name}")]
    NoData {
        /// The name of the fact.
        name: Arc<str>,
    },
    /// The facts are there, but the rule cannot be worked out on them.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Why a rule cannot be worked out on its facts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A division or remainder by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A result past the range of a double.
    #[error("a number is too large")]
    Overflow,
    /// A list has no element at that index.
    #[error("the list has no element at that index")]
    IndexOutOfBounds,
    /// A fact whose type only the facts know has the wrong one.
    #[error("{operation} cannot be applied to a {found}")]
    WrongType {
        /// The operator or function.
        operation: &'static str,
        /// What it was applied to.
        found: &'static str,
    },
    /// `int` or `double` of a text that is no number.
    #[error("{function} of a text that is no number")]
    NotANumber {
        /// The function.
        function: &'static str,
    },
    /// A fact is larger than rules look at.
    #[error(
        "{name} is too large for a rule: at most {FACT_TEXT_BYTES} bytes of text, {FACT_ELEMENTS} elements, \
         {FACT_ELEMENT_BYTES} bytes each"
    )]
    FactTooLarge {
        /// The name of the fact.
        name: Arc<str>,
    },
}

impl Rule {
    /// Checks a rule's source against a catalogue.
    ///
    /// # Errors
    /// Everything that is wrong with the source, each with its place.
    pub fn compile(source: &str, catalogue: &Catalogue, wanted: Wanted) -> Result<Self, RuleViolations> {
        let accepted = check::accept(source, catalogue, wanted)?;
        Ok(Self { source: source.into(), wanted, names: accepted.names.into(), root: Arc::new(accepted.root) })
    }

    /// The source it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it gives.
    pub fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// The names of the facts that it may ask for, each once, in the order of the source.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    /// Works the rule out on facts. A `true` beside an `||`, and a `false` beside an `&&`, decides whatever the other side
    /// lacks; so does an element for `exists` and `all`.
    ///
    /// # Errors
    /// [`NoAnswer::NoData`] where a missing fact decides, [`NoAnswer::Failed`] where the facts do not fit the rule.
    pub fn evaluate(&self, facts: &dyn Facts) -> Result<Value<'static>, NoAnswer> {
        let evaluation = Evaluation::new(&self.names, facts);
        let value = evaluation.run(&self.root, None)?;
        let fits = match self.wanted {
            Wanted::Bool => matches!(value, Value::Bool(_)),
            Wanted::Number => matches!(value, Value::Number(_)),
            Wanted::Text => matches!(value, Value::Text(_)),
        };
        if fits { Ok(value.into_owned()) } else { Err(wrong_result(&value)) }
    }

    /// Whether the condition holds, for [`Wanted::Bool`].
    ///
    /// # Errors
    /// As [`Rule::evaluate`].
    pub fn holds(&self, facts: &dyn Facts) -> Result<bool, NoAnswer> {
        let value = self.evaluate(facts)?;
        if let Value::Bool(value) = value { Ok(value) } else { Err(wrong_result(&value)) }
    }

    /// The number that it gives, for [`Wanted::Number`].
    ///
    /// # Errors
    /// As [`Rule::evaluate`].
    pub fn number(&self, facts: &dyn Facts) -> Result<Number, NoAnswer> {
        let value = self.evaluate(facts)?;
        if let Value::Number(value) = value { Ok(value) } else { Err(wrong_result(&value)) }
    }

    /// The text that it gives, for [`Wanted::Text`].
    ///
    /// # Errors
    /// As [`Rule::evaluate`].
    pub fn text(&self, facts: &dyn Facts) -> Result<String, NoAnswer> {
        let value = self.evaluate(facts)?;
        if let Value::Text(value) = value { Ok(value.into_owned()) } else { Err(wrong_result(&value)) }
    }
}

impl From<Wanted> for Type {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Bool => Self::Bool,
            Wanted::Number => Self::Number,
            Wanted::Text => Self::Text,
        }
    }
}

fn wrong_result(value: &Value<'_>) -> NoAnswer {
    Failure::WrongType { operation: "the rule's result", found: value.kind() }.into()
}
