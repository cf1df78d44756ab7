//! Every kind of record, in every version, against the committed bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use mobile_bind_domain::audit::{AuditNode, Checkpoint};
use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::outbox::{Attempt, AttemptOutcome, MessageId, MessageState, SealedCode};
use mobile_bind_domain::ports::Purpose;
use mobile_bind_domain::tally::Meter;
use mobile_bind_domain::{
    Account, AccountId, AccountStatus, AppId, Avatar, Challenge, ChallengeKey, Client, ClientType, CodeMac,
    FinalRefusal, Gender, IdempotencyName, IdempotencyRecord, IdempotentOutcome, Installation, KeyId, Language,
    MemberCode, MessageKey, Mobile, OpenId, OutboxMessage, Platform, PlatformIdentity, Profile, ProfileText, Proof,
    ProofId, Refusal, Revision, SealedSessionKey, Session, SessionId, SessionSeed, ShopDetails, SpentMark, Subject,
    Tally, Timestamp, UnionId,
};
use proptest::prelude::*;

use super::{Record, Spent, decode, encode};
use crate::fault::Fault;
use crate::layout::{self, Key};

/// Entries one after another: the key's length (4 bytes, big-endian), the key, the value's length, the value.
const V1: &[u8] = include_bytes!("../../fixtures/v1.bin");

fn entries(mut file: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut chunk = || {
        let (length, rest) = file.split_first_chunk::<4>()?;
        let (chunk, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        file = rest;
        Some(chunk)
    };
    std::iter::from_fn(|| Some((chunk()?, chunk()?))).collect()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000 + 7)
}

fn id(id: u64) -> AccountId {
    AccountId::new(id).unwrap()
}

fn text<const MAX: usize>(text: &str) -> ProfileText<MAX> {
    ProfileText::new(text).unwrap()
}

fn full_account() -> Account {
    let identity = |app: &str, openid: Option<&str>, unionid: Option<&str>| PlatformIdentity {
        app: AppId::new(app).unwrap(),
        openid: openid.and_then(OpenId::new),
        unionid: unionid.and_then(UnionId::new),
    };
    Account {
        id: id(9_999_999_999),
        member_code: MemberCode::new("88889999999999"),
        status: AccountStatus::AwaitingApproval,
        mobile: Mobile::restore("17602128368"),
        identities: BTreeMap::from([
            (Platform::Weixin, identity("wx0", Some("oB6US5SNOngn196qzb3lagEBTh6w"), Some("o1Ang5xo5tiJD"))),
            (Platform::Qq, identity("", None, Some("u"))),
            (Platform::Kuaishou, identity("ks", Some("k"), None)),
        ]),
        profile: Profile {
            nickname: text("昵称"),
            avatar: Avatar::new("https://example.com/a.png?a=1&b=2").unwrap(),
            gender: Gender::Male,
            province: text("上海"),
            city: text("上海市"),
            county: text("浦东新区"),
        },
        shop: Some(Box::new(ShopDetails {
            username: "qqqqqq".into(),
            email: "a@example.com".into(),
            weixin_web_openid: "obfTQw7y972CqaHw2ohJ2PcETUw8".into(),
            birthday: -86_400,
            address: "路 1".into(),
            integral: 1189,
            locking_integral: -1,
            has_password: true,
        })),
        referrer: Some(id(7)),
        added_at: at(1_627_535_697),
        updated_at: Some(at(1_634_727_340)),
        mobile_since: Some(at(1_634_727_338)),
        seen_at: Some(at(1_634_727_339)),
        deleted_at: Some(at(1_634_727_341)),
        closed_at: Some(at(1_634_727_342)),
    }
}

fn bare_account() -> Account {
    Account { member_code: None, ..Account::new(id(1), at(0)) }
}

fn challenge() -> Challenge {
    let mac = CodeMac { key: KeyId::new("code-1").unwrap(), tag: [0xa5; 32] };
    Challenge { mac, sent_at: at(1_634_727_340), expires_at: at(1_634_727_940), failures: 4 }
}

fn receipt(session: Option<SessionId>) -> BindReceipt {
    BindReceipt { fingerprint: [0x5a; 32], expires_at: at(1_634_727_350), account: id(7), session }
}

fn session() -> Session {
    Session {
        id: SessionId([1; 16]),
        seed: SessionSeed([2; 16]),
        key: KeyId::new("token-1").unwrap(),
        account: id(7),
        client_type: ClientType::MiniProgram(Platform::Weixin),
        issued_at: at(1_634_727_340),
        used_at: at(1_634_727_341),
    }
}

fn tally() -> Tally {
    let events = vec![(at(1_634_727_340), 1), (at(1_634_727_341), 70_000)];
    let halves = Meter { window: Duration::new(0, 500_000_000), events: Vec::new() };
    Tally { meters: vec![Meter { window: Duration::from_secs(86_400), events }, halves] }
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        node: AuditNode(0x8000_0001),
        segment: 2,
        first: 256,
        last: 65_536,
        events: 7,
        at: at(1_634_727_340),
        key: KeyId::new("code-1").unwrap(),
        previous: [1; 32],
        tag: [2; 32],
    }
}

/// Accepted, with its code kept.
fn message() -> OutboxMessage {
    let attempt = |provider: &str, reference: &str, outcome| Attempt {
        provider: provider.into(),
        reference: reference.into(),
        outcome,
        at: at(1_634_727_341),
    };
    OutboxMessage {
        key: MessageKey { mobile: by_uuid().mobile, id: MessageId([3; 16]) },
        client: by_uuid().client,
        purpose: Purpose::Bind,
        language: Language::Spa,
        state: MessageState::Accepted,
        error: "".into(),
        sealed: Some(SealedCode { key: KeyId::new("code-1").unwrap(), bytes: [0xa5; 32].into() }),
        attempts: vec![attempt("main", "", AttemptOutcome::Limited), attempt("spare", "r-1", AttemptOutcome::Accepted)],
        queued_at: at(1_634_727_340),
        changed_at: at(1_634_727_341),
        expires_at: at(1_634_727_940),
        due_at: Some(at(1_634_727_371)),
        keep_until: at(1_635_332_140),
    }
}

fn message_by_address() -> OutboxMessage {
    let client = by_address("2001:db8::1").client;
    OutboxMessage {
        client,
        language: Language::Zh,
        state: MessageState::Failed,
        error: "UNDELIV".into(),
        sealed: None,
        attempts: Vec::new(),
        due_at: None,
        ..message()
    }
}

fn proof(whole: bool) -> Proof {
    Proof {
        unionid: whole.then(|| UnionId::new("o1Ang5xo5tiJD").unwrap()),
        session_key: whole.then(|| SealedSessionKey::new(&[0xc3; 3]).unwrap()),
        proved_at: at(1_634_727_340),
        expires_at: at(1_637_319_340),
    }
}

fn idempotency(outcome: IdempotentOutcome) -> IdempotencyRecord {
    let (at, expires_at) = (at(1_634_727_340), at(1_634_727_940));
    IdempotencyRecord { fingerprint: [0x5a; 32], at, expires_at, outcome }
}

fn by_uuid() -> ChallengeKey {
    let client = Client::Installation(Installation::new("3f0c-uuid").unwrap());
    ChallengeKey { mobile: Mobile::restore("17602128368").unwrap(), client }
}

fn by_address(address: &str) -> ChallengeKey {
    let client = Client::Address(address.parse::<std::net::IpAddr>().unwrap().into());
    ChallengeKey { client, ..by_uuid() }
}

/// Goes through a fixture, and checks that each entry is read as the record, and the record written as the entry.
struct Check<'f> {
    fixture: std::vec::IntoIter<(&'f [u8], &'f [u8])>,
}

impl Check<'_> {
    fn record<R: Record + PartialEq + std::fmt::Debug>(&mut self, key: &Key, revision: u64, record: &R) {
        let (fixed_key, fixed_value) = self.fixture.next().expect("the fixture has an entry more");
        assert_eq!(key.as_bytes(), fixed_key, "the key of {record:?}");
        let revision = Revision(revision);
        assert_eq!(encode(revision, record).unwrap(), fixed_value, "the value of {record:?}");
        let read = decode::<R>(fixed_value).unwrap();
        assert_eq!((read.revision, &read.value), (revision, record));
    }
}

#[test]
fn version_1_is_read_and_written_as_it_was_committed() {
    let mut check = Check { fixture: entries(V1).into_iter() };
    let full = full_account();
    check.record(&layout::account(full.id), u64::MAX, &full);
    check.record(&layout::account(id(1)), 1, &bare_account());
    check.record(&layout::challenge(&by_uuid()), 2, &challenge());
    check.record(&layout::challenge(&by_address("192.0.2.1")), 3, &challenge());
    check.record(&layout::receipt(&by_address("2001:db8::1")), 4, &receipt(Some(SessionId([1; 16]))));
    check.record(&layout::receipt(&by_uuid()), 5, &receipt(None));
    check.record(&layout::tally(&Subject::Sends), 6, &tally());
    check.record(&layout::tally(&Subject::FailuresBy(by_uuid().client)), 7, &Tally::default());
    check.record(&layout::session(SessionId([1; 16])), 8, &session());
    let bound = IdempotentOutcome::Bound { account: id(7), session: Some(SessionId([1; 16])) };
    check.record(&layout::idempotency(IdempotencyName([0x3c; 32])), 9, &idempotency(bound));
    let wrong = IdempotentOutcome::Refused(FinalRefusal::of(&Refusal::CodeWrong).unwrap());
    check.record(&layout::idempotency(IdempotencyName([0x3d; 32])), 10, &idempotency(wrong));
    let sealed = checkpoint();
    check.record(&layout::checkpoint(sealed.node, sealed.segment), 11, &sealed);
    check.record(&layout::proof(ProofId([0x0f; 32])), 11, &proof(true));
    check.record(&layout::proof(ProofId([0xf0; 32])), 12, &proof(false));
    check.record(&layout::spent(SpentMark([0x3c; 32])), 13, &Spent { until: at(1_634_727_940) });
    check.record(&layout::message(&message().key), 101, &message());
    check.record(&layout::message(&message_by_address().key), 102, &message_by_address());
    assert!(check.fixture.next().is_none());
}

#[test]
fn what_cannot_be_read_is_said_without_its_contents() {
    let value = encode(Revision(1), &full_account()).unwrap();
    for damaged in [&value[..value.len() - 1], &value[..7], &[], &[&value[..], &[0]].concat()] {
        let fault = decode::<Account>(damaged).unwrap_err();
        assert!(matches!(fault, Fault::Unreadable("account")), "{fault:?}");
        assert_eq!(fault.to_string(), "a stored account cannot be read");
    }
}

#[test]
fn a_version_that_is_not_known_is_refused() {
    let mut value = encode(Revision(1), &session()).unwrap();
    value[8] = 1;
    assert!(matches!(decode::<Session>(&value), Err(Fault::Unreadable("session"))));
}

#[test]
fn a_record_that_the_domain_would_not_have_is_refused() {
    let mut value = encode(Revision(1), &bare_account()).unwrap();
    // Revision, version, id 1, no member code, then the status.
    assert_eq!(value[8..12], [0, 1, 0, 0]);
    value[11] = 4;
    assert!(matches!(decode::<Account>(&value), Err(Fault::Unreadable("account"))));
}

proptest! {
    #[test]
    fn damage_never_panics(index in 0_usize..400, byte: u8, cut in 0_usize..400) {
        let mut value = encode(Revision(1), &full_account()).unwrap();
        value.truncate(cut);
        if let Some(place) = value.get_mut(index) {
            *place = byte;
        }
        let _ = decode::<Account>(&value);
        let _ = decode::<Challenge>(&value);
        let _ = decode::<BindReceipt>(&value);
        let _ = decode::<Session>(&value);
        let _ = decode::<Tally>(&value);
        let _ = decode::<Proof>(&value);
        let _ = decode::<Spent>(&value);
        let _ = decode::<OutboxMessage>(&value);
        let _ = decode::<IdempotencyRecord>(&value);
    }
}
