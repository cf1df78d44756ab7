//! From settings to SMS providers.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use mobile_bind_domain::ports::Purpose;
use mobile_bind_sms::{AddressRange, CallbackConfig, Kind, ProviderConfig, Secret};

use super::{Environment, Settings, SmsProvider, SmsSenderName};

/// The longest name of a provider.
const NAME_CHARS: usize = 32;

/// The kind that a name stands for.
pub(crate) fn kind(name: &str) -> Option<Kind> {
    Some(match name {
        "aliyun" => Kind::Aliyun,
        "tencent" => Kind::Tencent,
        "twilio" => Kind::Twilio,
        "webhook" => Kind::Webhook,
        "smpp" => Kind::Smpp,
        _ => return None,
    })
}

impl Settings {
    /// The SMS providers by name, each looked at; secrets are read from their files.
    ///
    /// # Errors
    /// With the name of the setting that cannot be used.
    pub fn sms_providers(&self) -> Result<Vec<(String, ProviderConfig)>> {
        if self.sms.sender == SmsSenderName::Providers && self.sms.providers.is_empty() {
            bail!("sms.sender = \"providers\" needs one at least: configure it in [sms.providers.NAME]");
        }
        let one = |(name, provider): (&String, &SmsProvider)| {
            let config = self.sms_provider(name, provider);
            Ok((name.clone(), config.with_context(|| format!("sms.providers.{name} cannot be used"))?))
        };
        let providers: Vec<_> = self.sms.providers.iter().map(one).collect::<Result<_>>()?;
        if self.tells_old_numbers() && !providers.iter().any(|(_, provider)| provider.serves(Purpose::NumberChanged)) {
            bail!(
                "numbers.tell_old_number needs a provider that does: set templates.number_changed in [sms.providers.NAME]"
            );
        }
        Ok(providers)
    }

    /// The providers that are not asked to tell old numbers, although that is wanted.
    ///
    /// # Errors
    /// With the name of the setting that cannot be used.
    pub(crate) fn providers_that_do_not_tell(&self) -> Result<Vec<String>> {
        let silent =
            |(name, provider): (String, ProviderConfig)| (!provider.serves(Purpose::NumberChanged)).then_some(name);
        let providers = if self.tells_old_numbers() { self.sms_providers()? } else { Vec::new() };
        Ok(providers.into_iter().filter_map(silent).collect())
    }

    fn tells_old_numbers(&self) -> bool {
        self.numbers.tell_old_number && self.sms.sender == SmsSenderName::Providers
    }

    fn sms_provider(&self, name: &str, provider: &SmsProvider) -> Result<ProviderConfig> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        ensure!(
            name.len() <= NAME_CHARS && name.chars().all(plain),
            "the name must be of letters a-z, digits and _ alone"
        );
        let kind = kind(&provider.kind).context("kind must be aliyun, tencent, twilio, webhook or smpp")?;
        let timeout = Duration::from_millis(provider.timeout_ms);
        let limit = Duration::from_secs(self.sms.timeout_s);
        ensure!(timeout <= limit, "timeout_ms must be at most sms.timeout_s, which ends everything");
        let config = ProviderConfig {
            kind,
            url: provider.url.clone(),
            account: provider.account.clone(),
            secret: secret(provider)?,
            from: provider.from.clone(),
            app_id: provider.app_id.clone(),
            region: provider.region.clone(),
            templates: provider.templates.clone(),
            parameters: provider.parameters.clone(),
            domain: provider.domain.clone(),
            home: self.sms.country_code.clone(),
            timeout,
            max_in_flight: provider.max_in_flight,
            rate: provider.rate.iter().map(|text| text.0).collect(),
            countries: provider.countries.clone(),
            purposes: provider.purposes.clone(),
            rank: provider.rank,
            weight: provider.weight,
            price: price(&provider.price)?,
            prices: provider
                .prices
                .iter()
                .map(|(code, text)| Ok((code.clone(), price(text)?)))
                .collect::<Result<_>>()?,
            callbacks: CallbackConfig {
                key: provider.receipts_key.0.clone(),
                from: addresses(&provider.receipts_from)?,
                url: provider.receipts_url.clone(),
            },
            plain_http: self.environment == Environment::Development,
        };
        config.check()?;
        Ok(config)
    }
}

/// A price in millionths: `0.045` is 45,000.
fn price(text: &str) -> Result<u64> {
    let bad = || anyhow::anyhow!("price must be a number such as \"0.045\", with six digits after the point at most");
    if text.is_empty() {
        return Ok(0);
    }
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    ensure!(!whole.is_empty() && whole.len() < 10 && part.len() <= 6 && digits(whole) && digits(part), bad());
    format!("{whole}{part:0<6}").parse().map_err(|_| bad())
}

fn addresses(texts: &[String]) -> Result<Vec<AddressRange>> {
    let range = |text: &String| {
        let range = text.parse().ok();
        range.with_context(|| format!("receipts_from: \"{text}\" is neither an address nor ADDRESS/BITS"))
    };
    texts.iter().map(range).collect()
}

/// The secret, or what is in its file but for the line's end.
fn secret(provider: &SmsProvider) -> Result<Secret> {
    let file = &provider.secret_file;
    if file.as_os_str().is_empty() {
        return Ok(provider.secret.0.clone());
    }
    ensure!(provider.secret.0.is_empty(), "secret and secret_file are both given");
    let text = zeroize::Zeroizing::new(
        std::fs::read_to_string(file).with_context(|| format!("secret_file {} cannot be read", file.display()))?,
    );
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::settings::{Environment, Settings, SmsProvider, SmsSenderName, refuse_unsafe};

    fn twilio() -> SmsProvider {
        SmsProvider {
            kind: "twilio".to_owned(),
            account: "AC1".to_owned(),
            secret: "s3cret".to_owned().into(),
            from: "+15005550006".to_owned(),
            ..SmsProvider::default()
        }
    }

    fn with(name: &str, provider: SmsProvider) -> Settings {
        let mut settings = Settings::default();
        settings.sms.sender = SmsSenderName::Providers;
        settings.sms.providers.insert(name.to_owned(), provider);
        settings
    }

    fn refusal(settings: &Settings) -> String {
        format!("{:#}", settings.sms_providers().unwrap_err())
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        assert!(with("main", twilio()).sms_providers().is_ok());
        let mut none = Settings::default();
        none.sms.sender = SmsSenderName::Providers;
        assert!(refusal(&none).contains("[sms.providers.NAME]"));
        let nameless = SmsProvider { kind: String::new(), ..twilio() };
        assert_eq!(
            refusal(&with("main", nameless)),
            "sms.providers.main cannot be used: kind must be aliyun, tencent, twilio, webhook or smpp"
        );
        let slow = SmsProvider { timeout_ms: 5_001, ..twilio() };
        assert!(refusal(&with("main", slow)).contains("timeout_ms must be at most sms.timeout_s"));
        let without = SmsProvider { from: String::new(), ..twilio() };
        assert!(refusal(&with("main", without)).ends_with("sms.providers.main cannot be used: from is missing"));
        assert!(refusal(&with("Main", twilio())).contains("the name must be"));
    }

    #[test]
    fn old_numbers_are_told_by_providers_that_have_the_words() {
        let approved = SmsProvider {
            kind: "aliyun".to_owned(),
            templates: [("bind".to_owned(), [("zh".to_owned(), "SMS_1".to_owned())].into())].into(),
            parameters: vec!["code={code}".to_owned()],
            ..twilio()
        };
        let mut settings = with("main", approved.clone());
        assert!(settings.sms_providers().is_ok() && settings.providers_that_do_not_tell().unwrap().is_empty());
        settings.numbers.tell_old_number = true;
        assert!(refusal(&settings).contains("templates.number_changed"), "nobody could");
        settings.sms.providers.insert("spare".to_owned(), twilio());
        assert_eq!(settings.providers_that_do_not_tell().unwrap(), ["main"]);
        settings
            .sms
            .providers
            .insert("spare".to_owned(), SmsProvider { purposes: vec!["bind".to_owned()], ..twilio() });
        assert!(refusal(&settings).contains("templates.number_changed"), "the spare one is not there for it");
        let mut with_template = approved;
        with_template.templates.insert("number_changed".to_owned(), [("zh".to_owned(), "SMS_2".to_owned())].into());
        settings.sms.providers.insert("main".to_owned(), with_template);
        assert_eq!(settings.providers_that_do_not_tell().unwrap(), ["spare"]);
    }

    #[test]
    fn a_secret_comes_from_its_file_or_from_the_settings() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let from_file = SmsProvider { secret: String::new().into(), secret_file: file.clone(), ..twilio() };
        assert!(refusal(&with("main", from_file.clone())).contains("secret_file"), "not there yet");
        std::fs::write(&file, "of the file\n").unwrap();
        let read = with("main", from_file).sms_providers().unwrap();
        assert_eq!(read[0].1.secret.expose(), "of the file");
        let both = SmsProvider { secret_file: file, ..twilio() };
        assert!(refusal(&with("main", both)).contains("both given"));
        let missing = SmsProvider { secret_file: PathBuf::from("/nowhere"), ..twilio() };
        assert!(!refusal(&with("main", missing)).contains("s3cret"));
    }

    #[test]
    fn production_takes_providers_that_are_spoken_to_by_tls() {
        let mut settings = with("main", twilio());
        settings.environment = Environment::Production;
        assert!(refuse_unsafe(&settings).is_ok() && settings.sms_providers().is_ok());
        settings
            .sms
            .providers
            .insert("main".to_owned(), SmsProvider { url: "http://sms.example".to_owned(), ..twilio() });
        assert!(refusal(&settings).contains("url must begin with https"));
    }

    #[test]
    fn secrets_are_neither_printed_nor_shown() {
        let settings = with("main", twilio());
        let printed = toml::to_string(&settings).unwrap();
        assert!(printed.contains("secret = \"***\"") && !printed.contains("s3cret"), "{printed}");
        assert!(!format!("{settings:?}").contains("s3cret"));
    }

    #[test]
    fn prices_and_addresses_are_read_or_refused() {
        let priced = SmsProvider { price: "0.045".to_owned(), ..twilio() };
        assert_eq!(with("main", priced).sms_providers().unwrap()[0].1.price, 45_000);
        for bad in ["x", "1.1234567", "-1", ".5", "1,5"] {
            let bad = SmsProvider { price: bad.to_owned(), ..twilio() };
            assert!(refusal(&with("main", bad)).contains("price must be"));
        }
        let receipts = |key: &str, from: &[&str], url: &str| SmsProvider {
            receipts_key: key.to_owned().into(),
            receipts_from: from.iter().map(|&text| text.to_owned()).collect(),
            receipts_url: url.to_owned(),
            ..twilio()
        };
        let key = "0123456789abcdef";
        assert!(with("main", receipts(key, &["192.0.2.0/24"], "https://shop.example/x")).sms_providers().is_ok());
        assert!(refusal(&with("main", receipts(key, &["192.0.2.0/99"], "https://x"))).contains("receipts_from"));
        assert!(refusal(&with("main", receipts(key, &[], ""))).contains("receipts_url is missing"));
        assert!(refusal(&with("main", receipts("short", &[], "https://x"))).contains("receipts_key must be"));
        assert!(refusal(&with("main", receipts("", &["192.0.2.1"], ""))).contains("receipts_key is missing"));
    }
}
