use std::time::Duration;

use super::{Kind, ProviderConfig};
use crate::secret::Secret;
use crate::tests::config;

const KINDS: [Kind; 4] = [Kind::Aliyun, Kind::Tencent, Kind::Twilio, Kind::Webhook];

fn refused(config: &ProviderConfig) -> String {
    config.vendor().err().expect("a refusal").to_string()
}

#[test]
fn what_a_kind_needs_is_asked_for_by_name() {
    for kind in KINDS {
        let whole = config(kind, "https://sms.example");
        assert!(whole.vendor().is_ok(), "{kind:?}");
        let without_secret = ProviderConfig { secret: Secret::default(), ..whole.clone() };
        assert_eq!(refused(&without_secret), "secret is missing");
        let (account, expected) = match kind {
            Kind::Webhook => ("x", "account has no meaning for this kind"),
            _ => ("", "account is missing"),
        };
        assert_eq!(refused(&ProviderConfig { account: account.to_owned(), ..whole }), expected);
    }
    for kind in [Kind::Aliyun, Kind::Tencent] {
        let whole = config(kind, "");
        assert_eq!(refused(&ProviderConfig { templates: Default::default(), ..whole.clone() }), "templates is missing");
        assert_eq!(refused(&ProviderConfig { parameters: Vec::new(), ..whole }), "parameters is missing");
    }
    assert_eq!(refused(&config(Kind::Webhook, "")), "url is missing");
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let with = |change: fn(&mut ProviderConfig)| {
        let mut config = config(Kind::Aliyun, "");
        change(&mut config);
        refused(&config)
    };
    assert!(with(|config| config.timeout = Duration::from_millis(1_500)).starts_with("timeout_ms"));
    assert!(with(|config| config.max_in_flight = 0).starts_with("max_in_flight"));
    assert!(with(|config| config.weight = 0).starts_with("weight"));
    assert!(with(|config| config.countries = vec!["+86".to_owned()]).starts_with("countries"));
    assert!(with(|config| config.purposes = vec!["login".to_owned()]).starts_with("purposes"));
    assert!(with(|config| config.parameters = vec!["{code}".to_owned()]).starts_with("parameters"));
    assert!(with(|config| config.account = "a\nb".to_owned()).starts_with("account"));
    let unknown = |config: &mut ProviderConfig| {
        config.templates.entry("bind".to_owned()).or_default().insert("de".to_owned(), "x".to_owned());
    };
    assert!(with(unknown).starts_with("templates"));
}

#[test]
fn codes_go_out_encrypted_or_stay_on_the_machine() {
    for (url, good) in [
        ("https://sms.example", true),
        ("https://sms.example:8443/", true),
        ("http://127.0.0.1:9000", true),
        ("http://[::1]:9000", true),
        ("http://sms.example", false),
        ("ftp://sms.example", false),
        ("sms.example", false),
        ("https://user:pw@sms.example", false),
        ("https://sms.example/path", false),
        ("https://sms.example/?q", false),
    ] {
        assert_eq!(config(Kind::Twilio, url).vendor().is_ok(), good, "{url}");
    }
    assert!(config(Kind::Webhook, "https://sms.example/path?q=1").vendor().is_ok());
    let plain = ProviderConfig { plain_http: true, ..config(Kind::Twilio, "http://sms.example") };
    assert!(plain.vendor().is_ok());
}

#[test]
fn a_webhooks_secret_is_a_key() {
    let config = config(Kind::Webhook, "https://sms.example");
    let weak = ProviderConfig { secret: Secret::new("whsec_AAAA".to_owned()), ..config };
    assert!(refused(&weak).starts_with("secret must be base64"));
}

#[test]
fn no_secret_shows() {
    for kind in KINDS {
        let config = config(kind, "https://sms.example");
        assert!(!format!("{config:?}").contains(config.secret.expose()), "{kind:?}");
    }
}
