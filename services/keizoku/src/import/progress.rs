//! How far an import is: a bar on a terminal, a line now and then elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::shell::Shell;

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// How far one file is.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    label: String,
    bytes: u64,
    /// Where the rate is measured from: rows of an earlier run go by much faster than those that are sent.
    base: Base,
    said: Instant,
}

/// A point that a rate is measured from.
#[derive(Debug, Clone, Copy)]
struct Base {
    at: Instant,
    bytes: u64,
    rows: u64,
}

impl Progress {
    /// A file of so many bytes, under a label.
    pub(crate) fn begin(shell: &Shell, label: String, bytes: u64) -> Self {
        let bar = shell.notes_terminal.then(|| bar(&label, bytes));
        let now = Instant::now();
        Self { bar, label, bytes, base: Base { at: now, bytes: 0, rows: 0 }, said: now }
    }

    /// So many bytes and rows are read by now, the rows all of them by an earlier run or not.
    pub(crate) fn at(&mut self, shell: &mut Shell, bytes: u64, rows: u64, all_earlier: bool) {
        if all_earlier {
            self.base = Base { at: Instant::now(), bytes, rows };
            if let Some(bar) = &self.bar {
                bar.reset_eta();
            }
        }
        if let Some(bar) = &self.bar {
            bar.set_position(bytes.min(self.bytes));
            bar.set_message(format!("{rows} rows"));
            return;
        }
        if self.said.elapsed() >= EVERY {
            self.said = Instant::now();
            shell.note(&line(&self.label, self.base, [bytes, self.bytes], rows, self.base.at.elapsed()));
        }
    }

    /// The file is done.
    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(label: &str, bytes: u64) -> ProgressBar {
    let rate = |state: &ProgressState, into: &mut dyn std::fmt::Write| {
        // Where the rate cannot be written there is nothing to be done about it.
        let _unwritten = write!(into, "{:.1} MB/s", state.per_sec() / 1e6);
    };
    let style = ProgressStyle::with_template("{prefix:<32} {bar:24} {percent:>3} %  {msg}  {rate}  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", rate);
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr_with_hz(8)).with_style(style);
    bar.set_prefix(label.to_owned());
    bar
}

/// A line such as `events.csv: 120000 rows, 25 % of the file, 11800 rows/s, about 32 s left`.
fn line(label: &str, base: Base, [bytes, of]: [u64; 2], rows: u64, taken: Duration) -> String {
    let percent = bytes.min(of).saturating_mul(100).checked_div(of).unwrap_or(100);
    let millis = taken.as_millis().max(1);
    let rate = u128::from(rows - base.rows) * 1000 / millis;
    let done = u128::from(bytes.saturating_sub(base.bytes)).max(1);
    let left = millis * u128::from(of.saturating_sub(bytes)) / done / 1000;
    format!("{label}: {rows} rows, {percent} % of the file, {rate} rows/s, about {left} s left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_rate_and_time_left() {
        let base = |bytes, rows| Base { at: Instant::now(), bytes, rows };
        let said = line("events.csv", base(0, 0), [250, 1000], 120_000, Duration::from_secs(10));
        assert_eq!(said, "events.csv: 120000 rows, 25 % of the file, 12000 rows/s, about 30 s left");
        let resumed = line("events.csv", base(500, 90_000), [750, 1000], 120_000, Duration::from_secs(10));
        assert_eq!(resumed, "events.csv: 120000 rows, 75 % of the file, 3000 rows/s, about 10 s left");
        let nothing = line("empty.csv", base(0, 0), [0, 0], 0, Duration::ZERO);
        assert_eq!(nothing, "empty.csv: 0 rows, 100 % of the file, 0 rows/s, about 0 s left");
    }
}
