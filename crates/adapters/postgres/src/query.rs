//! Statements and their parameters, and the columns of an answer, read in the order they were asked for.

use std::borrow::Cow;
use std::fmt::Write;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

use crate::fault::Fault;

pub(crate) type Parameter = Box<dyn ToSql + Sync + Send>;

/// One column of a row that is written.
pub(crate) enum Value {
    Text(Option<String>),
    Big(Option<i64>),
    Small(i16),
    Bytes(Option<Vec<u8>>),
    Flag(bool),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Big(Some(number))
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Some(bytes))
    }
}

/// A statement over any number of rows: each of its parameters is an array, a column of them.
pub(crate) struct Form {
    /// In which order forms are run; each has a number of its own.
    pub(crate) rank: u8,
    pub(crate) holds: Holds,
    pub(crate) text: &'static str,
}

/// What must come of a form for the change to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Whatever.
    Always,
    /// A row for each that was asked for.
    Each,
    /// No row.
    None,
}

/// One statement of several forms, with the rows of each. They all see what was true when it began, so they must have
/// nothing to do with each other. What must hold and does not divides by zero.
pub(crate) fn combined(forms: Vec<(&'static Form, Vec<Vec<Value>>)>) -> Statement {
    let (mut bodies, mut conditions, mut parameters) = (String::new(), String::new(), Vec::new());
    for (form, rows) in forms {
        let name = form.rank;
        let comma = if bodies.is_empty() { "" } else { ",\n" };
        // Writing to a String does not fail.
        let _ = write!(bodies, "{comma}p{name} AS (");
        let before = parameters.len();
        renumber(form.text, before, &mut bodies);
        bodies.push(')');
        let comma = if conditions.is_empty() { "" } else { ", " };
        let _ = match form.holds {
            Holds::Always => Ok(()),
            Holds::Each => write!(
                conditions,
                "{comma}(SELECT 1 / (CASE WHEN count(*) = cardinality(${}) THEN 1 ELSE 0 END) FROM p{name})",
                before + 1
            ),
            Holds::None => {
                write!(conditions, "{comma}(SELECT 1 / (CASE WHEN count(*) = 0 THEN 1 ELSE 0 END) FROM p{name})")
            }
        };
        parameters.extend(columns(rows));
    }
    let conditions = if conditions.is_empty() { "1" } else { &conditions };
    Statement { text: format!("WITH {bodies}\nSELECT {conditions}").into(), parameters }
}

/// Adds a text whose placeholders come after so many others.
fn renumber(text: &str, before: usize, to: &mut String) {
    let mut parts = text.split('$');
    to.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.find(|character: char| !character.is_ascii_digit()).unwrap_or(part.len());
        let (number, rest) = part.split_at(digits);
        let _ = write!(to, "${}{rest}", number.parse().unwrap_or(0) + before);
    }
}

/// Makes of the rows one parameter for each column.
pub(crate) fn columns(rows: Vec<Vec<Value>>) -> Vec<Parameter> {
    let mut columns: Vec<Column> = Vec::new();
    for (number, row) in rows.into_iter().enumerate() {
        if number == 0 {
            columns.extend(row.iter().map(Column::of));
        }
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    columns.into_iter().map(Column::into_parameter).collect()
}

enum Column {
    Text(Vec<Option<String>>),
    Big(Vec<Option<i64>>),
    Small(Vec<i16>),
    Bytes(Vec<Option<Vec<u8>>>),
    Flag(Vec<bool>),
}

impl Column {
    fn of(value: &Value) -> Self {
        match value {
            Value::Text(_) => Self::Text(Vec::new()),
            Value::Big(_) => Self::Big(Vec::new()),
            Value::Small(_) => Self::Small(Vec::new()),
            Value::Bytes(_) => Self::Bytes(Vec::new()),
            Value::Flag(_) => Self::Flag(Vec::new()),
        }
    }

    fn push(&mut self, value: Value) {
        match (self, value) {
            (Self::Text(column), Value::Text(value)) => column.push(value),
            (Self::Big(column), Value::Big(value)) => column.push(value),
            (Self::Small(column), Value::Small(value)) => column.push(value),
            (Self::Bytes(column), Value::Bytes(value)) => column.push(value),
            (Self::Flag(column), Value::Flag(value)) => column.push(value),
            // Rows of one form have columns of the same types; were one not, its column would be too short, which the
            // statement's own count of rows finds out.
            _ => {}
        }
    }

    fn into_parameter(self) -> Parameter {
        match self {
            Self::Text(column) => parameter(column),
            Self::Big(column) => parameter(column),
            Self::Small(column) => parameter(column),
            Self::Bytes(column) => parameter(column),
            Self::Flag(column) => parameter(column),
        }
    }
}

/// One statement. Its text has a finite number of forms, so that connections may keep it prepared.
pub(crate) struct Statement {
    pub(crate) text: Cow<'static, str>,
    pub(crate) parameters: Vec<Parameter>,
}

impl Statement {
    pub(crate) fn new(text: &'static str, parameters: Vec<Parameter>) -> Self {
        Self { text: Cow::Borrowed(text), parameters }
    }

    pub(crate) fn references(&self) -> Vec<&(dyn ToSql + Sync)> {
        references(&self.parameters)
    }
}

pub(crate) fn references(parameters: &[Parameter]) -> Vec<&(dyn ToSql + Sync)> {
    parameters.iter().map(|parameter| parameter.as_ref() as &(dyn ToSql + Sync)).collect()
}

/// A parameter of any type.
pub(crate) fn parameter(value: impl ToSql + Sync + Send + 'static) -> Parameter {
    Box::new(value)
}

/// A `SELECT` of one row, put together from left joins: what is not there is null. Several that differ in their values alone
/// can be asked at once.
#[derive(Default)]
pub(crate) struct Selection {
    columns: String,
    joins: String,
    /// The values' types, and their names.
    types: String,
    names: String,
    values: Vec<Value>,
}

/// One question of a form.
pub(crate) struct Question {
    pub(crate) text: String,
    pub(crate) values: Vec<Value>,
}

impl Selection {
    /// Asks for more columns.
    pub(crate) fn columns(&mut self, columns: &str) {
        if !self.columns.is_empty() {
            self.columns.push_str(", ");
        }
        self.columns.push_str(columns);
    }

    /// Joins at most one row of `table`, under a name of its own.
    ///
    /// Each by a query of its own, which can only be a look-up: a plan that was made while a table was empty, and is kept,
    /// would read all of it instead.
    pub(crate) fn join(&mut self, table: &str, alias: &str, on: &str) {
        // Writing to a String does not fail.
        let _ = write!(
            self.joins,
            "\nLEFT JOIN LATERAL (SELECT {alias}.* FROM {table} {alias} WHERE {on} LIMIT 1) {alias} ON true"
        );
    }

    /// A placeholder for a value.
    pub(crate) fn bind(&mut self, value: impl Into<Value>, of_type: &str) -> String {
        self.values.push(value.into());
        let number = self.values.len();
        let comma = if number == 1 { "" } else { ", " };
        let _ = write!(self.types, "{comma}${number}::{of_type}[]");
        let _ = write!(self.names, "v{number}, ");
        format!("q.v{number}")
    }

    /// The first column is the question's number, from 1 on.
    pub(crate) fn into_question(self) -> Question {
        let Self { columns, joins, types, names, values } = self;
        let text =
            format!("SELECT q.number, {columns}\nFROM unnest({types}) WITH ORDINALITY AS q ({names}number){joins}");
        Question { text, values }
    }
}

/// The columns of a row, one after the other.
pub(crate) struct Columns<'r> {
    row: &'r Row,
    next: usize,
}

impl<'r> Columns<'r> {
    /// Of a row of several, the first column of which is whose it is.
    pub(crate) fn of_answer(row: &'r Row) -> Self {
        Self { row, next: 1 }
    }

    pub(crate) fn new(row: &'r Row) -> Self {
        Self { row, next: 0 }
    }

    /// The next column.
    pub(crate) fn take<T: FromSql<'r>>(&mut self, kind: &'static str) -> Result<T, Fault> {
        let found = self.row.try_get(self.next).map_err(|_| Fault::Unreadable(kind));
        self.next += 1;
        found
    }

    /// The next column, which is null where the record is not there; `rest` more are skipped then.
    pub(crate) fn present<T: FromSql<'r>>(&mut self, kind: &'static str, rest: usize) -> Result<Option<T>, Fault> {
        let found: Option<T> = self.take(kind)?;
        if found.is_none() {
            self.next += rest;
        }
        Ok(found)
    }
}
