//! How PostgreSQL goes about each statement, on tables that are large: by an index, whatever grows.
//!
//! The plans stand in `plans.txt`, beside this file: the scans alone, which are the same from version to version.
//! `MOBILE_BIND_WRITE_PLANS=1` writes them anew. `MOBILE_BIND_PLAN_ACCOUNTS` sets how many accounts there are.

use std::fmt::Write as _;

use deadpool_postgres::Client;
use mobile_bind_domain::audit::{Actor, AuditAction, AuditMark, Checkpoint};
use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::outbox::{Attempt, MessageId, SealedCode};
use mobile_bind_domain::policy::OutboxPolicy;
use mobile_bind_domain::ports::{BindQuery, CallerQuery, EvidenceQuery, LogInQuery, SendQuery};
use mobile_bind_domain::referrer::ReferrerName;
use mobile_bind_domain::{
    Account, AccountId, AppId, AuditEvent, AuditNode, Challenge, ChallengeKey, Change, Client as Asking, ClientType,
    CodeMac, Expectation, IdempotencyName, IdempotencyRecord, IdempotentOutcome, Identity, Installation, KeyId,
    Language, MemberCode, MessageKey, Mobile, OpenId, OutboxMessage, Platform, PlatformIdentity, Proof, ProofId, Quota,
    Revision, Session, SessionId, SessionSeed, SpentMark, Subject, Timestamp, UnionId, Write,
};

use super::{drop_schema, empty_schema};
use crate::query::{Question, Statement, columns};
use crate::records::message;
use crate::records::proof;
use crate::{audit, commit, load, migrate, purge};

const PLANS: &str = include_str!("plans.txt");
const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/plans.txt");

/// How many accounts the plans are made for where nothing else is said.
const ACCOUNTS: u32 = 20_000;

const FILL: &str = "
INSERT INTO accounts SELECT n, n, '8888' || lpad(n::text, 10, '0'), 0, (13000000000 + n)::text, '', '', 0, '', '', '', NULL,
    NULL, 0, NULL, NULL, NULL FROM generate_series(1, $N) AS n;
INSERT INTO identities SELECT n, 1, 'wx', 'o' || n, 'u' || n, true FROM generate_series(1, $N) AS n;
INSERT INTO challenges SELECT (13000000000 + n)::text, 'uuid:' || n, n, 'key', '', n, n, 0 FROM generate_series(1, $N) AS n;
INSERT INTO receipts SELECT (13000000000 + n)::text, 'uuid:' || n, '', n, n, decode(md5(n::text), 'hex')
    FROM generate_series(1, $N) AS n;
INSERT INTO sessions SELECT decode(md5(n::text), 'hex'), n, 2, '', 'key', n, n FROM generate_series(1, $N) AS n;
INSERT INTO audit_events SELECT 1 + n % 3, n * 256, decode(substr(md5(n::text), 1, 16), 'hex'), '' FROM generate_series(1, $N) AS n;
INSERT INTO audit_checkpoints SELECT 1 + n % 3, n, n, n, 1, n, 'key', '', '' FROM generate_series(1, $N) AS n;
INSERT INTO messages SELECT (13000000000 + n)::text, decode(md5(n::text), 'hex'), n, 'uuid:' || n, 1, 1, 4, '', NULL, NULL,
    '[]', n, n, n, CASE WHEN n % 100 = 0 THEN n END, n FROM generate_series(1, $N) AS n;
INSERT INTO message_references SELECT 'p', n::text, (13000000000 + n)::text, decode(md5(n::text), 'hex'), n
    FROM generate_series(1, $N) AS n;
INSERT INTO meters SELECT 'sends_to:' || (13000000000 + n), 3600000, ARRAY[n], ARRAY[1], n FROM generate_series(1, $N) AS n;
INSERT INTO proofs SELECT sha256(n::text::bytea), NULL, NULL, n, n FROM generate_series(1, $N) AS n;
INSERT INTO spent SELECT sha256(n::text::bytea), n FROM generate_series(1, $N) AS n;
INSERT INTO idempotency_keys SELECT decode(md5(n::text), 'hex'), n, '', n, n, 1, NULL, NULL, NULL FROM generate_series(1, $N) AS n;
ANALYZE";

fn key() -> ChallengeKey {
    let client = Asking::Installation(Installation::new("u").unwrap());
    ChallengeKey { mobile: Mobile::restore("17602128368").unwrap(), client }
}

/// A message that one provider has.
fn queued() -> OutboxMessage {
    let key = MessageKey { mobile: key().mobile, id: MessageId([1; 16]) };
    let sealed = SealedCode { key: KeyId::new("key").unwrap(), bytes: [0; 32].into() };
    let (client, now) = (self::key().client, Timestamp::default());
    let policy = OutboxPolicy::default();
    let queued = OutboxMessage::with_code(key, client, Language::Zh, sealed, (now, now), &policy);
    queued.asked(vec![Attempt::new("p", Ok("r"), now)], now, &policy)
}

fn session() -> Session {
    Session {
        id: SessionId([1; 16]),
        seed: SessionSeed([1; 16]),
        key: KeyId::new("key").unwrap(),
        account: AccountId::MIN,
        client_type: ClientType::H5,
        issued_at: Timestamp::default(),
        used_at: Timestamp::default(),
    }
}

fn question(question: Question) -> Statement {
    Statement { text: question.text.into(), parameters: columns(vec![question.values]) }
}

/// Every form of every statement, by a name.
fn statements() -> Vec<(String, Statement)> {
    let openid = OpenId::new("o").unwrap();
    let identity = Identity { platform: Platform::Weixin, app: AppId::default(), openid: openid.clone() };
    let callers = [
        ("nobody", CallerQuery::Session(None)),
        ("a session", CallerQuery::Session(Some(SessionId([1; 16])))),
        ("an openid", CallerQuery::Identity { identity: Some(identity.clone()), unionid: None, session: None }),
        (
            "a unionid",
            CallerQuery::Identity { identity: Some(identity.clone()), unionid: UnionId::new("u"), session: None },
        ),
    ];
    let referrers = [
        ("nobody", None),
        ("id", Some(ReferrerName::Id(AccountId::MIN))),
        ("number", Some(ReferrerName::Mobile(key().mobile))),
        ("code", Some(ReferrerName::Code(MemberCode::of(AccountId::MIN)))),
    ];
    let mut all = vec![
        ("find a message".to_owned(), message::one(&queued().key)),
        ("list messages".to_owned(), message::after(Some(&queued().key), 10)),
        ("list messages to a number".to_owned(), message::to(&key().mobile, 10)),
        ("find a message by its reference".to_owned(), message::by_reference("p", "r")),
        ("list messages that are due".to_owned(), message::due(Timestamp::default(), 10)),
    ];
    for (caller_name, caller) in &callers {
        for (name, referrer) in &referrers {
            let evidence = EvidenceQuery::default();
            let query = BindQuery {
                referrer: referrer.clone(),
                evidence,
                former: true,
                holder_use: true,
                ..BindQuery::new(key(), caller.clone())
            };
            all.push((
                format!("load a bind by {caller_name}, invited by {name}"),
                question(load::bind_question(&query)),
            ));
        }
    }
    let evidence = EvidenceQuery { proof: Some(ProofId([1; 32])), marks: vec![SpentMark([1; 32])] };
    let caller = CallerQuery::Identity {
        identity: Some(identity.clone()),
        unionid: UnionId::new("u"),
        session: Some(SessionId([1; 16])),
    };
    let query =
        BindQuery { evidence: evidence.clone(), former: true, holder_use: true, ..BindQuery::new(key(), caller) };
    all.push(("load a bind by a proved openid".to_owned(), question(load::bind_question(&query))));
    let query = LogInQuery { identity, unionid: UnionId::new("u"), evidence };
    all.push(("load a log-in".to_owned(), question(load::log_in_question(&query))));
    all.push(("list proofs".to_owned(), proof::proofs_statement(None, 100)));
    all.push(("list spent marks".to_owned(), proof::spent_statement(None, 100)));
    for session in [None, Some(SessionId([1; 16]))] {
        let address = std::net::IpAddr::from([192, 0, 2, 1]).into();
        let name = if session.is_some() { "a session" } else { "nobody" };
        let query = SendQuery { key: key(), address, session, idempotency: None, sources: Vec::new() };
        all.push((format!("load a send by {name}"), question(load::send_question(&query))));
    }
    let idempotency = Some(IdempotencyName([1; 32]));
    let address = std::net::IpAddr::from([192, 0, 2, 1]).into();
    let query = SendQuery { key: key(), address, session: None, idempotency, sources: Vec::new() };
    all.push(("load a send with an idempotency key".to_owned(), question(load::send_question(&query))));
    let query =
        BindQuery { idempotency, former: true, holder_use: true, ..BindQuery::new(key(), CallerQuery::Session(None)) };
    all.push(("load a bind with an idempotency key".to_owned(), question(load::bind_question(&query))));
    all.push(("load a session".to_owned(), question(load::session_question(SessionId([1; 16])))));
    all.push(("load an account".to_owned(), question(load::account_question(AccountId::MIN))));
    all.push(("load a number's account".to_owned(), question(load::account_of_question(&key().mobile))));
    all.push(("list the audit's nodes".to_owned(), audit::nodes_statement()));
    all.push(("list events".to_owned(), audit::events_statement(AuditNode(1), 0, 100)));
    all.push(("list a number's events".to_owned(), audit::marked_statement(AuditMark([1; 8]), 100)));
    all.push(("list checkpoints".to_owned(), audit::checkpoints_statement(AuditNode(1), 0, 100)));
    all.push(("load the last checkpoint".to_owned(), audit::last_checkpoint_statement(AuditNode(1))));
    all.push(("list accounts".to_owned(), load::accounts_statement(None, 100)));
    all.push(("list sessions".to_owned(), load::sessions_of_statement(&[AccountId::MIN])));
    let steps = commit::steps(&change(openid), Revision(9), AuditNode(1)).unwrap();
    for (number, statement) in commit::statements(vec![steps]).into_iter().enumerate() {
        all.push((format!("commit {number}"), statement));
    }
    all
}

/// What is planned anew each time.
fn sweeps() -> impl Iterator<Item = (String, Statement)> {
    purge::SWEEPS.into_iter().enumerate().map(|(number, sweep)| {
        let parameters = vec![crate::query::parameter(0_i64), crate::query::parameter(0_i64)];
        (format!("purge {number}"), Statement::new(sweep, parameters))
    })
}

fn checkpoint() -> Checkpoint {
    let key = KeyId::new("key").unwrap();
    let (previous, tag) = ([0; 32], [0; 32]);
    Checkpoint {
        node: AuditNode(1),
        segment: 1,
        first: 1,
        last: 1,
        events: 1,
        at: Timestamp::default(),
        key,
        previous,
        tag,
    }
}

/// A change with each kind of expectation and write.
fn change(openid: OpenId) -> Change {
    let mut account = Account::new(AccountId::MIN, Timestamp::default());
    let identity = PlatformIdentity { app: AppId::default(), openid: Some(openid), unionid: None };
    account.identities.insert(Platform::Weixin, identity);
    let account = Box::new(account);
    let mac = CodeMac { key: KeyId::new("key").unwrap(), tag: [0; 32] };
    let challenge = Challenge::issue(mac, Timestamp::default(), std::time::Duration::from_secs(600));
    let write = |expected, challenge| Write::Challenge { expected, key: key(), challenge };
    let receipt =
        BindReceipt { fingerprint: [0; 32], expires_at: Timestamp::default(), account: AccountId::MIN, session: None };
    let (subject, at, quota) = (Subject::Sends, Timestamp::default(), Quota::new(1, 60));
    let (known, absent) = (Revision(1), Revision::ABSENT);
    let kept = IdempotencyRecord {
        fingerprint: [0; 32],
        at: Timestamp::default(),
        expires_at: Timestamp::default(),
        outcome: IdempotentOutcome::Sent,
    };
    let earlier = |expected, record| Write::Idempotency { expected, name: IdempotencyName([1; 32]), record };
    Change {
        expectations: vec![
            Expectation::Challenge(key(), known),
            Expectation::Challenge(key(), absent),
            Expectation::Account(AccountId::MIN, known),
            Expectation::Account(AccountId::MIN, absent),
            Expectation::Session(SessionId([1; 16])),
            Expectation::Room { subject: subject.clone(), at, kept: vec![quota] },
            Expectation::Idempotency(IdempotencyName([1; 32]), known),
            Expectation::Idempotency(IdempotencyName([1; 32]), absent),
        ],
        writes: vec![
            write(absent, Some(challenge.clone())),
            write(known, Some(challenge)),
            write(known, None),
            Write::Account { expected: absent, account: account.clone() },
            Write::Account { expected: known, account },
            Write::OpenSession(session()),
            Write::UseSession(SessionId([1; 16]), at),
            Write::EndSession(SessionId([1; 16])),
            Write::EndSessions { account: AccountId::MIN, except: Some(ClientType::H5) },
            Write::Audit(Box::new(AuditEvent::new(AuditAction::Send, Actor::Service, at))),
            Write::Checkpoint(Box::new(checkpoint())),
            Write::DropSegment { node: AuditNode(1), segment: 1, last: 256 },
            Write::Receipt(key(), receipt),
            Write::Count { subject: subject.clone(), at, kept: vec![quota], watched: Vec::new() },
            Write::Forget { subject: subject.clone(), window: quota.window },
            Write::Uncount { subject, at },
            Write::Proof(ProofId([1; 32]), Proof { unionid: None, session_key: None, proved_at: at, expires_at: at }),
            Write::UseProof(ProofId([1; 32]), at),
            Write::Spend(SpentMark([1; 32]), at),
            earlier(absent, Some(kept.clone())),
            earlier(known, Some(kept)),
            earlier(known, None),
            Write::Message { expected: absent, message: Box::new(queued()) },
            Write::Message { expected: known, message: Box::new(queued()) },
        ],
    }
}

/// The scans of a statement's plan; each with the condition that it looks up, if it does.
async fn scans(client: &Client, statement: &Statement) -> Vec<String> {
    let nulls = vec!["NULL"; statement.parameters.len()].join(", ");
    client.batch_execute(&format!("PREPARE planned AS {}", statement.text)).await.unwrap();
    let explained = client.simple_query(&format!("EXPLAIN (COSTS OFF) EXECUTE planned ({nulls})")).await.unwrap();
    client.batch_execute("DEALLOCATE planned").await.unwrap();
    let mut scans: Vec<String> = Vec::new();
    for message in explained {
        let tokio_postgres::SimpleQueryMessage::Row(row) = message else { continue };
        let line = row.get(0).unwrap_or_default().trim_start_matches([' ', '-', '>']).to_owned();
        let arbiter = line.strip_prefix("Conflict Arbiter Indexes: ").map(|index| format!("Conflict on {index}"));
        if let Some(arbiter) = arbiter {
            scans.push(arbiter);
        } else if line.starts_with("Index Cond:") {
            if let Some(scan) = scans.last_mut() {
                scan.push_str(", by a condition");
            }
        } else if ["Seq Scan", "Index", "Bitmap"].iter().any(|scan| line.starts_with(scan) && line.contains(" Scan ")) {
            scans.push(line);
        }
    }
    scans
}

/// The scans of a statement, none of which goes through all of a table or an index.
async fn look_ups(client: &Client, name: &str, statement: &Statement) -> Vec<String> {
    let scans = scans(client, statement).await;
    for scan in &scans {
        assert!(!scan.starts_with("Seq Scan"), "{name}: {scan}");
        // Bitmap heap scans look up in the index scan below them; the others are of what the statement itself makes.
        let looks_up = scan.contains(", by a condition") || !scan.starts_with("Index");
        assert!(looks_up, "{name} reads a whole index: {scan}");
    }
    scans
}

#[tokio::test]
async fn a_plan_made_for_empty_tables_holds_when_they_grow() {
    let (options, client) = empty_schema("plans_of_empty").await;
    migrate(&options).await.unwrap();
    // The database knows that they are empty, and a plan is kept until it looks again.
    client.batch_execute("VACUUM ANALYZE").await.unwrap();
    for (name, statement) in statements() {
        look_ups(&client, &name, &statement).await;
    }
    // What is planned anew each time sees how large they are by then, although nobody has looked at what is in them.
    purge::sweep(&client, 1, Timestamp::default(), Timestamp::default(), 400).await.unwrap();
    let kept = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'DELETE%'";
    assert_eq!(client.query_one(kept, &[]).await.unwrap().get::<_, i64>(0), 0);
    let grown = FILL.replace("$N", "5000").replace("ANALYZE", "");
    client.batch_execute(&grown).await.unwrap();
    for (name, statement) in sweeps() {
        look_ups(&client, &name, &statement).await;
    }
    drop_schema(&client).await;
}

#[tokio::test]
async fn whatever_grows_is_read_by_an_index() {
    let (options, client) = empty_schema("plans").await;
    migrate(&options).await.unwrap();
    let accounts = std::env::var("MOBILE_BIND_PLAN_ACCOUNTS").map_or(ACCOUNTS, |number| number.parse().unwrap());
    client.batch_execute(&FILL.replace("$N", &accounts.to_string())).await.unwrap();
    let mut plans = String::new();
    for (name, statement) in statements().into_iter().chain(sweeps()) {
        writeln!(plans, "{name}").unwrap();
        for scan in look_ups(&client, &name, &statement).await {
            writeln!(plans, "    {scan}").unwrap();
        }
    }
    drop_schema(&client).await;
    if std::env::var_os("MOBILE_BIND_WRITE_PLANS").is_some() {
        std::fs::write(PLACE, &plans).unwrap();
        return;
    }
    assert_eq!(plans, PLANS, "the plans are others than those in plans.txt");
}
