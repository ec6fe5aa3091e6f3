//! Secrets: they come from a file or the environment, never from the configuration itself, and no
//! log, error or debug print can hold one.

use std::fmt;
use std::path::PathBuf;

use crate::yaml::{Fields, Reader};

/// A secret's text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a secret is kept. It is read each time it is used, so that it can be rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// `<name>_file: path`
    File(PathBuf),
    /// `<name>: ${VARIABLE}`
    Environment(String),
}

/// Why a secret could not be read. Never holds the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the secret's file {path} cannot be read: {error}")]
    File { path: String, error: std::io::Error },
    #[error("the secret's file {0} is empty")]
    Empty(String),
    #[error("the environment variable {0} of the secret is not set")]
    Environment(String),
}

impl SecretSource {
    /// The path of its file, to make it absolute.
    pub fn file_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::File(path) => Some(path),
            Self::Environment(_) => None,
        }
    }

    /// Reads the secret, without the line break at its end.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is empty, or the variable is not set.
    pub fn load(&self) -> Result<Secret, SecretError> {
        match self {
            Self::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| SecretError::File {
                    path: path.display().to_string(),
                    error,
                })?;
                let text = text.trim_end_matches(['\n', '\r']);
                if text.is_empty() {
                    return Err(SecretError::Empty(path.display().to_string()));
                }
                Ok(Secret::new(text))
            }
            Self::Environment(name) => std::env::var(name)
                .ok()
                .filter(|text| !text.is_empty())
                .map(Secret::new)
                .ok_or_else(|| SecretError::Environment(name.clone())),
        }
    }
}

/// Reads the settings `file_name: path` and `name: ${VARIABLE}`, of which at most one may stand.
/// A secret that stands in the file itself is refused.
pub fn optional(
    name: &'static str,
    file_name: &'static str,
    fields: &mut Fields<'_>,
    reader: &mut Reader,
) -> Option<SecretSource> {
    let file: Option<PathBuf> = fields.optional(file_name, reader);
    let text: Option<String> = fields.optional(name, reader);
    let place = fields.place_of(name);
    let Some(text) = text else { return file.map(SecretSource::File) };
    if file.is_some() {
        reader.problem(place, format!("`{name}` and `{file_name}` cannot both be set"));
        return None;
    }
    match text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        Some(variable) if !variable.is_empty() => {
            Some(SecretSource::Environment(variable.to_owned()))
        }
        _ => {
            reader.secret_problem(
                place,
                format!(
                    "`{name}` holds a secret in clear text; write `{file_name}: PATH` or \
                     `{name}: ${{VARIABLE}}`"
                ),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn token(text: &str) -> Result<Option<SecretSource>, yaml::Problems> {
        yaml::read("c.yaml", text, |root, reader| {
            let mut fields = Fields::of(root, "", reader)?;
            let token = optional("token", "token_file", &mut fields, reader);
            fields.finish(reader);
            Some(token)
        })
    }

    #[test]
    fn a_secret_comes_from_a_file_or_the_environment() {
        assert_eq!(token("token_file: /a").unwrap(), Some(SecretSource::File("/a".into())));
        assert_eq!(token("token: ${A}").unwrap(), Some(SecretSource::Environment("A".to_owned())));
        assert_eq!(token("").unwrap(), None);
        assert!(token("token_file: /a\ntoken: ${A}").is_err());
    }

    #[test]
    fn a_secret_in_clear_text_is_refused_and_not_repeated() {
        let problems = token("token: xoxb-123").unwrap_err().to_string();
        assert!(
            problems.contains("c.yaml:1:1: `token` holds a secret in clear text"),
            "{problems}"
        );
        assert!(!problems.contains("xoxb-123"), "{problems}");
        assert_eq!(format!("{:?}", Secret::new("xoxb-123")), "Secret(…)");
    }
}
