//! `keizoku demo`.

use clap::{Args, Subcommand};

use crate::client::{Common, Session};
use crate::demo;
use crate::failure::Failure;
use crate::shell::Shell;

/// Invented customers, for a workspace that is marked as synthetic
#[derive(Debug, Args)]
pub(crate) struct Demo {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Tell 18 months of invented customers; told again later it goes on
    #[command(after_help = "Examples:\n  keizoku demo seed --accounts 60\n  keizoku demo seed --seed 7")]
    Seed {
        /// How many customers
        #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        accounts: u32,
        /// What the story is made from: the same seed tells the same story
        #[arg(long, value_name = "NUMBER", default_value_t = demo::SEED)]
        seed: u64,
    },
    /// Keep live events flowing until Ctrl-C
    #[command(after_help = "Examples:\n  keizoku demo stream\n  keizoku demo stream --rate 100")]
    Stream {
        /// Events a second
        #[arg(long, value_name = "N", default_value = "5", value_parser = rate)]
        rate: f64,
    },
}

impl Demo {
    /// Seeds or streams.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let session = Session::open(shell, &self.common)?;
        let client = session.client();
        match self.command {
            Action::Seed { accounts, seed } => {
                let report = demo::tell(&client, accounts, seed).await?;
                session.shell.print(&format!("{report}\n"))
            }
            Action::Stream { rate } => {
                session.shell.note("live events of invented customers; Ctrl-C ends it");
                tokio::select! {
                    ended = demo::stream::run(&client, rate, session.shell) => ended,
                    stopped = tokio::signal::ctrl_c() => stopped.map_err(Failure::Write),
                }
            }
        }
    }
}

/// A rate, also as `5/s`.
fn rate(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    let found = number.parse().ok().filter(|rate: &f64| (0.01..=20_000.0).contains(rate));
    found.ok_or_else(|| "write events a second, 0.01 to 20000, such as 5 or 5/s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn a_rate_is_a_number_a_second() {
        assert_eq!((rate("5"), rate("0.5/s")), (Ok(5.0), Ok(0.5)));
        for wrong in ["", "x", "-1", "0", "NaN", "1e9", "5/m"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
