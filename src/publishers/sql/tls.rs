//! Encryption, and who a client's certificate names.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::config::Tls;

/// What a client that encrypts from the first byte says it wants to speak.
pub(super) const PROTOCOL: &[u8] = b"postgresql";

/// Why there is no encryption. There is no endpoint then either.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("`sql.tls.{setting}` {path} cannot be loaded: {reason}")]
    File { setting: &'static str, path: String, reason: String },
    #[error("`sql.tls`: certificate and key do not go together: {0}")]
    Pair(rustls::Error),
}

/// Loads certificates and key.
///
/// # Errors
///
/// Whatever cannot be loaded: an endpoint that should encrypt must not run without.
pub(super) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = certificates("certificate_file", &tls.certificate_file)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key_file)
        .map_err(|error| failed("key_file", &tls.key_file, &error.to_string()))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?;
    let builder = match &tls.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates("client_ca_file", path)? {
                roots
                    .add(root)
                    .map_err(|error| failed("client_ca_file", path, &error.to_string()))?;
            }
            // Users with a password need no certificate; those without are refused at the login.
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| failed("client_ca_file", path, &error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(
    setting: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all = all.map_err(|error| failed(setting, path, &error.to_string()))?;
    if all.is_empty() {
        return Err(failed(setting, path, "it holds no certificate in PEM form"));
    }
    Ok(all)
}

fn failed(setting: &'static str, path: &Path, reason: &str) -> TlsError {
    TlsError::File { setting, path: path.display().to_string(), reason: reason.to_owned() }
}

/// The common name in the subject of a certificate that was verified; the last one, as PostgreSQL
/// takes it.
///
/// The certificate is DER: `SEQUENCE { SEQUENCE { [0] version, serial, algorithm, issuer, validity,
/// subject, … } … }` (RFC 5280, section 4.1).
pub(super) fn common_name(certificate: &[u8]) -> Option<String> {
    /// `id-at-commonName`, 2.5.4.3.
    const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    let (_, outer, _) = element(certificate)?;
    let (_, mut rest, _) = element(outer)?;
    let mut fields = Vec::new();
    while let Some((tag, content, after)) = element(rest) {
        fields.push((tag, content));
        rest = after;
    }
    let version = usize::from(fields.first().is_some_and(|(tag, _)| *tag == 0xA0));
    let (_, mut subject) = fields.get(version + 4).copied()?;
    let mut name = None;
    while let Some((_, set, after)) = element(subject) {
        let mut set = set;
        while let Some((_, pair, next)) = element(set) {
            if let Some((0x06, COMMON_NAME, value)) = element(pair) {
                let (_, text, _) = element(value)?;
                name = Some(String::from_utf8(text.to_vec()).ok()?);
            }
            set = next;
        }
        subject = after;
    }
    name
}

/// The tag and the content of the first element, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0x00..=0x7F => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x0F))?;
            let length = digits.iter().fold(0, |all, digit| all << 8 | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((*tag, content, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_common_name_of_the_subject_counts_and_not_the_issuers() {
        fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
            let content = parts.concat();
            let mut all = vec![tag];
            if content.len() < 0x80 {
                all.push(content.len() as u8);
            } else {
                all.extend([0x82, (content.len() >> 8) as u8, content.len() as u8]);
            }
            all.extend(content);
            all
        }
        let named = |names: &[(u8, &str)]| {
            let sets: Vec<Vec<u8>> = names
                .iter()
                .map(|(kind, name)| {
                    let oid = der(0x06, &[&[0x55, 0x04, *kind]]);
                    der(0x31, &[&der(0x30, &[&oid, &der(0x0C, &[name.as_bytes()])])])
                })
                .collect();
            der(0x30, &sets.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        let filler = der(0x30, &[&[0; 200]]);
        let certificate = |version: &[u8]| {
            let parts: &[&[u8]] = &[
                version,
                &der(0x02, &[&[1]]),
                &filler,
                &named(&[(3, "an authority")]),
                &filler,
                &named(&[(10, "acme"), (3, "first"), (3, "grafana")]),
                &filler,
            ];
            der(0x30, &[&der(0x30, parts), &filler])
        };
        let version = der(0xA0, &[&der(0x02, &[&[2]])]);
        assert_eq!(common_name(&certificate(&version)).as_deref(), Some("grafana"));
        assert_eq!(common_name(&certificate(&[])).as_deref(), Some("grafana"));
        assert_eq!(common_name(&[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]), None);
        assert_eq!(common_name(&[]), None);
    }

    #[test]
    fn a_file_that_cannot_be_loaded_is_an_error_that_names_its_setting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.pem");
        std::fs::write(&path, "").unwrap();
        let tls = |certificate_file: &Path| Tls {
            certificate_file: certificate_file.to_owned(),
            key_file: path.clone(),
            client_ca_file: None,
        };
        for file in [path.as_path(), Path::new("/nowhere/server.pem")] {
            let error = acceptor(&tls(file)).err().unwrap().to_string();
            assert!(error.contains("`sql.tls.certificate_file`"), "{error}");
        }
    }
}
