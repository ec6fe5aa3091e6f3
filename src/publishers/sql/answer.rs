//! Rows on their way to the client: a batch at a time, encoded row by row, until it is told to stop.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use datafusion::execution::SendableRecordBatchStream;
use futures::{FutureExt, StreamExt};
use postgres_types::Type;
use tokio::io::AsyncWrite;

use super::brake::{Brake, Watch, cancelled, too_late};
use super::connection::{Connection, Failure};
use super::copy;
use super::encode::{self, Column};
use super::engine::{ColumnInfo, Planned};
use super::error::{self, Error};
use super::guard::Form;
use super::types;
use super::wire::{is_binary, put_text};

/// Rows on their way.
pub(super) struct Rows {
    pub(super) stream: SendableRecordBatchStream,
    /// Columns of the batch, its rows, and the next of them.
    pub(super) batch: Option<(Vec<Column>, usize, usize)>,
    pub(super) sent: u64,
    pub(super) brake: Arc<Brake>,
}

impl Rows {
    /// Starts to answer.
    pub(super) async fn of(planned: &Planned, watch: &Watch) -> Result<Self, Error> {
        let brake = Brake::new(watch);
        let stream = guarded(watch, planned.run(&brake)).await?;
        Ok(Self { stream, batch: None, sent: 0, brake })
    }
}

impl<W: AsyncWrite + Unpin> Connection<W> {
    pub(super) fn describe(&mut self, columns: &[ColumnInfo], formats: &[i16]) {
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

    pub(super) fn complete(&mut self, tag: &str) {
        self.out.message(b'C', |body| put_text(body, tag));
    }

    /// Sends rows, all or `most_rows` unless 0; whether there may be more.
    pub(super) async fn send_rows(
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

    /// Waits for a slow client; one that takes nothing at all is gone.
    pub(super) async fn ease(&mut self, watch: &Watch) -> Result<(), Failure> {
        tokio::select! {
            biased;
            done = self.out.ease() => Ok(done?),
            () = watch.token.cancelled() => Err(cancelled().into()),
            () = tokio::time::sleep_until(watch.deadline) => Err(too_late().into()),
        }
    }

    /// The rows of a query as `COPY` writes them.
    pub(super) async fn copy(
        &mut self,
        planned: &Planned,
        form: Form,
        watch: &Watch,
    ) -> Result<u64, Failure> {
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
    pub(super) fn shown(&self, name: &str) -> Result<(Vec<ColumnInfo>, Vec<Vec<String>>), Error> {
        let column =
            |name: &str| ColumnInfo { name: name.to_owned(), kind: Type::TEXT, modifier: -1 };
        if name == "all" {
            let settings = self.asker.settings.all().into_iter();
            let rows = settings
                .map(|(name, value)| vec![name.to_owned(), value.to_owned(), String::new()]);
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

    pub(super) async fn send_texts(&mut self, rows: &[Vec<String>]) -> Result<u64, Failure> {
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
}

/// The tag of a query's end: clients read the rows from it.
pub(super) fn tag(sql: &str, rows: u64) -> String {
    let explains = sql.get(..7).is_some_and(|word| word.eq_ignore_ascii_case("explain"));
    if explains { "EXPLAIN".to_owned() } else { format!("SELECT {rows}") }
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
            let columns =
                columns.map_err(|error| Error::new(error::of_arrow(&error), error.to_string()))?;
            return Ok(Some((columns, batch.num_rows(), 0)));
        }
    }
}

/// Work of the engine, until it is done, cancelled or too late; its panic ends the statement alone.
pub(super) async fn guarded<T>(
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
