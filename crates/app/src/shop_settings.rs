//! The shop's own settings, where the store is in its database: what the operator has not set here, the shop's administration
//! sets, and changes while the service runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use mobile_bind_domain::{MobileRule, Service};
use mobile_bind_shopxo::{ShopSettings, ShopSettingsReader};
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::settings::Settings;
use crate::stores::shopxo_options;

/// How often they are read again.
const EVERY: Duration = Duration::from_secs(60);

/// The settings as they are in force, and what of them is the shop's.
pub(crate) struct Merged {
    pub(crate) settings: Settings,
    /// The keys whose values are the shop's.
    pub(crate) of_the_shop: Vec<&'static str>,
}

/// Puts the shop's settings where the operator has set none. What cannot be used is passed over.
fn merged(own: &Settings, shop: &ShopSettings) -> Merged {
    let mut settings = own.clone();
    let mut of_the_shop = Vec::new();
    let mut set = |key: &'static str, value: Option<()>| of_the_shop.extend(value.map(|()| key));
    let free = |key: &str| !own.given.contains(key);
    if free("mobile_pattern") {
        let pattern = shop.mobile_pattern.as_ref().filter(|pattern| MobileRule::new(pattern).is_ok());
        set("mobile_pattern", pattern.map(|pattern| settings.mobile_pattern.clone_from(pattern)));
    }
    if free("code.lifetime_s") {
        set("code.lifetime_s", shop.code_lifetime_s.map(|seconds| settings.code.lifetime_s = seconds));
    }
    if free("code.send_interval_s") {
        set("code.send_interval_s", shop.send_interval_s.map(|seconds| settings.code.send_interval_s = seconds));
    }
    if free("register.audit") {
        set("register.audit", shop.register_audit.map(|audit| settings.register.audit = audit));
    }
    if free("shop.mandatory_bind") {
        set("shop.mandatory_bind", shop.mandatory_bind.map(|mandatory| settings.shop.mandatory_bind = mandatory));
    }
    if free("register.forbidden_mobiles") {
        // Names and addresses stand there as well.
        let rule = settings.mobile_rule().ok();
        let is_number = |text: &&String| rule.as_ref().is_some_and(|rule| rule.parse(text).is_some());
        let numbers = |forbidden: &Vec<String>| forbidden.iter().filter(is_number).cloned().collect();
        let forbidden = shop.forbidden.as_ref().map(numbers);
        set("register.forbidden_mobiles", forbidden.map(|numbers| settings.register.forbidden_mobiles = numbers));
    }
    Merged { settings, of_the_shop }
}

/// What the shop has set, read again while the service runs.
pub(crate) struct LiveShopSettings {
    reader: ShopSettingsReader,
    own: Settings,
    /// Those that are in force.
    last: Mutex<Settings>,
}

impl LiveShopSettings {
    /// Reads the shop's settings for the first time; `None` where the store is in no shop's database.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub(crate) async fn start(own: &Settings) -> Result<Option<(Self, Merged)>> {
        if !own.store_address()?.starts_with("shopxo:") {
            return Ok(None);
        }
        let reader = ShopSettingsReader::new(shopxo_options(own)?).context("the shop's settings cannot be read")?;
        let shop = reader.read().await.context("the shop's settings cannot be read")?;
        let merged = merged(own, &shop);
        let last = Mutex::new(merged.settings.clone());
        Ok(Some((Self { reader, own: own.clone(), last }, merged)))
    }

    /// Reads them again; what has changed is in force when this returns.
    ///
    /// # Errors
    /// Where they cannot be read or used: then the last ones stay.
    pub(crate) async fn refresh(&self, service: &Service, mandatory_bind: &AtomicBool) -> Result<()> {
        let shop = self.reader.read().await?;
        let settings = merged(&self.own, &shop).settings;
        let mut last = self.last.lock().await;
        if *last == settings {
            return Ok(());
        }
        let policy = settings.policy()?;
        service.policy.change(|current| *current = policy);
        mandatory_bind.store(settings.shop.mandatory_bind, Ordering::Relaxed);
        *last = settings;
        info!("the shop's settings have changed, and are in force");
        Ok(())
    }

    /// Reads them every minute.
    pub(crate) async fn follow(self: Arc<Self>, service: Arc<Service>, mandatory_bind: Arc<AtomicBool>) {
        let mut interval = tokio::time::interval(EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            if let Err(error) = self.refresh(&service, &mandatory_bind).await {
                warn!(error = format!("{error:#}"), "the shop's settings stay as they were");
            }
        }
    }
}

/// The settings to be printed, and what is to be said before them of where they come from.
pub(crate) async fn printed(own: Settings) -> (Settings, String) {
    match LiveShopSettings::start(&own).await {
        Ok(None) => (own, String::new()),
        Ok(Some((_, merged))) => {
            let keys = merged.of_the_shop.iter().map(|key| format!("# {key}: the shop's sxo_config\n"));
            let origins = keys.collect();
            (merged.settings, origins)
        }
        Err(error) => (own, format!("# the shop's sxo_config is not among them: {error:#}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> ShopSettings {
        ShopSettings {
            code_lifetime_s: Some(300),
            send_interval_s: Some(30),
            register_audit: Some(true),
            mandatory_bind: Some(true),
            mobile_pattern: Some(r"^1\d{10}$".to_owned()),
            forbidden: Some(vec!["13800138000".to_owned(), "admin".to_owned()]),
        }
    }

    #[test]
    fn the_shops_settings_stand_where_the_operator_has_none() {
        let own = Settings { given: ["code.lifetime_s".to_owned()].into(), ..Settings::default() };
        let Merged { settings, of_the_shop } = merged(&own, &shop());
        assert_eq!(settings.code.lifetime_s, Settings::default().code.lifetime_s, "it is the operator's");
        assert_eq!((settings.code.send_interval_s, settings.register.audit), (30, true));
        assert!(settings.shop.mandatory_bind);
        assert_eq!(settings.register.forbidden_mobiles, ["13800138000"]);
        assert_eq!(settings.mobile_pattern, r"^1\d{10}$");
        assert_eq!(of_the_shop.len(), 5);
        settings.policy().unwrap();
    }

    #[test]
    fn what_the_shop_does_not_set_or_cannot_be_used_changes_nothing() {
        let unusable = ShopSettings { mobile_pattern: Some("^(?=1)".to_owned()), ..ShopSettings::default() };
        let merged = merged(&Settings::default(), &unusable);
        assert_eq!((merged.settings, merged.of_the_shop.len()), (Settings::default(), 0));
    }
}
