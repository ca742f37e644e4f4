//! An https collector on loopback: whom we trust, who we say we are, and what a wrong file says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tailspan::export::{ClientFiles, ExportError, FailureReason, OtlpConfig, OtlpEndpoint, RequestOutcome, TlsFiles};
use tempfile::TempDir;

use crate::support::queue::{Queue, deliver, deliver_until, entries, ids, impatient};
use crate::support::sink::Sink;

/// An authority, and the files that it makes.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    folder: TempDir,
}

/// A certificate with its key.
struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    files: ClientFiles,
}

impl Authority {
    fn new() -> Self {
        Self::named("first")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { certificate: certificate.der().clone(), issuer: Issuer::new(params, key), folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn identity(&self, host: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let file = |name: &str, text: String| {
            let path = self.folder.path().join(format!("{host}.{name}.pem"));
            fs::write(&path, text).unwrap();
            path
        };
        Identity {
            files: ClientFiles {
                certificate: file("certificate", certificate.pem()),
                key: file("key", key.serialize_pem()),
            },
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        roots
    }

    /// A collector with a certificate for `host`.
    async fn sink(&self, host: &str) -> Sink {
        let Identity { certificate, key, .. } = self.identity(host);
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        Sink::start_tls(config).await
    }

    /// A collector that takes spans only from whom `clients` knows.
    async fn sink_for(&self, clients: &Self) -> Sink {
        let Identity { certificate, key, .. } = self.identity("localhost");
        let verifier = WebPkiClientVerifier::builder(Arc::new(clients.roots())).build().unwrap();
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Sink::start_tls(config).await
    }
}

fn https(sink: &Sink) -> String {
    format!("https://localhost:{}", sink.port())
}

fn trusting(ca: PathBuf, client: Option<ClientFiles>, sink: &Sink) -> OtlpConfig {
    OtlpConfig { endpoint: https(sink), tls: TlsFiles { ca: Some(ca), client }, ..OtlpConfig::default() }
}

/// Checks that spans stay in the queue, that each attempt counts as no connection, and what is said about it.
async fn check_kept(sink: &Sink, config: OtlpConfig, said: &str) {
    let outcome = OtlpEndpoint::new(config.clone()).unwrap().send(&entries(&[1])).await;
    let RequestOutcome::Retry { status: None, after: None, message } = outcome else {
        panic!("not a retry: {outcome:?}")
    };
    assert!(message.contains(said), "{message}");

    let queue = Queue::of(entries(&[2]));
    let counters = deliver_until(&queue, OtlpEndpoint::new(config).unwrap(), impatient(), sink.another(3)).await;
    assert!(counters.failures(FailureReason::Connect) >= 2);
    assert_eq!(counters.spans_exported(), 0);
    assert_eq!(queue.spans(), 2);
    assert!(counters.last_error().unwrap().contains(said));
    assert!(sink.received().is_empty());
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted() {
    let authority = Authority::new();
    let sink = authority.sink("localhost").await;
    let queue = Queue::of(entries(&[2, 1]));
    let counters =
        deliver(&queue, OtlpEndpoint::new(trusting(authority.file(), None, &sink)).unwrap(), impatient()).await;
    assert_eq!(ids(&sink.accepted_spans()), [1, 2, 3]);
    assert_eq!(counters.last_error(), None);
}

#[tokio::test]
async fn spans_wait_for_a_certificate_that_is_trusted() {
    let sink = Authority::new().sink("localhost").await;
    // Another one, and one of the same name, as an authority that was made anew.
    let said = "nobody that this machine trusts has signed the endpoint's certificate";
    for name in ["second", "first"] {
        check_kept(&sink, trusting(Authority::named(name).file(), None, &sink), said).await;
    }
}

#[tokio::test]
async fn spans_wait_for_a_certificate_of_the_right_host() {
    let authority = Authority::new();
    let sink = authority.sink("collector.example").await;
    let said = "the endpoint's certificate is for another host name";
    check_kept(&sink, trusting(authority.file(), None, &sink), said).await;
}

#[tokio::test]
async fn spans_wait_for_a_server_with_a_certificate_of_its_own() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, certificate.pem()).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let sink = Sink::start_tls(config.with_single_cert(vec![certificate.der().clone()], key).unwrap()).await;
    let said = "the endpoint shows the certificate of an authority as its own";
    check_kept(&sink, trusting(file, None, &sink), said).await;
}

#[tokio::test]
async fn a_plain_port_that_is_taken_for_tls_is_named_as_such() {
    let sink = Sink::start().await;
    let authority = Authority::new();
    let config = trusting(authority.file(), None, &sink);
    let outcome = OtlpEndpoint::new(config).unwrap().send(&entries(&[1])).await;
    let RequestOutcome::Retry { message, .. } = outcome else { panic!("not a retry: {outcome:?}") };
    assert!(message.contains("write http:// in its URL"), "{message}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_who_asks() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let sink = servers.sink_for(&clients).await;
    let config = trusting(servers.file(), Some(clients.identity("tailspan").files), &sink);
    let queue = Queue::of(entries(&[3]));
    deliver(&queue, OtlpEndpoint::new(config).unwrap(), impatient()).await;
    assert_eq!(ids(&sink.accepted_spans()), [1, 2, 3]);
}

#[tokio::test]
async fn without_the_client_certificate_nothing_is_lost() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let sink = servers.sink_for(&clients).await;
    let strangers = Some(servers.identity("stranger").files);
    for client in [None, strangers] {
        let queue = Queue::of(entries(&[2]));
        let otlp = OtlpEndpoint::new(trusting(servers.file(), client, &sink)).unwrap();
        let counters = deliver_until(&queue, otlp, impatient(), sink.another(3)).await;
        // The server's reason may be lost with the connection; that there was no answer is certain.
        assert!(counters.failures(FailureReason::Connect) >= 1);
        assert_eq!(counters.spans_exported(), 0);
        assert_eq!(queue.spans(), 2);
    }
    assert!(sink.received().is_empty());
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let authority = Authority::new();
    let (own, other) = (authority.identity("own").files, authority.identity("other").files);
    let folder = authority.folder.path();
    let said = |ca: Option<&Path>, certificate: &Path, key: &Path| {
        let client = Some(ClientFiles { certificate: certificate.to_owned(), key: key.to_owned() });
        let tls = TlsFiles { ca: ca.map(Path::to_owned), client };
        let error =
            OtlpEndpoint::new(OtlpConfig { endpoint: "https://localhost".to_owned(), tls, ..OtlpConfig::default() })
                .unwrap_err();
        assert!(error.is_configuration());
        tailspan::text::chain(&error).replace(folder.to_str().unwrap(), "DIR")
    };
    let (ca, absent, broken) = (authority.file(), folder.join("absent.pem"), folder.join("broken.pem"));
    fs::write(&broken, "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n").unwrap();
    let with_ca = |path: &Path| said(Some(path), &own.certificate, &own.key);
    assert_eq!(with_ca(&absent), "cannot read DIR/absent.pem: No such file or directory (os error 2)");
    assert_eq!(
        with_ca(&broken),
        "DIR/broken.pem holds a certificate that cannot be trusted as an authority: invalid peer certificate: BadEncoding"
    );
    assert_eq!(with_ca(&own.key), "DIR/own.key.pem is not a PEM file with a certificate");
    let with_client = |certificate: &Path, key: &Path| said(Some(&ca), certificate, key);
    assert_eq!(
        with_client(&own.certificate, &own.certificate),
        "DIR/own.certificate.pem is not a PEM file with a private key that is not encrypted"
    );
    let mixed = with_client(&own.certificate, &other.key);
    assert!(
        mixed.starts_with("the client certificate in DIR/own.certificate.pem cannot be used with its key: "),
        "{mixed}"
    );
}

#[test]
fn files_of_a_plain_endpoint_are_not_read() {
    let tls = TlsFiles { ca: Some("/absent.pem".into()), client: None };
    assert!(OtlpEndpoint::new(OtlpConfig { tls, ..OtlpConfig::default() }).is_ok());
    let endpoint = "https://localhost".to_owned();
    let tls = TlsFiles { ca: Some("/absent.pem".into()), client: None };
    let error = OtlpEndpoint::new(OtlpConfig { endpoint, tls, ..OtlpConfig::default() }).unwrap_err();
    assert!(matches!(error, ExportError::Read { .. }));
}

/// Starts the program with an https endpoint and these variables; it is expected to refuse.
fn refused(variables: &[(&str, &Path)]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let Output { status, stderr, .. } = Command::new(env!("CARGO_BIN_EXE_tailspan"))
        .env_clear()
        .envs(variables.iter().copied())
        .args(["run", "--listen", "127.0.0.1:0", "--otlp-endpoint", "https://localhost:1"])
        .args([Path::new("--projects"), folder.path(), Path::new("--state"), folder.path()])
        .output()
        .unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn the_program_refuses_to_start_with_nobody_to_trust_or_a_bad_file() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    let (code, said) = refused(&[("SSL_CERT_FILE", &empty)]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("the system knows no certificate authority to check \"https://localhost:1/v1/traces\""),
        "{said}"
    );
    let (code, said) = refused(&[("OTEL_EXPORTER_OTLP_CERTIFICATE", &empty)]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("empty.pem is not a PEM file with a certificate"), "{said}");
}
