//! The guards' ports: what operators are told, the captcha, and waiting.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use metrics::{counter, describe_counter, describe_gauge, gauge};
use mobile_bind_captcha::{FakeCaptcha, Provider, SiteVerify};
use mobile_bind_domain::ports::{Captcha, GuardWatch, Pause};
use mobile_bind_domain::{BudgetUse, Guard, Guards, Timestamp, Verdict};
use mobile_bind_http::{CaptchaWidget, Forwarding, UnlistedProxy};
use tracing::{info, warn};

use crate::settings::{QuotaText, Settings};

const GUARDS: &str = "mobile_bind_guard_verdicts_total";
const BUDGET_USED: &str = "mobile_bind_send_budget_used_ratio";
const BUDGET_ALARMS: &str = "mobile_bind_send_budget_alarms_total";

/// Tells the recorder in force what the metrics of the guards mean.
pub(crate) fn describe_metrics() {
    describe_counter!(GUARDS, "What the guards did, by guard and verdict: refused, captcha_wanted or would_refuse.");
    describe_gauge!(BUDGET_USED, "The share of the overall budget of messages that is used, by window.");
    describe_counter!(BUDGET_ALARMS, "How often half of the overall budget of messages was used up, by window.");
}

/// The guards' ports, as they are set.
///
/// # Errors
/// With the name of the setting that cannot be used.
pub(crate) fn guards(settings: &Settings) -> Result<Guards> {
    // Seen from the start on, so that the first event is a rise.
    for guard in Guard::ALL {
        for verdict in [Verdict::Refused, Verdict::CaptchaWanted, Verdict::WouldRefuse] {
            counter!(GUARDS, "guard" => guard.name(), "verdict" => verdict.name()).increment(0);
        }
    }
    for &quota in &settings.limits.sends {
        let window = String::from(quota);
        gauge!(BUDGET_USED, "window" => window.clone()).set(0.0);
        counter!(BUDGET_ALARMS, "window" => window).increment(0);
    }
    Ok(Guards {
        watch: Arc::new(Watch::default()),
        captcha: captcha(settings)?,
        pause: Arc::new(Sleep),
        ..Guards::default()
    })
}

fn captcha(settings: &Settings) -> Result<Option<Arc<dyn Captcha>>> {
    let captcha = &settings.captcha;
    if captcha.provider.is_empty() {
        return Ok(None);
    }
    if captcha.provider == FAKE {
        return Ok(Some(Arc::new(FakeCaptcha::default())));
    }
    let provider = Provider::from_name(&captcha.provider);
    let provider = provider.context("captcha.provider must be empty, turnstile, hcaptcha or fake")?;
    let secret = if captcha.secret_file.as_os_str().is_empty() {
        captcha.secret.0.expose().to_owned()
    } else {
        let read = std::fs::read_to_string(&captcha.secret_file);
        read.context("captcha.secret_file cannot be read")?.trim().to_owned()
    };
    ensure!(!secret.is_empty(), "captcha.secret or captcha.secret_file is missing");
    ensure!(!captcha.site_key.is_empty(), "captcha.site_key is missing");
    let url = if captcha.url.is_empty() { provider.url() } else { &captcha.url };
    let asked = SiteVerify::new(url, secret, Duration::from_millis(captcha.timeout_ms));
    Ok(Some(Arc::new(asked.context("captcha cannot be used")?)))
}

/// The provider that takes whatever begins with `pass`.
pub(crate) const FAKE: &str = "fake";

/// What clients are told of the captcha.
pub(crate) fn widget(settings: &Settings) -> Option<CaptchaWidget> {
    let captcha = &settings.captcha;
    let widget = CaptchaWidget { provider: captcha.provider.clone(), site_key: captcha.site_key.clone() };
    (!captcha.provider.is_empty()).then_some(widget)
}

/// Whose word on addresses counts; a proxy that is not listed is noted for `mobile-bind doctor`.
pub(crate) fn forwarding(settings: &Settings) -> Result<Forwarding> {
    let note = UnlistedProxyNote::of(settings);
    let unlisted: UnlistedProxy = Arc::new(move |proxy| note.write(proxy));
    Ok(Forwarding {
        trusted: settings.trusted_proxies()?,
        header: settings.server.forwarded_header.into(),
        unlisted: Some(unlisted),
    })
}

/// The last proxy that was seen and is not listed, in a file of the data folder.
pub(crate) struct UnlistedProxyNote(PathBuf);

impl UnlistedProxyNote {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self(settings.data_dir.join("unlisted_proxy"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn write(&self, proxy: IpAddr) {
        if let Err(error) = std::fs::write(&self.0, proxy.to_string()) {
            warn!(%error, "the proxy could not be noted for mobile-bind doctor");
        }
    }

    /// The proxy; `None` where there is none.
    pub(crate) fn read(&self) -> Option<IpAddr> {
        std::fs::read_to_string(&self.0).ok()?.trim().parse().ok()
    }
}

/// Counts for Prometheus, and logs what an operator should look at.
#[derive(Default)]
struct Watch {
    /// When half of each budget was last found used.
    alarms: Mutex<HashMap<Duration, Timestamp>>,
}

impl GuardWatch for Watch {
    fn noted(&self, guard: Guard, verdict: Verdict) {
        counter!(GUARDS, "guard" => guard.name(), "verdict" => verdict.name()).increment(1);
        if verdict == Verdict::WouldRefuse {
            info!(guard = guard.name(), "a guard that is only watched would have refused this");
        }
    }

    fn budget(&self, BudgetUse { quota, used }: BudgetUse, now: Timestamp) {
        let window = String::from(QuotaText(quota));
        let used = u32::try_from(used).unwrap_or(u32::MAX);
        gauge!(BUDGET_USED, "window" => window.clone()).set(f64::from(used) / f64::from(quota.limit.max(1)));
        if used.saturating_mul(2) < quota.limit {
            return;
        }
        let mut alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        if alarms.get(&quota.window).is_none_or(|last| last.after(quota.window) <= now) {
            alarms.insert(quota.window, now);
            counter!(BUDGET_ALARMS, "window" => window.clone()).increment(1);
            warn!(budget = window, used, "half of the overall budget of messages is used up (limits.sends)");
        }
    }
}

struct Sleep;

#[async_trait]
impl Pause for Sleep {
    async fn pause(&self, length: Duration) {
        tokio::time::sleep(length).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{captcha, widget};
    use crate::settings::Settings;

    #[test]
    fn a_captcha_is_whole_or_refused_by_name() {
        let mut settings = Settings::default();
        assert!(captcha(&settings).unwrap().is_none() && widget(&settings).is_none());
        let refusal =
            |settings: &Settings| captcha(settings).err().map(|error| format!("{error:#}")).unwrap_or_default();
        settings.captcha.provider = "riddle".to_owned();
        assert!(refusal(&settings).contains("captcha.provider"));
        settings.captcha.provider = "turnstile".to_owned();
        assert!(refusal(&settings).contains("captcha.secret"));
        settings.captcha.secret = "1x0000000000000000000000000000000AA".to_owned().into();
        assert!(refusal(&settings).contains("captcha.site_key"));
        settings.captcha.site_key = "1x00000000000000000000AA".to_owned();
        assert!(captcha(&settings).unwrap().is_some());
        assert_eq!(widget(&settings).unwrap().provider, "turnstile");
        settings.captcha.url = "http://captcha.example".to_owned();
        assert!(refusal(&settings).contains("https"));
    }
}
