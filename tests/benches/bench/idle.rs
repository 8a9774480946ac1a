//! `idle`: what `keizoku dev --empty` takes before anybody asks it anything.

use std::process::Command;
use std::time::{Duration, Instant};

use keizoku_tests::{binary, free_port};

use crate::figure::Figure;
use crate::run::Run;
use crate::system::proc;
use crate::system::server::Process;

const NAME: &str = "idle";

/// From the start of the process to the first "ready", and its memory after some idle time.
pub(crate) async fn measure(run: &Run) -> anyhow::Result<()> {
    let idle = Duration::from_secs(run.pick(10, 2));
    let mut memory = Figure::new(NAME, "rss_mib", "MiB");
    let mut serving = Figure::new(NAME, "serving_s", "s");
    let mut processor = Figure::new(NAME, "cpu_ms_per_s", "ms/s");
    for round in 0..run.rounds() {
        let folder = run.fresh_folder(NAME)?;
        let (listen, admin) = (free_port(), free_port());
        let mut command = Command::new(binary());
        command.args(["dev", "--empty", "--data"]).arg(folder.join("data")).args([
            "--listen",
            &format!("127.0.0.1:{listen}"),
            "--admin",
            &format!("127.0.0.1:{admin}"),
        ]);
        for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
            command.env(variable, &folder);
        }
        let begun = Instant::now();
        let mut process = Process::spawn(&mut command, folder.join("dev.log"))?;
        process.serves(admin).await?;
        let served = begun.elapsed();
        let before = proc::processor_time(process.pid())?;
        tokio::time::sleep(idle).await;
        let used = proc::processor_time(process.pid())?.saturating_sub(before);
        serving.add(served.as_secs_f64());
        memory.add(proc::resident_mib(process.pid())?);
        processor.add(used.as_secs_f64() * 1000.0 / idle.as_secs_f64());
        process.stop().await?;
        run.note(NAME, &format!("round {}: serves after {served:.2?}", round + 1));
    }
    run.report(&[memory, serving, processor])
}
