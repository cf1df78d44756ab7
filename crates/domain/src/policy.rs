//! What an operator can set about the rules.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use crate::conversion::{ConversionPolicy, Source};
use crate::mobile::DEFAULT_PATTERN;
use crate::{
    AddressBlock, AddressRange, AppId, CodeLength, Mobile, MobileRule, Platform, Quota, Refusal, Timestamp,
    VerificationCode,
};

/// Whether quotas on sending and trying are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitMode {
    /// They are.
    #[default]
    Enforce,
    /// They are counted, and what they would have refused is reported.
    Shadow,
    /// They are not even counted.
    Off,
}

/// The quotas on sending and trying. The interval between sends, the tries a code has and whose code it is are no quotas:
/// they always stand.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Whether the quotas are kept.
    pub mode: LimitMode,
    /// Messages to one number.
    pub sends_to_number: Vec<Quota>,
    /// Messages that one installation (`uuid`) asks for.
    pub sends_by_installation: Vec<Quota>,
    /// Messages that one address asks for.
    pub sends_from_address: Vec<Quota>,
    /// Messages that one address asks for that many are known to share, such as a carrier's translated addresses.
    pub sends_from_shared_address: Vec<Quota>,
    /// Which addresses are shared so.
    pub shared_addresses: Vec<AddressRange>,
    /// Messages that one account's sessions ask for.
    pub sends_of_account: Vec<Quota>,
    /// All messages.
    pub sends: Vec<Quota>,
    /// Whether half of what a number may be sent and tried, and of the overall budget, is kept for callers whom the number may
    /// belong to.
    pub keep_half_for_owners: bool,
    /// Wrong codes for one number; neither a new code nor a success resets them.
    pub failures_on_number: Vec<Quota>,
    /// Wrong codes for one number since its last success.
    pub failures_since_success: Vec<Quota>,
    /// Tries of one client that has no code to try.
    pub failures_by_client: Vec<Quota>,
    /// Whether the quotas on blocks of numbers are kept; never more strictly than all.
    pub range_mode: LimitMode,
    /// Messages to one block of ten thousand numbers.
    pub sends_to_range: Vec<Quota>,
    /// Whether shares of verified messages that fall are acted upon; never more strictly than all.
    pub conversion_mode: LimitMode,
    /// When a share has fallen.
    pub conversion: ConversionPolicy,
    /// How many times a soft limit somebody may use who has solved a captcha.
    pub captcha_multiple: u32,
}

impl Limits {
    /// The quotas on an address's messages.
    #[must_use]
    pub fn sends_from(&self, address: AddressBlock) -> &[Quota] {
        let shared = self.shared_addresses.iter().any(|range| range.contains(address.first()));
        if shared { &self.sends_from_shared_address } else { &self.sends_from_address }
    }

    /// A quota as it is for somebody to whom the number may belong, or for a stranger.
    #[must_use]
    pub fn quotas_for(&self, quotas: &[Quota], may_be_owner: bool) -> Vec<Quota> {
        let stranger = self.keep_half_for_owners && !may_be_owner;
        quotas.iter().map(|quota| if stranger { quota.for_strangers() } else { *quota }).collect()
    }
}

impl LimitMode {
    /// The laxer of two.
    #[must_use]
    pub fn at_most(self, other: Self) -> Self {
        match (self, other) {
            (Self::Off, _) | (_, Self::Off) => Self::Off,
            (Self::Shadow, _) | (_, Self::Shadow) => Self::Shadow,
            (Self::Enforce, Self::Enforce) => Self::Enforce,
        }
    }
}

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

impl Default for Limits {
    fn default() -> Self {
        Self {
            mode: LimitMode::Enforce,
            sends_to_number: vec![Quota::new(5, HOUR), Quota::new(10, DAY)],
            sends_by_installation: vec![Quota::new(10, HOUR)],
            sends_from_address: vec![Quota::new(30, HOUR)],
            sends_from_shared_address: vec![Quota::new(600, HOUR)],
            shared_addresses: Vec::new(),
            sends_of_account: vec![Quota::new(10, DAY)],
            sends: vec![Quota::new(600, 60), Quota::new(100_000, DAY)],
            keep_half_for_owners: true,
            failures_on_number: vec![Quota::new(20, DAY)],
            // NIST SP 800-63B, section 5.2.2: no more than 100.
            failures_since_success: vec![Quota::new(100, 365 * DAY)],
            failures_by_client: vec![Quota::new(300, HOUR)],
            range_mode: LimitMode::Enforce,
            sends_to_range: vec![Quota::new(60, HOUR), Quota::new(200, DAY)],
            conversion_mode: LimitMode::Shadow,
            conversion: ConversionPolicy::default(),
            captcha_multiple: 10,
        }
    }
}

/// How long a session lasts (the terms are OWASP ASVS's).
#[derive(Clone, Copy, Debug)]
pub struct SessionPolicy {
    /// Ends after so long without use.
    pub inactivity: Duration,
    /// Ends so long after the log-in, used or not.
    pub absolute: Duration,
    /// A use is noted when the last noted one is so long ago: not every look-up should cost a write.
    pub refresh_after: Duration,
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self {
            inactivity: Duration::from_secs(365 * DAY),
            absolute: Duration::from_secs(5 * 365 * DAY),
            refresh_after: Duration::from_secs(DAY),
        }
    }
}

/// Whether an openid counts because the client says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlatformProof {
    /// It does not: the platform must have vouched for it.
    Required,
    /// It does, as at ShopXO: whoever knows an openid enters its account.
    Trust,
}

/// Whether an account that has a number may take another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rebind {
    /// With a code sent to the new one, as at ShopXO.
    #[default]
    Allow,
    /// With a code sent to the old one besides.
    OldCode,
    /// It may not.
    Deny,
}

/// What becomes of a number whose account was silent for long, when somebody whom nothing else leads to that account has a
/// code for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recycled {
    /// He enters the account, as at ShopXO.
    #[default]
    Enter,
    /// He gets an account of his own, and the old one loses the number.
    Detach,
    /// He is refused.
    Refuse,
}

/// The rules of numbers that change hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberPolicy {
    /// Whether an account that has a number may take another.
    pub rebind: Rebind,
    /// How long an account keeps a number before it may take another.
    pub cooling_off: Duration,
    /// Whether an account's sessions on other client types end when it takes another number.
    pub revoke_on_change: bool,
    /// Whether the number that an account leaves is told so by a message.
    pub tell_old_number: bool,
    /// What becomes of a recycled number.
    pub recycled: Recycled,
    /// How long a number's account was not used before the number counts as recycled; `None`: it never does.
    pub recycled_after: Option<Duration>,
}

impl Default for NumberPolicy {
    fn default() -> Self {
        Self {
            rebind: Rebind::Allow,
            cooling_off: Duration::ZERO,
            revoke_on_change: false,
            tell_old_number: false,
            recycled: Recycled::Enter,
            // A number that was given back rests some weeks before somebody else gets it; its owner stays away as long.
            recycled_after: Some(Duration::from_secs(90 * DAY)),
        }
    }
}

/// A number whose code is always the same and which no message goes to: for the reviewers of app stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestNumber {
    /// The code.
    pub code: VerificationCode,
    /// From when on the number is refused.
    pub until: Timestamp,
}

/// How messages are seen on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxPolicy {
    /// How long a message is in the hands of the node that sends it: longer than any sender takes.
    pub lease: Duration,
    /// How long a receipt may take before the next provider is asked, with the same code; `None` where none is asked then.
    pub receipt_within: Option<Duration>,
    /// A code that is good for less than this is not worth sending.
    pub worth_sending: Duration,
    /// How long a message is kept.
    pub keep: Duration,
}

impl Default for OutboxPolicy {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            receipt_within: None,
            worth_sending: Duration::from_secs(60),
            keep: Duration::from_secs(7 * DAY),
        }
    }
}

/// Everything that the decisions depend on besides the request and the store.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Which texts are numbers.
    pub mobile_rule: MobileRule,
    /// How many digits a code has.
    pub code_length: CodeLength,
    /// How long a code is good. NIST SP 800-63B allows ten minutes.
    pub code_lifetime: Duration,
    /// Wrong tries that end a code.
    pub tries_per_code: u8,
    /// How long a number rests between two messages, whoever asks.
    pub send_interval: Duration,
    /// How long the very same bind is answered again.
    pub repeat_window: Duration,
    /// How long an idempotency key is remembered.
    pub idempotency_lifetime: Duration,
    /// How long a message may take to be handed over before its outcome counts as unknown.
    pub sending_patience: Duration,
    /// Whether new accounts wait for approval.
    pub register_audit: bool,
    /// Numbers that no new account may be made for.
    pub forbidden_mobiles: HashSet<Mobile>,
    /// Whether a referrer may be named by number.
    pub referrer_by_mobile: bool,
    /// The rules of numbers that change hands.
    pub numbers: NumberPolicy,
    /// Numbers whose code is always the same.
    pub test_numbers: HashMap<Mobile, TestNumber>,
    /// Whether openids are taken on trust.
    pub platform_proof: PlatformProof,
    /// How long a platform's word for an openid is remembered without being used.
    pub proof_lifetime: Duration,
    /// A use of that word is noted when the last noted one is so long ago.
    pub proof_refresh_after: Duration,
    /// How long a ticket is good.
    pub ticket_lifetime: Duration,
    /// How long a platform's session key opens anything here.
    pub session_key_lifetime: Duration,
    /// How long ago a platform may have vouched for a number.
    pub voucher_lifetime: Duration,
    /// How long it is remembered that a log-in code was used: longer than any platform takes one.
    pub log_in_code_lifetime: Duration,
    /// The calling code, in digits, of numbers that name no country.
    pub country_code: String,
    /// The app on each platform.
    pub apps: BTreeMap<Platform, AppId>,
    /// How long sessions last.
    pub session: SessionPolicy,
    /// The quotas.
    pub limits: Limits,
    /// How messages are seen on their way.
    pub outbox: OutboxPolicy,
    /// How long events of the audit are kept.
    pub audit_retention: Duration,
    /// How often a decision starts again when the snapshot no longer holds.
    pub attempts: u32,
}

impl Policy {
    /// The defaults, with a number rule and a stance on openids.
    #[must_use]
    pub fn new(mobile_rule: MobileRule, platform_proof: PlatformProof) -> Self {
        Self {
            mobile_rule,
            code_length: CodeLength::default(),
            code_lifetime: Duration::from_secs(600),
            tries_per_code: 5,
            send_interval: Duration::from_secs(60),
            repeat_window: Duration::from_secs(10),
            idempotency_lifetime: Duration::from_secs(600),
            sending_patience: Duration::from_secs(30),
            register_audit: false,
            forbidden_mobiles: HashSet::new(),
            referrer_by_mobile: true,
            numbers: NumberPolicy::default(),
            test_numbers: HashMap::new(),
            platform_proof,
            proof_lifetime: Duration::from_secs(30 * DAY),
            proof_refresh_after: Duration::from_secs(DAY),
            ticket_lifetime: Duration::from_secs(600),
            session_key_lifetime: Duration::from_secs(3 * DAY),
            voucher_lifetime: Duration::from_secs(300),
            log_in_code_lifetime: Duration::from_secs(DAY),
            country_code: "86".to_owned(),
            apps: BTreeMap::new(),
            session: SessionPolicy::default(),
            limits: Limits::default(),
            outbox: OutboxPolicy::default(),
            // China's Cybersecurity Law, article 21, asks for six months of logs.
            audit_retention: Duration::from_secs(184 * DAY),
            attempts: 64,
        }
    }

    /// The test number, where it is one.
    ///
    /// # Errors
    /// Where it is one, and past its date.
    pub(crate) fn test_number(&self, mobile: &Mobile, now: Timestamp) -> Result<Option<&TestNumber>, Refusal> {
        match self.test_numbers.get(mobile) {
            Some(number) if now >= number.until => Err(Refusal::TestNumberExpired),
            number => Ok(number),
        }
    }

    /// Whose shares of verified messages a message counts for; nobody's where they are not watched.
    pub(crate) fn sources(&self, mobile: &Mobile, from: AddressBlock) -> Vec<Source> {
        let watched = self.limits.conversion_mode.at_most(self.limits.mode) != LimitMode::Off;
        // No message goes to a number for tests.
        if !watched || self.test_numbers.contains_key(mobile) {
            return Vec::new();
        }
        vec![Source::Address(from), Source::Country(self.mobile_rule.country(mobile).into())]
    }

    /// The app configured for a platform; the empty id where none is.
    #[must_use]
    pub fn app(&self, platform: Platform) -> AppId {
        self.apps.get(&platform).cloned().unwrap_or_default()
    }
}

impl Default for Policy {
    /// The contract's number rule, openids proved.
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "a constant that a test compiles")]
        let rule = MobileRule::new(DEFAULT_PATTERN).expect("the default pattern compiles");
        Self::new(rule, PlatformProof::Required)
    }
}
