//! Why a command did not do what was asked: what is said about it, what to do next, and the exit code.

use std::io;
use std::path::PathBuf;

use keizoku_runtime::client::ClientFault;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::shell::Shell;

/// What each exit code means, in their order.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done; also where there was nothing to show
  1  the server refused or failed, or a file could not be read or written
  2  the command line has no meaning
  3  what was asked for does not exist
  4  the input is invalid, or items were rejected; each violation has a line
  5  no server is known, or it could not be reached in time
  6  no key, a wrong one, or one that may not do this
  7  `diff` found differences";

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line has no meaning.
    #[error("{problem}")]
    Usage {
        /// What is wrong.
        problem: String,
        /// What would be right.
        next: String,
    },
    /// Nothing says where the server is.
    #[error("no server is known")]
    NoServer,
    /// There is no context of that name.
    #[error("there is no context {name:?}")]
    NoContext {
        /// The name.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// The address or a certificate has no meaning.
    #[error(transparent)]
    Client(#[from] ClientFault),
    /// The server answered with an error, or not at all.
    #[error("{}", .status.message())]
    Call {
        /// Its answer.
        status: Box<Status>,
        /// Who was asked.
        endpoint: String,
    },
    /// What was given is wrong in these places.
    #[error("{what}")]
    Invalid {
        /// What is wrong as a whole.
        what: String,
        /// What is wrong where.
        problems: Vec<Problem>,
    },
    /// Some items were rejected; which and why was printed.
    #[error("{rejected} of {sent} were rejected")]
    Rejected {
        /// How many.
        rejected: u64,
        /// Of how many.
        sent: u64,
    },
    /// The server's count is not the number of items sent.
    #[error("{sent} were sent, but the server counts {stored} stored + {duplicate} duplicate + {rejected} rejected")]
    Unreconciled {
        /// How many were sent.
        sent: u64,
        /// How many were stored.
        stored: u64,
        /// How many were there already.
        duplicate: u64,
        /// How many were rejected.
        rejected: u64,
    },
    /// A thing that the answer should name is not in it.
    #[error("the server's answer has no {what}")]
    Incomplete {
        /// What is missing.
        what: &'static str,
    },
    /// What is asked for does not exist.
    #[error("there is no {what}")]
    NotFound {
        /// What it is.
        what: String,
        /// How to see what there is.
        next: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The answer cannot be written.
    #[error("the answer cannot be written: {0}")]
    Write(io::Error),
    /// An answer cannot be shown in the form asked for.
    #[error("the answer cannot be shown as asked: {0}")]
    Form(String),
    /// The server cannot start, or cannot go on.
    #[error("{}", chain(.0))]
    Server(anyhow::Error),
    /// The server ended before everything in work was finished.
    #[error("the server ended before everything in work was finished ({0:?})")]
    Cut(keizoku_runtime::Exit),
    /// There are differences; they were printed.
    #[error("there are differences")]
    Different,
    /// The request was shown instead of sent.
    #[error("the request was shown")]
    Shown,
    /// Nobody reads the answer any more.
    #[error("nobody reads any more")]
    PipeClosed,
}

/// One thing wrong in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where: a field's path, a line of a file.
    pub(crate) place: String,
    /// What is wrong, and what would be right.
    pub(crate) text: String,
}

impl Failure {
    /// The code the program ends with; [`EXIT_CODES`] lists them.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Shown | Self::PipeClosed => 0,
            Self::Unreconciled { .. }
            | Self::Incomplete { .. }
            | Self::File { .. }
            | Self::Write(_)
            | Self::Form(_)
            | Self::Server(_)
            | Self::Cut(_)
            | Self::Client(ClientFault::File { .. } | ClientFault::Tls { .. }) => 1,
            Self::Usage { .. }
            | Self::NoContext { .. }
            | Self::Client(ClientFault::Address { .. } | ClientFault::Credential) => 2,
            Self::NotFound { .. } => 3,
            Self::Invalid { .. } | Self::Rejected { .. } => 4,
            Self::NoServer => 5,
            Self::Call { status, .. } => code_of(status.code()),
            Self::Different => 7,
        }
    }

    /// Says on standard error what went wrong, where, and what to do next. Some endings need no word.
    pub(crate) fn report(&self, shell: &mut Shell) {
        if matches!(self, Self::Shown | Self::PipeClosed | Self::Different) {
            return;
        }
        let reason = self.status().and_then(Status::get_details_error_info).map(|info| format!(" ({})", info.reason));
        let label = if shell.colour(shell.notes_terminal) { "\u{1b}[1;31merror:\u{1b}[0m" } else { "error:" };
        shell.note(&format!("{label} {self}{}", reason.unwrap_or_default()));
        for problem in self.problems() {
            shell.note(&format!("  {}: {}", problem.place, problem.text));
        }
        if let Some(next) = self.next() {
            shell.note(&format!("  {next}"));
        }
    }

    /// What is wrong where.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        if let Self::Invalid { problems, .. } = self {
            return problems.clone();
        }
        self.status().map(violations).unwrap_or_default()
    }

    fn status(&self) -> Option<&Status> {
        if let Self::Call { status, .. } = self { Some(status) } else { None }
    }

    fn next(&self) -> Option<String> {
        let fixed = match self {
            Self::Usage { next, .. } | Self::NotFound { next, .. } => next,
            Self::NoContext { known, .. } if !known.is_empty() => {
                return Some(format!("there are: {}", known.join(", ")));
            }
            Self::NoContext { .. } => "none is kept yet; `keizoku dev` writes one, and so does `keizoku context set`",
            Self::NoServer => {
                "start one with `keizoku dev`, or name one with --endpoint, KEIZOKU_ENDPOINT or `keizoku context use`"
            }
            Self::Call { status, endpoint } => return after_call(status, endpoint),
            Self::Client(ClientFault::Address { .. }) => "write it as http://HOST:PORT or https://HOST:PORT",
            Self::Unreconciled { .. } => "`keizoku receipts SOURCE` shows what was received; sending again is safe",
            Self::Incomplete { .. } => "server and command may be of different versions",
            Self::Client(_)
            | Self::Invalid { .. }
            | Self::Rejected { .. }
            | Self::File { .. }
            | Self::Write(_)
            | Self::Form(_)
            | Self::Server(_)
            | Self::Cut(_)
            | Self::Different
            | Self::Shown
            | Self::PipeClosed => return None,
        };
        Some(fixed.to_owned())
    }
}

/// An error with its causes, each said once: some errors tell their cause themselves.
fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        _ if told.contains(&cause) => told,
        _ => format!("{told}: {cause}"),
    })
}

/// What a status of the server says is wrong where.
pub(crate) fn violations(status: &Status) -> Vec<Problem> {
    let found = status.get_details_bad_request().into_iter().flat_map(|request| request.field_violations);
    found.map(|violation| Problem { place: violation.field, text: violation.description }).collect()
}

fn code_of(code: Code) -> u8 {
    match code {
        Code::NotFound => 3,
        Code::InvalidArgument => 4,
        Code::Unavailable | Code::DeadlineExceeded => 5,
        Code::Unauthenticated | Code::PermissionDenied => 6,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss => 1,
    }
}

fn after_call(status: &Status, endpoint: &str) -> Option<String> {
    let pause = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    match status.code() {
        Code::Unauthenticated => {
            Some("check the key: --key, KEIZOKU_API_KEY, or the context that `keizoku context show` prints".to_owned())
        }
        Code::PermissionDenied => Some(
            "`keizoku whoami` shows what the key may do; `keizoku keys create` makes one that may do more".to_owned(),
        ),
        Code::Unavailable if reason == "UNREACHABLE" => Some(format!(
            "is it running at {endpoint}? `keizoku dev` starts one; `keizoku context show` prints which is asked"
        )),
        Code::DeadlineExceeded => Some("give it more time with --timeout 60s".to_owned()),
        Code::Unimplemented => {
            Some("the server is older than this command, or something else listens there".to_owned())
        }
        Code::Internal | Code::Unknown | Code::DataLoss => {
            let request = status.get_details_request_info().map(|info| info.request_id);
            request.map(|id| format!("request id: {id}"))
        }
        Code::Unavailable | Code::ResourceExhausted | Code::Aborted => {
            pause.map(|pause| format!("repeat it after {} s", pause.as_secs_f64().max(0.1)))
        }
        Code::Ok
        | Code::Cancelled
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::OutOfRange => None,
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn every_code_of_the_list_is_used_and_every_one_used_is_listed() {
        let call =
            |code| Failure::Call { status: Box::new(Status::new(code, "x")), endpoint: String::new() }.exit_code();
        let mut used: Vec<u8> = [Code::Internal, Code::NotFound, Code::InvalidArgument, Code::Unavailable]
            .into_iter()
            .map(call)
            .chain([Failure::Shown.exit_code(), call(Code::PermissionDenied), Failure::Different.exit_code()])
            .chain([Failure::Usage { problem: String::new(), next: String::new() }.exit_code()])
            .collect();
        used.sort_unstable();
        let listed: Vec<u8> =
            EXIT_CODES.lines().filter_map(|line| line.strip_prefix("  ")?.split("  ").next()?.parse().ok()).collect();
        assert_eq!(used, listed);
    }

    #[test]
    fn violations_of_the_server_are_named_one_by_one() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("metric.key", "NOT_A_KEY: must begin with a letter");
        details.add_bad_request_violation("metric.aggregation", "REQUIRED: must be stated");
        use tonic_types::StatusExt as _;
        let status = Status::with_error_details(Code::InvalidArgument, "2 fields are wrong", details);
        let failure = Failure::Call { status: Box::new(status), endpoint: String::new() };
        let places: Vec<String> = failure.problems().into_iter().map(|problem| problem.place).collect();
        assert_eq!((failure.exit_code(), places), (4, vec!["metric.key".to_owned(), "metric.aggregation".to_owned()]));
    }
}
