//! E-mail by SMTP: through the site's own relay, encrypted unless it runs on this machine.
//!
//! A mail cannot be changed once it is sent: what is worth knowing is a mail of its own, in one thread
//! per incident, and what is small waits for the digest.

mod render;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{self, AsyncSmtpTransport};
use lettre::{AsyncTransport, Tokio1Executor};
use serde_json::Value;

use super::delivery::{Carrier, Reason, Refusal, Sent};
use super::outbox::Message;
use super::webhook::is_name;
use super::words::{clean, cut};
use crate::model::{SecretSource, secret};
use crate::yaml::{self, Fields, Node, Read, Reader};

pub use render::{digest, incident, is_told, test};

/// Channel of the outbox for `to`; `email.finance` is the list called `finance`.
pub const CHANNEL: &str = "email";

const TIMEOUT: Duration = Duration::from_secs(20);

/// `email`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub host: String,
    pub port: u16,
    pub encryption: Encryption,
    /// Certificates (PEM) of an authority of the site's own, beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Name and password, where the relay asks for them.
    pub login: Option<(String, SecretSource)>,
    pub from: Address,
    pub to: Vec<Address>,
    /// Further lists for routes.
    pub lists: BTreeMap<String, Vec<Address>>,
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// It begins in clear text and must then be encrypted, or nothing is sent.
    StartTls,
    /// From the first byte.
    Tls,
    /// Not at all: only to this machine.
    None,
}

impl Encryption {
    const NAMES: &[&'static str] = &["starttls", "tls", "none"];

    fn parse(text: &str) -> Self {
        match text {
            "tls" => Self::Tls,
            "none" => Self::None,
            _ => Self::StartTls,
        }
    }

    /// Of submission, of submission over TLS, of a relay.
    fn usual_port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

/// `ops@example.org` or `The ops team <ops@example.org>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Mailbox);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Read for Address {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let expected = "an e-mail address such as ops@example.org";
        yaml::scalar(node, path, reader, expected, |text| text.parse().ok().map(Self))
    }
}

impl Config {
    /// Where its secrets are kept.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        self.login.iter().map(|(_, password)| password)
    }

    /// Files of secrets and certificates, to make relative paths absolute.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let password = self.login.iter_mut().filter_map(|(_, password)| password.file_mut());
        password.chain(&mut self.ca_file)
    }

    /// Names of its channels.
    pub fn channel_names(&self) -> Vec<String> {
        let lists = self.lists.keys().map(|name| format!("{CHANNEL}.{name}"));
        std::iter::once(CHANNEL.to_owned()).chain(lists).collect()
    }

    /// Who reads a channel.
    fn readers(&self, channel: &str) -> Option<&[Address]> {
        if channel == CHANNEL {
            return Some(&self.to);
        }
        let name = channel.strip_prefix(CHANNEL)?.strip_prefix('.')?;
        self.lists.get(name).map(Vec::as_slice)
    }
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let host: Option<String> = fields.required("host", reader);
        let encryption_place = fields.place_of("encryption");
        let encryption = match fields.take("encryption", reader) {
            Some(node) => {
                let path = format!("{path}.encryption");
                Encryption::parse(yaml::one_of(node, &path, reader, Encryption::NAMES)?)
            }
            None => Encryption::StartTls,
        };
        let port = fields.or("port", encryption.usual_port(), reader);
        let ca_file = fields.optional("ca_file", reader);
        let user_place = fields.place_of("user");
        let user: Option<String> = fields.optional("user", reader);
        let password = secret::optional("password", "password_file", &mut fields, reader);
        let from = fields.required("from", reader);
        let to_place = fields.place_of("to");
        let to: Option<Vec<Address>> = fields.required("to", reader);
        let lists_place = fields.place_of("lists");
        let lists: BTreeMap<String, Vec<Address>> = fields.or("lists", BTreeMap::new(), reader);
        fields.finish(reader);
        if encryption == Encryption::None
            && host.as_ref().is_some_and(|host| !is_this_machine(host))
        {
            reader.problem(
                encryption_place,
                format!("`{path}.encryption` may be none only where `host` is this machine"),
            );
        }
        if user.is_some() != password.is_some() {
            reader.problem(
                user_place,
                format!("`{path}.user` and `{path}.password_file` are set together or not at all"),
            );
        }
        if to.as_ref().is_some_and(Vec::is_empty) {
            reader.problem(to_place, format!("`{path}.to` is empty: nobody would read it"));
        }
        for (name, list) in &lists {
            if !is_name(name) || list.is_empty() {
                reader.problem(
                    lists_place,
                    format!(
                        "`{path}.lists.{name}`: a list has a name of small letters, digits and `-`, \
                         and at least one address"
                    ),
                );
            }
        }
        Some(Self {
            host: host?,
            port,
            encryption,
            ca_file,
            login: user.zip(password),
            from: from?,
            to: to?,
            lists,
        })
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// The relay as a place to deliver to.
#[derive(Debug)]
pub struct Email {
    config: Config,
}

impl Email {
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// A connection to be, with the certificates and the password as they are now.
    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, Refusal> {
        let settings = |detail: String| Refusal::Settings { reason: Reason::Config, detail };
        let Config { host, port, encryption, ca_file, login, .. } = &self.config;
        let tls = || -> Result<TlsParameters, Refusal> {
            let mut builder = TlsParameters::builder(host.clone());
            if let Some(path) = ca_file {
                let failed = |error: &dyn fmt::Display| {
                    settings(format!("`email.ca_file` {}: {error}", path.display()))
                };
                let pem = std::fs::read(path).map_err(|error| failed(&error))?;
                let certificate = Certificate::from_pem(&pem).map_err(|error| failed(&error))?;
                builder = builder.add_root_certificate(certificate);
            }
            builder
                .build_rustls()
                .map_err(|error| settings(format!("TLS cannot be set up: {error}")))
        };
        let tls = match encryption {
            Encryption::StartTls => Tls::Required(tls()?),
            Encryption::Tls => Tls::Wrapper(tls()?),
            Encryption::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(*port)
            .timeout(Some(TIMEOUT))
            .tls(tls);
        if let Some((user, password)) = login {
            let password = password.load().map_err(|error| settings(error.to_string()))?;
            builder =
                builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        Ok(builder.build())
    }

    /// The mail of a message.
    fn mail(&self, message: &Message, now: Timestamp) -> Result<lettre::Message, Refusal> {
        let never = |detail: String| Refusal::Never { detail };
        let readers = self.config.readers(&message.channel).ok_or_else(|| Refusal::Settings {
            reason: Reason::Config,
            detail: format!("`{}` is no list of `email` any more", message.channel),
        })?;
        let text = |name: &str| message.body[name].as_str().unwrap_or_default();
        let domain = self.config.from.0.email.domain();
        let mut builder = lettre::Message::builder()
            .from(self.config.from.0.clone())
            .date(std::time::SystemTime::from(now))
            .subject(cut(&clean(text("subject")), 200))
            // The same for every try of it: a relay that has it twice shows it once.
            .message_id(Some(format!("<centime.{}.{}@{domain}>", message.key, message.id)));
        for reader in readers {
            builder = builder.to(reader.0.clone());
        }
        if let Some(first) = message.sent_ts.as_ref().filter(|it| it.starts_with('<')) {
            builder = builder.in_reply_to(first.clone()).references(first.clone());
        }
        builder
            .multipart(
                MultiPart::alternative()
                    .singlepart(part(ContentType::TEXT_PLAIN, text("text")))
                    .singlepart(part(ContentType::TEXT_HTML, text("html"))),
            )
            .map_err(|error| never(error.to_string()))
    }
}

fn part(kind: ContentType, text: &str) -> SinglePart {
    SinglePart::builder().header(kind).body(text.to_owned())
}

#[async_trait]
impl Carrier for Email {
    async fn send(&self, message: &Message, now: Timestamp) -> Result<Sent, Refusal> {
        let mail = self.mail(message, now)?;
        let id = mail
            .headers()
            .get_raw("Message-ID")
            .map_or_else(|| message.id.to_string(), str::to_owned);
        self.transport()?.send(mail).await.map_err(|error| self.refusal(&error))?;
        // The first of a thread is what all others answer.
        let first = message.sent_ts.clone().filter(|it| it.starts_with('<'));
        Ok(Sent::As(first.unwrap_or(id)))
    }

    fn too_many(&self, older: usize) -> Option<Value> {
        Some(render::too_many(older))
    }
}

impl Email {
    fn refusal(&self, error: &smtp::Error) -> Refusal {
        let Config { host, port, .. } = &self.config;
        let mut detail = format!("{host}:{port}: {error}");
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !detail.contains(&cause_text) {
                detail = format!("{detail}: {cause_text}");
            }
            source = cause.source();
        }
        let detail = cut(&clean(&detail), 300);
        match error.status().map(u16::from) {
            // The relay's own words are about this mail, this sender or this login.
            Some(530 | 534 | 535 | 538 | 454) => {
                Refusal::Settings { reason: Reason::Denied, detail }
            }
            Some(400..=499) => Refusal::Passing { reason: Reason::Server, detail },
            Some(552 | 554 | 555) => Refusal::Never { detail },
            // An address or a sender that it does not know: somebody may mend that.
            Some(500..=599) => Refusal::Settings { reason: Reason::Config, detail },
            _ if error.is_timeout() => Refusal::Passing { reason: Reason::Timeout, detail },
            _ if error.is_tls() => Refusal::Settings { reason: Reason::Config, detail },
            _ if error.is_client() => Refusal::Settings { reason: Reason::Config, detail },
            _ => Refusal::Passing { reason: Reason::Server, detail },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config, String> {
        yaml::read("c.yaml", text, |root, reader| Config::read(root, "email", reader))
            .map_err(|problems| problems.to_string())
    }

    #[test]
    fn mail_is_encrypted_unless_it_stays_on_this_machine() {
        let with = |rest: &str| config(&format!("from: a@b.example\nto: [c@d.example]\n{rest}"));
        let relay = with("host: smtp.example.org").unwrap();
        assert_eq!((relay.encryption, relay.port), (Encryption::StartTls, 587));
        assert_eq!(with("host: smtp.example.org\nencryption: tls").unwrap().port, 465);
        assert_eq!(with("host: 127.0.0.1\nencryption: none").unwrap().port, 25);
        let plain = with("host: smtp.example.org\nencryption: none").unwrap_err();
        assert!(plain.contains("only where `host` is this machine"), "{plain}");
    }

    #[test]
    fn what_is_missing_is_told() {
        for (text, problem) in [
            ("from: a@b.example\nto: [c@d.example]", "`email.host` is missing"),
            ("host: h\nto: [c@d.example]", "`email.from` is missing"),
            ("host: h\nfrom: a@b.example\nto: []", "nobody would read it"),
            ("host: h\nfrom: ops\nto: [c@d.example]", "must be an e-mail address"),
            ("host: h\nfrom: a@b.example\nto: [c@d.example]\nuser: u", "set together"),
            (
                "host: h\nfrom: a@b.example\nto: [c@d.example]\nuser: u\npassword: hush7",
                "clear text",
            ),
        ] {
            let told = config(text).unwrap_err();
            assert!(told.contains(problem) && !told.contains("hush7"), "{told}");
        }
    }
}
