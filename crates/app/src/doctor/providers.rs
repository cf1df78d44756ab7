//! Would messages go out? Each SMS provider is looked at; nothing is sent.

use std::sync::Arc;

use async_trait::async_trait;
use mobile_bind_domain::ports::{Clock, Randomness};

use super::{Check, Finding};
use crate::ambient::{SystemClock, SystemRandomness};
use crate::providers::{self, NOT_ASKED_TO_TELL};
use crate::settings::Settings;

pub(super) struct Providers;

#[async_trait]
impl Check for Providers {
    fn name(&self) -> &'static str {
        "sms"
    }

    async fn look(&self, settings: &Settings) -> Vec<Finding> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
        let all = match providers::failover(settings, &clock, &randomness, Arc::new(|_, _| {})) {
            Ok(all) => all,
            Err(error) => return vec![Finding::Wrong(format!("{error:#}"))],
        };
        if all.providers().is_empty() {
            return vec![Finding::Well("no provider is configured: messages go to the fake sender".to_owned())];
        }
        let silent = settings.providers_that_do_not_tell().unwrap_or_default();
        let silent = silent.into_iter().map(|name| Finding::Well(format!("{name}: {NOT_ASKED_TO_TELL}")));
        let mut findings: Vec<_> = silent.collect();
        for provider in all.providers() {
            let told = |what: String| format!("{}: {what}", provider.name());
            findings.extend(provider.examine().await.into_iter().map(|found| {
                if found.well { Finding::Well(told(found.what)) } else { Finding::Wrong(told(found.what)) }
            }));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mobile_bind_sms::fake_provider::{FakeAccount, FakeProvider, Play};
    use mobile_bind_sms::{Kind, Secret};

    use super::Providers;
    use crate::ambient::SystemClock;
    use crate::doctor::{Check, Finding};
    use crate::providers::NOT_ASKED_TO_TELL;
    use crate::settings::{Settings, SmsProvider, SmsSenderName};

    #[tokio::test]
    async fn each_provider_is_looked_at() {
        assert!(matches!(&Providers.look(&Settings::default()).await[..], [Finding::Well(_)]));
        let account =
            FakeAccount { kind: Kind::Twilio, account: "AC1".to_owned(), secret: Secret::new("s3cret".to_owned()) };
        let clock = Arc::new(SystemClock::default());
        let fake = FakeProvider::start(&account, ([127, 0, 0, 1], 0).into(), Play::Accept, clock, None).await.unwrap();
        let provider = |secret: &str| SmsProvider {
            kind: "twilio".to_owned(),
            url: fake.url(),
            account: "AC1".to_owned(),
            secret: secret.to_owned().into(),
            from: "+15005550006".to_owned(),
            ..SmsProvider::default()
        };
        let mut settings = Settings::default();
        settings.sms.providers.insert("right".to_owned(), provider("s3cret"));
        settings.sms.providers.insert("other".to_owned(), provider("s3kret"));
        settings.sms.sender = SmsSenderName::Providers;
        settings.numbers.tell_old_number = true;
        settings.sms.providers.get_mut("other").unwrap().purposes = vec!["bind".to_owned()];
        let found = Providers.look(&settings).await;
        assert_eq!(found[0], Finding::Well(format!("other: {NOT_ASKED_TO_TELL}")));
        let wrong: Vec<_> = found.iter().filter(|finding| matches!(finding, Finding::Wrong(_))).collect();
        assert!(
            matches!(&wrong[..], [Finding::Wrong(what)] if what.starts_with("other: credentials: the vendor refuses them (20003)")),
            "{found:?}"
        );
        assert!(found.contains(&Finding::Well("right: credentials: the vendor knows them".to_owned())), "{found:?}");
        assert!(!format!("{found:?}").contains("s3"), "{found:?}");
    }
}
