//! The beginning of a connection: encryption, who it is, and what they prove.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BufMut;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::config::{Config, Proof};
use super::error::{self, Error};
use super::scram::{Exchange, MECHANISM, Verifier};
use super::wire::{self, Body, Malformed, Out, put_text};
use super::{Setup, random, tls};

/// Longest message before the login.
const MOST_BYTES: usize = 10_000;
/// A failed login is told so late, to make guessing slow.
const FAILED: Duration = Duration::from_millis(300);

/// A connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for S {}

/// What a client wants first.
pub(super) enum Start {
    /// A statement of another connection is to be cancelled.
    Cancel {
        process: i32,
        key: i32,
    },
    Session(Opening),
}

/// A session that wants to begin.
pub(super) struct Opening {
    pub stream: Box<dyn Stream>,
    pub encrypted: bool,
    /// The common name of its verified certificate.
    pub certificate: Option<String>,
    /// Names and values of the start message.
    pub parameters: Vec<(String, String)>,
    /// Whether a newer protocol was asked for, or options that are not known.
    pub negotiate: Option<Vec<String>>,
}

impl Opening {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads up to the start message. `None` when the client went away or made no sense.
pub(super) async fn start(mut stream: TcpStream, setup: &Setup) -> Result<Start, Malformed> {
    // A client may encrypt from the first byte.
    let mut first = [0];
    stream.peek(&mut first).await?;
    if first == [0x16] {
        return match &setup.tls {
            Some(acceptor) => {
                let stream = acceptor.accept(stream).await?;
                if stream.get_ref().1.alpn_protocol() != Some(tls::PROTOCOL) {
                    return Err(Malformed::Kind('\u{16}'));
                }
                encrypted(stream).await
            }
            None => Err(Malformed::Kind('\u{16}')),
        };
    }
    for _ in 0..3 {
        // Not a byte more is read: what follows may belong to the encryption.
        let body = wire::read_body(&mut stream, MOST_BYTES).await?;
        let mut body = Body(body);
        match body.int32()? {
            wire::TLS => match &setup.tls {
                Some(acceptor) => {
                    stream.write_all(b"S").await?;
                    return encrypted(acceptor.accept(stream).await?).await;
                }
                None => stream.write_all(b"N").await?,
            },
            wire::GSS => stream.write_all(b"N").await?,
            code => return opening(Box::new(stream), false, None, code, body),
        }
    }
    Err(Malformed::Short)
}

async fn encrypted(
    mut stream: tokio_rustls::server::TlsStream<TcpStream>,
) -> Result<Start, Malformed> {
    let certificates = stream.get_ref().1.peer_certificates();
    let certificate = certificates.and_then(|all| tls::common_name(all.first()?));
    let mut body = Body(wire::read_body(&mut stream, MOST_BYTES).await?);
    let code = body.int32()?;
    opening(Box::new(stream), true, certificate, code, body)
}

fn opening(
    stream: Box<dyn Stream>,
    encrypted: bool,
    certificate: Option<String>,
    code: i32,
    mut body: Body,
) -> Result<Start, Malformed> {
    if code == wire::CANCEL {
        return Ok(Start::Cancel { process: body.int32()?, key: body.int32()? });
    }
    let (major, minor) = (code >> 16, code & 0xFFFF);
    if major != 3 {
        return Err(Malformed::Kind('v'));
    }
    let mut parameters = Vec::new();
    loop {
        let name = body.text()?;
        if name.is_empty() {
            break;
        }
        parameters.push((name, body.text()?));
    }
    let unknown: Vec<String> = parameters
        .iter()
        .map(|(name, _)| name.clone())
        .filter(|it| it.starts_with("_pq_."))
        .collect();
    let negotiate = (minor > 0 || !unknown.is_empty()).then_some(unknown);
    Ok(Start::Session(Opening { stream, encrypted, certificate, parameters, negotiate }))
}

/// Why a session did not begin.
pub(super) enum Failed {
    Told(Error),
    Gone,
}

impl From<Malformed> for Failed {
    fn from(error: Malformed) -> Self {
        match error {
            Malformed::Io(_) => Self::Gone,
            other => Self::Told(Error::fatal(error::PROTOCOL, other.to_string())),
        }
    }
}

impl From<std::io::Error> for Failed {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

/// Lets the user prove who they are.
pub(super) async fn prove<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    user: &str,
    certificate: Option<&str>,
    config: &Config,
    secret: &[u8],
    peer: SocketAddr,
    reader: &mut R,
    out: &mut Out<W>,
) -> Result<(), Failed> {
    if config.users.is_empty() {
        return Ok(());
    }
    let refused = |reason: &str| {
        tracing::warn!(target: "centime::sql", user, %peer, reason, "sql login refused");
    };
    let verifier = match config.user(user).map(|user| &user.proof) {
        Some(Proof::Certificate) => {
            if certificate == Some(user) {
                return Ok(());
            }
            refused("no certificate of that name");
            tokio::time::sleep(FAILED).await;
            let message = format!("certificate authentication failed for user \"{user}\"");
            return Err(Failed::Told(Error::fatal(error::INVALID_AUTHORIZATION, message)));
        }
        Some(Proof::Password(source)) => match source.load() {
            Ok(password) => Some(Verifier::of(password.expose(), &salt(user, secret))),
            Err(error) => {
                tracing::error!(target: "centime::sql", user, %error, "sql login: no password to compare with");
                None
            }
        },
        // One who is not there is asked as well: nobody learns who is.
        None => None,
    };
    let known = verifier.is_some();
    let verifier = verifier.unwrap_or_else(|| Verifier::of(&random_text(), &salt(user, secret)));
    match scram(verifier, reader, out).await {
        Ok(()) if known => Ok(()),
        Ok(()) | Err(None) => {
            refused("wrong password");
            tokio::time::sleep(FAILED).await;
            let message = format!("password authentication failed for user \"{user}\"");
            Err(Failed::Told(Error::fatal(error::INVALID_PASSWORD, message)))
        }
        Err(Some(failed)) => Err(failed),
    }
}

/// `None`: the proof is wrong.
async fn scram<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    verifier: Verifier,
    reader: &mut R,
    out: &mut Out<W>,
) -> Result<(), Option<Failed>> {
    let gone = |error: std::io::Error| Some(Failed::from(error));
    out.message(b'R', |body| {
        body.put_i32(10);
        put_text(body, MECHANISM);
        body.put_u8(0);
    });
    out.send().await.map_err(gone)?;
    let mut body = password(reader).await?;
    let mechanism = body.text().map_err(|error| Some(error.into()))?;
    if mechanism != MECHANISM {
        return Err(None);
    }
    let length = body.int32().map_err(|error| Some(error.into()))?;
    let first = body.bytes(usize::try_from(length).unwrap_or(0));
    let first = first.map_err(|error| Some(error.into()))?;
    let first = std::str::from_utf8(&first).map_err(|_| None)?;
    let exchange = Exchange::begin(verifier, first, &random_text()).map_err(|_| None)?;
    out.message(b'R', |body| {
        body.put_i32(11);
        body.put_slice(exchange.challenge().as_bytes());
    });
    out.send().await.map_err(gone)?;
    let last = password(reader).await?;
    let last = std::str::from_utf8(&last.0).map_err(|_| None)?;
    let proof = exchange.finish(last).map_err(|_| None)?;
    out.message(b'R', |body| {
        body.put_i32(12);
        body.put_slice(proof.as_bytes());
    });
    Ok(())
}

async fn password<R: AsyncRead + Unpin>(reader: &mut R) -> Result<Body, Option<Failed>> {
    match wire::read(reader, MOST_BYTES).await {
        Ok(Some((b'p', body))) => Ok(Body(body)),
        Ok(None) => Err(Some(Failed::Gone)),
        Ok(Some(_)) => {
            let error = Error::fatal(error::PROTOCOL, "expected a password");
            Err(Some(Failed::Told(error)))
        }
        Err(error) => Err(Some(error.into())),
    }
}

/// The same for a name as long as the program runs, and another one elsewhere.
fn salt(user: &str, secret: &[u8]) -> Vec<u8> {
    let digest: [u8; 32] = Sha256::new().chain_update(secret).chain_update(user).finalize().into();
    digest.into_iter().take(16).collect()
}

fn random_text() -> String {
    STANDARD.encode(random::<18>())
}
