//! When to stop: asked once the process stops gently, asked twice at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Asks a node to stop. Clones ask the same node.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    gently: CancellationToken,
    at_once: CancellationToken,
}

impl Stop {
    /// Asks to stop; asked a second time, to stop at once.
    pub fn ask(&self) {
        if self.gently.is_cancelled() {
            self.at_once.cancel();
        } else {
            self.gently.cancel();
        }
    }

    /// Returns when the node was asked to stop.
    pub async fn asked(&self) {
        self.gently.cancelled().await;
    }

    /// Returns when the node was asked a second time.
    pub(super) async fn insisted(&self) {
        self.at_once.cancelled().await;
    }

    /// Asks for every SIGTERM and SIGINT the process gets.
    pub(super) async fn follow_signals(self) -> std::io::Result<()> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!(signal = name, "asked to stop");
            self.ask();
        }
    }
}
