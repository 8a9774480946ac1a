//! What surrounds a command: the variables it is called with, and the three streams. The only place that writes to them.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind, IsTerminal as _, Read, Write};

use crate::failure::Failure;

/// The surroundings of one run of the program.
pub(crate) struct Shell {
    /// Its variables.
    pub(crate) environment: BTreeMap<String, String>,
    /// Whether what is printed goes to a terminal.
    pub(crate) terminal: bool,
    /// Whether notes and errors go to a terminal.
    pub(crate) notes_terminal: bool,
    input: Box<dyn Read + Send>,
    output: Box<dyn Write + Send>,
    notes: Box<dyn Write + Send>,
}

impl Shell {
    /// The surroundings of this process.
    pub(crate) fn of_process() -> Self {
        Self {
            environment: keizoku_runtime::config::environment(),
            terminal: io::stdout().is_terminal(),
            notes_terminal: io::stderr().is_terminal(),
            input: Box::new(io::stdin()),
            output: Box::new(io::stdout()),
            notes: Box::new(io::stderr()),
        }
    }

    /// Surroundings of a test: these variables and this input; what is printed goes to the two writers.
    #[cfg(test)]
    pub(crate) fn of_test(
        environment: BTreeMap<String, String>,
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
        notes: impl Write + Send + 'static,
    ) -> Self {
        Self {
            environment,
            terminal: false,
            notes_terminal: false,
            input: Box::new(input),
            output: Box::new(output),
            notes: Box::new(notes),
        }
    }

    /// A variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether colours are wanted where `terminal` says that a terminal shows them.
    pub(crate) fn colour(&self, terminal: bool) -> bool {
        terminal && self.variable("NO_COLOR").is_none() && self.variable("TERM") != Some("dumb")
    }

    /// Standard input, to be read to its end.
    pub(crate) fn take_input(&mut self) -> Box<dyn Read + Send> {
        std::mem::replace(&mut self.input, Box::new(io::empty()))
    }

    /// Prints the answer to what was asked, as it stands.
    ///
    /// # Errors
    /// Nobody reads any more ([`Failure::PipeClosed`]), or it cannot be written.
    pub(crate) fn print(&mut self, text: &str) -> Result<(), Failure> {
        let written = self.output.write_all(text.as_bytes()).and_then(|()| self.output.flush());
        written.map_err(
            |fault| {
                if fault.kind() == ErrorKind::BrokenPipe { Failure::PipeClosed } else { Failure::Write(fault) }
            },
        )
    }

    /// Says something beside the answer, on a line of its own of standard error.
    pub(crate) fn note(&mut self, line: &str) {
        // Where notes cannot be written there is nowhere left to say so.
        let _unheard = writeln!(self.notes, "{line}").and_then(|()| self.notes.flush());
    }
}

impl fmt::Debug for Shell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shell").field("terminal", &self.terminal).finish_non_exhaustive()
    }
}
