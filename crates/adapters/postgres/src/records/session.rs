//! Sessions.

use mobile_bind_domain::{AccountId, ClientType, KeyId, Session, SessionId, SessionSeed, Timestamp};

use super::account::{platform_number, platform_of};
use super::{Part, account_id, bytes, millis, read, stored_id, timestamp, touch};
use crate::fault::Fault;
use crate::query::{Columns, Form, Holds, Statement, Value, parameter};

const KIND: &str = "session";

/// How many columns follow the id.
const REST: usize = 6;

/// The columns of the session `alias`, in the order [`take`] reads them.
pub(crate) fn columns(alias: &str) -> String {
    let names = ["id", "account_id", "client_type", "seed", "key_id", "issued_at", "used_at"];
    names.map(|name| format!("{alias}.{name}")).join(", ")
}

/// Reads a session; `None` where it is not there.
pub(crate) fn take(columns: &mut Columns<'_>) -> Result<Option<Session>, Fault> {
    let Some(id) = columns.present::<&[u8]>(KIND, REST)? else { return Ok(None) };
    Ok(Some(Session {
        id: SessionId(bytes(id, KIND)?),
        account: account_id(columns.take(KIND)?, KIND)?,
        client_type: client_type_of(columns.take(KIND)?).ok_or(Fault::Unreadable(KIND))?,
        seed: SessionSeed(bytes(columns.take(KIND)?, KIND)?),
        key: read(columns.take(KIND)?, KIND, KeyId::new)?,
        issued_at: timestamp(columns.take(KIND)?, KIND)?,
        used_at: timestamp(columns.take(KIND)?, KIND)?,
    }))
}

const fn client_type_number(client_type: ClientType) -> i16 {
    match client_type {
        ClientType::Pc => 1,
        ClientType::H5 => 2,
        ClientType::Ios => 3,
        ClientType::Android => 4,
        ClientType::MiniProgram(platform) => 16 + platform_number(platform),
    }
}

fn client_type_of(number: i16) -> Option<ClientType> {
    match number {
        1 => Some(ClientType::Pc),
        2 => Some(ClientType::H5),
        3 => Some(ClientType::Ios),
        4 => Some(ClientType::Android),
        other => platform_of(other.checked_sub(16)?).map(ClientType::MiniProgram),
    }
}

const THERE: Form =
    Form { rank: 30, holds: Holds::Each, text: "SELECT 1 FROM sessions s WHERE s.id = ANY ($1::bytea[]) FOR UPDATE" };

pub(crate) const END: Form =
    Form { rank: 31, holds: Holds::Always, text: "DELETE FROM sessions s WHERE s.id = ANY ($1::bytea[])" };

pub(crate) const OPEN: Form = Form {
    rank: 32,
    holds: Holds::Always,
    text: "INSERT INTO sessions (id, account_id, client_type, seed, key_id, issued_at, used_at)
SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::smallint[], $4::bytea[], $5::text[], $6::bigint[], $7::bigint[])
ON CONFLICT (account_id, client_type) DO UPDATE SET id = excluded.id, seed = excluded.seed, key_id = excluded.key_id,
    issued_at = excluded.issued_at, used_at = excluded.used_at",
};

const USE: Form = Form {
    rank: 33,
    holds: Holds::Always,
    text: "UPDATE sessions s SET used_at = greatest(s.used_at, used.at)
FROM unnest($1::bytea[], $2::bigint[]) AS used (id, at) WHERE s.id = ANY ($1) AND s.id = used.id",
};

/// Opens a session in place of the one that the account had on its client type.
pub(crate) fn open(session: &Session) -> Part {
    let (account, client_type) = (stored_id(session.account), client_type_number(session.client_type));
    let row = vec![
        session.id.0.to_vec().into(),
        account.into(),
        Value::Small(client_type),
        session.seed.0.to_vec().into(),
        session.key.as_str().to_owned().into(),
        millis(session.issued_at).into(),
        millis(session.used_at).into(),
    ];
    Part { form: &OPEN, row, touches: vec![touched(session.id), touch("log-in", &[&account, &client_type])] }
}

fn touched(id: SessionId) -> u64 {
    touch(KIND, &[&id.0])
}

pub(crate) fn use_at(id: SessionId, at: Timestamp) -> Part {
    Part { form: &USE, row: vec![id.0.to_vec().into(), millis(at).into()], touches: vec![touched(id)] }
}

pub(crate) fn end(id: SessionId) -> Part {
    Part { form: &END, row: vec![id.0.to_vec().into()], touches: vec![touched(id)] }
}

/// Ends an account's sessions, but for the one on a client type that is named.
pub(crate) fn end_all(account: AccountId, except: Option<ClientType>) -> Statement {
    let text = "DELETE FROM sessions WHERE account_id = $1::bigint AND ($2::smallint IS NULL OR client_type <> $2)";
    Statement::new(text, vec![parameter(stored_id(account)), parameter(except.map(client_type_number))])
}

/// Holds where the session is there; nobody ends it until the change is committed.
pub(crate) fn there(id: SessionId) -> Part {
    Part { form: &THERE, row: vec![id.0.to_vec().into()], touches: vec![touched(id)] }
}

#[cfg(test)]
mod tests {
    use mobile_bind_domain::ClientType;

    use super::{client_type_number, client_type_of};

    #[test]
    fn every_client_type_has_a_number_of_its_own() {
        for client_type in ClientType::ALL {
            assert_eq!(client_type_of(client_type_number(client_type)), Some(client_type));
        }
        for number in [0, 5, 16, 23, i16::MIN] {
            assert_eq!(client_type_of(number), None);
        }
    }
}
