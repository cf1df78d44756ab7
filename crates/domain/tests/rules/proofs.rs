//! What speaks for an openid, what it suffices for, and what its use writes.

use std::time::Duration;

use mobile_bind_domain::bind::BindParameters;
use mobile_bind_domain::ports::Randomness;
use mobile_bind_domain::{
    Account, AppId, ClientType, Identity, OpenId, Platform, Proof, Refusal, SpentMark, Ticket, Timestamp, UnionId,
    Write,
};
use proptest::prelude::*;

use crate::support::scene::Scene;
use crate::support::{MINI_BIND, MOBILE, NOW, OPENID, UNIONID, WEIXIN, account_id, identity, keys, person};

const OTHER: &str = "13500135000";

struct Nines;

impl Randomness for Nines {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(9);
    }
}

fn ticket_for(identity: Identity, unionid: Option<&str>, expires_at: Timestamp) -> Ticket {
    let issued = Ticket::issue(identity, unionid.and_then(UnionId::new), expires_at, &keys(), &Nines);
    Ticket::read(issued.expose(), &keys(), NOW).unwrap()
}

fn own_ticket() -> Ticket {
    ticket_for(identity(Platform::Weixin, OPENID), Some(UNIONID), NOW.after(Duration::from_secs(600)))
}

/// A scene in which nothing but the ticket speaks for the openid.
fn with_ticket(ticket: Ticket) -> Scene {
    let mut scene = Scene::new(WEIXIN);
    (scene.proved, scene.ticket) = (false, Some(ticket));
    scene
}

fn spent(writes: &[Write]) -> Vec<SpentMark> {
    writes.iter().filter_map(|write| if let Write::Spend(mark, _) = write { Some(*mark) } else { None }).collect()
}

#[test]
fn a_ticket_proves_and_is_spent_by_the_bind() {
    let decision = with_ticket(own_ticket()).decide(&MINI_BIND);
    assert!(decision.answer.is_ok());
    assert_eq!(spent(&decision.change.writes), [own_ticket().mark()]);
}

#[test]
fn a_spent_ticket_proves_nothing() {
    let mut scene = with_ticket(own_ticket());
    scene.snapshot.evidence.spent = vec![own_ticket().mark()];
    assert_eq!(scene.refused_with_the_code_left(&MINI_BIND), Refusal::IdentityUnproved);
}

#[test]
fn a_ticket_is_for_its_openid_app_platform_and_unionid() {
    let until = NOW.after(Duration::from_secs(600));
    let other_app = Identity { app: AppId::new("another").unwrap(), ..identity(Platform::Weixin, OPENID) };
    let tickets = [
        ticket_for(identity(Platform::Weixin, "another"), Some(UNIONID), until),
        ticket_for(identity(Platform::Qq, OPENID), Some(UNIONID), until),
        ticket_for(other_app, Some(UNIONID), until),
        ticket_for(identity(Platform::Weixin, OPENID), Some("another"), until),
        ticket_for(identity(Platform::Weixin, OPENID), None, until),
    ];
    for ticket in tickets {
        assert_eq!(with_ticket(ticket).refused_with_the_code_left(&MINI_BIND), Refusal::IdentityUnproved);
    }
    let brief = ticket_for(identity(Platform::Weixin, OPENID), Some(UNIONID), NOW.after(Duration::from_secs(300)));
    let mut late = with_ticket(brief);
    late.now = NOW.after(Duration::from_secs(299));
    assert!(late.decide(&MINI_BIND).answer.is_ok());
    late.now = NOW.after(Duration::from_secs(300));
    assert_eq!(late.refused_with_the_code_left(&MINI_BIND), Refusal::IdentityUnproved);
}

#[test]
fn a_proof_of_another_unionid_proves_neither() {
    let mut scene = Scene::new(WEIXIN);
    scene.proved = false;
    scene.snapshot.evidence.proof = Some(Proof::new(UnionId::new("another"), None, NOW, Duration::from_secs(60)));
    assert_eq!(scene.refused_with_the_code_left(&MINI_BIND), Refusal::IdentityUnproved);
    let without = BindParameters { unionid: "", ..MINI_BIND };
    assert!(scene.decide(&without).answer.is_ok(), "what is not claimed need not be proved");
}

#[test]
fn an_ended_proof_proves_nothing() {
    let mut scene = Scene::new(WEIXIN);
    scene.proved = false;
    let proof =
        |lifetime| Proof::new(UnionId::new(UNIONID), None, Timestamp::from_millis(NOW.as_millis() - 1000), lifetime);
    scene.snapshot.evidence.proof = Some(proof(Duration::from_millis(1001)));
    assert!(scene.decide(&MINI_BIND).answer.is_ok());
    scene.snapshot.evidence.proof = Some(proof(Duration::from_millis(1000)));
    assert_eq!(scene.refused_with_the_code_left(&MINI_BIND), Refusal::IdentityUnproved);
}

fn prolonged(scene: &Scene) -> Option<Timestamp> {
    scene.decide(&MINI_BIND).change.writes.iter().find_map(|write| match write {
        Write::UseProof(_, until) => Some(*until),
        _ => None,
    })
}

#[test]
fn use_prolongs_a_proof_but_not_with_every_bind() {
    let mut scene = Scene::new(WEIXIN);
    assert_eq!(prolonged(&scene), None, "it was proved just now");
    scene.proved = false;
    let day = Duration::from_secs(24 * 3600);
    let proof = Proof::new(UnionId::new(UNIONID), None, NOW, 29 * day);
    scene.snapshot.evidence.proof = Some(proof);
    assert_eq!(prolonged(&scene), Some(NOW.after(30 * day)));
}

/// A `uuid` travels in URLs.
#[test]
fn a_number_is_not_changed_by_an_installations_proof_alone() {
    let holder = || person(1).mobile(OTHER).weixin(Some(OPENID), None);
    let scene = Scene::new(WEIXIN).openid_held_by(holder());
    assert_eq!(scene.refused_with_the_code_left(&MINI_BIND), Refusal::IdentityUnproved);
    let anothers = scene.clone().logged_in(person(2));
    assert_eq!(anothers.refused_with_the_code_left(&MINI_BIND), Refusal::IdentityUnproved);
    let owns = scene.clone().logged_in(holder());
    let decision = owns.decide(&MINI_BIND);
    assert_eq!(decision.answer.unwrap().account.id, account_id(1));
    let session = owns.snapshot.session.as_ref().unwrap().session.id;
    assert!(decision.change.expectations.contains(&mobile_bind_domain::Expectation::Session(session)));
    let by_ticket = with_ticket(own_ticket()).openid_held_by(holder());
    assert_eq!(by_ticket.bound(&MINI_BIND).account.held_mobile().map(|mobile| mobile.as_str()), Some(MOBILE));
    // A number where there was none is given.
    let numberless = Scene::new(WEIXIN).openid_held_by(person(1).weixin(Some(OPENID), None));
    assert_eq!(numberless.bound(&MINI_BIND).account.id, account_id(1));
}

proptest! {
    /// Whatever else is there, an openid that nothing speaks for is bound to nothing.
    #[test]
    fn no_bind_without_a_proof(
        held in any::<bool>(),
        entered in any::<bool>(),
        token in any::<bool>(),
        stale in any::<bool>(),
        openid in "[a-z]{1,6}",
    ) {
        let mut scene = Scene::new(WEIXIN);
        scene.proved = false;
        if stale {
            scene.snapshot.evidence.proof = Some(Proof::new(UnionId::new(UNIONID), None, NOW, Duration::ZERO));
        }
        if held {
            scene = scene.openid_held_by(person(1).weixin(Some(&openid), None));
        }
        if entered {
            scene = scene.number_held_by(person(2).mobile(MOBILE));
        }
        if token {
            scene = scene.logged_in(person(1));
        }
        let bind = BindParameters { openid: &openid, ..MINI_BIND };
        prop_assert_eq!(scene.refused_with_the_code_left(&bind), Refusal::IdentityUnproved);
    }

    /// A client that is no mini-program neither needs a proof nor uses one up.
    #[test]
    fn others_spend_no_ticket(logged_in in any::<bool>()) {
        let mut scene = Scene::new(ClientType::H5);
        scene.ticket = Some(own_ticket());
        if logged_in {
            scene = scene.logged_in(person(1));
        }
        let decision = scene.decide(&MINI_BIND);
        prop_assert!(decision.answer.is_ok());
        prop_assert!(spent(&decision.change.writes).is_empty());
        prop_assert_eq!(decision.answer.unwrap().account.held_identities().count(), 0);
    }
}

/// The account that a log-in or a bind answers never has an openid that was not claimed.
#[test]
fn only_what_is_claimed_is_taken() {
    let bound = with_ticket(own_ticket()).bound(&BindParameters { unionid: "", ..MINI_BIND });
    let of = |account: &Account| account.held_identities().map(|held| held.openid).collect::<Vec<_>>();
    assert_eq!(of(&bound.account), [OpenId::new(OPENID).unwrap()]);
    assert_eq!(bound.account.held_unionids().count(), 0);
}
