//! Do requests come through a proxy that is not listed? Then all people share one quota.

use async_trait::async_trait;

use super::{Check, Finding};
use crate::guards::UnlistedProxyNote;
use crate::settings::Settings;

pub(super) struct Proxies;

#[async_trait]
impl Check for Proxies {
    fn name(&self) -> &'static str {
        "proxies"
    }

    async fn look(&self, settings: &Settings) -> Vec<Finding> {
        let note = UnlistedProxyNote::of(settings);
        let trusted = match settings.trusted_proxies() {
            Ok(trusted) => trusted,
            Err(error) => return vec![Finding::Wrong(format!("{error:#}"))],
        };
        vec![match note.read() {
            Some(proxy) if !trusted.iter().any(|range| range.contains(proxy)) => Finding::Wrong(format!(
                "{proxy} forwards requests and is not in server.trusted_proxies, so that all its clients share one quota: \
                 list it, or, where it is no proxy of yours, remove {}",
                note.path().display()
            )),
            _ => Finding::Well("none that is not listed was seen to forward requests".to_owned()),
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::Proxies;
    use crate::doctor::{Check, Finding};
    use crate::settings::Settings;

    #[tokio::test]
    async fn a_proxy_that_is_not_listed_is_wrong_until_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings { data_dir: folder.path().to_owned(), ..Settings::default() };
        assert!(matches!(&Proxies.look(&settings).await[..], [Finding::Well(_)]));
        std::fs::write(folder.path().join("unlisted_proxy"), "10.0.0.7").unwrap();
        let found = Proxies.look(&settings).await;
        assert!(matches!(&found[..], [Finding::Wrong(what)] if what.contains("10.0.0.7")), "{found:?}");
        settings.server.trusted_proxies = vec!["10.0.0.0/8".to_owned()];
        assert!(matches!(&Proxies.look(&settings).await[..], [Finding::Well(_)]));
    }
}
