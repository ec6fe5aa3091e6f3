//! Commands that ask nothing: settings and transactions.

use tokio::io::AsyncWrite;

use super::connection::Connection;
use super::error::{self, Error};
use super::guard::Command;
use super::session::Transaction;
use super::wire::put_text;

impl<W: AsyncWrite + Unpin> Connection<W> {
    /// In a failed transaction only its end is taken.
    pub(super) fn may(&self, command: &Command) -> Result<(), Error> {
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

    /// Commands that ask nothing: the tag of their end.
    pub(super) fn talk(&mut self, command: &Command) -> Result<String, Error> {
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
            Command::CloseCursor(name) => self.close_cursor(name.as_deref())?,
            Command::Query(_)
            | Command::Copy { .. }
            | Command::Show(_)
            | Command::Declare { .. }
            | Command::Fetch { .. }
            | Command::Prepare { .. }
            | Command::Execute { .. } => {
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
        // Without a change of data, what is held after a rollback is as right as after a commit.
        self.state.portals.retain(|_, portal| portal.is_held);
    }
}
