//! Rows of several kinds by one question, so that they are read as they were at one moment, and in one round trip.
//!
//! All rows of such a question have as many columns, first whole numbers, then bytes; each kind says which of its own stand
//! there.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Row, Value};

use crate::fault::Fault;
use crate::records::Columns;

/// How many columns of either sort a row has.
const NUMBERS: usize = 6;
const BYTES: usize = 5;

/// A column of a kind.
#[derive(Clone, Copy)]
pub(crate) enum Column {
    /// A whole number that is not negative.
    Number(&'static str),
    Bytes(&'static str),
}

/// What is read of a table.
pub(crate) struct Kind<T> {
    pub(crate) name: &'static str,
    /// In the order in which `take` reads them.
    pub(crate) columns: &'static [Column],
    pub(crate) take: fn(&mut Columns) -> Result<T, Fault>,
}

impl<T> Kind<T> {
    /// The columns, as they are named in a question for this kind alone.
    pub(crate) fn list(&self) -> String {
        let texts = self.columns.iter().map(|(Column::Number(text) | Column::Bytes(text))| *text);
        texts.collect::<Vec<_>>().join(", ")
    }
}

/// What was asked for, to be found in the answer.
pub(crate) struct Asked<T: 'static> {
    part: u64,
    kind: &'static Kind<T>,
}

/// What is asked for.
#[derive(Default)]
pub(crate) struct Question {
    parts: Vec<String>,
    values: Vec<Value>,
}

impl Question {
    /// Asks for rows. `from` stands after `FROM`.
    pub(crate) fn add<T>(&mut self, kind: &'static Kind<T>, from: &str, values: Vec<Value>) -> Asked<T> {
        let part = self.parts.len();
        let (mut numbers, mut bytes) = (vec!["NULL"; NUMBERS], vec!["NULL"; BYTES]);
        for (place, column) in places(kind.columns).zip(kind.columns) {
            let (cell, text) = match *column {
                Column::Number(text) => (numbers.get_mut(place - 1), text),
                Column::Bytes(text) => (bytes.get_mut(place - 1 - NUMBERS), text),
            };
            if let Some(cell) = cell {
                *cell = text;
            }
        }
        self.parts.push(format!("SELECT {part}, {}, {} FROM {from}", numbers.join(", "), bytes.join(", ")));
        self.values.extend(values);
        Asked { part: u64::try_from(part).unwrap_or(u64::MAX), kind }
    }

    pub(crate) async fn ask(self, conn: &mut Conn) -> Result<Answer, Fault> {
        if self.parts.is_empty() {
            return Ok(Answer(Vec::new()));
        }
        let rows: Vec<Row> = conn.exec(self.parts.join(" UNION ALL "), Params::Positional(self.values)).await?;
        Ok(Answer(rows))
    }
}

/// Where the columns stand in a row, after the number of the part.
fn places(columns: &[Column]) -> impl Iterator<Item = usize> {
    let (mut number, mut bytes) = (0, NUMBERS);
    columns.iter().map(move |column| {
        let place = if matches!(column, Column::Number(_)) { &mut number } else { &mut bytes };
        *place += 1;
        *place
    })
}

/// The rows that were found.
pub(crate) struct Answer(Vec<Row>);

impl Answer {
    /// All rows of a kind, in no particular order.
    pub(crate) fn all<T>(&self, asked: &Asked<T>) -> Result<Vec<T>, Fault> {
        let rows = self.0.iter().filter(|row| row.get::<u64, _>(0) == Some(asked.part));
        let read = |row: &Row| {
            let order = places(asked.kind.columns).collect();
            (asked.kind.take)(&mut Columns::in_order(asked.kind.name, row.clone(), order))
        };
        rows.map(read).collect()
    }

    /// The row of a kind, where it was asked for and is there.
    pub(crate) fn one<T>(&self, asked: Option<&Asked<T>>) -> Result<Option<T>, Fault> {
        asked.map_or(Ok(None), |asked| Ok(self.all(asked)?.pop()))
    }
}
