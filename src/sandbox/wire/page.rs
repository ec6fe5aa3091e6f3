//! Pages of lists, and the tokens that join them.

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::call::Call;

/// Tokens end after a day, as those of CloudWatch Logs do (its API reference, `nextToken`).
pub const TOKEN_SECONDS: i64 = 86_400;

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    /// Not one of ours.
    Unreadable,
    /// Of a call with other arguments.
    OtherCall,
    Expired,
}

/// Where a list goes on. Its text is opaque to clients: lower-case hexadecimal, which every service's
/// token pattern takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Items that came before.
    pub offset: u64,
    /// Of an item that is cut in two, what came before.
    pub within: u64,
    /// Second in which the first page was asked for.
    pub issued: i64,
    /// Stands for the call's arguments.
    pub call: u64,
    /// Pages before: no token is like the one before it, not even after a page of nothing. SDKs take
    /// equal tokens for a list that never ends.
    pub turn: u16,
}

impl Token {
    /// Where a call without a token begins.
    pub fn first(call: u64, now: Timestamp) -> Self {
        Self { offset: 0, within: 0, issued: now.as_second(), call, turn: 0 }
    }

    /// The text of the token of the next page.
    pub fn next(self) -> String {
        Self { turn: self.turn.wrapping_add(1), ..self }.write()
    }

    fn write(self) -> String {
        let Self { offset, within, issued, call, turn } = self;
        let text = format!("{offset:08x}{within:08x}{issued:010x}{call:016x}{turn:04x}");
        // FNV-1a: what was made up or cut off is told from what was given.
        let check = text
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        format!("{text}{check:08x}")
    }

    /// Reads a token and holds it against the call that brings it.
    pub fn read(text: &str, call: u64, now: Timestamp, lifetime: i64) -> Result<Self, BadToken> {
        let token = Self::parse(text).ok_or(BadToken::Unreadable)?;
        if token.call != call {
            return Err(BadToken::OtherCall);
        }
        if now.as_second() - token.issued > lifetime {
            return Err(BadToken::Expired);
        }
        Ok(token)
    }

    fn parse(text: &str) -> Option<Self> {
        if text.len() != 54 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let part = |from: usize, to: usize| u64::from_str_radix(text.get(from..to)?, 16).ok();
        let token = Self {
            offset: part(0, 8)?,
            within: part(8, 16)?,
            issued: i64::try_from(part(16, 26)?).ok()?,
            call: part(26, 42)?,
            turn: u16::try_from(part(42, 46)?).ok()?,
        };
        (token.write() == text).then_some(token)
    }
}

/// A number for a call's arguments, those left out that may differ from page to page.
pub fn fingerprint(call: &Call<'_>, without: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    for part in [call.account(), &call.region, call.service.iam_prefix(), &call.operation] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    if let Value::Object(members) = &call.input {
        for (name, member) in members.iter().filter(|(name, _)| !without.contains(&name.as_str())) {
            hash.update(name.as_bytes());
            hash.update(member.to_string().as_bytes());
            hash.update([0]);
        }
    }
    let digest = hash.finalize();
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A page of a list.
#[derive(Debug)]
pub struct Page<'p, T> {
    pub items: &'p [T],
    /// Token of the next page.
    pub next: Option<String>,
}

/// The page that a call asks for: `size` items from where its token (argument `token`) stands.
///
/// `others` are further arguments that may differ from page to page, such as the page's size.
pub fn page<'p, T>(
    call: &Call<'_>,
    items: &'p [T],
    size: usize,
    token: &str,
    others: &[&str],
) -> Result<Page<'p, T>, super::refusal::Refusal> {
    let without: Vec<&str> = others.iter().copied().chain([token]).collect();
    let print = fingerprint(call, &without);
    let start = match call.text(token)? {
        None | Some("") => Token::first(print, call.now),
        Some(text) => {
            Token::read(text, print, call.now, TOKEN_SECONDS).map_err(|_| bad_token(call, token))?
        }
    };
    let from = usize::try_from(start.offset).unwrap_or(usize::MAX).min(items.len());
    let to = if call.empty_page && from < items.len() {
        from
    } else {
        from.saturating_add(size).min(items.len())
    };
    let next = (to < items.len()).then(|| Token { offset: to as u64, ..start }.next());
    Ok(Page { items: &items[from..to], next })
}

fn bad_token(call: &Call<'_>, name: &str) -> super::refusal::Refusal {
    use super::refusal::Refusal;
    use super::service::Service;
    match call.service {
        Service::Emr => Refusal::new(400, "InvalidRequestException", "Marker is not valid."),
        Service::S3 => {
            Refusal::new(400, "InvalidArgument", "The continuation token provided is incorrect")
                .element("ArgumentName", name)
        }
        Service::CloudWatch => Refusal::new(400, "InvalidNextToken", "The next token is invalid.")
            .query_code("InvalidNextToken"),
        Service::Logs => call.invalid("The specified nextToken is invalid."),
        Service::Budgets | Service::Pricing => {
            Refusal::new(400, "InvalidNextTokenException", "The next token is invalid.")
        }
        Service::Rds => call.invalid("Invalid value for the parameter Marker"),
        _ => call.invalid(format!("The provided {name} is invalid")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_token_holds_for_its_call_and_its_time_only() {
        let token = Token { offset: 50, within: 0, issued: 1_000, call: 7, turn: 3 };
        let text = token.write();
        assert_eq!(Token::read(&text, 7, at(1_100), 3_600), Ok(token));
        assert_eq!(Token::read(&text, 8, at(1_100), 3_600), Err(BadToken::OtherCall));
        assert_eq!(Token::read(&text, 7, at(4_601), 3_600), Err(BadToken::Expired));
        assert_eq!(Token::read(&text[1..], 7, at(1_100), 3_600), Err(BadToken::Unreadable));
        assert_eq!(
            Token::read(&text.replacen('0', "1", 1), 7, at(1_100), 3_600),
            Err(BadToken::Unreadable)
        );
    }

    proptest! {
        #[test]
        fn no_text_stops_the_reader(text in ".{0,60}") {
            let _ = Token::read(&text, 7, at(0), 1);
        }
    }
}
