//! Forgetting what has ended.

use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::ports::{Purged, Store};
use mobile_bind_domain::{ClientType, Proof, ProofId, Quota, Revision, SpentMark, Subject, Write};

use super::*;

fn receipt(expires_at: u64) -> BindReceipt {
    let expires_at = at(expires_at);
    BindReceipt { fingerprint: [0; 32], expires_at, account: id(1), session: None }
}

fn count(number: u64, window: u64) -> Write {
    let kept = vec![Quota::new(9, window)];
    Write::Count { subject: Subject::FailuresOn(mobile(number)), at: at(0), kept, watched: Vec::new() }
}

fn proof(name: u8, expires_at: u64) -> Write {
    let proof = Proof { unionid: None, session_key: None, proved_at: at(0), expires_at: at(expires_at) };
    Write::Proof(ProofId([name; 32]), proof)
}

/// One of each that is spent at 100 s, and one that is not.
async fn fill(store: &SledStore) {
    let writes = [
        put(Revision::ABSENT, &account(1)),
        put_challenge(1, Revision::ABSENT, Some(challenge(100))),
        put_challenge(2, Revision::ABSENT, Some(challenge(101))),
        Write::Receipt(key(1), receipt(100)),
        Write::Receipt(key(2), receipt(101)),
        count(1, 100),
        count(2, 101),
        Write::OpenSession(session(1, 1, ClientType::Pc)),
        Write::OpenSession(session(2, 1, ClientType::H5)),
        Write::UseSession(SessionId([2; 16]), at(50)),
        proof(1, 100),
        proof(2, 101),
        Write::Spend(SpentMark([1; 32]), at(100)),
        Write::Spend(SpentMark([2; 32]), at(101)),
    ];
    commit(store, writes).await.unwrap();
}

async fn assert_purged(store: &SledStore) {
    let (spent, live) = (load(store, 1).await, load(store, 2).await);
    assert!(spent.challenge.is_none() && spent.receipt.is_none() && spent.tallies.is_empty());
    assert!(live.challenge.is_some() && live.receipt.is_some() && live.tallies.len() == 1);
    let sessions = store.sessions_of(id(1)).await.unwrap();
    assert_eq!(sessions.iter().map(|session| session.id).collect::<Vec<_>>(), [SessionId([2; 16])]);
    assert!(store.load_session(SessionId([1; 16])).await.unwrap().is_none());
    assert_eq!(holder_of(store, 1).await, Some(id(1)));
    let proofs = store.proofs(None, 9).await.unwrap();
    assert_eq!(proofs.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [ProofId([2; 32])]);
    assert_eq!(store.spent(None, 9).await.unwrap(), [(SpentMark([2; 32]), at(101))]);
}

#[tokio::test]
async fn what_has_ended_goes_and_the_rest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store).await;
    assert_eq!(store.purge(at(100), at(50), 1000).await.unwrap(), Purged { forgotten: 6, more: false });
    assert_purged(&store).await;
    assert_eq!(store.purge(at(100), at(50), 1000).await.unwrap(), Purged { forgotten: 0, more: false });
    // The index entry went with the session: a new one finds no other to replace.
    assert_eq!(keys(&store, crate::layout::SESSION_OF).len(), 1);
}

#[tokio::test]
async fn each_call_looks_at_so_many_and_the_next_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store).await;
    let mut forgotten = Vec::new();
    for call in 1..=12 {
        let purged = store.purge(at(100), at(50), 1).await.unwrap();
        assert_eq!(purged.more, call < 12);
        forgotten.push(purged.forgotten);
    }
    // Twelve records stand in the way: a spent one and a live one of each kind.
    assert_eq!(forgotten, [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]);
    assert_purged(&store).await;
    // It comes round again to what has ended since.
    let mut forgotten = 0;
    for _ in 0..6 {
        forgotten += store.purge(at(101), at(51), 1).await.unwrap().forgotten;
    }
    assert_eq!(forgotten, 6);
    assert_eq!(store.sessions_of(id(1)).await.unwrap(), []);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_does_not_keep_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store).await;
    let damaged = crate::layout::challenge(&key(2));
    let entry = (damaged.as_bytes().to_vec(), Some(sled::IVec::from(b"damaged")));
    store.state.view_mut().recent.extend([entry].into_iter().collect());
    assert_eq!(store.purge(at(100), at(50), 1000).await.unwrap().forgotten, 6);
    assert!(keys(&store, crate::layout::CHALLENGE).contains(&damaged.into_bytes()));
}
