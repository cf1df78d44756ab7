//! An account as operators read it: masked, unless they ask for it whole.

use mobile_bind_domain::administration::AccountDetails;
use mobile_bind_domain::policy::SessionPolicy;
use mobile_bind_domain::{Account, Mobile, Session, Timestamp};

use mobile_bind_http::rfc3339;

/// What stands in place of a text that is masked whole.
const HIDDEN: &str = "***";

/// An account and its sessions.
pub(super) fn account(found: &AccountDetails, masked: bool, policy: &SessionPolicy, now: Timestamp) -> String {
    let account = &found.account.value;
    let mobile = |mobile: &Mobile| if masked { mobile.masked() } else { mobile.as_str().to_owned() };
    let mut sheet = Sheet(String::new());
    sheet.line("account", &account.id.get().to_string());
    sheet.line("status", &status(account));
    sheet.some("mobile", account.mobile.as_ref().map(mobile));
    sheet.some("mobile since", account.mobile_since.map(rfc3339));
    for (platform, identity) in &account.identities {
        let openid = identity.openid.as_ref().map(|id| if masked { id.masked() } else { id.as_str().to_owned() });
        let unionid = identity.unionid.as_ref().map(|id| if masked { id.masked() } else { id.as_str().to_owned() });
        sheet.some(&format!("{} openid", platform.name()), openid);
        sheet.some(&format!("{} unionid", platform.name()), unionid);
    }
    for (name, text) in personal(account) {
        sheet.some(name, (!text.is_empty()).then(|| if masked { HIDDEN.to_owned() } else { text }));
    }
    sheet.some("referrer", account.referrer.map(|id| format!("account {}", id.get())));
    sheet.line("made", &rfc3339(account.added_at));
    sheet.some("changed", account.updated_at.map(rfc3339));
    sheet.some("seen", found.seen_at().map(rfc3339));
    sheet.some("deleted", account.deleted_at.map(rfc3339));
    sheet.some("closed", account.closed_at.map(rfc3339));
    sheet.0 + &sessions(found, policy, now)
}

/// The sessions of an account.
pub(super) fn sessions(found: &AccountDetails, policy: &SessionPolicy, now: Timestamp) -> String {
    let mut live: Vec<_> = found.live_sessions(now, policy).collect();
    live.sort_by_key(|session| session.issued_at);
    if live.is_empty() {
        return "no sessions\n".to_owned();
    }
    let line = |session: &&Session| {
        format!(
            "session on {:<8} since {}, used {}, ends {}\n",
            session.client_type.name(),
            rfc3339(session.issued_at),
            rfc3339(session.used_at),
            rfc3339(session.ends_at(policy))
        )
    };
    live.iter().map(line).collect()
}

/// What an account may do, in words.
pub(super) fn status(account: &Account) -> String {
    account.standing().replace('_', " ")
}

/// What the owner or the shop has told of him; empty where nothing is known.
pub(super) fn personal(account: &Account) -> Vec<(&'static str, String)> {
    let profile = &account.profile;
    let gender = profile.gender.number();
    let mut known = vec![
        ("nickname", profile.nickname.as_str().to_owned()),
        ("avatar", profile.avatar.as_str().to_owned()),
        ("gender", if gender == 0 { String::new() } else { gender.to_string() }),
        ("province", profile.province.as_str().to_owned()),
        ("city", profile.city.as_str().to_owned()),
        ("county", profile.county.as_str().to_owned()),
    ];
    if let Some(shop) = &account.shop {
        let birthday = if shop.birthday == 0 { String::new() } else { shop.birthday.to_string() };
        known.extend([
            ("username", shop.username.to_string()),
            ("email", shop.email.to_string()),
            ("weixin_web_openid", shop.weixin_web_openid.to_string()),
            ("birthday", birthday),
            ("address", shop.address.to_string()),
        ]);
    }
    known
}

struct Sheet(String);

impl Sheet {
    fn line(&mut self, name: &str, value: &str) {
        self.0 += &format!("{name:<18} {value}\n");
    }

    fn some(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.line(name, &value);
        }
    }
}

#[cfg(test)]
mod tests {
    use mobile_bind_domain::administration::AccountDetails;
    use mobile_bind_domain::{
        Account, AccountId, AppId, ClientType, KeyId, Mobile, OpenId, Platform, PlatformIdentity, ProfileText,
        Revision, Session, SessionId, SessionSeed, ShopDetails, Timestamp, Versioned,
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_634_727_340);

    fn details() -> AccountDetails {
        let mut account = Account::new(AccountId::MIN, NOW);
        account.mobile = Mobile::restore("17602128368");
        let identity = PlatformIdentity { app: AppId::default(), openid: OpenId::new("oB6US5SNOng"), unionid: None };
        account.identities.insert(Platform::Weixin, identity);
        account.profile.nickname = ProfileText::new("Ann").unwrap();
        account.shop = Some(Box::new(ShopDetails { email: "ann@example.org".into(), ..ShopDetails::default() }));
        let session = Session {
            id: SessionId([0xab; 16]),
            seed: SessionSeed([0xcd; 16]),
            key: KeyId::new("k").unwrap(),
            account: account.id,
            client_type: ClientType::H5,
            issued_at: NOW,
            used_at: NOW,
        };
        AccountDetails { account: Versioned { revision: Revision(1), value: account }, sessions: vec![session] }
    }

    #[test]
    fn what_is_masked_is_nowhere_whole_and_what_is_asked_for_is_there() {
        let (found, policy) = (details(), Default::default());
        let masked = super::account(&found, true, &policy, NOW);
        let whole = super::account(&found, false, &policy, NOW);
        for secret in ["17602128368", "oB6US5SNOng", "Ann", "ann@example.org"] {
            assert!(!masked.contains(secret), "{masked}");
            assert!(whole.contains(secret), "{whole}");
        }
        assert!(masked.contains("176***368") && masked.contains("oB6***") && masked.contains("session on h5"));
        for text in [&masked, &whole] {
            assert!(!text.contains("abab") && !text.contains("cdcd"), "nothing of a token: {text}");
        }
    }

    #[test]
    fn a_session_that_has_ended_is_none() {
        let found = details();
        let late = NOW.after(std::time::Duration::from_secs(400 * 24 * 3600));
        assert_eq!(super::sessions(&found, &Default::default(), late), "no sessions\n");
    }
}
