//! TLS to the PBX: the only door to rustls. Checks the PBX's certificate against the site's own
//! authority or against fingerprints, and says in both languages what is wrong with one.
//!
//! The authority's file is read at each connection, so that a renewed one needs no restart. There
//! is no way to connect unchecked.

use crate::config::Tls;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{self, CryptoProvider};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

/// How providers of the quiet channels are judged: by the site's authority, or by the host's list.
///
/// # Errors
/// Why there is nobody to judge by.
pub fn for_providers(ca: Option<&Path>) -> Result<ClientConfig, String> {
    let roots = match ca {
        Some(path) => {
            let pem = std::fs::read(path).map_err(|error| unreadable(path, &error.to_string()))?;
            roots(&pem).map_err(|error| unreadable(path, &error))?
        }
        None => {
            // A host without a list can still be spoken to in the clear.
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        }
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Whether the other side's certificate is what is wrong, however deep that is said.
pub fn is_certificate_fault(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(one) = next {
        if matches!(one.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        // The source of an I/O error is that of the error within it.
        let within = one.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match within {
            Some(within) => Some(within),
            None => one.source(),
        };
    }
    false
}

/// Connects as the configuration says.
#[derive(Debug, Clone)]
pub struct Door {
    tls: Tls,
    provider: Arc<CryptoProvider>,
}

impl Door {
    pub fn new(tls: Tls) -> Self {
        Self { tls, provider: Arc::new(crypto::ring::default_provider()) }
    }

    /// Shakes hands over an open connection. An error is the whole story, in both languages.
    pub async fn connect(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
        let config = self.config().await?;
        let name = server_name(&self.tls.name)?;
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.map_err(|error| told(&error, &self.tls))
    }

    async fn config(&self) -> Result<ClientConfig, String> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        if !self.tls.pins.is_empty() {
            let verifier = Pinned {
                pins: self.tls.pins.clone(),
                named: self.tls.named,
                provider: Arc::clone(&self.provider),
            };
            let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
            return Ok(builder.with_no_client_auth());
        }
        let path = self.tls.ca.as_deref().unwrap_or(Path::new(""));
        let pem =
            tokio::fs::read(path).await.map_err(|error| unreadable(path, &error.to_string()))?;
        let roots = roots(&pem).map_err(|error| unreadable(path, &error))?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("no certificate in it".to_owned()) } else { Ok(roots) }
}

fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(ServerName::IpAddress(ip.into()));
    }
    ServerName::try_from(bare.to_owned()).map_err(|error| format!("line.tls_name: {error}"))
}

/// Certificates known by their SHA-256 fingerprint: an authority is not asked, the time is.
#[derive(Debug)]
struct Pinned {
    pins: Vec<[u8; 32]>,
    /// A name was configured, and must be in the certificate too.
    named: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let fingerprint: [u8; 32] = Sha256::digest(end_entity).into();
        if !self.pins.contains(&fingerprint) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        // As its own authority it is judged by time and name; that it is none is no fault here.
        let mut roots = RootCertStore::empty();
        roots.add(end_entity.clone().into_owned())?;
        let judge = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&self.provider),
        );
        let judge = judge.build().map_err(|error| rustls::Error::General(error.to_string()))?;
        match judge.verify_server_cert(end_entity, &[], name, &[], now) {
            Err(rustls::Error::InvalidCertificate(fault)) if self.is_fault(&fault) => {
                Err(rustls::Error::InvalidCertificate(fault))
            }
            Ok(_) | Err(rustls::Error::InvalidCertificate(_)) => {
                Ok(ServerCertVerified::assertion())
            }
            Err(other) => Err(other),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Pinned {
    fn is_fault(&self, fault: &CertificateError) -> bool {
        use CertificateError::{
            Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
            NotValidYetContext,
        };
        match fault {
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. } => true,
            NotValidForName | NotValidForNameContext { .. } => self.named,
            _ => false,
        }
    }
}

fn unreadable(path: &Path, why: &str) -> String {
    let shown = path.display();
    format!("TLS:读不了 CA 证书 {shown} · the CA file {shown} cannot be read ({why})")
}

/// What is wrong, and with whom: the operator of the PBX has to mend it.
fn told(error: &std::io::Error, tls: &Tls) -> String {
    use CertificateError::{
        ApplicationVerificationFailure, BadSignature, Expired, ExpiredContext, NotValidForName,
        NotValidForNameContext, NotValidYet, NotValidYetContext, UnknownIssuer,
    };
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let (zh, en) = match inner {
        Some(rustls::Error::InvalidCertificate(fault)) => match fault {
            Expired | ExpiredContext { .. } => {
                ("交换机证书已过期", "the PBX's certificate has expired")
            }
            NotValidYet | NotValidYetContext { .. } => (
                "交换机证书尚未生效，请核对本机时钟",
                "the PBX's certificate is not valid yet: check our clock",
            ),
            NotValidForName | NotValidForNameContext { .. } => {
                let zh = format!("交换机证书不是发给 {} 的", tls.name);
                let en = format!("the PBX's certificate is not for {}", tls.name);
                return format!("TLS:{zh} · {en}");
            }
            // The second of one of the same name.
            UnknownIssuer | BadSignature => {
                ("交换机证书不是本单位 CA 签发的", "the PBX's certificate is not from our CA")
            }
            ApplicationVerificationFailure => {
                ("交换机证书的指纹不符", "the PBX's certificate has another fingerprint")
            }
            other => {
                return format!(
                    "TLS:交换机证书无效 · the PBX's certificate is not valid ({other:?})"
                );
            }
        },
        _ => return format!("TLS:握手失败 · the handshake failed ({error})"),
    };
    format!("TLS:{zh} · {en}")
}
