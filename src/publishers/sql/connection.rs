//! One connection, from its login to its end: what it remembers, and the simple protocol.
//!
//! A reader of its own takes the client's messages, so that a client that goes away ends its
//! statement. Rows are sent as they come; a slow client slows its own statement and nobody else's.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BufMut;
use datafusion::sql::sqlparser::ast::Statement;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::{Rows, guarded, tag};
use super::audit::Ended;
use super::brake::Watch;
use super::catalog::Asker;
use super::engine::Planned;
use super::error::{self, Error};
use super::extended::{Portal, Prepared};
use super::guard::{self, Command};
use super::session::{Settings, Transaction};
use super::wire::{self, Malformed, Message, Out, put_text};
use super::{Look, Shared};

/// Longest message of a client that has logged in.
pub(super) const MOST_BYTES: usize = 16 * 1024 * 1024;
/// Messages that are read ahead.
const AHEAD: usize = 16;
/// A client that takes nothing for so long is gone.
const STALLED: Duration = Duration::from_secs(60);

/// Time for the last word of a connection.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the reader hands over.
type Received = Result<Message, Malformed>;

/// Why a step ends.
#[derive(Debug)]
pub(super) enum Failure {
    Told(Error),
    /// Nobody is there any more.
    Gone,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

/// A connection that has logged in.
pub(super) struct Connection<W> {
    pub(super) out: Out<W>,
    pub(super) shared: Arc<Shared>,
    pub(super) asker: Asker,
    pub(super) peer: SocketAddr,
    /// Cancelled when the client goes away or the program stops.
    pub(super) gone: CancellationToken,
    pub(super) state: State,
}

/// What a connection remembers.
pub(super) struct State {
    pub(super) transaction: Transaction,
    /// Settings as they were when the transaction began.
    pub(super) before: Option<Settings>,
    /// Settings that hold until the end of the transaction, with their values before.
    pub(super) local: Vec<(String, Option<String>)>,
    /// A transaction that reads the same versions throughout.
    pub(super) repeatable: bool,
    pub(super) pinned: Option<Look>,
    pub(super) statements: HashMap<String, Arc<Prepared>>,
    pub(super) portals: HashMap<String, Portal>,
    /// After an error: until `Sync`, nothing is done.
    pub(super) skip: bool,
}

/// Reads messages for a connection until the client goes away.
pub(super) async fn listen<R: AsyncRead + Unpin>(
    mut reader: R,
    messages: mpsc::Sender<Received>,
    gone: CancellationToken,
) {
    loop {
        let message = match wire::read(&mut reader, MOST_BYTES).await {
            Ok(Some((kind, body))) => Message::of(kind, body),
            Ok(None) | Err(Malformed::Io(_)) => break,
            Err(error) => Err(error),
        };
        let is_last = matches!(message, Err(_) | Ok(Message::Terminate));
        if messages.send(message).await.is_err() || is_last {
            return;
        }
    }
    gone.cancel();
}

/// The way from the reader to its connection.
pub(super) fn channel() -> (mpsc::Sender<Received>, mpsc::Receiver<Received>) {
    mpsc::channel(AHEAD)
}

/// Adds an error as the client is told it.
pub(super) fn put_error<W: AsyncWrite + Unpin>(out: &mut Out<W>, error: &Error) {
    out.message(b'E', |body| {
        let severity = if error.fatal { "FATAL" } else { "ERROR" };
        for (field, text) in [(b'S', severity), (b'V', severity), (b'C', error.code)] {
            body.put_u8(field);
            put_text(body, text);
        }
        body.put_u8(b'M');
        put_text(body, &error.message);
        if let Some(hint) = &error.hint {
            body.put_u8(b'H');
            put_text(body, hint);
        }
        body.put_u8(0);
    });
}

impl<W: AsyncWrite + Unpin> Connection<W> {
    pub(super) fn new(
        out: Out<W>,
        shared: Arc<Shared>,
        asker: Asker,
        peer: SocketAddr,
        gone: CancellationToken,
    ) -> Self {
        let state = State {
            transaction: Transaction::None,
            before: None,
            local: Vec::new(),
            repeatable: false,
            pinned: None,
            statements: HashMap::new(),
            portals: HashMap::new(),
            skip: false,
        };
        Self { out, shared, asker, peer, gone, state }
    }

    /// Answers until the client has enough or the program stops.
    pub(super) async fn serve(&mut self, mut messages: mpsc::Receiver<Received>) {
        let stop = self.shared.stop.clone();
        loop {
            let message = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    let message = "terminating connection: centime stops";
                    put_error(&mut self.out, &Error::fatal(error::SHUTDOWN, message));
                    let _ = tokio::time::timeout(FAREWELL, self.out.close()).await;
                    return;
                }
                message = messages.recv() => message,
            };
            let handled = match message {
                None | Some(Ok(Message::Terminate)) => return,
                Some(Err(error)) => {
                    let error = Error::fatal(error::PROTOCOL, error.to_string());
                    put_error(&mut self.out, &error);
                    let _ = tokio::time::timeout(FAREWELL, self.out.close()).await;
                    return;
                }
                Some(Ok(message)) => self.handle(message).await,
            };
            if handled.is_err() {
                return;
            }
        }
    }

    async fn handle(&mut self, message: Message) -> Result<(), Failure> {
        match message {
            Message::Query(sql) => {
                self.state.skip = false;
                self.simple(&sql).await?;
                self.ready().await
            }
            Message::Sync => {
                self.state.skip = false;
                if self.state.transaction == Transaction::None {
                    self.state.portals.retain(|_, portal| portal.is_held);
                }
                self.ready().await
            }
            Message::Flush => self.flush().await,
            _ if self.state.skip => Ok(()),
            other => match self.extended(other).await {
                Err(Failure::Told(error)) => {
                    self.fail(&error);
                    self.state.skip = true;
                    self.flush().await
                }
                done => done,
            },
        }
    }

    async fn ready(&mut self) -> Result<(), Failure> {
        let letter = self.state.transaction.letter();
        self.out.message(b'Z', |body| body.put_u8(letter));
        self.flush().await
    }

    /// Sends all; a client that does not take it for long is gone.
    async fn flush(&mut self) -> Result<(), Failure> {
        match tokio::time::timeout(STALLED, self.out.send()).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(Failure::Gone),
        }
    }

    fn fail(&mut self, error: &Error) {
        put_error(&mut self.out, error);
        if self.state.transaction == Transaction::Open {
            self.state.transaction = Transaction::Failed;
        }
    }

    /// All statements of a text, until one fails.
    async fn simple(&mut self, sql: &str) -> Result<(), Failure> {
        // As PostgreSQL: it ends a statement and a portal without a name.
        self.state.statements.remove("");
        self.state.portals.remove("");
        let watch = self.watch();
        let commands = match guard::commands(sql) {
            Ok(commands) => commands,
            Err(error) => {
                self.note(sql, &watch, 0, Some(&error));
                self.fail(&error);
                return Ok(());
            }
        };
        if commands.is_empty() {
            self.out.message(b'I', |_| {});
        }
        for command in commands {
            let watch = self.watch();
            let mut sent = 0;
            let done = self.run(&command, &watch, &mut sent).await;
            match done {
                Ok(()) => self.note(&text_of(&command), &watch, sent, None),
                Err(Failure::Gone) => return Err(Failure::Gone),
                Err(Failure::Told(error)) => {
                    self.note(&text_of(&command), &watch, sent, Some(&error));
                    self.fail(&error);
                    break;
                }
            }
        }
        self.shared.done(self.asker.process);
        Ok(())
    }

    /// One command with its rows' description.
    async fn run(
        &mut self,
        command: &Command,
        watch: &Watch,
        sent: &mut u64,
    ) -> Result<(), Failure> {
        self.may(command)?;
        match command {
            Command::Query(sql) => {
                let statement = self.shared.engine.parse(sql)?;
                let planned = self.plan(statement, watch).await?;
                self.answer(sql, &planned, watch, sent).await?;
            }
            Command::Copy { query, form } => {
                let statement = self.shared.engine.parse(query)?;
                let planned = self.plan(statement, watch).await?;
                *sent = self.copy(&planned, *form, watch).await?;
                self.complete(&format!("COPY {sent}"));
            }
            Command::Show(name) => {
                let (columns, rows) = self.shown(name)?;
                self.describe(&columns, &[]);
                *sent = self.send_texts(&rows).await?;
                self.complete("SHOW");
            }
            Command::Declare { name, query, hold, binary } => {
                let statement = self.shared.engine.parse(query)?;
                let planned = self.plan(statement, watch).await?;
                self.declare(name, query, (*hold, *binary), planned)?;
                self.complete("DECLARE CURSOR");
            }
            Command::Fetch { name, most } => {
                let (columns, formats) = self.fetched(name)?;
                self.describe(&columns, &formats);
                *sent = self.fetch(name, *most, &formats, watch).await?;
                self.complete(&format!("FETCH {sent}"));
            }
            Command::Prepare { name, types, query } => {
                self.prepare_as(name, types, query, watch).await?;
                self.complete("PREPARE");
            }
            Command::Execute { name, arguments } => {
                let (text, planned) = self.executed(name, arguments, watch).await?;
                self.answer(&text, &planned, watch, sent).await?;
            }
            other => {
                let tag = self.talk(other)?;
                self.complete(&tag);
            }
        }
        Ok(())
    }

    /// All rows of a query, with their description.
    async fn answer(
        &mut self,
        sql: &str,
        planned: &Planned,
        watch: &Watch,
        sent: &mut u64,
    ) -> Result<(), Failure> {
        self.describe(&planned.columns, &[]);
        let mut rows = Rows::of(planned, watch).await?;
        let done = self.send_rows(&mut rows, &[], 0, watch).await;
        *sent = rows.sent;
        done?;
        self.complete(&tag(sql, rows.sent));
        Ok(())
    }

    /// Plans over the newest lake, or what the transaction holds on to.
    pub(super) async fn plan(
        &mut self,
        statement: Statement,
        watch: &Watch,
    ) -> Result<Planned, Error> {
        if self.state.repeatable
            && self.state.transaction == Transaction::Open
            && self.state.pinned.is_none()
        {
            self.state.pinned = Some(guarded(watch, self.shared.engine.look(&self.asker)).await?);
        }
        let pinned = self.state.pinned.as_ref();
        guarded(watch, self.shared.engine.plan(&self.asker, statement, pinned)).await
    }

    /// A statement begins.
    pub(super) fn watch(&self) -> Watch {
        let began = Instant::now();
        let token = self.gone.child_token();
        self.shared.begin(self.asker.process, token.clone());
        Watch { token, deadline: began + self.asker.settings.timeout(), began }
    }

    /// A statement has ended.
    pub(super) fn note(&self, statement: &str, watch: &Watch, rows: u64, error: Option<&Error>) {
        self.shared.counts.note(&Ended {
            user: &self.asker.user,
            peer: self.peer,
            statement,
            took: watch.began.elapsed(),
            rows,
            error: error.map(|error| (error.code, error.message.as_str())),
        });
    }
}

fn text_of(command: &Command) -> String {
    match command {
        Command::Query(sql) => sql.clone(),
        Command::Copy { query, .. } => format!("COPY ({query}) TO STDOUT"),
        Command::Show(name) => format!("SHOW {name}"),
        Command::Set { name, .. } => format!("SET {name}"),
        Command::Declare { name, query, .. } => format!("DECLARE {name} CURSOR FOR {query}"),
        Command::Prepare { name, query, .. } => format!("PREPARE {name} AS {query}"),
        Command::Execute { name, .. } => format!("EXECUTE {name}"),
        Command::Fetch { name, .. } => format!("FETCH FROM {name}"),
        other => format!("{other:?}"),
    }
}
