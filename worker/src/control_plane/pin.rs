//! Which server is believed: at enrolment the one whose CA has the pinned public key, afterwards
//! the one under the CA that was kept. The machine's own list of CAs is never asked.

use contract::digest::Digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use std::sync::Arc;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A real chain is a leaf and its CA.
const CHAIN_CERTIFICATES_MAX: usize = 8;

/// The TLS settings could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate or key is not usable.
    #[error("could not use the worker's certificate, key or CA for TLS")]
    Setup(#[from] Error),
    /// The CA that came with the enrolment is not the pinned one.
    #[error("the CA in the answer to the enrolment is not the pinned one")]
    OtherCa,
}

/// The chain that a server sent is not to be believed.
#[derive(Debug, thiserror::Error)]
#[error(
    "the server's chain holds no CA with the pinned public key: is this the right orchestrator, and is the token its own?"
)]
pub struct InvalidChain;

/// TLS for the enrolment: no client certificate, the pinned CA.
pub(super) fn pinned(pin: Digest) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinnedCa {
            pin,
            provider,
            algorithms,
        }))
        .with_no_client_auth();
    Ok(config)
}

/// TLS for everything else: this CA alone, and the worker's own certificate.
pub(super) fn mutual(
    ca: &CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, TlsError> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(only(ca)?)
        .with_client_auth_cert(vec![certificate, ca.clone()], key)?;
    Ok(config)
}

/// Whether this certificate's public key is the pinned one.
pub(super) fn is_pinned(certificate: &CertificateDer<'_>, pin: Digest) -> bool {
    X509Certificate::from_der(certificate)
        .is_ok_and(|(rest, parsed)| rest.is_empty() && Digest::of(parsed.public_key().raw) == pin)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn only(ca: &CertificateDer<'_>) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone().into_owned())?;
    Ok(roots)
}

/// Finds the pinned CA in what the server sent and then checks everything that is checked under a
/// known CA: signatures, validity, the host's name.
#[derive(Debug)]
struct PinnedCa {
    pin: Digest,
    provider: Arc<CryptoProvider>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let not_believed = || {
            Error::InvalidCertificate(CertificateError::Other(rustls::OtherError(Arc::new(
                InvalidChain,
            ))))
        };
        if intermediates.len() > CHAIN_CERTIFICATES_MAX {
            return Err(not_believed());
        }
        let ca = intermediates
            .iter()
            .find(|certificate| is_pinned(certificate, self.pin) && is_ca(certificate))
            .ok_or_else(not_believed)?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(only(ca)?), self.provider.clone())
                .build()
                .map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn is_ca(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| parsed.is_ca())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use std::time::Duration;

    struct Authority {
        issuer: Issuer<'static, KeyPair>,
        certificate: CertificateDer<'static>,
        pin: Digest,
    }

    fn authority(is_ca: IsCa) -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = is_ca;
        let certificate = params.self_signed(&key).unwrap();
        let (_, parsed) = X509Certificate::from_der(certificate.der()).unwrap();
        let pin = Digest::of(parsed.public_key().raw);
        Authority {
            certificate: certificate.der().clone(),
            pin,
            issuer: Issuer::new(params, key),
        }
    }

    fn leaf(authority: &Authority, name: &str) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params
            .signed_by(&key, &authority.issuer)
            .unwrap()
            .der()
            .clone()
    }

    fn believed(pin: Digest, leaf: &CertificateDer<'_>, chain: &[CertificateDer<'_>]) -> bool {
        let provider = provider();
        let verifier = PinnedCa {
            pin,
            algorithms: provider.signature_verification_algorithms,
            provider,
        };
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_795_000_000));
        verifier
            .verify_server_cert(leaf, chain, &name, &[], now)
            .is_ok()
    }

    #[test]
    fn only_a_chain_under_the_pinned_ca_and_for_this_host_is_believed() {
        let ours = authority(IsCa::Ca(BasicConstraints::Unconstrained));
        let other = authority(IsCa::Ca(BasicConstraints::Unconstrained));
        let good = leaf(&ours, "127.0.0.1");
        let chain = [ours.certificate.clone()];
        assert!(believed(ours.pin, &good, &chain));
        assert!(!believed(ours.pin, &good, &[]), "the CA was not sent");
        assert!(!believed(other.pin, &good, &chain), "another pin");
        let foreign = leaf(&other, "127.0.0.1");
        let both = [other.certificate.clone(), ours.certificate.clone()];
        assert!(
            !believed(ours.pin, &foreign, &both),
            "a foreign leaf beside our CA's public certificate"
        );
        let elsewhere = leaf(&ours, "127.0.0.2");
        assert!(!believed(ours.pin, &elsewhere, &chain), "another host");
    }

    #[test]
    fn a_pinned_key_that_is_no_ca_signs_for_nobody() {
        let leaf_as_issuer = authority(IsCa::ExplicitNoCa);
        let below = leaf(&leaf_as_issuer, "127.0.0.1");
        let chain = [leaf_as_issuer.certificate.clone()];
        assert!(!believed(leaf_as_issuer.pin, &below, &chain));
    }
}
