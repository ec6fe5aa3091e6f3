//! The extended protocol: statements are parsed, get values, and are answered in pieces.

use std::sync::Arc;

use bytes::BufMut;
use datafusion::sql::sqlparser::ast::Statement;
use postgres_types::Type;
use tokio::io::AsyncWrite;

use super::answer::{Rows, guarded, tag};
use super::brake::Watch;
use super::connection::{Connection, Failure, MOST_BYTES};
use super::decode;
use super::engine::{ColumnInfo, Planned, with_values};
use super::error::{self, Error};
use super::guard::{self, Command};
use super::wire::{Bind, Message, What, is_binary};

/// Statements and portals that a connection may hold.
const MOST_STATEMENTS: usize = 1_000;
pub(super) const MOST_PORTALS: usize = 100;

/// A statement that was parsed.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) text: String,
    /// `None`: there is nothing in it.
    pub(super) command: Option<Command>,
    /// The query of the command, where it is one.
    pub(super) query: Option<Statement>,
    pub(super) parameters: Vec<Type>,
    /// `None`: it gives no rows.
    pub(super) columns: Option<Vec<ColumnInfo>>,
}

/// A statement with values, which is answered in pieces.
pub(super) struct Portal {
    pub(super) prepared: Arc<Prepared>,
    pub(super) planned: Option<Planned>,
    pub(super) formats: Vec<i16>,
    pub(super) rows: Option<Rows>,
    /// A cursor that outlives its transaction.
    pub(super) is_held: bool,
}

impl<W: AsyncWrite + Unpin> Connection<W> {
    pub(super) async fn extended(&mut self, message: Message) -> Result<(), Failure> {
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
                let gives_none = matches!(
                    portal.prepared.command,
                    Some(Command::Copy { .. } | Command::Declare { .. })
                );
                let columns = planned.filter(|_| !gives_none).or(portal.prepared.columns.clone());
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

    pub(super) fn statement(&self, name: &str) -> Result<Arc<Prepared>, Error> {
        self.state.statements.get(name).cloned().ok_or_else(|| {
            let message = format!("prepared statement \"{name}\" does not exist");
            Error::new(error::UNKNOWN_STATEMENT, message)
        })
    }

    /// `Parse`: reads a statement and finds the types of its parameters and columns.
    pub(super) async fn prepare(
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
        let bytes: usize = self.state.statements.values().map(|it| it.text.len()).sum();
        if self.state.statements.len() >= MOST_STATEMENTS || bytes + sql.len() > MOST_BYTES {
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
            Some(command @ (Command::Query(sql) | Command::Declare { query: sql, .. })) => {
                let statement = self.shared.engine.parse(sql)?;
                let given: Vec<Option<Type>> =
                    given.iter().map(|oid| decode::known(*oid)).collect();
                let described = self.shared.engine.describe(&self.asker, &statement, &given);
                let (parameters, columns) = guarded(watch, described).await?;
                prepared.parameters = parameters;
                prepared.columns = matches!(command, Command::Query(_)).then_some(columns);
                prepared.query = Some(statement);
            }
            Some(Command::Copy { query, .. }) => {
                prepared.query = Some(self.shared.engine.parse(query)?);
            }
            Some(Command::Show(name)) => prepared.columns = Some(self.shown(name)?.0),
            Some(Command::Fetch { name, .. }) => prepared.columns = Some(self.fetched(name)?.0),
            Some(Command::Execute { name, .. }) => {
                prepared.columns.clone_from(&self.statement(name)?.columns);
            }
            _ => {}
        }
        prepared.command = command;
        Ok(prepared)
    }

    /// `Bind`: puts values in the places of parameters, and plans.
    async fn bind(&mut self, bind: Bind, watch: &Watch) -> Result<(), Error> {
        let prepared = self.statement(&bind.statement)?;
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
                        return Err(error);
                    }
                }
            }
        };
        let formats = bind.result_formats;
        let portal = Portal { prepared, planned, formats, rows: None, is_held: false };
        self.state.portals.insert(bind.portal, portal);
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
            (Command::Fetch { name, most }, _) => {
                let sent = self.fetch(name, *most, &portal.formats, watch).await?;
                self.complete(&format!("FETCH {sent}"));
                Ok((false, sent))
            }
            (Command::Execute { name, arguments }, _) => {
                let (text, planned) = self.executed(name, arguments, watch).await?;
                let mut rows = Rows::of(&planned, watch).await?;
                self.send_rows(&mut rows, &portal.formats, 0, watch).await?;
                self.complete(&tag(&text, rows.sent));
                Ok((false, rows.sent))
            }
            (Command::Declare { name, query, hold, binary }, _) => {
                let planned = portal.planned.take().ok_or_else(|| no_portal(name))?;
                self.declare(name, query, (*hold, *binary), planned)?;
                self.complete("DECLARE CURSOR");
                Ok((false, 0))
            }
            (Command::Prepare { name, types, query }, _) => {
                self.prepare_as(name, types, query, watch).await?;
                self.complete("PREPARE");
                Ok((false, 0))
            }
            (other, _) => {
                let tag = self.talk(other)?;
                self.complete(&tag);
                Ok((false, 0))
            }
        }
    }
}

fn no_portal(name: &str) -> Error {
    Error::new(error::UNKNOWN_CURSOR, format!("portal \"{name}\" does not exist"))
}
