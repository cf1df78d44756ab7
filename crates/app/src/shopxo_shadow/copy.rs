//! The copy that a shadow plays on: what is in it of the shop's accounts, and how it keeps up with what the shop does beside the
//! binds that are played.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use mobile_bind_domain::ports::{CommitError, OpenedSession, Store, TokenIssuer as _};
use mobile_bind_domain::{
    Account, AccountId, Change, ClientType, MemberCode, Mobile, Revision, Session, SessionId, SessionSeed, Timestamp,
    Versioned, Write,
};
use mobile_bind_shopxo::{SeenAccount, ShopTokens};

/// The accounts of the copy. An account of the shop's has its own id there, unless it has come since the copy was made.
pub(crate) struct Copy {
    store: Arc<dyn Store>,
    /// Of the shop's accounts that have come since, the copy's ids.
    counterparts: BTreeMap<AccountId, AccountId>,
    /// Those that were made in the copy, whose ids may be others' at the shop.
    own: BTreeSet<AccountId>,
}

impl Copy {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, counterparts: BTreeMap::new(), own: BTreeSet::new() }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Notes an account that a bind made in the copy, and which one the shop made for the same bind.
    pub(crate) fn note_made(&mut self, made: AccountId, at_the_shop: Option<AccountId>) {
        self.own.insert(made);
        if let Some(shop) = at_the_shop {
            self.counterparts.insert(shop, made);
        }
    }

    fn note_counterpart(&mut self, shop: AccountId, id: AccountId) {
        if id != shop || self.own.contains(&id) {
            self.note_made(id, Some(shop));
        }
    }

    /// What the copy has of an account of the shop's.
    pub(crate) async fn of(&self, shop: AccountId) -> Result<Option<Versioned<Account>>> {
        let id = match self.counterparts.get(&shop) {
            Some(id) => *id,
            None if self.own.contains(&shop) => return Ok(None),
            None => shop,
        };
        Ok(self.store.account(id).await?)
    }

    /// Makes an account in the copy what it is at the shop, with its tokens. Answers whether it could.
    pub(crate) async fn follow(&mut self, seen: &SeenAccount) -> Result<bool> {
        let shop = seen.account.id;
        let (expected, known) = match self.of(shop).await? {
            Some(known) => (known.revision, known.value),
            None => self.counterpart_to_be(seen).await?,
        };
        let id = known.id;
        let wanted = as_seen(&known, &seen.account);
        let mut writes = Vec::new();
        if wanted != known || expected == Revision::ABSENT {
            writes.extend(self.number_let_go(id, wanted.mobile.as_ref()).await?);
            writes.push(Write::Account { expected, account: Box::new(wanted) });
        }
        for session in &seen.sessions {
            match self.store.load_session(session.id).await?.map(|known| known.session.account) {
                Some(account) if account == id => continue,
                Some(_) => writes.push(Write::EndSession(session.id)),
                None => {}
            }
            writes.push(Write::OpenSession(Session { account: id, ..session.clone() }));
        }
        if writes.is_empty() {
            self.note_counterpart(shop, id);
            return Ok(true);
        }
        match self.store.commit(Change { writes, ..Change::default() }).await {
            Ok(_) => {
                self.note_counterpart(shop, id);
                Ok(true)
            }
            // An openid is another's in the copy, since the two did not do the same with a bind.
            Err(CommitError::Conflict) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets a token lead to an account, where it is known of no other in the copy.
    pub(crate) async fn learn(
        &self,
        shop: AccountId,
        token: Option<(SessionId, ClientType)>,
        at: Timestamp,
    ) -> Result<()> {
        let (Some((token, client_type)), Some(account)) = (token, self.of(shop).await?) else { return Ok(()) };
        if self.store.load_session(token).await?.is_some() {
            return Ok(());
        }
        let OpenedSession { id, seed, key } = ShopTokens.open(SessionSeed(token.0))?;
        let session = Session { id, seed, key, account: account.value.id, client_type, issued_at: at, used_at: at };
        self.store.commit(Change { writes: vec![Write::OpenSession(session)], ..Change::default() }).await?;
        Ok(())
    }

    /// For an account that has come to the shop since: the one that a bind made in the copy for the same number, or a new one.
    async fn counterpart_to_be(&self, seen: &SeenAccount) -> Result<(Revision, Account)> {
        if let Some(mobile) = &seen.account.mobile
            && let Some(holder) = self.store.account_of(mobile).await?
            && self.own.contains(&holder.value.id)
            && !self.counterparts.values().any(|known| *known == holder.value.id)
        {
            return Ok((holder.revision, holder.value));
        }
        let id = self.store.allot_account_id().await?;
        Ok((Revision::ABSENT, Account::new(id, seen.account.added_at)))
    }

    /// The write that takes the number from whoever else has it in the copy.
    async fn number_let_go(&self, id: AccountId, mobile: Option<&Mobile>) -> Result<Option<Write>> {
        let Some(mobile) = mobile else { return Ok(None) };
        let holder = self.store.account_of(mobile).await?.filter(|holder| holder.value.id != id);
        Ok(holder.map(|holder| Write::Account {
            expected: holder.revision,
            account: Box::new(Account { mobile: None, mobile_since: None, ..holder.value }),
        }))
    }
}

/// What an account of the copy becomes: all that the shop's rows say of it, and what they have no column for as it is known.
fn as_seen(known: &Account, seen: &Account) -> Account {
    let same_number = known.mobile == seen.mobile;
    let member_code = if known.id == seen.id { seen.member_code.clone() } else { Some(MemberCode::of(known.id)) };
    let mut identities = seen.identities.clone();
    for (platform, identity) in &mut identities {
        // The shop's rows do not say of which app an openid is.
        if let Some(known) = known.identities.get(platform).filter(|known| known.openid == identity.openid) {
            identity.app = known.app.clone();
        }
    }
    Account {
        id: known.id,
        member_code,
        identities,
        referrer: known.referrer,
        mobile_since: if same_number { known.mobile_since } else { seen.mobile_since },
        seen_at: known.seen_at.max(seen.seen_at),
        ..seen.clone()
    }
}

#[cfg(test)]
mod tests;
