//! The one binary `keizoku`: it runs the services, and it asks them.
//!
//! As a client it speaks gRPC and nothing else: it never opens a store and never reaches into a service.

mod cli;
mod client;
mod commands;
mod demo;
mod draft;
mod failure;
mod import;
mod manifest;
mod output;
mod process;
mod shell;
#[cfg(test)]
mod trial;

use std::process::ExitCode;

use shell::Shell;

#[tokio::main]
async fn main() -> ExitCode {
    let mut shell = Shell::of_process();
    ExitCode::from(cli::run(std::env::args_os(), &mut shell).await)
}
