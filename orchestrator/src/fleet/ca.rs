//! The workers' certificate authority: made at `sallyport init`, it signs the entrance's certificate
//! and each worker's client certificate. Whether a certificate is still good is asked of the table,
//! so their ends lie far away and nothing stops working on a date that nobody remembers.

use super::state::Error;
use crate::clock::At;
use contract::digest::Digest;
use contract::name::Name;
use p256::ecdsa::SigningKey;
use p256::pkcs8::EncodePrivateKey as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PublicKeyData as _,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use std::sync::Arc;

/// How long certificates last: the table revokes them, not the calendar.
const YEARS: i16 = 20;
/// A signing request with one P-256 key is below 1 KiB; more is not one of ours.
const SIGNING_REQUEST_BYTES_MAX: usize = 8 * 1024;

/// The file below `data_dir` with the CA's certificate, PEM: nothing in it is secret.
pub const CERTIFICATE_FILE: &str = "ca.pem";

/// The CA of this instance.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    der: CertificateDer<'static>,
    pin: Digest,
}

/// A worker's certificate, just signed.
pub struct Signed {
    /// PEM.
    pub certificate: String,
    /// SHA-256 of its DER, by which the worker is known.
    pub digest: Digest,
    /// The worker's public key, SPKI DER.
    pub public: Vec<u8>,
}

/// A certificate in which a key from the keystore certifies itself, PEM: once, at `sallyport init`.
pub fn certify(key: &SigningKey, name: &str, now: At) -> Result<String, Error> {
    let failed = |source| Error::Certificate {
        what: "a key of ours",
        source,
    };
    let key = key_pair(key)?;
    let mut params = params(name, now);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(certificate.pem())
}

/// Loads the CA from its key and certificate (PEM).
pub fn load(key: &SigningKey, certificate: &str) -> Result<Ca, Error> {
    let failed = |source| Error::Certificate {
        what: "the CA",
        source,
    };
    let key = key_pair(key)?;
    let pin = Digest::of(&key.subject_public_key_info());
    let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes())
        .map_err(|_| failed(rcgen::Error::CouldNotParseCertificate))?;
    let der = CertificateDer::from(pem.contents);
    let issuer = Issuer::from_ca_cert_der(&der, key).map_err(failed)?;
    Ok(Ca {
        issuer,
        certificate: certificate.to_owned(),
        der,
        pin,
    })
}

impl Ca {
    /// The certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// SHA-256 of the CA's public key (SPKI DER): what an enrolment token pins.
    pub fn pin(&self) -> &Digest {
        &self.pin
    }

    /// Signs a worker's request. Only its key is taken from it: name and purposes are ours. `None`
    /// when it is not a request for a P-256 key, signed by that key.
    pub fn sign_worker(
        &self,
        signing_request: &str,
        name: &Name,
        now: At,
    ) -> Result<Option<Signed>, Error> {
        if signing_request.len() > SIGNING_REQUEST_BYTES_MAX {
            return Ok(None);
        }
        let Ok(request) = CertificateSigningRequestParams::from_pem(signing_request) else {
            return Ok(None);
        };
        if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Ok(None);
        }
        let mut params = params(name.as_str(), now);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params
            .signed_by(&request.public_key, &self.issuer)
            .map_err(|source| Error::Certificate {
                what: "a worker",
                source,
            })?;
        Ok(Some(Signed {
            digest: Digest::of(certificate.der()),
            certificate: certificate.pem(),
            public: request.public_key.subject_public_key_info(),
        }))
    }

    /// TLS of the worker entrance: a certificate of our own for these names, made anew at each
    /// start, and client certificates of this CA, which may be missing (enrol has none yet).
    pub fn server_tls(&self, names: &[String], now: At) -> Result<rustls::ServerConfig, Error> {
        let failed = |source| Error::Certificate {
            what: "the worker entrance",
            source,
        };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let mut params = params("Sallyport worker entrance", now);
        for name in names {
            params
                .subject_alt_names
                .push(subject_name(name).map_err(failed)?);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.der.clone()).map_err(Error::Tls)?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .map_err(Error::Verifier)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::Tls)?
            .with_client_cert_verifier(verifier)
            // The CA goes along: a worker that enrols pins the CA's key and has no certificate yet.
            .with_single_cert(vec![certificate.der().clone(), self.der.clone()], key)
            .map_err(Error::Tls)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(tls)
    }
}

fn key_pair(key: &SigningKey) -> Result<KeyPair, Error> {
    let wrong = || Error::Key("the CA's key");
    let der = key.to_pkcs8_der().map_err(|_| wrong())?;
    let der = PrivatePkcs8KeyDer::from(der.as_bytes());
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256).map_err(|_| wrong())
}

fn params(common_name: &str, now: At) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    // A day back, for clocks that are late.
    let yesterday = jiff::Timestamp::from_microsecond(now.0 - 86_400_000_000)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let today = jiff::tz::Offset::UTC.to_datetime(yesterday).date();
    let (month, day) = (today.month().unsigned_abs(), today.day().unsigned_abs());
    params.not_before = rcgen::date_time_ymd(today.year().into(), month, day.min(28));
    params.not_after = rcgen::date_time_ymd((today.year() + YEARS).into(), month, day.min(28));
    params
}

fn subject_name(name: &str) -> Result<rcgen::SanType, rcgen::Error> {
    Ok(match name.parse::<std::net::IpAddr>() {
        Ok(address) => rcgen::SanType::IpAddress(address),
        Err(_) => rcgen::SanType::DnsName(name.try_into()?),
    })
}
