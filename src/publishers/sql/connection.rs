//! One connection, from its login to its end: the simple and the extended protocol.
//!
//! A reader of its own takes the client's messages, so that a client that goes away ends its
//! statement. Rows are sent as they come; a slow client slows its own statement and nobody else's.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use datafusion::catalog::SchemaProvider;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::sql::sqlparser::ast::Statement;
use futures::{FutureExt, StreamExt};
use postgres_types::Type;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::audit::Ended;
use super::brake::{Brake, Watch, cancelled, too_late};
use super::catalog::Asker;
use super::copy;
use super::decode;
use super::encode::{self, Column};
use super::engine::{ColumnInfo, Planned, with_values};
use super::error::{self, Error};
use super::guard::{self, Command, Form};
use super::session::{Settings, Transaction};
use super::types;
use super::wire::{self, Bind, Malformed, Message, Out, What, is_binary, put_text};

/// Longest message of a client that has logged in.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// Messages that are read ahead.
const AHEAD: usize = 16;
/// Statements and portals that a connection may hold.
const MOST_STATEMENTS: usize = 1_000;
const MOST_PORTALS: usize = 100;

/// Why a step ends.
#[derive(Debug)]
enum Failure {
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

/// A statement that was parsed.
#[derive(Debug)]
struct Prepared {
    text: String,
    /// `None`: there is nothing in it.
    command: Option<Command>,
    /// The query of the command, where it is one.
    query: Option<Statement>,
    parameters: Vec<Type>,
    /// `None`: it gives no rows.
    columns: Option<Vec<ColumnInfo>>,
}

/// A statement with values, which is answered in pieces.
struct Portal {
    prepared: Arc<Prepared>,
    planned: Option<Planned>,
    formats: Vec<i16>,
    rows: Option<Rows>,
}

/// Rows on their way.
struct Rows {
    stream: SendableRecordBatchStream,
    /// Columns of the batch, its rows, and the next of them.
    batch: Option<(Vec<Column>, usize, usize)>,
    sent: u64,
    brake: Arc<Brake>,
}

impl Rows {
    /// Starts to answer.
    async fn of(planned: &Planned, watch: &Watch) -> Result<Self, Error> {
        let brake = Brake::new(watch);
        let stream = guarded(watch, planned.run(&brake)).await?;
        Ok(Self { stream, batch: None, sent: 0, brake })
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
    state: State,
}

/// What a connection remembers.
struct State {
    transaction: Transaction,
    /// Settings as they were when the transaction began.
    before: Option<Settings>,
    /// Settings that hold until the end of the transaction, with their values before.
    local: Vec<(String, Option<String>)>,
    /// A transaction that reads the same versions throughout.
    repeatable: bool,
    pinned: Option<Arc<dyn SchemaProvider>>,
    statements: HashMap<String, Arc<Prepared>>,
    portals: HashMap<String, Portal>,
    /// After an error: until `Sync`, nothing is done.
    skip: bool,
}

/// Reads messages for a connection until the client goes away.
pub(super) async fn listen<R: AsyncRead + Unpin>(
    mut reader: R,
    messages: mpsc::Sender<Result<Message, Malformed>>,
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
pub(super) fn channel()
-> (mpsc::Sender<Result<Message, Malformed>>, mpsc::Receiver<Result<Message, Malformed>>) {
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
    pub(super) async fn serve(&mut self, mut messages: mpsc::Receiver<Result<Message, Malformed>>) {
        let stop = self.shared.stop.clone();
        loop {
            let message = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    let message = "terminating connection: centime stops";
                    put_error(&mut self.out, &Error::fatal(error::SHUTDOWN, message));
                    let _ = self.out.close().await;
                    return;
                }
                message = messages.recv() => message,
            };
            let handled = match message {
                None | Some(Ok(Message::Terminate)) => return,
                Some(Err(error)) => {
                    let error = Error::fatal(error::PROTOCOL, error.to_string());
                    put_error(&mut self.out, &error);
                    let _ = self.out.close().await;
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
                    self.state.portals.clear();
                }
                self.ready().await
            }
            Message::Flush => Ok(self.out.send().await?),
            _ if self.state.skip => Ok(()),
            other => match self.extended(other).await {
                Err(Failure::Told(error)) => {
                    self.fail(&error);
                    self.state.skip = true;
                    Ok(self.out.send().await?)
                }
                done => done,
            },
        }
    }

    async fn ready(&mut self) -> Result<(), Failure> {
        let letter = self.state.transaction.letter();
        self.out.message(b'Z', |body| body.put_u8(letter));
        Ok(self.out.send().await?)
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
                self.describe(&planned.columns, &[]);
                let mut rows = Rows::of(&planned, watch).await?;
                let done = self.send_rows(&mut rows, &[], 0, watch).await;
                *sent = rows.sent;
                done?;
                self.complete(&tag(sql, rows.sent));
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
            other => {
                let tag = self.talk(other)?;
                self.complete(&tag);
            }
        }
        Ok(())
    }

    /// In a failed transaction only its end is taken.
    fn may(&self, command: &Command) -> Result<(), Error> {
        let ends = matches!(
            command,
            Command::Commit | Command::Rollback | Command::Savepoint { back: true, .. }
        );
        if self.state.transaction == Transaction::Failed && !ends {
            return Err(Error::new(
                error::FAILED_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    async fn extended(&mut self, message: Message) -> Result<(), Failure> {
        match message {
            Message::Parse { name, sql, types } => {
                let watch = self.watch();
                match self.prepare(&name, &sql, &types, &watch).await {
                    Ok(prepared) => {
                        self.state.statements.insert(name, Arc::new(prepared));
                        self.out.message(b'1', |_| {});
                    }
                    Err(error) => {
                        self.note(&sql, &watch, 0, Some(&error));
                        return Err(error.into());
                    }
                }
            }
            Message::Bind(bind) => {
                let watch = self.watch();
                if let Err(error) = self.bind(bind, &watch).await {
                    return Err(error.into());
                }
                self.out.message(b'2', |_| {});
            }
            Message::Describe { what: What::Statement, name } => {
                let prepared = self.statement(&name)?;
                self.out.message(b't', |body| {
                    body.put_u16(u16::try_from(prepared.parameters.len()).unwrap_or(u16::MAX));
                    prepared.parameters.iter().for_each(|kind| body.put_u32(kind.oid()));
                });
                match &prepared.columns {
                    Some(columns) => self.describe(columns, &[]),
                    None => self.out.message(b'n', |_| {}),
                }
            }
            Message::Describe { what: What::Portal, name } => {
                let portal = self.state.portals.get(&name).ok_or_else(|| no_portal(&name))?;
                let formats = portal.formats.clone();
                let planned = portal.planned.as_ref().map(|planned| planned.columns.clone());
                let is_copy = matches!(portal.prepared.command, Some(Command::Copy { .. }));
                let columns = planned.filter(|_| !is_copy).or(portal.prepared.columns.clone());
                match columns {
                    Some(columns) => self.describe(&columns, &formats),
                    None => self.out.message(b'n', |_| {}),
                }
            }
            Message::Execute { portal, most_rows } => self.execute(&portal, most_rows).await?,
            Message::Close { what, name } => {
                match what {
                    What::Statement => drop(self.state.statements.remove(&name)),
                    What::Portal => drop(self.state.portals.remove(&name)),
                }
                self.out.message(b'3', |_| {});
            }
            _ => {
                let message = "unexpected message";
                return Err(Error::new(error::PROTOCOL, message).into());
            }
        }
        Ok(self.out.ease().await?)
    }

    fn statement(&self, name: &str) -> Result<Arc<Prepared>, Error> {
        self.state.statements.get(name).cloned().ok_or_else(|| {
            let message = format!("prepared statement \"{name}\" does not exist");
            Error::new(error::UNKNOWN_STATEMENT, message)
        })
    }

    /// `Parse`: reads a statement and finds the types of its parameters and columns.
    async fn prepare(
        &mut self,
        name: &str,
        sql: &str,
        given: &[u32],
        watch: &Watch,
    ) -> Result<Prepared, Error> {
        if name.is_empty() {
            self.state.statements.remove("");
        } else if self.state.statements.contains_key(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(Error::new(error::DUPLICATE_STATEMENT, message));
        }
        if self.state.statements.len() >= MOST_STATEMENTS {
            let message = "too many prepared statements: close some, or DEALLOCATE ALL";
            return Err(Error::new(error::STATEMENTS, message));
        }
        let mut commands = guard::commands(sql)?;
        if commands.len() > 1 {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(Error::new(error::SYNTAX, message));
        }
        let command = commands.pop();
        if let Some(command) = &command {
            self.may(command)?;
        }
        let mut prepared = Prepared {
            text: sql.to_owned(),
            query: None,
            parameters: Vec::new(),
            columns: None,
            command: None,
        };
        match &command {
            Some(Command::Query(sql)) => {
                let statement = self.shared.engine.parse(sql)?;
                let given: Vec<Option<Type>> = given.iter().map(|oid| decode::known(*oid)).collect();
                let described = self.shared.engine.describe(&self.asker, &statement, &given);
                let (parameters, columns) = guarded(watch, described).await?;
                prepared.parameters = parameters;
                prepared.columns = Some(columns);
                prepared.query = Some(statement);
            }
            Some(Command::Copy { query, .. }) => {
                prepared.query = Some(self.shared.engine.parse(query)?);
            }
            Some(Command::Show(name)) => prepared.columns = Some(self.shown(name)?.0),
            _ => {}
        }
        prepared.command = command;
        Ok(prepared)
    }

    /// `Bind`: puts values in the places of parameters, and plans.
    async fn bind(&mut self, bind: Bind, watch: &Watch) -> Result<(), Error> {
        let prepared = self.statement(&bind.statement)?;
        let noted = |error: Error| error;
        if bind.values.len() != prepared.parameters.len() {
            let message = format!(
                "bind message supplies {} parameters, but prepared statement \"{}\" requires {}",
                bind.values.len(),
                bind.statement,
                prepared.parameters.len()
            );
            return Err(Error::new(error::PROTOCOL, message));
        }
        if self.state.portals.len() >= MOST_PORTALS {
            return Err(Error::new(error::STATEMENTS, "too many open portals: close some"));
        }
        if let Some(command) = &prepared.command {
            self.may(command)?;
        }
        let planned = match &prepared.query {
            None => None,
            Some(statement) => {
                let values = prepared.parameters.iter().zip(&bind.values).enumerate();
                let values = values.map(|(at, (kind, value))| {
                    decode::literal(kind, value.as_ref(), is_binary(&bind.formats, at)).map(Some)
                });
                let planned = match values.collect::<Result<Vec<_>, _>>() {
                    Ok(values) => self.plan(with_values(statement.clone(), values), watch).await,
                    Err(error) => Err(error),
                };
                match planned {
                    Ok(planned) => Some(planned),
                    Err(error) => {
                        self.note(&prepared.text, watch, 0, Some(&error));
                        return Err(noted(error));
                    }
                }
            }
        };
        let formats = bind.result_formats;
        self.state.portals.insert(bind.portal, Portal { prepared, planned, formats, rows: None });
        Ok(())
    }

    async fn execute(&mut self, name: &str, most_rows: u32) -> Result<(), Failure> {
        let mut portal = self.state.portals.remove(name).ok_or_else(|| no_portal(name))?;
        let prepared = Arc::clone(&portal.prepared);
        let Some(command) = &prepared.command else {
            self.out.message(b'I', |_| {});
            self.state.portals.insert(name.to_owned(), portal);
            return Ok(());
        };
        let watch = self.watch();
        let before = portal.rows.as_ref().map_or(0, |rows| rows.sent);
        let done = self.step(command, &mut portal, most_rows, &watch).await;
        let sent = match (&done, &portal.rows) {
            (Ok((_, sent)), None) => *sent,
            (_, rows) => rows.as_ref().map_or(0, |rows| rows.sent - before),
        };
        self.shared.done(self.asker.process);
        match done {
            Ok((suspended, _)) => {
                self.note(&prepared.text, &watch, sent, None);
                if suspended {
                    self.out.message(b's', |_| {});
                    self.state.portals.insert(name.to_owned(), portal);
                }
                Ok(())
            }
            Err(Failure::Told(error)) => {
                self.note(&prepared.text, &watch, sent, Some(&error));
                Err(error.into())
            }
            Err(gone) => Err(gone),
        }
    }

    /// One `Execute`: whether there is more, and how many rows were sent.
    async fn step(
        &mut self,
        command: &Command,
        portal: &mut Portal,
        most_rows: u32,
        watch: &Watch,
    ) -> Result<(bool, u64), Failure> {
        self.may(command)?;
        match (command, &portal.planned) {
            (Command::Copy { form, .. }, Some(planned)) => {
                let sent = self.copy(planned, *form, watch).await?;
                self.complete(&format!("COPY {sent}"));
                Ok((false, sent))
            }
            (Command::Query(sql), Some(planned)) => {
                let rows = match &mut portal.rows {
                    Some(rows) => rows,
                    none => none.insert(Rows::of(planned, watch).await?),
                };
                rows.brake.watch(watch);
                let before = rows.sent;
                let suspended = self.send_rows(rows, &portal.formats, most_rows, watch).await?;
                let sent = rows.sent - before;
                if !suspended {
                    self.complete(&tag(sql, sent));
                }
                Ok((suspended, sent))
            }
            (Command::Show(name), _) => {
                let (_, rows) = self.shown(name)?;
                let sent = self.send_texts(&rows).await?;
                self.complete("SHOW");
                Ok((false, sent))
            }
            (other, _) => {
                let tag = self.talk(other)?;
                self.complete(&tag);
                Ok((false, 0))
            }
        }
    }

    /// Plans over the newest lake, or what the transaction holds on to.
    async fn plan(&mut self, statement: Statement, watch: &Watch) -> Result<Planned, Error> {
        if self.state.repeatable
            && self.state.transaction == Transaction::Open
            && self.state.pinned.is_none()
        {
            self.state.pinned = Some(guarded(watch, self.shared.engine.tables(&self.asker)).await?);
        }
        let pinned = self.state.pinned.as_ref();
        guarded(watch, self.shared.engine.plan(&self.asker, statement, pinned)).await
    }

    fn describe(&mut self, columns: &[ColumnInfo], formats: &[i16]) {
        self.out.message(b'T', |body| {
            body.put_u16(u16::try_from(columns.len()).unwrap_or(u16::MAX));
            for (at, column) in columns.iter().enumerate() {
                put_text(body, &column.name);
                // Which table's column it is, is not told.
                body.put_i32(0);
                body.put_i16(0);
                body.put_u32(column.kind.oid());
                body.put_i16(types::length(&column.kind));
                body.put_i32(column.modifier);
                body.put_i16(i16::from(is_binary(formats, at)));
            }
        });
    }

    fn complete(&mut self, tag: &str) {
        self.out.message(b'C', |body| put_text(body, tag));
    }

    /// Sends rows, all or `most_rows` unless 0; whether there may be more.
    async fn send_rows(
        &mut self,
        rows: &mut Rows,
        formats: &[i16],
        most_rows: u32,
        watch: &Watch,
    ) -> Result<bool, Failure> {
        let most = self.shared.setup.load().config.max_rows;
        let mut left = if most_rows == 0 { u64::MAX } else { u64::from(most_rows) };
        loop {
            if left == 0 {
                return Ok(true);
            }
            let Some((columns, count, next)) = &mut rows.batch else {
                match next_batch(&mut rows.stream, watch).await? {
                    Some(batch) => rows.batch = Some(batch),
                    None => return Ok(false),
                }
                continue;
            };
            if next == count {
                rows.batch = None;
                continue;
            }
            if rows.sent >= most {
                return Err(too_many(most).into());
            }
            let row = *next;
            self.out.message(b'D', |body| {
                body.put_u16(u16::try_from(columns.len()).unwrap_or(u16::MAX));
                for (at, column) in columns.iter().enumerate() {
                    column.put(row, is_binary(formats, at), body);
                }
            });
            *next += 1;
            rows.sent += 1;
            left -= 1;
            self.ease(watch).await?;
        }
    }

    /// Waits for a slow client, as long as the statement may take.
    async fn ease(&mut self, watch: &Watch) -> Result<(), Failure> {
        tokio::select! {
            biased;
            done = self.out.ease() => Ok(done?),
            () = watch.token.cancelled() => Err(cancelled().into()),
            // Half a message may be on its way: nothing can follow it.
            () = tokio::time::sleep_until(watch.deadline) => Err(Failure::Gone),
        }
    }

    /// The rows of a query as `COPY` writes them.
    async fn copy(&mut self, planned: &Planned, form: Form, watch: &Watch) -> Result<u64, Failure> {
        let most = self.shared.setup.load().config.max_rows;
        let mut rows = Rows::of(planned, watch).await?;
        let columns = planned.columns.len();
        self.out.message(b'H', |body| copy::put_response(form, columns, body));
        let mut line = BytesMut::new();
        let names: Vec<&str> = planned.columns.iter().map(|column| column.name.as_str()).collect();
        copy::put_head(form, &names, &mut line);
        // The head of the binary form stands in one message with the first row: clients rely on it.
        if form != Form::Binary && !line.is_empty() {
            self.out.message(b'd', |body| body.put_slice(&line));
            line.clear();
        }
        let mut sent = 0;
        while let Some((columns, count, _)) = next_batch(&mut rows.stream, watch).await? {
            for row in 0..count {
                if sent >= most {
                    return Err(too_many(most).into());
                }
                copy::put_row(form, &columns, row, &mut line);
                self.out.message(b'd', |body| body.put_slice(&line));
                line.clear();
                sent += 1;
                self.ease(watch).await?;
            }
        }
        copy::put_tail(form, &mut line);
        if !line.is_empty() {
            self.out.message(b'd', |body| body.put_slice(&line));
        }
        self.out.message(b'c', |_| {});
        Ok(sent)
    }

    /// What `SHOW` shows.
    fn shown(&self, name: &str) -> Result<(Vec<ColumnInfo>, Vec<Vec<String>>), Error> {
        let column = |name: &str| ColumnInfo {
            name: name.to_owned(),
            kind: Type::TEXT,
            modifier: -1,
        };
        if name == "all" {
            let settings = self.asker.settings.all().into_iter();
            let rows = settings.map(|(name, value)| {
                vec![name.to_owned(), value.to_owned(), String::new()]
            });
            let columns = ["name", "setting", "description"].map(column).to_vec();
            return Ok((columns, rows.collect()));
        }
        match self.asker.settings.get(name) {
            Some(value) => Ok((vec![column(name)], vec![vec![value.to_owned()]])),
            None => Err(Error::new(
                error::UNKNOWN_SETTING,
                format!("unrecognized configuration parameter \"{name}\""),
            )),
        }
    }

    async fn send_texts(&mut self, rows: &[Vec<String>]) -> Result<u64, Failure> {
        for row in rows {
            self.out.message(b'D', |body| {
                body.put_u16(u16::try_from(row.len()).unwrap_or(u16::MAX));
                for text in row {
                    body.put_i32(i32::try_from(text.len()).unwrap_or(i32::MAX));
                    body.put_slice(text.as_bytes());
                }
            });
            self.out.ease().await?;
        }
        Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
    }

    /// Commands that ask nothing: the tag of their end.
    fn talk(&mut self, command: &Command) -> Result<String, Error> {
        Ok(match command {
            Command::Set { name, value, local } => {
                if *local && self.state.transaction == Transaction::Open {
                    let old = self.asker.settings.get(name).map(ToOwned::to_owned);
                    self.state.local.push((name.clone(), old));
                }
                self.asker.settings.set(name, value.as_deref())?;
                self.report(name);
                if value.is_some() { "SET" } else { "RESET" }.to_owned()
            }
            Command::ResetAll => {
                self.asker.settings.reset();
                "RESET".to_owned()
            }
            Command::Begin { repeatable } => {
                if self.state.transaction == Transaction::None {
                    self.state.transaction = Transaction::Open;
                    self.state.before = Some(self.asker.settings.clone());
                    self.state.repeatable = *repeatable;
                }
                "BEGIN".to_owned()
            }
            Command::Commit => {
                let failed = self.state.transaction == Transaction::Failed;
                self.end(failed);
                if failed { "ROLLBACK" } else { "COMMIT" }.to_owned()
            }
            Command::Rollback => {
                self.end(true);
                "ROLLBACK".to_owned()
            }
            Command::Savepoint { tag, back } => {
                if self.state.transaction == Transaction::None {
                    let message = format!("{tag} can only be used in transaction blocks");
                    return Err(Error::new("25P01", message));
                }
                if *back {
                    self.state.transaction = Transaction::Open;
                }
                (*tag).to_owned()
            }
            Command::Deallocate(name) => match name {
                None => {
                    self.state.statements.clear();
                    "DEALLOCATE ALL".to_owned()
                }
                Some(name) => {
                    self.statement(name)?;
                    self.state.statements.remove(name);
                    "DEALLOCATE".to_owned()
                }
            },
            Command::Discard(tag) => {
                if *tag == "DISCARD ALL" {
                    self.asker.settings.reset();
                    self.state.statements.clear();
                    self.state.portals.clear();
                }
                (*tag).to_owned()
            }
            Command::Nothing(tag) => (*tag).to_owned(),
            Command::Query(_) | Command::Copy { .. } | Command::Show(_) => {
                return Err(Error::new(error::INTERNAL, "the statement was not planned"));
            }
        })
    }

    /// Tells the client of a setting that changed, where it wants to know.
    fn report(&mut self, name: &str) {
        let reported = self.asker.settings.reported();
        let reported = reported.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        if let Some((name, value)) = reported {
            let value = value.to_owned();
            self.out.message(b'S', |body| {
                put_text(body, name);
                put_text(body, &value);
            });
        }
    }

    /// The end of a transaction, with its settings or without.
    fn end(&mut self, back: bool) {
        if self.state.transaction != Transaction::None {
            let before = self.state.before.take();
            if let Some(before) = before.filter(|_| back) {
                self.asker.settings = before;
            } else {
                for (name, value) in self.state.local.drain(..).rev() {
                    // It was valid before.
                    let _ = self.asker.settings.set(&name, value.as_deref());
                }
            }
        }
        self.state.local.clear();
        self.state.transaction = Transaction::None;
        self.state.repeatable = false;
        self.state.pinned = None;
        self.state.portals.clear();
    }

    /// A statement begins.
    fn watch(&self) -> Watch {
        let began = Instant::now();
        let token = self.gone.child_token();
        self.shared.begin(self.asker.process, token.clone());
        Watch { token, deadline: began + self.asker.settings.timeout(), began }
    }

    /// A statement has ended.
    fn note(&self, statement: &str, watch: &Watch, rows: u64, error: Option<&Error>) {
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
        other => format!("{other:?}"),
    }
}

/// The tag of a query's end: clients read the rows from it.
fn tag(sql: &str, rows: u64) -> String {
    let explains = sql.get(..7).is_some_and(|word| word.eq_ignore_ascii_case("explain"));
    if explains { "EXPLAIN".to_owned() } else { format!("SELECT {rows}") }
}

fn no_portal(name: &str) -> Error {
    Error::new(error::UNKNOWN_CURSOR, format!("portal \"{name}\" does not exist"))
}

fn too_many(most: u64) -> Error {
    Error::new(error::LIMIT, format!("the statement gives more than {most} rows"))
        .hint("Group or filter it, ask for it in parts with LIMIT, or raise `sql.max_rows`.")
}

/// The next batch with rows.
async fn next_batch(
    stream: &mut SendableRecordBatchStream,
    watch: &Watch,
) -> Result<Option<(Vec<Column>, usize, usize)>, Error> {
    loop {
        let next = guarded(watch, async {
            stream.next().await.transpose().map_err(|error| error::of_engine(&error))
        });
        let Some(batch) = next.await? else { return Ok(None) };
        if batch.num_rows() > 0 {
            let columns = encode::columns(&batch);
            let columns = columns
                .map_err(|error| Error::new(error::of_arrow(&error), error.to_string()))?;
            return Ok(Some((columns, batch.num_rows(), 0)));
        }
    }
}

/// Work of the engine, until it is done, cancelled or too late; its panic ends the statement alone.
async fn guarded<T>(
    watch: &Watch,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        () = watch.token.cancelled() => Err(cancelled()),
        () = tokio::time::sleep_until(watch.deadline) => {
            Err(too_late())
        }
        done = AssertUnwindSafe(work).catch_unwind() => done.unwrap_or_else(|_| {
            Err(Error::new(error::INTERNAL, "the engine failed; the log says where"))
        }),
    }
}
