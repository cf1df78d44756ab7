//! From settings to the rules' own types.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use mobile_bind_domain::policy::{self, NumberPolicy, OutboxPolicy, SessionPolicy, TestNumber};
use mobile_bind_domain::{
    self as domain, AppId, CodeLength, Mobile, MobileRule, Platform, PlatformProof, Policy, Timestamp, VerificationCode,
};
use mobile_bind_numbers::LibraryPlans;

use super::shape::DAY;
use super::{Environment, LimitMode, Limits, Platforms, ProofSetting, QuotaText, Rebind, Recycled, Settings};

impl Settings {
    /// Whether openids are taken on trust, as the environment settles it.
    #[must_use]
    pub fn proof(&self) -> PlatformProof {
        match (self.platform_proof, self.environment) {
            (ProofSetting::Trust, _) | (ProofSetting::Auto, Environment::Development) => PlatformProof::Trust,
            (ProofSetting::Required, _) | (ProofSetting::Auto, Environment::Production) => PlatformProof::Required,
        }
    }

    /// The rules' settings.
    ///
    /// # Errors
    /// With the name of the setting that cannot be used.
    pub fn policy(&self) -> Result<Policy> {
        let mut policy = Policy::new(self.mobile_rule()?, self.proof());
        policy.code_length = CodeLength::new(self.code.length).context("code.length must be 4 to 8")?;
        policy.code_lifetime = Duration::from_secs(self.code.lifetime_s);
        anyhow::ensure!(self.code.lifetime_s > 0, "code.lifetime_s must be at least 1");
        anyhow::ensure!(self.code.tries > 0, "code.tries must be at least 1");
        policy.tries_per_code = self.code.tries;
        policy.send_interval = Duration::from_secs(self.code.send_interval_s);
        policy.register_audit = self.register.audit;
        policy.referrer_by_mobile = self.referrer.by_mobile;
        let forbidden = self.register.forbidden_mobiles.iter();
        let forbidden = forbidden.map(|text| {
            let mobile = policy.mobile_rule.parse(text);
            mobile.context("register.forbidden_mobiles holds text that is no number")
        });
        policy.forbidden_mobiles = forbidden.collect::<Result<_>>()?;
        policy.numbers = self.numbers();
        policy.test_numbers = self.test_numbers(&policy.mobile_rule)?;
        policy.country_code.clone_from(&self.sms.country_code);
        policy.apps = apps(&self.platforms)?;
        policy.session = SessionPolicy {
            inactivity: Duration::from_secs(self.session.inactivity_s),
            absolute: Duration::from_secs(self.session.absolute_s),
            ..SessionPolicy::default()
        };
        // Noted often enough that a session in use never ends for want of a note.
        policy.session.refresh_after = policy.session.refresh_after.min(policy.session.inactivity / 4);
        policy.limits = limits(&self.limits)?;
        policy.sending_patience = Duration::from_secs(self.sms.timeout_s.saturating_mul(2));
        policy.outbox = self.outbox()?;
        anyhow::ensure!(self.audit.retention_days > 0, "audit.retention_days must be at least 1");
        policy.audit_retention = Duration::from_secs(self.audit.retention_days.saturating_mul(DAY));
        Ok(policy)
    }
}

impl Settings {
    /// The plans of other countries take memory, and are only there where one is allowed.
    pub(crate) fn mobile_rule(&self) -> Result<MobileRule> {
        let rule = MobileRule::new(&self.mobile_pattern).context("mobile_pattern cannot be used")?;
        let home = &self.sms.country_code;
        let is_code = |code: &String| (1..=3).contains(&code.len()) && code.bytes().all(|digit| digit.is_ascii_digit());
        anyhow::ensure!(
            self.countries.iter().all(is_code),
            "countries must be calling codes in digits, such as \"86\""
        );
        anyhow::ensure!(self.countries.contains(home), "countries must name sms.country_code, \"{home}\", too");
        let abroad: Vec<String> = self.countries.iter().filter(|code| *code != home).cloned().collect();
        let rule = rule.at_home_in(home);
        Ok(if abroad.is_empty() { rule } else { rule.with_abroad(&abroad, Arc::new(LibraryPlans)) })
    }

    /// Each is good through its last day, as the shop's clocks have it.
    fn test_numbers(&self, rule: &MobileRule) -> Result<HashMap<Mobile, TestNumber>> {
        let time_zone = jiff::tz::TimeZone::get(&self.shop.time_zone).context("shop.time_zone is unknown")?;
        let number = |(name, number): (&String, &super::TestNumber)| {
            let mobile = rule.parse(&number.mobile);
            let mobile = mobile.with_context(|| format!("test_numbers.{name}.mobile is no mobile number"))?;
            let code = VerificationCode::from_digits(number.code.0.expose());
            let code = code.with_context(|| format!("test_numbers.{name}.code must be 4 to 8 digits"))?;
            let day: Option<jiff::civil::Date> = number.until.parse().ok();
            let end = day.and_then(|day| day.tomorrow().ok()?.to_zoned_datetime(time_zone.clone()).ok());
            let end = end.and_then(|end| u64::try_from(end.timestamp().as_second()).ok());
            let end = end.with_context(|| format!("test_numbers.{name}.until must be a date such as 2026-12-31"))?;
            Ok((mobile, TestNumber { code, until: Timestamp::from_seconds(end) }))
        };
        self.test_numbers.iter().map(number).collect()
    }

    fn numbers(&self) -> NumberPolicy {
        let numbers = &self.numbers;
        let silence = Duration::from_secs(u64::from(numbers.recycled_after_days) * DAY);
        NumberPolicy {
            rebind: match numbers.rebind {
                Rebind::Allow => policy::Rebind::Allow,
                Rebind::OldCode => policy::Rebind::OldCode,
                Rebind::Deny => policy::Rebind::Deny,
            },
            cooling_off: Duration::from_secs(numbers.cooling_off_s),
            revoke_on_change: numbers.revoke_on_change,
            tell_old_number: numbers.tell_old_number,
            recycled: match numbers.recycled {
                Recycled::Enter => policy::Recycled::Enter,
                Recycled::Detach => policy::Recycled::Detach,
                Recycled::Refuse => policy::Recycled::Refuse,
            },
            recycled_after: (!silence.is_zero()).then_some(silence),
        }
    }

    fn outbox(&self) -> Result<OutboxPolicy> {
        anyhow::ensure!(self.sms.keep_s > 0, "sms.keep_s must be at least 1");
        let within = Duration::from_secs(self.sms.receipt_within_s);
        Ok(OutboxPolicy {
            // Time for the sender, and to store what came of it.
            lease: Duration::from_secs(self.sms.timeout_s.saturating_add(5)),
            receipt_within: (!within.is_zero()).then_some(within),
            keep: Duration::from_secs(self.sms.keep_s),
            // A code may be short-lived by choice.
            worth_sending: OutboxPolicy::default().worth_sending.min(Duration::from_secs(self.code.lifetime_s) / 4),
        })
    }
}

fn apps(platforms: &Platforms) -> Result<BTreeMap<Platform, AppId>> {
    let app = |platform: Platform| {
        let (name, id) = match platform {
            Platform::Weixin => ("weixin_app_id", &platforms.weixin_app_id),
            Platform::Alipay => ("alipay_app_id", &platforms.alipay_app_id),
            Platform::Baidu => ("baidu_app_id", &platforms.baidu_app_id),
            Platform::Toutiao => ("toutiao_app_id", &platforms.toutiao_app_id),
            Platform::Qq => ("qq_app_id", &platforms.qq_app_id),
            Platform::Kuaishou => ("kuaishou_app_id", &platforms.kuaishou_app_id),
        };
        let id = AppId::new(id).with_context(|| format!("platforms.{name} is too long"))?;
        Ok((platform, id))
    };
    Platform::ALL.into_iter().map(app).collect()
}

fn limits(limits: &Limits) -> Result<domain::Limits> {
    let quotas = |texts: &[QuotaText]| texts.iter().map(|text| text.0).collect();
    let mode = |mode| match mode {
        LimitMode::Enforce => domain::LimitMode::Enforce,
        LimitMode::Shadow => domain::LimitMode::Shadow,
        LimitMode::Off => domain::LimitMode::Off,
    };
    anyhow::ensure!(limits.captcha_multiple > 0, "limits.captcha_multiple must be at least 1");
    anyhow::ensure!(limits.conversion_recent_s > 0, "limits.conversion_recent_s must be at least 1");
    let shared = limits.shared_addresses.iter().map(|text| text.parse::<domain::AddressRange>());
    let shared_addresses = shared.collect::<Result<_, _>>().context("limits.shared_addresses cannot be used")?;
    Ok(domain::Limits {
        mode: mode(limits.mode),
        sends_to_number: quotas(&limits.sends_to_number),
        sends_by_installation: quotas(&limits.sends_by_installation),
        sends_from_address: quotas(&limits.sends_from_address),
        sends_from_shared_address: quotas(&limits.sends_from_shared_address),
        shared_addresses,
        keep_half_for_owners: limits.keep_half_for_owners,
        failures_since_success: quotas(&limits.failures_since_success),
        range_mode: mode(limits.range_mode),
        sends_to_range: quotas(&limits.sends_to_range),
        conversion_mode: mode(limits.conversion_mode),
        conversion: domain::ConversionPolicy {
            recent: Duration::from_secs(limits.conversion_recent_s),
            least: limits.conversion_least,
            percent: limits.conversion_percent,
        },
        captcha_multiple: limits.captcha_multiple,
        sends_of_account: quotas(&limits.sends_of_account),
        sends: quotas(&limits.sends),
        failures_on_number: quotas(&limits.failures_on_number),
        failures_by_client: quotas(&limits.failures_by_client),
    })
}
