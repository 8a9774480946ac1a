//! What the kernel says about a process.

use std::time::Duration;

use anyhow::Context as _;

/// A tick of `/proc/PID/stat`, on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// The processor time it has used so far, in user mode and in the kernel.
pub(crate) fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
    ticks(&text).map(|ticks| TICK * ticks).context("/proc/PID/stat cannot be read")
}

/// How much memory it holds, in MiB.
pub(crate) fn resident_mib(pid: u32) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in /proc/PID/status")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}

/// The 14th and 15th field of `/proc/PID/stat`; the second one, the name in parentheses, may hold spaces.
pub(crate) fn ticks(stat: &str) -> Option<u32> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    Some(next()? + next()?)
}
