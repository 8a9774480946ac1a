//! The settings of a node. Nothing here is unlimited.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::{ByteSize, Faults, Secret, TimeSpan};

crate::choices! {
    /// Who ends TLS.
    pub enum TlsMode {
        /// This process, with the certificate and key in the files named.
        Files = "files",
        /// The network in front of this process (a mesh, a proxy). Nothing checks that it does.
        Upstream = "upstream",
        /// Nobody: only for addresses of the machine itself.
        Off = "off",
    }
}

crate::settings! {
    /// How a node listens, what it bounds, and how it stops.
    pub struct NodeSettings {
        /// Address of the gRPC port; port 0 takes a free one.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 7070)),
        /// Address of the admin port: /metrics, /healthz, /readyz. Plain HTTP, no login: keep it inside.
        admin: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 7071)),
        /// What services show each other in place of a key (`kzi_…`); without it they need certificates.
        internal_token: Secret = Secret::default(),
        /// Encryption of the gRPC port.
        tls: TlsSettings,
        /// Bounds of calls, streams and connections.
        limits: LimitSettings,
        /// The rate of each key.
        rate: RateSettings,
        /// How the process stops.
        stop: StopSettings,
    }
}

crate::settings! {
    /// Encryption of the gRPC port.
    pub struct TlsSettings {
        /// Who ends TLS.
        mode: TlsMode = TlsMode::Off,
        /// PEM file of the certificate and its chain.
        certificate: Option<PathBuf> = None,
        /// PEM file of the private key.
        key: Option<PathBuf> = None,
        /// PEM file of the authority that signs services only: whoever shows a certificate of it calls as a service.
        client_authority: Option<PathBuf> = None,
        /// How long a handshake may take.
        handshake: TimeSpan = TimeSpan::seconds(10),
    }
}

crate::settings! {
    /// Bounds of calls, streams and connections.
    pub struct LimitSettings {
        /// Unary calls in work at the same time, for each service; more are refused at once.
        calls: u32 = 1024,
        /// Streams open at the same time, for each service.
        streams: u32 = 1024,
        /// The longest a unary call may take, whatever its caller allows.
        deadline: TimeSpan = TimeSpan::seconds(20),
        /// How long nothing may move on a stream.
        stream_idle: TimeSpan = TimeSpan::minutes(5),
        /// The longest message that is accepted or sent.
        message: ByteSize = ByteSize::mebibytes(8),
        /// The longest list of headers of a call.
        headers: ByteSize = ByteSize::kibibytes(16),
        /// Connections at the same time; more wait to be accepted.
        connections: u32 = 4096,
        /// Calls and streams at the same time on one connection.
        connection_streams: u32 = 256,
        /// After how long a connection is asked to close, so that clients spread over new replicas (± 10 %).
        connection_age: TimeSpan = TimeSpan::minutes(30),
        /// How long it may take to do so before it is cut.
        connection_grace: TimeSpan = TimeSpan::seconds(20),
        /// After how long without traffic the peer is asked whether it is there.
        keep_alive: TimeSpan = TimeSpan::seconds(30),
        /// How long it may take to say so.
        keep_alive_timeout: TimeSpan = TimeSpan::seconds(10),
        /// Calls that a peer may have reset before they were begun, and that failed here, before its connection is cut.
        resets: u32 = 64,
    }
}

crate::settings! {
    /// The rate of each key.
    pub struct RateSettings {
        /// Calls per second that one key may make in the long run; 0 for no limit.
        per_second: u32 = 0,
        /// Calls it may make at once; 0 for as many as per second.
        burst: u32 = 0,
    }
}

crate::settings! {
    /// How the process stops.
    pub struct StopSettings {
        /// How long it says NOT_SERVING before it takes no more calls, so that load balancers look elsewhere.
        notice: TimeSpan = TimeSpan::seconds(3),
        /// How long all may take before it is cut off with exit code 1. Below Kubernetes' 30 seconds.
        limit: TimeSpan = TimeSpan::seconds(28),
    }
}

impl NodeSettings {
    /// Checks what single values cannot tell; `key` is where these settings stand (`node`).
    pub fn check(&self, key: &str, faults: &mut Faults) {
        let tls = &self.tls;
        match tls.mode {
            TlsMode::Off if !self.listen.ip().is_loopback() => faults.add(
                format!("{key}.tls.mode"),
                format!("is off, which is for this machine only, but {key}.listen is {}", self.listen),
            ),
            TlsMode::Files if tls.certificate.is_none() || tls.key.is_none() => {
                faults
                    .add(format!("{key}.tls.mode"), format!("is files, so {key}.tls.certificate and .key are needed"));
            }
            TlsMode::Files | TlsMode::Upstream | TlsMode::Off => {}
        }
        let limits = &self.limits;
        let counts = [
            ("calls", limits.calls),
            ("streams", limits.streams),
            ("connections", limits.connections),
            ("connection_streams", limits.connection_streams),
        ];
        for (name, _) in counts.iter().filter(|(_, count)| *count == 0) {
            faults.add(format!("{key}.limits.{name}"), "must be at least 1");
        }
        if limits.message.get() < 1024 {
            faults.add(format!("{key}.limits.message"), "must be at least 1KiB");
        }
        if self.stop.limit <= self.stop.notice {
            faults.add(format!("{key}.stop.limit"), format!("must be longer than {key}.stop.notice"));
        }
        let token = self.internal_token.reveal();
        if !token.is_empty() && token.len() < 32 {
            faults.add(format!("{key}.internal_token"), "must have at least 32 characters");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};

    fn problems(variables: &[(&str, &str)]) -> Vec<String> {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let sources = Sources { environment, ..Sources::default() };
        let read = load(&sources, |settings: &NodeSettings, faults| settings.check("node", faults));
        read.err().unwrap_or_default().into_iter().map(|fault| fault.key).collect()
    }

    #[test]
    fn without_tls_only_this_machine_is_listened_to() {
        assert!(problems(&[]).is_empty());
        assert_eq!(problems(&[("KEIZOKU__LISTEN", "0.0.0.0:7070")]), ["node.tls.mode"]);
        assert!(problems(&[("KEIZOKU__LISTEN", "0.0.0.0:7070"), ("KEIZOKU__TLS__MODE", "upstream")]).is_empty());
        assert!(problems(&[("KEIZOKU__LISTEN", "[::1]:7070")]).is_empty());
    }

    #[test]
    fn checks_tell_everything_at_once() {
        let found = problems(&[
            ("KEIZOKU__TLS__MODE", "files"),
            ("KEIZOKU__LIMITS__CALLS", "0"),
            ("KEIZOKU__LIMITS__MESSAGE", "1B"),
            ("KEIZOKU__STOP__LIMIT", "1s"),
            ("KEIZOKU__INTERNAL_TOKEN", "short"),
        ]);
        assert_eq!(
            found,
            ["node.tls.mode", "node.limits.calls", "node.limits.message", "node.stop.limit", "node.internal_token"]
        );
    }
}
