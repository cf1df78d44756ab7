//! The records of mobile-bind's own tables, and their way to the domain's types and back.

pub(crate) mod audit;
pub(crate) mod challenge;
pub(crate) mod idempotency;
pub(crate) mod message;
pub(crate) mod proof;
pub(crate) mod receipt;
pub(crate) mod tally;

use mobile_bind_domain::{AccountId, Client, Timestamp};
use mysql_async::prelude::{FromValue, Queryable};
use mysql_async::{Conn, Params, Row, Value};

use crate::fault::{Fault, Rejection};

/// The columns of a row, one after the other.
pub(crate) struct Columns {
    kind: &'static str,
    row: Row,
    next: usize,
    /// Where they stand in the row, where not one after the other.
    order: Option<Vec<usize>>,
}

impl Columns {
    /// Of a record of that kind.
    pub(crate) fn new(kind: &'static str, row: Row) -> Self {
        Self { kind, row, next: 0, order: None }
    }

    /// The same of columns that stand in these places of the row.
    pub(crate) fn in_order(kind: &'static str, row: Row, order: Vec<usize>) -> Self {
        Self { kind, row, next: 0, order: Some(order) }
    }

    /// The next column.
    pub(crate) fn take<T: FromValue>(&mut self) -> Result<T, Fault> {
        let place = self.order.as_ref().map_or(Some(self.next), |order| order.get(self.next).copied());
        let column = place.and_then(|place| self.row.take_opt(place));
        self.next += 1;
        column.and_then(Result::ok).ok_or(Fault::Unreadable(self.kind))
    }

    /// The next column, read by the domain's own constructor.
    pub(crate) fn read<T>(&mut self, make: impl FnOnce(&str) -> Option<T>) -> Result<T, Fault> {
        let kind = self.kind;
        self.read_some(make)?.ok_or(Fault::Unreadable(kind))
    }

    /// The same of a column that may be NULL.
    pub(crate) fn read_some<T>(&mut self, make: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Fault> {
        let stored: Option<Vec<u8>> = self.take()?;
        let read =
            |stored: Vec<u8>| std::str::from_utf8(&stored).ok().and_then(make).ok_or(Fault::Unreadable(self.kind));
        stored.map(read).transpose()
    }

    /// The next column, of just that many bytes.
    pub(crate) fn bytes<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Fault> {
        let kind = self.kind;
        self.bytes_some()?.ok_or(Fault::Unreadable(kind))
    }

    /// The same of a column that may be NULL.
    pub(crate) fn bytes_some<const LENGTH: usize>(&mut self) -> Result<Option<[u8; LENGTH]>, Fault> {
        let stored: Option<Vec<u8>> = self.take()?;
        stored.map(|stored| stored.try_into().map_err(|_| Fault::Unreadable(self.kind))).transpose()
    }

    /// The next column, in milliseconds.
    pub(crate) fn timestamp(&mut self) -> Result<Timestamp, Fault> {
        self.take().map(Timestamp::from_millis)
    }

    /// The next column, an account.
    pub(crate) fn account(&mut self) -> Result<AccountId, Fault> {
        let id: u64 = self.take()?;
        AccountId::new(id).ok_or(Fault::Unreadable(self.kind))
    }
}

/// Reads one row, if it is there.
pub(crate) async fn one<T>(
    conn: &mut Conn,
    kind: &'static str,
    text: &str,
    values: Vec<Value>,
    take: impl FnOnce(&mut Columns) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let row: Option<Row> = conn.exec_first(text, positional(values)).await?;
    row.map(|row| take(&mut Columns::new(kind, row))).transpose()
}

/// Reads all rows.
pub(crate) async fn all<T>(
    conn: &mut Conn,
    kind: &'static str,
    text: &str,
    values: Vec<Value>,
    take: impl Fn(&mut Columns) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let rows: Vec<Row> = conn.exec(text, positional(values)).await?;
    rows.into_iter().map(|row| take(&mut Columns::new(kind, row))).collect()
}

/// Runs a statement; answers how many rows it matched.
pub(crate) async fn execute(conn: &mut Conn, text: &str, values: Vec<Value>) -> Result<u64, Rejection> {
    conn.exec_drop(text, positional(values)).await?;
    Ok(conn.affected_rows())
}

/// Runs a statement that must match just one row, for what is expected of that one holds.
pub(crate) async fn execute_on_one(conn: &mut Conn, text: &str, values: Vec<Value>) -> Result<(), Rejection> {
    if execute(conn, text, values).await? == 1 { Ok(()) } else { Err(Rejection::Conflict) }
}

/// How many rows one statement is for at most, a power of two.
const ROWS: usize = 32;

/// In parts of 32, 16, 8 … rows, so that few texts are prepared.
pub(crate) fn in_parts<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = ROWS.min(1 << rows.len().checked_ilog2()?);
        let (part, rest) = rows.split_at(length);
        rows = rest;
        Some(part)
    })
}

pub(crate) fn repeated(text: &str, times: usize, separator: &str) -> String {
    vec![text; times].join(separator)
}

/// Inserts rows. `into` stands before `VALUES`, `otherwise` after it; answers how many rows it matched.
pub(crate) async fn insert(
    conn: &mut Conn,
    into: &str,
    rows: &[Vec<Value>],
    otherwise: &str,
) -> Result<u64, Rejection> {
    let mut matched = 0;
    for part in in_parts(rows) {
        let row = format!("({})", repeated("?", part.first().map_or(0, Vec::len), ", "));
        let text = format!("{into} VALUES {} {otherwise}", repeated(&row, part.len(), ", "));
        matched += execute(conn, &text, part.concat()).await?;
    }
    Ok(matched)
}

/// Inserts rows that are not there.
pub(crate) async fn insert_new(conn: &mut Conn, into: &str, rows: &[Vec<Value>]) -> Result<(), Rejection> {
    let inserted = insert(conn, into, rows, "").await?;
    if usize::try_from(inserted).ok() == Some(rows.len()) { Ok(()) } else { Err(Rejection::Conflict) }
}

/// Runs a statement that must match one row of each, by `condition`.
pub(crate) async fn execute_on_each(
    conn: &mut Conn,
    text: &str,
    condition: &str,
    rows: &[Vec<Value>],
) -> Result<(), Rejection> {
    let mut matched = 0;
    for part in in_parts(rows) {
        let text = format!("{text} {}", repeated(condition, part.len(), " OR "));
        matched += execute(conn, &text, part.concat()).await?;
    }
    if usize::try_from(matched).ok() == Some(rows.len()) { Ok(()) } else { Err(Rejection::Conflict) }
}

/// Reads the rows of many. `question` makes the text of a condition, which `condition` is for each.
pub(crate) async fn all_of<T>(
    conn: &mut Conn,
    kind: &'static str,
    question: impl Fn(&str) -> String,
    condition: &str,
    wanted: &[Vec<Value>],
    take: impl Fn(&mut Columns) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut found = Vec::new();
    for part in in_parts(wanted) {
        let text = question(&repeated(condition, part.len(), " OR "));
        found.extend(all(conn, kind, &text, part.concat(), &take).await?);
    }
    Ok(found)
}

fn positional(values: Vec<Value>) -> Params {
    if values.is_empty() { Params::Empty } else { Params::Positional(values) }
}

/// A client in a key: `uuid:…` or `address:…`.
pub(crate) fn stored_client(client: &Client) -> Value {
    client.to_string().into()
}

pub(crate) fn limited(limit: usize) -> Value {
    u64::try_from(limit).unwrap_or(u64::MAX).into()
}
