//! Settings that are refused at start, each by its name.

use anyhow::{Result, bail};

use super::{Environment, LimitMode, ProofSetting, Settings, SmsSenderName};

/// Refuses what is fake or taken on trust in production, and strangers in development.
///
/// # Errors
/// With the setting's name and what to do.
pub fn refuse_unsafe(settings: &Settings) -> Result<()> {
    match settings.environment {
        Environment::Production => refuse_in_production(settings),
        Environment::Development => {
            if !settings.listen.ip().is_loopback() && !settings.dev.expose {
                bail!(
                    "listen = \"{}\" is refused in development, where anybody may read the codes: listen on a loopback \
                     address, or set dev.expose = true",
                    settings.listen
                );
            }
            Ok(())
        }
    }
}

fn refuse_in_production(settings: &Settings) -> Result<()> {
    if settings.sms.sender == SmsSenderName::Fake {
        bail!(
            "sms.sender = \"fake\" is refused in production: it sends nothing; set \"providers\" and configure one in \
             [sms.providers.NAME]"
        );
    }
    refuse_on_trust(settings)
}

fn refuse_on_trust(settings: &Settings) -> Result<()> {
    if settings.platform_proof == ProofSetting::Trust {
        bail!(
            "platform_proof = \"trust\" is refused in production: whoever knows an openid would enter its account; set \
             \"required\""
        );
    }
    if settings.store_address()?.starts_with("memory") {
        bail!("store = \"memory:\" is refused in production: it forgets everything when it stops; use \"sled:\"");
    }
    if settings.limits.mode == LimitMode::Off {
        bail!("limits.mode = \"off\" is refused in production: it is for load tests; set \"enforce\" or \"shadow\"");
    }
    if settings.captcha.provider == crate::guards::FAKE {
        bail!(
            "captcha.provider = \"fake\" is refused in production: it asks nothing of anybody; set \"turnstile\" or \"hcaptcha\""
        );
    }
    if settings.dev.expose {
        bail!("dev.expose = true is refused in production: there is nothing to expose; remove it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::refuse_unsafe;
    use crate::settings::{Environment, LimitMode, ProofSetting, Settings};

    fn refusal(settings: &Settings) -> String {
        refuse_unsafe(settings).unwrap_err().to_string()
    }

    #[test]
    fn development_stays_on_loopback() {
        let mut settings = Settings::default();
        assert!(refuse_unsafe(&settings).is_ok());
        settings.listen = "0.0.0.0:80".parse().unwrap();
        assert!(refusal(&settings).contains("dev.expose"));
        settings.dev.expose = true;
        assert!(refuse_unsafe(&settings).is_ok());
    }

    #[test]
    fn production_refuses_what_is_fake_by_name() {
        let settings = Settings { environment: Environment::Production, ..Settings::default() };
        assert!(refusal(&settings).contains("sms.sender"));
    }

    #[test]
    fn production_refuses_trust_and_no_limits_by_name() {
        let mut settings = Settings { environment: Environment::Production, ..Settings::default() };
        settings.platform_proof = ProofSetting::Trust;
        // The sender is refused first; what is after it is looked at alone.
        let without_sender = |settings: &Settings| super::refuse_on_trust(settings).unwrap_err().to_string();
        assert!(without_sender(&settings).contains("platform_proof"));
        settings.platform_proof = ProofSetting::Auto;
        settings.limits.mode = LimitMode::Off;
        assert!(without_sender(&settings).contains("limits.mode"));
        settings.limits.mode = LimitMode::Enforce;
        settings.store = "memory:".to_owned();
        assert!(without_sender(&settings).contains("store"));
        settings.store = "sled:".to_owned();
        settings.dev.expose = true;
        assert!(without_sender(&settings).contains("dev.expose"));
    }
}
