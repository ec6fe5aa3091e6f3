//! SCRAM-SHA-256 from the server's side: who logs in proves the password without sending it.
//!
//! Sources: RFC 5802, RFC 7677, and PostgreSQL's manual, "SASL Authentication".

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

pub(super) const MECHANISM: &str = "SCRAM-SHA-256";

/// PostgreSQL's own number of rounds.
const ROUNDS: u32 = 4096;

/// What a server keeps of a password. It proves nothing to another server.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Verifier {
    salt: Vec<u8>,
    rounds: u32,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier(…)")
    }
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    // A key of any length is one of HMAC's.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(text);
    mac.finalize().into_bytes().into()
}

impl Verifier {
    /// Of a password, or of what `psql`'s `\password` makes of one:
    /// `SCRAM-SHA-256$4096:salt$stored key:server key`.
    pub(super) fn of(secret: &str, salt: &[u8]) -> Self {
        Self::parse(secret).unwrap_or_else(|| {
            // As libpq does: what cannot be normalised is taken as it is.
            let password = stringprep::saslprep(secret).unwrap_or(secret.into());
            let mut round = mac(password.as_bytes(), &[salt, &1_u32.to_be_bytes()].concat());
            let mut salted = round;
            for _ in 1..ROUNDS {
                round = mac(password.as_bytes(), &round);
                salted.iter_mut().zip(round).for_each(|(all, one)| *all ^= one);
            }
            let stored_key = Sha256::digest(mac(&salted, b"Client Key")).into();
            let server_key = mac(&salted, b"Server Key");
            Self { salt: salt.to_vec(), rounds: ROUNDS, stored_key, server_key }
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (head, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
        let (rounds, salt) = head.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let key = |text: &str| <[u8; 32]>::try_from(STANDARD.decode(text).ok()?).ok();
        Some(Self {
            salt: STANDARD.decode(salt).ok()?,
            rounds: rounds.parse().ok()?,
            stored_key: key(stored)?,
            server_key: key(server)?,
        })
    }
}

/// Why a login failed. Which of them is told to the log alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("the message is no SCRAM message")]
    Malformed,
    #[error("the client asks for channel binding, which was not offered")]
    ChannelBinding,
    #[error("the password is wrong")]
    Proof,
}

/// A login that has begun.
#[derive(Debug)]
pub(super) struct Exchange {
    verifier: Verifier,
    /// `n,,` or `y,,`, which the client repeats under its proof.
    header: String,
    client_first: String,
    server_first: String,
    nonce: String,
}

fn attribute<'m>(part: Option<&'m str>, name: &str) -> Result<&'m str, Refused> {
    part.and_then(|part| part.strip_prefix(name)).ok_or(Refused::Malformed)
}

impl Exchange {
    /// Takes the client's first message. `nonce` is random and never repeated.
    pub(super) fn begin(verifier: Verifier, message: &str, nonce: &str) -> Result<Self, Refused> {
        let mut parts = message.splitn(3, ',');
        let (flag, identity) = (parts.next(), parts.next());
        let bare = parts.next().ok_or(Refused::Malformed)?;
        let flag = match flag {
            Some(flag @ ("n" | "y")) => flag,
            Some(flag) if flag.starts_with("p=") => return Err(Refused::ChannelBinding),
            _ => return Err(Refused::Malformed),
        };
        let mut attributes = bare.split(',');
        // The name is empty in PostgreSQL: the start message said it.
        attribute(attributes.next(), "n=")?;
        let client_nonce = attribute(attributes.next(), "r=")?;
        if client_nonce.is_empty() {
            return Err(Refused::Malformed);
        }
        let nonce = format!("{client_nonce}{nonce}");
        let salt = STANDARD.encode(&verifier.salt);
        Ok(Self {
            header: format!("{flag},{},", identity.unwrap_or_default()),
            client_first: bare.to_owned(),
            server_first: format!("r={nonce},s={salt},i={}", verifier.rounds),
            nonce,
            verifier,
        })
    }

    /// What is answered to it.
    pub(super) fn challenge(&self) -> &str {
        &self.server_first
    }

    /// Takes the client's proof; the answer proves that this server knew the password too.
    pub(super) fn finish(&self, message: &str) -> Result<String, Refused> {
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(Refused::Malformed)?;
        let mut attributes = without_proof.split(',');
        let binding = attribute(attributes.next(), "c=")?;
        let nonce = attribute(attributes.next(), "r=")?;
        if binding != STANDARD.encode(&self.header) || nonce != self.nonce {
            return Err(Refused::Malformed);
        }
        let said = [self.client_first.as_str(), &self.server_first, without_proof].join(",");
        let proof = STANDARD.decode(proof).map_err(|_| Refused::Malformed)?;
        let proof = <[u8; 32]>::try_from(proof).map_err(|_| Refused::Malformed)?;
        let mut client_key = mac(&self.verifier.stored_key, said.as_bytes());
        client_key.iter_mut().zip(proof).for_each(|(key, proof)| *key ^= proof);
        let shown: [u8; 32] = Sha256::digest(client_key).into();
        // In constant time.
        let differs =
            shown.iter().zip(self.verifier.stored_key).fold(0, |all, (a, b)| all | (a ^ b));
        if differs != 0 {
            return Err(Refused::Proof);
        }
        let signature = mac(&self.verifier.server_key, said.as_bytes());
        Ok(format!("v={}", STANDARD.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677.
    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const LAST: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn exchange(password: &str, first: &str) -> Result<Exchange, Refused> {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        Exchange::begin(Verifier::of(password, &salt), first, NONCE)
    }

    #[test]
    fn the_example_of_the_rfc_logs_in() {
        let exchange = exchange("pencil", FIRST).unwrap();
        assert_eq!(
            exchange.challenge(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let answer = exchange.finish(LAST).unwrap();
        assert_eq!(answer, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn what_postgresql_keeps_of_a_password_serves_as_well() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let made = Verifier::of("pencil", &salt);
        let text = format!(
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==${}:{}",
            STANDARD.encode(made.stored_key),
            STANDARD.encode(made.server_key)
        );
        assert_eq!(Verifier::of(&text, b"another"), made);
    }

    #[test]
    fn a_wrong_password_a_changed_word_and_another_nonce_are_refused() {
        assert_eq!(exchange("pen", FIRST).unwrap().finish(LAST), Err(Refused::Proof));
        let right = exchange("pencil", FIRST).unwrap();
        assert_eq!(right.finish(&LAST.replace("$k0", "$k1")), Err(Refused::Malformed));
        assert_eq!(right.finish(&LAST.replace("c=biws", "c=eSws")), Err(Refused::Malformed));
        assert_eq!(right.finish(&LAST.replace("p=dH", "p=dI")), Err(Refused::Proof));
        assert_eq!(right.finish("p="), Err(Refused::Malformed));
        for (first, why) in [
            ("p=tls-server-end-point,,n=,r=x", Refused::ChannelBinding),
            ("n,,n=,r=", Refused::Malformed),
            ("n,", Refused::Malformed),
            ("", Refused::Malformed),
        ] {
            assert_eq!(exchange("pencil", first).unwrap_err(), why);
        }
    }
}
