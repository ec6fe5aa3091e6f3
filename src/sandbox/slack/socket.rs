//! Stands in for Socket Mode: takes WebSockets, says hello, hands out envelopes and waits for their
//! acknowledgement.
//!
//! Source: Slack developer documentation, "Using Socket Mode".

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

/// The connections that are open, and what was sent over them.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    address: OnceLock<SocketAddr>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    open: BTreeMap<u64, mpsc::UnboundedSender<Message>>,
    /// Envelopes without an acknowledgement, by their id.
    waiting: BTreeMap<String, Value>,
    acknowledged: u64,
}

impl Sockets {
    fn locked(&self) -> MutexGuard<'_, State> {
        // Every change is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes connections until the task is dropped.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        if let Ok(address) = listener.local_addr() {
            let _ = self.address.set(address);
        }
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(Arc::clone(&self).connection(stream));
        }
    }

    /// What `apps.connections.open` answers with; `None` while nobody listens.
    pub(super) fn address(&self) -> Option<String> {
        let address = self.address.get()?;
        let ticket = self.locked().next_id + 1;
        Some(format!("ws://{address}/link/?ticket={ticket}&app_id=A0SANDBOX"))
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
        let (sender, mut outgoing) = mpsc::unbounded_channel();
        let id = {
            let mut state = self.locked();
            state.next_id += 1;
            let id = state.next_id;
            state.open.insert(id, sender);
            id
        };
        let hello = json!({
            "type": "hello", "num_connections": 1,
            "connection_info": {"app_id": "A0SANDBOX"}, "debug_info": {"host": "sandbox"},
        });
        if socket.send(Message::Text(hello.to_string().into())).await.is_ok() {
            // What nobody acknowledged is sent again over the next connection.
            let again: Vec<Value> = self.locked().waiting.values().cloned().collect();
            for envelope in again {
                let _ = socket.send(Message::Text(envelope.to_string().into())).await;
            }
            loop {
                tokio::select! {
                    Some(message) = outgoing.recv() => {
                        let is_last = message.is_close();
                        if socket.send(message).await.is_err() || is_last {
                            break;
                        }
                    }
                    message = socket.next() => match message {
                        Some(Ok(Message::Text(text))) => self.acknowledge(&text),
                        Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                        Some(Ok(_)) => {}
                    },
                }
            }
        }
        self.locked().open.remove(&id);
    }

    fn acknowledge(&self, text: &str) {
        let Ok(answer) = serde_json::from_str::<Value>(text) else { return };
        let Some(id) = answer["envelope_id"].as_str() else { return };
        let mut state = self.locked();
        if state.waiting.remove(id).is_some() {
            state.acknowledged += 1;
        }
    }

    /// Sends an interaction to one of the connections; `false` when none is open.
    pub(super) fn interact(&self, id: &str, payload: &Value) -> bool {
        let envelope = json!({
            "envelope_id": id, "type": "interactive", "payload": payload,
            "accepts_response_payload": false,
        });
        let mut state = self.locked();
        let message = Message::Text(envelope.to_string().into());
        let sent = state.open.values().next_back().is_some_and(|it| it.send(message).is_ok());
        if sent {
            state.waiting.insert(id.to_owned(), envelope);
        }
        sent
    }

    /// Announces that connections are closed, and closes them.
    pub(super) fn refresh(&self) {
        let goodbye = json!({"type": "disconnect", "reason": "refresh_requested"});
        for sender in self.locked().open.values() {
            let _ = sender.send(Message::Text(goodbye.to_string().into()));
            let _ = sender.send(Message::Close(None));
        }
    }

    /// For `/slack/socket`.
    pub(super) fn told(&self) -> Value {
        let state = self.locked();
        json!({
            "connections": state.open.len(), "waiting": state.waiting.len(),
            "acknowledged": state.acknowledged,
        })
    }
}
