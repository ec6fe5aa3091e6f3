//! `sql`: where the endpoint listens, who may ask, and how much a question may take.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::model::secret::{self, SecretSource};
use crate::model::time::Span;
use crate::yaml::{Fields, Node, Read, Reader};

/// `sql`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Address and port. Beyond the loopback interface it needs `users` and `tls`.
    pub listen: SocketAddr,
    /// Who may log in. None: everybody on this machine, without a password.
    pub users: Vec<User>,
    pub tls: Option<Tls>,
    /// A statement that takes longer is ended; a client may ask for less, never for more.
    pub statement_timeout: Span,
    /// A statement that gives more rows ends with an error.
    pub max_rows: u64,
    /// Memory of all statements together, in MiB.
    pub memory_mib: u64,
    /// Memory of one statement, in MiB.
    pub statement_memory_mib: u64,
    pub max_connections: u32,
}

/// One who may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub proof: Proof,
}

/// How a user proves who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A password, or a SCRAM verifier as PostgreSQL keeps it. Read at each login.
    Password(SecretSource),
    /// A client certificate of `tls.client_ca_file` whose common name is the user's.
    Certificate,
}

/// `sql.tls`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The server's certificate and those between it and its authority, PEM.
    pub certificate_file: PathBuf,
    /// Its key, PEM.
    pub key_file: PathBuf,
    /// Authorities of the clients' certificates, PEM.
    pub client_ca_file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 15432)),
            users: Vec::new(),
            tls: None,
            statement_timeout: Span::seconds(30),
            max_rows: 1_000_000,
            memory_mib: 512,
            statement_memory_mib: 256,
            max_connections: 32,
        }
    }
}

impl Config {
    /// Where its secrets are kept.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        self.users.iter().filter_map(|user| match &user.proof {
            Proof::Password(source) => Some(source),
            Proof::Certificate => None,
        })
    }

    /// Files of secrets, certificates and keys, to make relative paths absolute.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let passwords = self.users.iter_mut().filter_map(|user| match &mut user.proof {
            Proof::Password(source) => source.file_mut(),
            Proof::Certificate => None,
        });
        let tls = self.tls.iter_mut().flat_map(|tls| {
            [&mut tls.certificate_file, &mut tls.key_file]
                .into_iter()
                .chain(&mut tls.client_ca_file)
        });
        passwords.chain(tls)
    }

    /// The user of a name.
    pub(super) fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let default = Self::default();
        let mut fields = Fields::of(node, path, reader)?;
        let listen_place = fields.place_of("listen");
        let listen = fields.or("listen", default.listen, reader);
        let users_place = fields.place_of("users");
        let users: Option<Vec<User>> = fields.optional("users", reader);
        let tls: Option<Tls> = fields.optional("tls", reader);
        let timeout_place = fields.place_of("statement_timeout");
        let memory_place = fields.place_of("statement_memory_mib");
        let config = Self {
            listen,
            users: users.clone().unwrap_or_default(),
            tls,
            statement_timeout: fields.or("statement_timeout", default.statement_timeout, reader),
            max_rows: fields.or("max_rows", default.max_rows, reader),
            memory_mib: fields.or("memory_mib", default.memory_mib, reader),
            statement_memory_mib: fields.or(
                "statement_memory_mib",
                default.statement_memory_mib,
                reader,
            ),
            max_connections: fields.or("max_connections", default.max_connections, reader),
        };
        fields.finish(reader);
        let mut problem = |place, message: &str| reader.problem(place, message);
        if users.is_some_and(|users| users.is_empty()) {
            problem(users_place, "`sql.users` is empty; leave it out to let this machine in");
        }
        if !config.listen.ip().is_loopback() && (config.users.is_empty() || config.tls.is_none()) {
            problem(
                listen_place,
                "`sql.listen` can be reached from other machines, so it needs `sql.users` and \
                 `sql.tls`; or listen on 127.0.0.1",
            );
        }
        let mut names: Vec<&str> = config.users.iter().map(|user| user.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            problem(users_place, "two of `sql.users` have the same name");
        }
        let by_certificate = config.users.iter().any(|user| user.proof == Proof::Certificate);
        let authority = config.tls.as_ref().and_then(|tls| tls.client_ca_file.as_ref());
        if by_certificate && authority.is_none() {
            problem(
                users_place,
                "a user with `certificate: true` needs `sql.tls.client_ca_file`: the authority that \
                 signs the clients' certificates",
            );
        }
        if config.statement_timeout == Span::seconds(0) {
            problem(timeout_place, "`sql.statement_timeout` must be longer than 0s");
        }
        if config.statement_memory_mib > config.memory_mib {
            problem(
                memory_place,
                "`sql.statement_memory_mib` must not be more than `sql.memory_mib`, which all \
                 statements share",
            );
        }
        Some(config)
    }
}

impl Read for User {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let place = fields.place();
        let name: Option<String> = fields.required("name", reader);
        let password = secret::optional("password", "password_file", &mut fields, reader);
        let certificate = fields.or("certificate", false, reader);
        fields.finish(reader);
        let proof = match (password, certificate) {
            (Some(source), false) => Proof::Password(source),
            (None, true) => Proof::Certificate,
            _ => {
                reader.secret_problem(
                    place,
                    format!(
                        "`{path}` needs one of `password_file`, `password` (as `${{VARIABLE}}`) and \
                         `certificate: true`"
                    ),
                );
                return None;
            }
        };
        Some(Self { name: name?, proof })
    }
}

impl Read for Tls {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let certificate_file = fields.required("certificate_file", reader);
        let key_file = fields.required("key_file", reader);
        let client_ca_file = fields.optional("client_ca_file", reader);
        fields.finish(reader);
        Some(Self { certificate_file: certificate_file?, key_file: key_file?, client_ca_file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn config(text: &str) -> Result<Config, String> {
        let read = |root: &Node, reader: &mut Reader| {
            let mut fields = Fields::of(root, "", reader)?;
            let config = fields.required("sql", reader);
            fields.finish(reader);
            config
        };
        yaml::read("c.yaml", text, read).map_err(|problems| problems.to_string())
    }

    const SAFE: &str = "users: [{ name: a, password_file: p }], \
                        tls: { certificate_file: c, key_file: k, client_ca_file: a }";

    #[test]
    fn without_settings_it_serves_this_machine_alone() {
        assert_eq!(config("sql: { listen: 127.0.0.1:15432 }"), Ok(Config::default()));
        assert!(Config::default().listen.ip().is_loopback());
        assert!(config("sql: { listen: '[::1]:5432' }").is_ok());
    }

    #[test]
    fn whoever_other_machines_reach_has_passwords_and_tls() {
        for open in [
            "sql: { listen: 0.0.0.0:5432 }",
            "sql: { listen: 10.0.0.7:5432, users: [{ name: a, password_file: p }] }",
            "sql: { listen: '[::]:5432', tls: { certificate_file: c, key_file: k } }",
        ] {
            let told = config(open).unwrap_err();
            assert!(told.contains("needs `sql.users` and `sql.tls`"), "{told}");
            assert!(told.contains("or listen on 127.0.0.1"), "{told}");
        }
        assert!(config(&format!("sql: {{ listen: 0.0.0.0:5432, {SAFE} }}")).is_ok());
    }

    #[test]
    fn what_is_half_said_is_refused_with_the_way_out() {
        for (text, part) in [
            ("sql: { users: [] }", "leave it out"),
            ("sql: { users: [{ name: a }] }", "needs one of `password_file`"),
            ("sql: { users: [{ name: a, certificate: true }] }", "client_ca_file"),
            (
                "sql: { users: [{ name: a, password_file: p }, { name: a, password_file: q }] }",
                "same name",
            ),
            ("sql: { tls: { certificate_file: c } }", "`sql.tls.key_file` is missing"),
            ("sql: { statement_timeout: 0s }", "longer than 0s"),
            ("sql: { memory_mib: 10 }", "must not be more than `sql.memory_mib`"),
            ("sql: { users: [{ name: a, password: hush }] }", "in clear text"),
        ] {
            let told = config(text).unwrap_err();
            assert!(told.contains(part), "{told}");
            assert!(!told.contains("hush"), "{told}");
        }
    }
}
