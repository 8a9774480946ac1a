//! TLS of the gRPC port, from files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::settings::{TlsMode, TlsSettings};

/// Why encryption cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// A file is not named.
    #[error("tls.{0} is not set")]
    NotSet(&'static str),
    /// A file cannot be read, or holds something else.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Certificate and key do not fit, or the authority is none.
    #[error("TLS cannot be set up: {0}")]
    Unfit(String),
}

/// What encrypts connections; `None` where this process does not.
pub(super) fn acceptor(settings: &TlsSettings) -> Result<Option<TlsAcceptor>, TlsFault> {
    match settings.mode {
        TlsMode::Off => return Ok(None),
        TlsMode::Upstream => {
            tracing::warn!("tls.mode is upstream: this process does not encrypt, the network in front of it must");
            return Ok(None);
        }
        TlsMode::Files => {}
    }
    let certificate = settings.certificate.as_deref().ok_or(TlsFault::NotSet("certificate"))?;
    let key = settings.key.as_deref().ok_or(TlsFault::NotSet("key"))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|fault| unreadable(key, &fault))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|fault| TlsFault::Unfit(fault.to_string()))?;
    let builder = match settings.client_authority.as_deref() {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(authority)? {
                roots.add(root).map_err(|fault| TlsFault::Unfit(fault.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.allow_unauthenticated().build();
            builder.with_client_cert_verifier(verifier.map_err(|fault| TlsFault::Unfit(fault.to_string()))?)
        }
    };
    let mut config = builder
        .with_single_cert(certificates(certificate)?, private)
        .map_err(|fault| TlsFault::Unfit(fault.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|fault| unreadable(path, &fault))?;
    if found.is_empty() { Err(unreadable(path, &"holds no certificate")) } else { Ok(found) }
}

fn unreadable(path: &Path, problem: &dyn ToString) -> TlsFault {
    TlsFault::File { path: path.to_owned(), problem: problem.to_string() }
}
