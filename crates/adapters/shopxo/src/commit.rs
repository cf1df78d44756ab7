//! Changes: one transaction each, in READ COMMITTED.
//!
//! Each condition is looked at under the lock of the row that it is about, so that whoever was waited for is seen. Only the
//! absence of a record that is expected but not written is not locked: it held when the statement ran, and the change stands
//! before whatever came then.

use mobile_bind_domain::{AuditNode, Change, Expectation, Revision, Write};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::fault::{Fault, Rejection};
use crate::records::{audit, challenge, idempotency, message, proof, receipt, tally};
use crate::shop::session::EndedToken;
use crate::shop::{account, session};
use crate::tables::Tables;

/// One thing to be looked at or written.
enum Step<'a> {
    Expect(&'a Expectation),
    Write(&'a Write),
}

impl Step<'_> {
    /// Whatever a change's own order, idempotency keys come first, then challenges, accounts, sessions, receipts, counts,
    /// proofs, marks, messages and the audit: so changes that meet wait for each other, and do not lock each other out.
    fn rank(&self) -> u8 {
        match self {
            Self::Expect(Expectation::Idempotency(..)) | Self::Write(Write::Idempotency { .. }) => 0,
            Self::Expect(Expectation::Challenge(..)) | Self::Write(Write::Challenge { .. }) => 1,
            Self::Expect(Expectation::Account(..)) | Self::Write(Write::Account { .. }) => 2,
            Self::Expect(Expectation::Session(_)) => 3,
            // A session that is opened takes the place of one that is ended.
            Self::Write(Write::EndSession(_) | Write::EndSessions { .. }) => 4,
            Self::Write(Write::OpenSession(_)) => 5,
            Self::Write(Write::UseSession(..)) => 6,
            Self::Write(Write::Receipt(..)) => 7,
            Self::Expect(Expectation::Room { .. })
            | Self::Write(
                Write::Count { .. } | Write::CountMany { .. } | Write::Forget { .. } | Write::Uncount { .. },
            ) => 8,
            Self::Write(Write::Proof(..) | Write::UseProof(..)) => 9,
            Self::Write(Write::Spend(..)) => 10,
            Self::Write(Write::Message { .. }) => 11,
            Self::Write(Write::Audit(_) | Write::AuditCopy(_) | Write::Checkpoint(_) | Write::DropSegment { .. }) => 12,
        }
    }
}

/// A change's steps in the order of all changes; of one kind what is expected comes before what is written.
fn steps(change: &Change) -> Vec<Step<'_>> {
    let expected = change.expectations.iter().map(Step::Expect);
    let mut steps: Vec<_> = expected.chain(change.writes.iter().map(Step::Write)).collect();
    // Stable: within a rank the change's own order stands.
    steps.sort_by_key(Step::rank);
    steps
}

/// Where a change is written: the shop's tables, and as which node and revision.
pub(crate) struct Place<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) node: AuditNode,
    pub(crate) revision: Revision,
}

/// Begins the transaction. Where that fails nothing has been written.
pub(crate) async fn begin(conn: &mut Conn) -> Result<(), Fault> {
    Ok(conn.query_drop("START TRANSACTION").await?)
}

/// Runs all of a change and commits it, or nothing of it. Answers the shop's tokens that ended with it.
pub(crate) async fn run(conn: &mut Conn, place: &Place<'_>, change: &Change) -> Result<Vec<EndedToken>, Rejection> {
    match take_steps(conn, place, change).await {
        Ok(ended) => {
            conn.query_drop("COMMIT").await?;
            Ok(ended)
        }
        Err(Rejection::Conflict) => {
            conn.query_drop("ROLLBACK").await?;
            Err(Rejection::Conflict)
        }
        // The connection is closed, and with that the transaction undone.
        Err(fault) => Err(fault),
    }
}

async fn take_steps(conn: &mut Conn, place: &Place<'_>, change: &Change) -> Result<Vec<EndedToken>, Rejection> {
    let (mut ended, mut events) = (Vec::new(), 0_u8);
    for step in steps(change) {
        match step {
            Step::Expect(expectation) => expect(conn, place, expectation).await?,
            Step::Write(Write::Audit(event)) => {
                audit::add(conn, place.node, place.revision, events, event).await?;
                events = events.saturating_add(1);
            }
            Step::Write(written) => ended.extend(write(conn, place, written).await?),
        }
    }
    Ok(ended)
}

async fn expect(conn: &mut Conn, place: &Place<'_>, expectation: &Expectation) -> Result<(), Rejection> {
    match expectation {
        Expectation::Idempotency(name, known) => idempotency::expect(conn, *name, *known).await,
        Expectation::Challenge(key, known) => challenge::expect(conn, key, *known).await,
        Expectation::Account(id, known) => account::expect(conn, place.tables, *id, *known).await,
        Expectation::Session(id) => session::expect(conn, place.tables, *id).await,
        Expectation::Room { subject, at, kept } => tally::expect_room(conn, subject, *at, kept).await,
    }
}

async fn write(conn: &mut Conn, place: &Place<'_>, write: &Write) -> Result<Vec<EndedToken>, Rejection> {
    let (tables, revision) = (place.tables, place.revision);
    match write {
        Write::Account { expected, account } => account::write(conn, tables, *expected, account, revision).await?,
        Write::OpenSession(opened) => return session::open(conn, tables, opened).await,
        Write::EndSession(id) => return session::end(conn, tables, *id).await,
        Write::EndSessions { account, except } => return session::end_all(conn, tables, *account, *except).await,
        Write::UseSession(id, at) => session::use_at(conn, tables, *id, *at).await?,
        Write::Challenge { expected, key, challenge } => {
            challenge::write(conn, *expected, key, challenge.as_ref(), revision).await?;
        }
        Write::Receipt(key, kept) => receipt::write(conn, key, kept).await?,
        Write::Idempotency { expected, name, record } => {
            idempotency::write(conn, *expected, *name, record.as_ref(), revision).await?;
        }
        Write::Count { subject, at, kept, watched } => tally::count(conn, subject, *at, kept, watched).await?,
        Write::CountMany { subject, at, events, watched } => {
            tally::count_many(conn, subject, *at, *events, watched).await?;
        }
        Write::Forget { subject, window } => tally::forget(conn, subject, *window).await?,
        Write::Uncount { subject, at } => tally::uncount(conn, subject, *at).await?,
        Write::Proof(id, kept) => proof::write(conn, *id, kept).await?,
        Write::UseProof(id, until) => proof::use_until(conn, *id, *until).await?,
        Write::Spend(mark, until) => proof::spend(conn, *mark, *until).await?,
        Write::Message { expected, message: written } => message::write(conn, *expected, written, revision).await?,
        // Those have a place in their change.
        Write::Audit(_) => {}
        Write::AuditCopy(event) => audit::copy(conn, event).await?,
        Write::Checkpoint(checkpoint) => audit::seal(conn, checkpoint).await?,
        Write::DropSegment { node, segment, last } => audit::drop_segment(conn, *node, *segment, *last).await?,
    }
    Ok(Vec::new())
}
