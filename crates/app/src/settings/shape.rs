//! Every setting, its name and its default. `mobile-bind.example.toml` says what each means.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use mobile_bind_domain::Policy;
use mobile_bind_domain::mobile::{DEFAULT_PATTERN, HOME};
use mobile_bind_domain::policy::{Limits as DomainLimits, SessionPolicy};
use mobile_bind_http::Capacity;
use serde::{Deserialize, Deserializer, Serialize};

use super::{QuotaText, SecretText};

/// The seconds of a day.
pub(super) const DAY: u64 = 86_400;

macro_rules! choice {
    ($(#[$docs:meta])* $name:ident { $($(#[$variant_docs:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
        pub enum $name {
            $($(#[$variant_docs])* #[serde(rename = $text)] $variant,)+
        }
    };
}

choice! {
    /// Whom the service is for.
    Environment {
        /// Somebody at his desk: fake messages, development routes, loopback alone.
        #[default] Development = "development",
        /// Everybody else: nothing fake, nothing taken on trust.
        Production = "production",
    }
}
choice! {
    /// Whether openids are taken on trust.
    ProofSetting {
        /// `trust` in development, `required` in production.
        #[default] Auto = "auto",
        /// The platform must have vouched for them.
        Required = "required",
        /// They are believed.
        Trust = "trust",
    }
}
choice! {
    /// What session tokens look like.
    TokenFormat {
        /// JWTs; on a shop's own database `opaque`.
        #[default] Auto = "auto",
        /// JWTs.
        Jwt = "jwt",
        /// 32 hexadecimal digits.
        Opaque = "opaque",
    }
}
choice! {
    /// What JWTs are signed with.
    TokenAlgorithm {
        /// A secret key.
        #[default] Hs256 = "HS256",
        /// A key pair, whose public half is published.
        EdDsa = "EdDSA",
    }
}
choice! {
    /// Who sends messages.
    SmsSenderName {
        /// Nobody: they are kept and printed.
        #[default] Fake = "fake",
        /// The providers of `sms.providers`.
        Providers = "providers",
    }
}
choice! {
    /// Whether quotas are kept.
    LimitMode {
        /// They are.
        #[default] Enforce = "enforce",
        /// They are watched.
        Shadow = "shadow",
        /// They are not.
        Off = "off",
    }
}
choice! {
    /// Whether an account that has a number may take another.
    Rebind {
        /// With a code sent to the new one.
        #[default] Allow = "allow",
        /// With a code sent to the old one besides.
        OldCode = "old_code",
        /// It may not.
        Deny = "deny",
    }
}
choice! {
    /// What becomes of a number whose account was silent for long.
    Recycled {
        /// Its account is entered.
        #[default] Enter = "enter",
        /// Its account loses it to a new one.
        Detach = "detach",
        /// Nobody gets it.
        Refuse = "refuse",
    }
}
choice! {
    /// Which header trusted proxies write.
    ForwardedHeader {
        /// `X-Forwarded-For`.
        #[default] XForwardedFor = "x-forwarded-for",
        /// `Forwarded` (RFC 7239).
        Forwarded = "forwarded",
    }
}
choice! {
    /// When a database's schema is brought up to date.
    Migrate {
        /// When a node starts.
        #[default] Auto = "auto",
        /// By `mobile-bind db migrate` alone.
        Manual = "manual",
    }
}
choice! {
    /// What log lines look like.
    LogFormat {
        /// `human` in development, `json` in production.
        #[default] Auto = "auto",
        /// For people.
        Human = "human",
        /// One JSON object a line.
        Json = "json",
    }
}

choice! {
    /// Who is asked whose a mini-program's log-in code is.
    PlatformSource {
        /// `fake` in development where no secret is configured, else `vendors`.
        #[default] Auto = "auto",
        /// The platforms themselves.
        Vendors = "vendors",
        /// A fake within the service.
        Fake = "fake",
    }
}

/// All settings.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
#[expect(missing_docs, reason = "each key is described where operators look: in mobile-bind.example.toml")]
pub struct Settings {
    /// The keys that a file, the environment or the command line has set; the rest are defaults.
    #[serde(skip)]
    pub given: BTreeSet<String>,
    pub environment: Environment,
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub store: String,
    pub store_file: String,
    pub keys_dir: String,
    pub platform_proof: ProofSetting,
    pub mobile_pattern: String,
    #[serde(deserialize_with = "list")]
    pub countries: Vec<String>,
    pub shutdown_timeout_s: u64,
    pub server: Server,
    pub code: Code,
    pub register: Register,
    pub numbers: Numbers,
    pub test_numbers: BTreeMap<String, TestNumber>,
    pub referrer: Referrer,
    pub shop: Shop,
    pub platforms: Platforms,
    pub tokens: Tokens,
    pub session: Session,
    pub sms: Sms,
    pub limits: Limits,
    pub audit: Audit,
    pub captcha: Captcha,
    pub cors: Cors,
    pub pages: Pages,
    pub metrics: Metrics,
    pub console: ConsoleSettings,
    pub telemetry: Telemetry,
    pub sled: SledSettings,
    pub postgres: PostgresSettings,
    /// The store in a shop's own database.
    pub shopxo: ShopxoSettings,
    pub log: Log,
    pub dev: Dev,
}

macro_rules! section {
    ($(#[$docs:meta])* $name:ident { $($(#[$field_docs:meta])* $field:ident : $type:ty = $default:expr),+ $(,)? }) => {
        $(#[$docs])*
        #[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
        #[serde(default)]
        #[expect(missing_docs, reason = "each key is described where operators look: in mobile-bind.example.toml")]
        pub struct $name { $($(#[$field_docs])* pub $field: $type),+ }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),+ }
            }
        }
    };
}

section! {
    /// How much is taken on at once.
    Server {
        max_in_flight: usize = Capacity::default().requests,
        max_in_flight_overloaded: usize = Capacity::default().requests_in_overload,
        overload_wait_ms: u64 = 10,
        max_connections: usize = 10_000,
        idle_timeout_s: u64 = 75,
        request_timeout_s: u64 = 30,
        #[serde(deserialize_with = "list")]
        trusted_proxies: Vec<String> = Vec::new(),
        forwarded_header: ForwardedHeader = ForwardedHeader::XForwardedFor,
    }
}
section! {
    /// Verification codes.
    Code { length: u8 = 4, lifetime_s: u64 = 600, tries: u8 = 5, send_interval_s: u64 = 60 }
}
section! {
    /// New accounts.
    Register {
        audit: bool = false,
        #[serde(deserialize_with = "list")]
        forbidden_mobiles: Vec<String> = Vec::new(),
    }
}
section! {
    /// Numbers that change hands.
    Numbers {
        rebind: Rebind = Rebind::Allow,
        cooling_off_s: u64 = 0,
        revoke_on_change: bool = false,
        tell_old_number: bool = false,
        recycled: Recycled = Recycled::Enter,
        recycled_after_days: u32 = 90,
    }
}
section! {
    /// A number whose code is always the same.
    TestNumber { mobile: String = String::new(), code: SecretText = SecretText::default(), until: String = String::new() }
}
section! {
    /// Inviting users.
    Referrer { by_mobile: bool = true }
}
section! {
    /// What the shop shows.
    Shop {
        default_avatar: String = "http://127.0.0.1:8080/static/index/default/images/default-user-avatar.jpg".to_owned(),
        attachment_host: String = "http://127.0.0.1:8080".to_owned(),
        time_zone: String = "Asia/Shanghai".to_owned(),
        mandatory_bind: bool = false,
    }
}
section! {
    /// The shop's mini-programs.
    Platforms {
        source: PlatformSource = PlatformSource::Auto,
        timeout_ms: u64 = 3_000,
        weixin_app_id: String = String::new(),
        alipay_app_id: String = String::new(),
        baidu_app_id: String = String::new(),
        toutiao_app_id: String = String::new(),
        qq_app_id: String = String::new(),
        kuaishou_app_id: String = String::new(),
        weixin_secret: SecretText = SecretText::default(),
        weixin_secret_file: PathBuf = PathBuf::new(),
        baidu_app_key: String = String::new(),
        baidu_secret: SecretText = SecretText::default(),
        baidu_secret_file: PathBuf = PathBuf::new(),
        toutiao_secret: SecretText = SecretText::default(),
        toutiao_secret_file: PathBuf = PathBuf::new(),
        qq_secret: SecretText = SecretText::default(),
        qq_secret_file: PathBuf = PathBuf::new(),
        kuaishou_secret: SecretText = SecretText::default(),
        kuaishou_secret_file: PathBuf = PathBuf::new(),
        alipay_private_key_file: PathBuf = PathBuf::new(),
        alipay_public_key_file: PathBuf = PathBuf::new(),
    }
}
section! {
    /// Session tokens.
    Tokens {
        format: TokenFormat = TokenFormat::Auto,
        algorithm: TokenAlgorithm = TokenAlgorithm::Hs256,
        issuer: String = "mobile-bind".to_owned(),
        audience: String = "mobile-bind".to_owned(),
    }
}
section! {
    /// How long sessions last.
    Session {
        inactivity_s: u64 = SessionPolicy::default().inactivity.as_secs(),
        absolute_s: u64 = SessionPolicy::default().absolute.as_secs(),
    }
}
section! {
    /// Text messages.
    Sms {
        sender: SmsSenderName = SmsSenderName::Fake,
        print: bool = true,
        timeout_s: u64 = 5,
        answer_after_ms: u64 = 3_000,
        receipt_within_s: u64 = 0,
        keep_s: u64 = 604_800,
        max_in_flight: usize = Capacity::default().sends,
        country_code: String = "86".to_owned(),
        providers: BTreeMap<String, SmsProvider> = BTreeMap::new(),
    }
}
section! {
    /// One SMS provider. What a kind has no use for is empty.
    SmsProvider {
        kind: String = String::new(),
        url: String = String::new(),
        account: String = String::new(),
        secret: SecretText = SecretText::default(),
        secret_file: PathBuf = PathBuf::new(),
        from: String = String::new(),
        app_id: String = String::new(),
        region: String = String::new(),
        templates: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new(),
        #[serde(deserialize_with = "list")]
        parameters: Vec<String> = Vec::new(),
        domain: String = String::new(),
        timeout_ms: u64 = 3_000,
        max_in_flight: usize = 64,
        #[serde(deserialize_with = "list")]
        rate: Vec<QuotaText> = Vec::new(),
        #[serde(deserialize_with = "list")]
        countries: Vec<String> = Vec::new(),
        #[serde(deserialize_with = "list")]
        purposes: Vec<String> = Vec::new(),
        rank: u16 = 1,
        weight: u32 = 1,
        price: String = String::new(),
        prices: BTreeMap<String, String> = BTreeMap::new(),
        receipts_key: SecretText = SecretText::default(),
        #[serde(deserialize_with = "list")]
        receipts_from: Vec<String> = Vec::new(),
        receipts_url: String = String::new(),
    }
}
section! {
    /// What is kept of what was decided.
    Audit { retention_days: u64 = Policy::default().audit_retention.as_secs() / DAY }
}
section! {
    /// The quotas.
    Limits {
        mode: LimitMode = LimitMode::Enforce,
        #[serde(deserialize_with = "list")]
        sends_to_number: Vec<QuotaText> = quotas(|limits| &limits.sends_to_number),
        #[serde(deserialize_with = "list")]
        sends_by_installation: Vec<QuotaText> = quotas(|limits| &limits.sends_by_installation),
        #[serde(deserialize_with = "list")]
        sends_from_address: Vec<QuotaText> = quotas(|limits| &limits.sends_from_address),
        #[serde(deserialize_with = "list")]
        sends_from_shared_address: Vec<QuotaText> = quotas(|limits| &limits.sends_from_shared_address),
        #[serde(deserialize_with = "list")]
        shared_addresses: Vec<String> = Vec::new(),
        #[serde(deserialize_with = "list")]
        sends_of_account: Vec<QuotaText> = quotas(|limits| &limits.sends_of_account),
        #[serde(deserialize_with = "list")]
        sends: Vec<QuotaText> = quotas(|limits| &limits.sends),
        keep_half_for_owners: bool = true,
        #[serde(deserialize_with = "list")]
        failures_on_number: Vec<QuotaText> = quotas(|limits| &limits.failures_on_number),
        #[serde(deserialize_with = "list")]
        failures_since_success: Vec<QuotaText> = quotas(|limits| &limits.failures_since_success),
        #[serde(deserialize_with = "list")]
        failures_by_client: Vec<QuotaText> = quotas(|limits| &limits.failures_by_client),
        range_mode: LimitMode = LimitMode::Enforce,
        #[serde(deserialize_with = "list")]
        sends_to_range: Vec<QuotaText> = quotas(|limits| &limits.sends_to_range),
        conversion_mode: LimitMode = LimitMode::Shadow,
        conversion_recent_s: u64 = DomainLimits::default().conversion.recent.as_secs(),
        conversion_least: u32 = DomainLimits::default().conversion.least,
        conversion_percent: u32 = DomainLimits::default().conversion.percent,
        captcha_multiple: u32 = DomainLimits::default().captcha_multiple,
    }
}
section! {
    /// The captcha that soft limits ask for.
    Captcha {
        provider: String = String::new(),
        site_key: String = String::new(),
        secret: SecretText = SecretText::default(),
        secret_file: PathBuf = PathBuf::new(),
        url: String = String::new(),
        timeout_ms: u64 = 3_000,
    }
}
section! {
    /// Browsers on other origins.
    Cors {
        #[serde(deserialize_with = "list")]
        origins: Vec<String> = Vec::new(),
    }
}
section! {
    /// The pages for people.
    Pages { bind: bool = false }
}
section! {
    /// Measurements for operators.
    Metrics { listen: String = String::new() }
}
section! {
    /// The operators' console.
    ConsoleSettings {
        listen: String = String::new(),
        operators: BTreeMap<String, String> = BTreeMap::new(),
    }
}
section! {
    /// Spans for operators.
    Telemetry {
        otlp_endpoint: String = String::new(),
        sampling_ratio: f64 = 1.0,
        service_name: String = "mobile-bind".to_owned(),
        node: String = String::new(),
    }
}
section! {
    /// The embedded store.
    SledSettings {
        cache_mib: u64 = 48,
        journal_mib: u64 = 8,
    }
}
section! {
    /// The store for more than one machine.
    PostgresSettings {
        connections: usize = 16,
        timeout_ms: u64 = 3_000,
        lock_timeout_ms: u64 = 1_000,
        connect_timeout_ms: u64 = 1_000,
        connection_lifetime_s: u64 = 1_800,
        root_certificates: String = String::new(),
        migrate: Migrate = Migrate::Auto,
    }
}
section! {
    /// The store in a shop's own database.
    ShopxoSettings {
        connections: usize = 16,
        timeout_ms: u64 = 3_000,
        lock_timeout_ms: u64 = 1_000,
        connect_timeout_ms: u64 = 1_000,
        root_certificates: String = String::new(),
        migrate: Migrate = Migrate::Auto,
        cache_url: SecretText = SecretText::default(),
        cache_url_file: PathBuf = PathBuf::new(),
        cache_prefix: String = "redis_shopxo".to_owned(),
    }
}
section! {
    /// Logs.
    Log { level: String = "info".to_owned(), format: LogFormat = LogFormat::Auto }
}
section! {
    /// Development alone.
    Dev { expose: bool = false }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            given: BTreeSet::new(),
            environment: Environment::default(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data_dir: PathBuf::from("data"),
            store: "sled:".to_owned(),
            store_file: String::new(),
            keys_dir: String::new(),
            platform_proof: ProofSetting::default(),
            mobile_pattern: DEFAULT_PATTERN.to_owned(),
            countries: vec![HOME.to_owned()],
            shutdown_timeout_s: 10,
            server: Server::default(),
            code: Code::default(),
            register: Register::default(),
            numbers: Numbers::default(),
            test_numbers: BTreeMap::new(),
            referrer: Referrer::default(),
            shop: Shop::default(),
            platforms: Platforms::default(),
            tokens: Tokens::default(),
            session: Session::default(),
            sms: Sms::default(),
            limits: Limits::default(),
            audit: Audit::default(),
            captcha: Captcha::default(),
            cors: Cors::default(),
            pages: Pages::default(),
            metrics: Metrics::default(),
            console: ConsoleSettings::default(),
            telemetry: Telemetry::default(),
            sled: SledSettings::default(),
            postgres: PostgresSettings::default(),
            shopxo: ShopxoSettings::default(),
            log: Log::default(),
            dev: Dev::default(),
        }
    }
}

fn quotas(of: fn(&DomainLimits) -> &Vec<mobile_bind_domain::Quota>) -> Vec<QuotaText> {
    of(&DomainLimits::default()).iter().copied().map(QuotaText).collect()
}

/// A list, or one text with commas: the environment knows no lists.
fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<String>,
    T::Error: std::fmt::Display,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        List(Vec<String>),
        Commas(String),
    }
    let texts = match Written::deserialize(deserializer)? {
        Written::List(texts) => texts,
        Written::Commas(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
    };
    let read = |text| T::try_from(text).map_err(serde::de::Error::custom);
    texts.into_iter().filter(|text| !text.is_empty()).map(read).collect()
}
