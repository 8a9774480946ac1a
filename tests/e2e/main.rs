//! The real binary from outside: traces, foreign clients, the command line, the examples of documents, imports.

mod clients;
mod documents;
mod import;
mod trace;
