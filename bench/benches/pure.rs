//! Micro-benchmarks of the pure parts: `cargo bench -p mobile-bind-bench`.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up must not go on")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{Criterion, criterion_group, criterion_main};
use mobile_bind_domain::bind::{Bind, BindParameters, Fresh, decide};
use mobile_bind_domain::ports::{BindSnapshot, OpenedSession, TokenIssuer};
use mobile_bind_domain::{
    AccountId, Challenge, ChallengeKey, Client, ClientType, CodeAttempt, CodeKey, CodeKeys, Installation, KeyId,
    Language, Mobile, MobileRule, Platform, PlatformProof, Policy, Requester, Revision, Session, SessionId,
    SessionSeed, Timestamp, VerificationCode, Versioned,
};
use mobile_bind_jwt::{Algorithm, JwtIssuer, TokenKey, TokenKeys};

const NUMBER: &str = "17602128368";
const UUID: &str = "0f8fad5bd9cb469fa16570867728950e";
const CODE: &str = "0944";
const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

fn installation() -> Installation {
    Installation::new(UUID).unwrap()
}

fn challenge_key() -> ChallengeKey {
    ChallengeKey { mobile: Mobile::restore(NUMBER).unwrap(), client: Client::Installation(installation()) }
}

fn key_id() -> KeyId {
    KeyId::new("k1").unwrap()
}

fn code_keys() -> CodeKeys {
    CodeKeys::new(CodeKey::new(key_id(), [7; 32]), vec![])
}

fn policy() -> Policy {
    let rule = MobileRule::new(mobile_bind_domain::mobile::DEFAULT_PATTERN).unwrap();
    Policy::new(rule, PlatformProof::Trust)
}

fn command(policy: &Policy, keys: &CodeKeys) -> Bind {
    let requester = Requester {
        client_type: ClientType::MiniProgram(Platform::Weixin),
        installation: Some(installation()),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST).into(),
        language: Language::default(),
        request: Default::default(),
    };
    let parameters = BindParameters {
        mobile: NUMBER,
        verify: CODE,
        nickname: "微信用户",
        avatar: "https://thirdwx.qlogo.cn/mmopen/vi_32/x/132",
        openid: "oGZUI0egBJY1zhBYw2KhdUfwVJJE",
        ..BindParameters::default()
    };
    Bind::parse(requester, &parameters, None, None, policy, keys).unwrap()
}

fn code_check(criterion: &mut Criterion) {
    let (keys, key) = (code_keys(), challenge_key());
    let sealed = keys.seal(&key, &VerificationCode::from_digits(CODE).unwrap());
    let attempt = CodeAttempt::new(CODE).unwrap();
    assert!(keys.opens(&sealed, &key, &attempt));
    criterion.bench_function("code check", |bencher| bencher.iter(|| keys.opens(black_box(&sealed), &key, &attempt)));
}

fn decision(criterion: &mut Criterion) {
    let (keys, policy) = (code_keys(), policy());
    let mac = keys.seal(&challenge_key(), &VerificationCode::from_digits(CODE).unwrap());
    let value = Challenge::issue(mac, NOW, policy.code_lifetime);
    let challenge = Some(Versioned { revision: Revision(1), value });
    let snapshot = BindSnapshot { challenge, ..BindSnapshot::default() };
    let session = OpenedSession { seed: SessionSeed([1; 16]), id: SessionId([2; 16]), key: key_id() };
    let bind = command(&policy, &keys);
    let id = AccountId::new(7).unwrap();
    // As the service does for a new account: the code is compared once, and decided on again with an id.
    let decided = |snapshot: &BindSnapshot| {
        let first = Fresh { account: None, session: session.clone(), notice: None };
        let wanted = decide(snapshot, &bind, &first, &keys, &policy, NOW).wanted.unwrap();
        decide(snapshot, &bind, &Fresh { account: Some(wanted.with(id)), ..first }, &keys, &policy, NOW)
    };
    assert!(decided(&snapshot).answer.is_ok());
    criterion.bench_function("bind: parsing", |bencher| bencher.iter(|| command(black_box(&policy), &keys)));
    criterion.bench_function("bind: decision", |bencher| {
        bencher.iter(|| decided(black_box(&snapshot)));
    });
}

fn token(criterion: &mut Criterion) {
    for (name, algorithm) in [("HS256", Algorithm::Hs256), ("EdDSA", Algorithm::EdDsa)] {
        let keys = TokenKeys { current: TokenKey::new(key_id(), algorithm, [9; 32]), older: vec![] };
        let issuer = JwtIssuer::new(&keys, "mobile-bind", "mobile-bind").unwrap();
        let opened = issuer.open(SessionSeed([1; 16])).unwrap();
        let session = Session {
            id: opened.id,
            seed: opened.seed,
            key: opened.key,
            account: AccountId::MIN,
            client_type: ClientType::H5,
            issued_at: NOW,
            used_at: NOW,
        };
        let end = Timestamp::from_seconds(NOW.as_seconds() + 86_400);
        let token = issuer.issue(&session, end).unwrap();
        assert_eq!(issuer.read(token.expose(), NOW), Some(session.id));
        criterion.bench_function(&format!("token: issue, {name}"), |bencher| {
            bencher.iter(|| issuer.issue(black_box(&session), end));
        });
        criterion.bench_function(&format!("token: read, {name}"), |bencher| {
            bencher.iter(|| issuer.read(black_box(token.expose()), NOW));
        });
    }
}

criterion_group!(pure, code_check, decision, token);
criterion_main!(pure);
