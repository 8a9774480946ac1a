use std::path::PathBuf;

use keizoku_runtime::node::settings::TlsMode;
use keizoku_runtime::{Client, ClientSettings, Credential, Node, Telemetry};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tonic::{Code, Request};

use crate::echo::{say, unary, words};
use crate::sandbox::{Sandbox, descriptors, settings};

/// Files of one authority, a server's certificate of it, and a service's.
struct Files(PathBuf);

impl Files {
    fn write(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("keizoku-tls-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        std::fs::write(folder.join("authority.pem"), authority.pem()).expect("a file");
        for (name, usage) in
            [("server", ExtendedKeyUsagePurpose::ServerAuth), ("service", ExtendedKeyUsagePurpose::ClientAuth)]
        {
            let key = KeyPair::generate().expect("a key");
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
            params.extended_key_usages = vec![usage];
            let certificate = params.signed_by(&key, &authority).expect("a certificate");
            std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).expect("a file");
            std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("a file");
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.0.join(name))
    }
}

async fn encrypted(files: &Files) -> Sandbox {
    Sandbox::with(|settings| {
        settings.tls.mode = TlsMode::Files;
        settings.tls.certificate = files.path("server.pem");
        settings.tls.key = files.path("server.key");
        settings.tls.client_authority = files.path("authority.pem");
    })
    .await
}

fn client(sandbox: &Sandbox, files: &Files, as_service: bool) -> Client {
    let settings = ClientSettings {
        address: format!("https://{}", sandbox.address),
        authority: files.path("authority.pem"),
        name: Some("localhost".to_owned()),
        certificate: as_service.then(|| files.path("service.pem")).flatten(),
        key: as_service.then(|| files.path("service.key")).flatten(),
        ..ClientSettings::default()
    };
    Client::new(&settings, &Credential::None).expect("a client")
}

#[tokio::test]
async fn whoever_shows_a_certificate_of_the_authority_calls_as_a_service() {
    let files = Files::write("mutual");
    let sandbox = encrypted(&files).await;
    let stranger = say(client(&sandbox, &files, false), Request::new(words("x"))).await.expect_err("no credential");
    assert_eq!(stranger.code(), Code::Unauthenticated);
    let service = client(&sandbox, &files, true);
    let answer = unary(service, "Whisper", Request::new(words("x"))).await.expect("let in").into_inner();
    assert_eq!(answer, words("x"));
}

#[tokio::test]
async fn an_encrypting_port_does_not_speak_in_the_clear() {
    let files = Files::write("clear");
    let sandbox = encrypted(&files).await;
    let status = say(sandbox.reader(), Request::new(words("x"))).await.expect_err("no TLS");
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn certificates_that_cannot_be_read_stop_the_start() {
    let mut settings = settings();
    settings.tls.mode = TlsMode::Files;
    settings.tls.certificate = Some(PathBuf::from("/nonexistent/server.pem"));
    settings.tls.key = Some(PathBuf::from("/nonexistent/server.key"));
    let telemetry = Telemetry::quiet().expect("telemetry");
    let fault = Node::bind(settings, descriptors(), &telemetry).await.expect_err("no files");
    assert!(fault.to_string().starts_with("/nonexistent/server.key: "), "{fault}");
}
