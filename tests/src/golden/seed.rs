//! The accounts that a scenario starts from, written through the store port.

use anyhow::{Context, Result};
use mobile_bind_domain::{
    Account, AccountId, AccountStatus, Avatar, Change, ClientType, Gender, MemberCode, Mobile, OpenId,
    PlatformIdentity, Profile, ProfileText, Revision, Service, Session, SessionSeed, ShopDetails, UnionId, Write,
};

use super::format::{User, UserIdentity};
use super::placeholders::Placeholders;

/// Stores the accounts and sessions that exist beforehand.
pub(super) async fn seed(service: &Service, users: &[User], placeholders: &mut Placeholders) -> Result<()> {
    for user in users {
        placeholders.know_id(&user.id);
        let account = account(service, user)?;
        let mut writes = vec![Write::Account { expected: Revision::ABSENT, account: Box::new(account.clone()) }];
        for identity in user.identities.iter().filter(|identity| !identity.token.is_empty()) {
            let session = session(service, &account, identity)?;
            let expires_at = session.expires_at(&service.policy.get().session);
            let token = service.tokens.issue(&session, expires_at)?;
            placeholders.define_token(&identity.token, token.expose());
            writes.push(Write::OpenSession(session));
        }
        service.store.commit(Change { expectations: Vec::new(), writes }).await?;
    }
    Ok(())
}

fn account(service: &Service, user: &User) -> Result<Account> {
    let now = service.clock.now();
    let id = user.id.parse().ok().and_then(AccountId::new).context("a user's id is no id")?;
    let mut account = Account::new(id, now);
    account.member_code = MemberCode::new(&user.number_code);
    let status = user.field("status").parse().ok().and_then(AccountStatus::from_number);
    account.status = status.context("a user's status is no status")?;
    account.mobile = Mobile::restore(user.field("mobile"));
    account.profile = profile(user).context("a user's profile is too long")?;
    account.referrer = user.field("referrer").parse().ok().and_then(AccountId::new);
    account.shop = (!user.field("email").is_empty())
        .then(|| Box::new(ShopDetails { email: user.field("email").into(), ..ShopDetails::default() }));
    account.deleted_at = user.deleted.then_some(now);
    account.closed_at = user.logged_out.then_some(now);
    for identity in &user.identities {
        let client_type = ClientType::from_name(&identity.client_type).context("an unknown client type")?;
        if let Some(platform) = client_type.platform() {
            let known = PlatformIdentity {
                app: service.policy.get().app(platform),
                openid: OpenId::new(&identity.openid),
                unionid: UnionId::new(&identity.unionid),
            };
            account.identities.insert(platform, known);
        }
    }
    Ok(account)
}

fn profile(user: &User) -> Option<Profile> {
    Some(Profile {
        nickname: ProfileText::new(user.field("nickname"))?,
        avatar: Avatar::new(user.field("avatar"))?,
        gender: Gender::from_text(user.field("gender")),
        province: ProfileText::new(user.field("province"))?,
        city: ProfileText::new(user.field("city"))?,
        county: ProfileText::new(user.field("county"))?,
    })
}

fn session(service: &Service, account: &Account, identity: &UserIdentity) -> Result<Session> {
    let mut seed = [0; 16];
    service.randomness.fill(&mut seed);
    let opened = service.tokens.open(SessionSeed(seed))?;
    Ok(Session {
        id: opened.id,
        seed: opened.seed,
        key: opened.key,
        account: account.id,
        client_type: ClientType::from_name(&identity.client_type).context("an unknown client type")?,
        issued_at: service.clock.now(),
        used_at: service.clock.now(),
    })
}
