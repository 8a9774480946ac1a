//! Measures the real binary, side by side with yardsticks in the same run.
//!
//! One JSON line per figure on standard output, progress on standard error. `scripts/bench` builds what is needed, brings
//! up a PostgreSQL that keeps its promises and a Redis, and names them in `KEIZOKU_TEST_POSTGRES_URL` and
//! `KEIZOKU_TEST_REDIS_URL`. Exit code 0: it ran; 1: it could not be measured; 2: no such measurement.

mod bench;
mod data;
mod figure;
mod load;
mod program;
mod run;
mod system;
mod yardstick;

fn main() -> std::process::ExitCode {
    program::run(std::env::args().skip(1)).into()
}
