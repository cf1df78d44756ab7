//! Statements and their parameters, and the columns of an answer, read in the order they were asked for.

use std::borrow::Cow;
use std::fmt::Write;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

use crate::fault::Fault;

pub(crate) type Parameter = Box<dyn ToSql + Sync + Send>;

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

/// A `SELECT` of one row, put together from left joins: what is not there is null.
#[derive(Default)]
pub(crate) struct Selection {
    columns: String,
    joins: String,
    parameters: Vec<Parameter>,
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
    pub(crate) fn join(&mut self, table: &str, alias: &str, on: &str) {
        // Writing to a String does not fail.
        let _ = write!(self.joins, "\nLEFT JOIN {table} {alias} ON {on}");
    }

    /// A placeholder for a value.
    pub(crate) fn bind(&mut self, value: impl ToSql + Sync + Send + 'static, of_type: &str) -> String {
        self.parameters.push(parameter(value));
        format!("${}::{of_type}", self.parameters.len())
    }

    pub(crate) fn into_statement(self) -> Statement {
        let text = format!("SELECT {}\nFROM (SELECT 1) AS request{}", self.columns, self.joins);
        Statement { text: Cow::Owned(text), parameters: self.parameters }
    }
}

/// The columns of a row, one after the other.
pub(crate) struct Columns<'r> {
    row: &'r Row,
    next: usize,
}

impl<'r> Columns<'r> {
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
