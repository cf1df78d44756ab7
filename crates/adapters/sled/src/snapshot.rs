//! Loading what decisions are made on, straight from the tree.

use std::collections::HashMap;

use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::ports::{
    BindQuery, BindSnapshot, CallerQuery, ReceiptSnapshot, SendQuery, SendSnapshot, SessionSnapshot,
};
use mobile_bind_domain::referrer::ReferrerName;
use mobile_bind_domain::{Account, AccountId, ChallengeKey, Session, SessionId, Subject, Tally, Versioned};
use sled::Tree;

use crate::fault::Fault;
use crate::layout::{self, Key};
use crate::records;
use crate::source::{Source, session_id};

pub(crate) fn for_send(tree: &Tree, query: &SendQuery) -> Result<SendSnapshot, Fault> {
    let caller = query.session.map_or(Ok(None), |id| session(tree, id))?;
    let mut subjects = query.subjects();
    subjects.extend(caller.as_ref().map(|caller| Subject::SendsOf(caller.account.value.id)));
    Ok(SendSnapshot {
        challenge: tree.record(&layout::challenge(&query.key))?,
        caller,
        tallies: tallies(tree, subjects)?,
    })
}

pub(crate) fn for_bind(tree: &Tree, query: &BindQuery) -> Result<BindSnapshot, Fault> {
    let mut snapshot = BindSnapshot {
        challenge: tree.record(&layout::challenge(&query.key))?,
        receipt: receipt(tree, &query.key)?,
        mobile_holder: holder(tree, &layout::by_mobile(&query.key.mobile))?,
        tallies: tallies(tree, query.subjects())?,
        ..BindSnapshot::default()
    };
    match &query.caller {
        CallerQuery::Identity { identity, unionid } => {
            // A unionid comes without its platform; where there is no openid either, the bind is refused for that.
            if let Some(identity) = identity {
                snapshot.identity_holder = holder(tree, &layout::by_identity(identity))?;
                let index = unionid.as_ref().map(|unionid| layout::by_unionid(identity.platform, unionid));
                snapshot.unionid_holder = index.map_or(Ok(None), |index| holder(tree, &index))?;
            }
        }
        CallerQuery::Session(Some(id)) => snapshot.session = session(tree, *id)?,
        CallerQuery::Session(None) => {}
    }
    if let Some(name) = &query.referrer {
        snapshot.referrer = referrer(tree, name)?;
    }
    Ok(snapshot)
}

/// A session and its account.
pub(crate) fn session(tree: &Tree, id: SessionId) -> Result<Option<SessionSnapshot>, Fault> {
    let Some(Versioned { value: session, .. }) = tree.record::<Session>(&layout::session(id))? else {
        return Ok(None);
    };
    let account = tree.record(&layout::account(session.account))?;
    Ok(account.map(|account| SessionSnapshot { session, account }))
}

/// The accounts after an id, in order.
pub(crate) fn accounts(tree: &Tree, after: Option<AccountId>, limit: usize) -> Result<Vec<Versioned<Account>>, Fault> {
    let values = tree.range(layout::accounts_after(after)).values().take(limit);
    values.map(|value| records::decode(&value?)).collect()
}

/// The largest account id.
pub(crate) fn last_account(tree: &Tree) -> Result<Option<AccountId>, Fault> {
    let last = tree.range(layout::accounts_after(None)).next_back().transpose()?;
    last.map(|(_, value)| records::decode::<Account>(&value).map(|account| account.value.id)).transpose()
}

pub(crate) fn sessions_of(tree: &Tree, account: AccountId) -> Result<Vec<Session>, Fault> {
    let mut sessions = Vec::new();
    for id in tree.scan_prefix(layout::sessions_of(account).as_bytes()).values() {
        let session = tree.record::<Session>(&layout::session(session_id(&id?)?))?;
        sessions.extend(session.map(|session| session.value));
    }
    Ok(sessions)
}

fn receipt(tree: &Tree, key: &ChallengeKey) -> Result<Option<ReceiptSnapshot>, Fault> {
    let Some(Versioned { value: receipt, .. }) = tree.record::<BindReceipt>(&layout::receipt(key))? else {
        return Ok(None);
    };
    let session = receipt.session.map_or(Ok(None), |id| session(tree, id))?;
    Ok(Some(ReceiptSnapshot { receipt, session }))
}

/// The account that an index leads to. Indexes lead to live accounts alone.
fn holder(tree: &Tree, index: &Key) -> Result<Option<Versioned<Account>>, Fault> {
    tree.account_at(index)?.map_or(Ok(None), |id| tree.record(&layout::account(id)))
}

fn referrer(tree: &Tree, name: &ReferrerName) -> Result<Option<Account>, Fault> {
    let found: Option<Versioned<Account>> = match name {
        ReferrerName::Id(id) => tree.record(&layout::account(*id))?,
        ReferrerName::Mobile(mobile) => holder(tree, &layout::by_mobile(mobile))?,
        ReferrerName::Code(code) => holder(tree, &layout::by_member_code(code))?,
    };
    Ok(found.map(|found| found.value).filter(Account::is_live))
}

fn tallies(tree: &Tree, subjects: impl IntoIterator<Item = Subject>) -> Result<HashMap<Subject, Tally>, Fault> {
    let mut tallies = HashMap::new();
    for subject in subjects {
        if let Some(tally) = tree.record::<Tally>(&layout::tally(&subject))? {
            tallies.insert(subject, tally.value);
        }
    }
    Ok(tallies)
}
