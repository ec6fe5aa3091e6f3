//! Files as Slack takes them: an address, the bytes, and then a message that shows them.
//!
//! Slack API documentation, "files.getUploadURLExternal", "files.completeUploadExternal".

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::{Value, json};

use super::Refused;

/// Files, before and after they are shown.
#[derive(Debug, Default)]
pub(super) struct Files {
    kept: Mutex<BTreeMap<String, File>>,
}

/// A file as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct File {
    pub id: String,
    pub name: String,
    /// Announced.
    pub length: usize,
    /// Received; `None` before.
    pub received: Option<usize>,
    /// Its first bytes, for tests.
    pub start: String,
    /// Channel that shows it; `None` before.
    pub channel: Option<String>,
}

impl Files {
    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, File>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, in the order of ids.
    pub(super) fn all(&self) -> Vec<File> {
        self.locked().values().cloned().collect()
    }

    /// Gives an address for a file.
    pub(super) fn announce(&self, payload: &Value, host: &str) -> Result<Value, Refused> {
        let name = payload["filename"].as_str().filter(|name| !name.is_empty());
        let name = name.ok_or(Refused::new(200, "invalid_arguments"))?;
        let length = match &payload["length"] {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_u64().and_then(|it| usize::try_from(it).ok()),
            _ => None,
        };
        let length = length.filter(|length| *length > 0);
        let length = length.ok_or(Refused::new(200, "invalid_arguments"))?;
        let mut kept = self.locked();
        let id = format!("F0SANDBOX{:04}", kept.len() + 1);
        let file = File {
            id: id.clone(),
            name: name.to_owned(),
            length,
            received: None,
            start: String::new(),
            channel: None,
        };
        kept.insert(id.clone(), file);
        Ok(json!({
            "ok": true, "file_id": id, "upload_url": format!("http://{host}/slack/upload/{id}"),
        }))
    }

    /// Takes the bytes; whether it was announced with that length.
    pub(super) fn take(&self, id: &str, bytes: &[u8]) -> bool {
        match self.locked().get_mut(id) {
            Some(file) if file.length == bytes.len() => {
                file.received = Some(bytes.len());
                let start = bytes.get(..8).unwrap_or(bytes);
                file.start = String::from_utf8_lossy(start).into_owned();
                true
            }
            _ => false,
        }
    }

    /// Shows files in a channel: their names, for the message.
    pub(super) fn complete(&self, payload: &Value) -> Result<Vec<String>, Refused> {
        let channel = payload["channel_id"].as_str();
        let channel = channel
            .filter(|channel| channel.starts_with(['C', 'G', 'D']))
            .ok_or(Refused::new(200, "channel_not_found"))?;
        let ids: Vec<&str> = payload["files"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|file| file["id"].as_str())
            .collect();
        let mut kept = self.locked();
        let is_whole = |id: &str| kept.get(id).is_some_and(|file| file.received.is_some());
        if ids.is_empty() || !ids.iter().all(|id| is_whole(id)) {
            return Err(Refused::new(200, "file_not_found"));
        }
        let mut names = Vec::new();
        for id in ids {
            if let Some(file) = kept.get_mut(id) {
                file.channel = Some(channel.to_owned());
                names.push(file.name.clone());
            }
        }
        Ok(names)
    }
}
