//! The order of checks, and what a refusal and a success may write, over arbitrary scenes.

use std::time::Duration;

use mobile_bind_domain::bind::{Bind, BindParameters};
use mobile_bind_domain::policy::SessionPolicy;
use mobile_bind_domain::{
    Account, AccountId, AccountStatus, ClientType, Expectation, LimitMode, Operation, Platform, PlatformProof, Policy,
    Refusal, Timestamp, Write,
};
use proptest::prelude::*;

use crate::support::scene::{CHALLENGE_REVISION, NEW_ACCOUNT, Scene, challenge_key, sent};
use crate::support::{
    BIND, CODE, MINI_BIND, MOBILE, OPENID, Person, UNIONID, WEIXIN, account_id, keys, mobile, person, requester,
};

fn parsed(client_type: ClientType, parameters: &BindParameters<'_>) -> Result<Bind, Refusal> {
    let (policy, keys) = (Policy::default(), keys());
    Bind::parse(requester(client_type, "u"), parameters, None, None, &policy, &keys)
}

#[test]
fn parameters_are_checked_in_the_contracts_order() {
    let long = "名".repeat(61);
    let all_wrong = BindParameters { mobile: "", verify: "", nickname: &long, openid: &long, ..BIND };
    let refusal = |parameters: BindParameters<'_>| parsed(WEIXIN, &parameters).unwrap_err();
    assert_eq!(refusal(all_wrong), Refusal::MobileMissing);
    assert_eq!(refusal(BindParameters { mobile: "0", ..all_wrong }), Refusal::MobileMissing);
    let all_wrong = BindParameters { mobile: "1760212836", ..all_wrong };
    assert_eq!(refusal(all_wrong), Refusal::VerifyMissing);
    assert_eq!(refusal(BindParameters { verify: " \t", ..all_wrong }), Refusal::VerifyMissing);
    let all_wrong = BindParameters { verify: CODE, ..all_wrong };
    assert_eq!(refusal(all_wrong), Refusal::MobileMalformed(Operation::Bind));
    let all_wrong = BindParameters { mobile: MOBILE, ..all_wrong };
    assert_eq!(refusal(all_wrong), Refusal::TextTooLong { parameter: "nickname", limit: 60 });
    let all_wrong = BindParameters { nickname: "", ..all_wrong };
    assert_eq!(refusal(all_wrong), Refusal::TextTooLong { parameter: "weixin_openid", limit: 60 });
    assert!(parsed(WEIXIN, &BindParameters { openid: "", ..all_wrong }).is_ok(), "check 6 comes after the code");
    assert!(parsed(ClientType::H5, &all_wrong).is_ok(), "openids are ignored");
}

#[test]
fn limits_on_text_name_their_parameter() {
    let (long, longer) = ("a".repeat(61), format!("/{}", "a".repeat(255)));
    let cases = [
        (BindParameters { avatar: &longer, ..BIND }, "avatar", 255),
        (BindParameters { province: &long, ..BIND }, "province", 60),
        (BindParameters { city: &long, ..BIND }, "city", 60),
        (BindParameters { county: &long, ..BIND }, "county", 60),
    ];
    for (parameters, parameter, limit) in cases {
        assert_eq!(parsed(ClientType::Pc, &parameters).unwrap_err(), Refusal::TextTooLong { parameter, limit });
    }
}

/// Who is there, and in which state. Accounts are numbered 1 to 3.
#[derive(Clone, Debug)]
struct Cast {
    client_type: ClientType,
    /// Age in seconds, and failures.
    code: Option<(u64, u8)>,
    right: bool,
    openid: bool,
    number: Option<u64>,
    identity: Option<u64>,
    unionid: Option<u64>,
    /// The account, and whether its session is live.
    session: Option<(u64, bool)>,
    deleted: u64,
    statuses: [u8; 3],
    proved: bool,
    trust: bool,
    audit: bool,
    forbidden: bool,
    mode: u8,
}

fn casts() -> impl Strategy<Value = Cast> {
    let holder = || prop::option::of(1_u64..=3);
    let types = prop::sample::select(vec![WEIXIN, ClientType::MiniProgram(Platform::Alipay), ClientType::H5]);
    let code = prop_oneof![
        8 => (0_u64..600, 0_u8..5).prop_map(Some),
        1 => (598_u64..603, 3_u8..7).prop_map(Some),
        1 => Just(None),
    ];
    let statuses = prop::array::uniform3(prop_oneof![6 => Just(0_u8), 1 => Just(1), 1 => Just(2), 1 => Just(3)]);
    let session = prop::option::of((1_u64..=3, prop::bool::weighted(0.8)));
    let request = (types, code, prop::bool::weighted(0.8), prop::bool::weighted(0.8));
    let people = (holder(), holder(), holder(), session, 1_u64..12, statuses);
    let flag = || prop::bool::weighted(0.2);
    let settings = (any::<bool>(), any::<bool>(), flag(), flag(), 0_u8..3);
    (request, people, settings).prop_map(|(request, people, settings)| {
        let (client_type, code, right, openid) = request;
        let (number, identity, unionid, session, deleted, statuses) = people;
        let (proved, trust, audit, forbidden, mode) = settings;
        // A snapshot shows a deleted account only behind a session.
        let live = |holder: Option<u64>| holder.filter(|&id| id != deleted);
        let (number, identity, unionid) = (live(number), live(identity), live(unionid));
        Cast {
            client_type,
            code,
            right,
            openid,
            number,
            identity,
            unionid,
            session,
            deleted,
            statuses,
            proved,
            trust,
            audit,
            forbidden,
            mode,
        }
    })
}

impl Cast {
    fn is_mini(&self) -> bool {
        self.client_type != ClientType::H5
    }

    fn status(&self, id: u64) -> u8 {
        self.statuses[usize::try_from(id).unwrap() - 1]
    }

    fn person(&self, id: u64) -> Person {
        let mut person = person(id).status(AccountStatus::from_number(self.status(id)).unwrap());
        if self.number == Some(id) {
            person = person.mobile(MOBILE);
        }
        let has = |holder, value| if holder == Some(id) { Some(value) } else { None };
        person = person.weixin(has(self.identity, OPENID), has(self.unionid, UNIONID));
        person.0.deleted_at = (self.deleted == id).then_some(Timestamp::from_seconds(5));
        person
    }

    fn scene(&self) -> Scene {
        let mut scene = Scene::new(self.client_type);
        scene.proved = self.proved;
        scene.policy.platform_proof = if self.trust { PlatformProof::Trust } else { PlatformProof::Required };
        scene.policy.register_audit = self.audit;
        scene.policy.limits.mode = [LimitMode::Enforce, LimitMode::Shadow, LimitMode::Off][usize::from(self.mode)];
        if self.forbidden {
            scene.policy.forbidden_mobiles.insert(mobile(MOBILE));
        }
        scene.snapshot.challenge = self.code.map(|(age, failures)| sent(CODE, Duration::from_secs(age), failures));
        if let Some(id) = self.number {
            scene = scene.number_held_by(self.person(id));
        }
        // A store answers what was asked for: openids of a mini-program, the session of anybody else.
        if self.is_mini() {
            if let Some(id) = self.identity.filter(|_| self.openid) {
                scene = scene.openid_held_by(self.person(id));
            }
            if let Some(id) = self.unionid.filter(|_| self.client_type == WEIXIN) {
                scene = scene.unionid_held_by(self.person(id));
            }
        } else if let Some((id, live)) = self.session {
            scene = scene.logged_in(self.person(id));
            if !live {
                scene.policy.session =
                    SessionPolicy { inactivity: Duration::from_secs(60), ..SessionPolicy::default() };
            }
        }
        scene
    }

    fn parameters(&self) -> BindParameters<'static> {
        let openid = if self.openid { OPENID } else { "" };
        BindParameters { openid, verify: if self.right { CODE } else { "0945" }, ..MINI_BIND }
    }

    /// The contract's table, from check 4 on, in its order; the id of the account that gets the number.
    fn expected(&self) -> Result<u64, Refusal> {
        if !self.code.is_some_and(|(age, failures)| age < 600 && failures < 5) {
            return Err(Refusal::CodeExpired);
        }
        if !self.right {
            return Err(Refusal::CodeWrong);
        }
        let caller = if self.is_mini() {
            if !self.openid {
                return Err(Refusal::OpenIdMissing);
            }
            if !self.proved && !self.trust {
                return Err(Refusal::IdentityUnproved);
            }
            let by_unionid = self.unionid.filter(|_| self.proved && self.client_type == WEIXIN);
            self.identity.or(by_unionid)
        } else {
            self.session.filter(|&(id, live)| live && id != self.deleted).map(|(id, _)| id)
        };
        let account = caller.or(self.number);
        match account.map(|id| self.status(id)) {
            Some(2) => return Err(Refusal::AccountDisabled),
            Some(3) => return Err(Refusal::AccountAwaitingApproval),
            _ => {}
        }
        match (caller, self.number) {
            (Some(caller), Some(holder)) if caller == holder => Err(Refusal::HeldByCaller),
            (Some(_), Some(_)) => Err(Refusal::HeldByOther),
            (Some(id), None) | (None, Some(id)) => Ok(id),
            (None, None) if self.forbidden => Err(Refusal::NumberForbidden),
            (None, None) if self.audit => Err(Refusal::AccountAwaitingApproval),
            (None, None) => Ok(NEW_ACCOUNT),
        }
    }

    fn makes_an_account_under_approval(&self) -> bool {
        self.audit && self.expected() == Err(Refusal::AccountAwaitingApproval) && {
            let approved = Self { audit: false, ..self.clone() };
            approved.expected() == Ok(NEW_ACCOUNT)
        }
    }
}

fn written_account(writes: &[Write]) -> Option<&Account> {
    writes.iter().find_map(|write| match write {
        Write::Account { account, .. } => Some(&**account),
        _ => None,
    })
}

fn expected_account(expectations: &[Expectation]) -> Option<AccountId> {
    expectations.iter().find_map(|expectation| match expectation {
        Expectation::Account(id, _) => Some(*id),
        _ => None,
    })
}

proptest! {
    #[test]
    fn checks_come_in_the_contracts_order(cast in casts()) {
        let answer = cast.scene().decide(&cast.parameters()).answer;
        prop_assert_eq!(answer.map(|bound| bound.account.id.get()), cast.expected());
    }

    #[test]
    fn a_refusal_changes_nothing_but_counters(cast in casts()) {
        let scene = cast.scene();
        let decision = scene.decide(&cast.parameters());
        if decision.answer.is_err() && !cast.makes_an_account_under_approval() {
            prop_assert!(decision.change.writes.iter().all(|write| scene.is_counter(write)), "{:?}", decision.change);
        }
    }

    #[test]
    fn a_right_code_that_is_refused_stays_as_it_was_read(cast in casts()) {
        let late = !matches!(cast.expected(), Ok(_) | Err(Refusal::CodeExpired | Refusal::CodeWrong));
        if late && !cast.makes_an_account_under_approval() {
            let change = cast.scene().decide(&cast.parameters()).change;
            prop_assert!(change.writes.is_empty());
            let only_watched = |expectation: &Expectation| matches!(expectation, Expectation::Room { .. });
            let (room, rest): (Vec<_>, Vec<_>) = change.expectations.into_iter().partition(only_watched);
            prop_assert_eq!(rest, [Expectation::Challenge(challenge_key(), CHALLENGE_REVISION)]);
            prop_assert!(room.len() <= 1);
        }
    }

    #[test]
    fn a_success_uses_the_code_up_opens_a_session_and_leaves_a_receipt(cast in casts()) {
        let scene = cast.scene();
        let parameters = cast.parameters();
        let decision = scene.decide(&parameters);
        if let Ok(bound) = decision.answer {
            let writes = &decision.change.writes;
            let used_up =
                Write::Challenge { expected: CHALLENGE_REVISION, key: challenge_key(), challenge: None };
            prop_assert!(writes.contains(&used_up));
            prop_assert!(writes.contains(&Write::OpenSession(bound.session.clone())));
            prop_assert_eq!((bound.session.account, bound.session.client_type), (bound.account.id, cast.client_type));
            prop_assert_eq!((bound.session.issued_at, bound.session.used_at), (scene.now, scene.now));
            let receipts = writes.iter().filter(|write| match write {
                Write::Receipt(key, receipt) => {
                    *key == challenge_key()
                        && receipt.session == Some(bound.session.id)
                        && receipt.account == bound.account.id
                        && receipt.expires_at == scene.now.after(scene.policy.repeat_window)
                }
                _ => false,
            });
            prop_assert_eq!(receipts.count(), 1);
            prop_assert_eq!(bound.account.held_mobile(), Some(&mobile(MOBILE)));
            // The account that is answered is written, or expected as it was read.
            match written_account(writes) {
                Some(written) => prop_assert_eq!(written, &bound.account),
                None => prop_assert_eq!(expected_account(&decision.change.expectations), Some(bound.account.id)),
            }
        }
    }

    #[test]
    fn no_bind_gives_an_account_what_another_holds(cast in casts()) {
        if let Ok(bound) = cast.scene().decide(&cast.parameters()).answer {
            let id = bound.account.id.get();
            prop_assert!(cast.number.is_none_or(|holder| holder == id));
            if cast.is_mini() {
                prop_assert!(cast.identity.is_none_or(|holder| holder == id));
            }
            let unionid = bound.account.held_unionids().any(|(_, unionid)| unionid.as_str() == UNIONID);
            prop_assert!(!unionid || cast.unionid.is_none_or(|holder| holder == id));
        }
    }

    /// Only where an id is asked for is one needed, so that guessing without a code costs none.
    #[test]
    fn an_id_is_asked_for_where_an_account_is_made(cast in casts()) {
        let scene = cast.scene();
        let parameters = cast.parameters();
        let asked = scene.decide_without_id(&parameters).wanted.is_some();
        let made = cast.expected() == Ok(NEW_ACCOUNT) || cast.makes_an_account_under_approval();
        prop_assert_eq!(asked, made);
    }
}

#[test]
fn a_session_that_names_the_caller_must_still_be_there() {
    let scene = Scene::new(ClientType::H5).logged_in(person(1));
    let expected = Expectation::Session(scene.snapshot.session.as_ref().unwrap().session.id);
    assert!(scene.decide(&BIND).change.expectations.contains(&expected));
    assert_eq!(account_id(1), scene.bound(&BIND).account.id);
}
