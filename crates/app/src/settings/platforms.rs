//! From settings to the platforms' apps.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mobile_bind_domain::Platform;
use mobile_bind_platforms::{PlatformConfig, Secret};

use super::{Environment, PlatformSource, SecretText, Settings};

impl Settings {
    /// Whether the platforms are faked.
    #[must_use]
    pub fn fakes_platforms(&self) -> bool {
        match self.platforms.source {
            PlatformSource::Fake => true,
            PlatformSource::Vendors => false,
            PlatformSource::Auto => {
                self.environment == Environment::Development
                    && Platform::ALL.into_iter().all(|one| !self.has_secret(one))
            }
        }
    }

    fn has_secret(&self, platform: Platform) -> bool {
        let (text, file) = self.secret_of(platform);
        text.is_some_and(|text| text != &SecretText::default()) || !file.as_os_str().is_empty()
    }

    /// Where a platform's secret is: among the settings, or in a file.
    fn secret_of(&self, platform: Platform) -> (Option<&SecretText>, &Path) {
        let all = &self.platforms;
        match platform {
            Platform::Weixin => (Some(&all.weixin_secret), &all.weixin_secret_file),
            Platform::Baidu => (Some(&all.baidu_secret), &all.baidu_secret_file),
            Platform::Toutiao => (Some(&all.toutiao_secret), &all.toutiao_secret_file),
            Platform::Qq => (Some(&all.qq_secret), &all.qq_secret_file),
            Platform::Kuaishou => (Some(&all.kuaishou_secret), &all.kuaishou_secret_file),
            Platform::Alipay => (None, &all.alipay_private_key_file),
        }
    }

    /// How long a platform may take to answer, be it the fake.
    ///
    /// # Errors
    /// Where it is no time at all.
    pub fn platform_timeout(&self) -> Result<Duration> {
        ensure!(self.platforms.timeout_ms > 0, "platforms.timeout_ms must be at least 1");
        Ok(Duration::from_millis(self.platforms.timeout_ms))
    }

    /// The apps that have a secret, each looked at; secrets and keys are read from their files.
    ///
    /// # Errors
    /// With the name of the setting that cannot be used.
    pub fn mini_programs(&self) -> Result<Vec<PlatformConfig>> {
        let configured = Platform::ALL.into_iter().filter(|&platform| self.has_secret(platform));
        configured.map(|platform| self.mini_program(platform)).collect()
    }

    fn mini_program(&self, platform: Platform) -> Result<PlatformConfig> {
        let name = platform.name();
        let (text, file) = self.secret_of(platform);
        let text = text.map(|text| text.0.expose()).unwrap_or_default();
        let secret = if file.as_os_str().is_empty() {
            text.to_owned()
        } else {
            ensure!(text.is_empty(), "platforms.{name}_secret and platforms.{name}_secret_file are both given");
            contents(file).with_context(|| format!("the secret of platforms.{name} cannot be read"))?
        };
        let public = &self.platforms.alipay_public_key_file;
        let public_key = match platform {
            Platform::Alipay if !public.as_os_str().is_empty() => {
                contents(public).context("platforms.alipay_public_key_file cannot be read")?
            }
            _ => String::new(),
        };
        let config = PlatformConfig {
            platform,
            app_id: self.policy()?.app(platform).as_str().to_owned(),
            app_key: if platform == Platform::Baidu { self.platforms.baidu_app_key.clone() } else { String::new() },
            secret: Secret::new(secret),
            public_key,
            url: String::new(),
            timeout: self.platform_timeout()?,
            plain_http: false,
        };
        config.check().context("[platforms] cannot be used")?;
        Ok(config)
    }
}

/// What is in a file but for the last line's end.
fn contents(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use crate::settings::{Environment, PlatformSource, Settings, refuse_unsafe};

    fn weixin() -> Settings {
        let mut settings = Settings::default();
        settings.platforms.weixin_app_id = "wx1".to_owned();
        settings.platforms.weixin_secret = "s3cret".to_owned().into();
        settings
    }

    #[test]
    fn a_platform_with_a_secret_is_configured_and_not_faked() {
        assert!(Settings::default().fakes_platforms() && Settings::default().mini_programs().unwrap().is_empty());
        let settings = weixin();
        let apps = settings.mini_programs().unwrap();
        assert_eq!((apps.len(), apps[0].app_id.as_str(), settings.fakes_platforms()), (1, "wx1", false));
        let printed = toml::to_string(&settings).unwrap();
        assert!(!printed.contains("s3cret") && !format!("{apps:?}{settings:?}").contains("s3cret"), "{printed}");
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        let mut settings = weixin();
        settings.platforms.weixin_app_id = String::new();
        assert!(format!("{:#}", settings.mini_programs().unwrap_err()).contains("weixin: the app id is missing"));
        settings.platforms.weixin_secret_file = "/nowhere".into();
        assert!(format!("{:#}", settings.mini_programs().unwrap_err()).contains("both given"));
        settings.platforms.weixin_secret = String::new().into();
        let error = format!("{:#}", settings.mini_programs().unwrap_err());
        assert!(error.contains("platforms.weixin") && error.contains("/nowhere"), "{error}");
    }

    #[test]
    fn production_fakes_no_platform() {
        let mut settings = Settings { environment: Environment::Production, ..Settings::default() };
        assert!(!settings.fakes_platforms());
        settings.sms.sender = crate::settings::SmsSenderName::Providers;
        assert!(refuse_unsafe(&settings).is_ok());
        settings.platforms.source = PlatformSource::Fake;
        assert!(refuse_unsafe(&settings).unwrap_err().to_string().contains("platforms.source"));
    }
}
