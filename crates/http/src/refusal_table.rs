//! What every refusal means on the wire: one code and one message each. The only place that knows.

use std::time::Duration;

use mobile_bind_domain::ports::PlatformFailure;
use mobile_bind_domain::{Guard, Language, Operation, Refusal};

use crate::catalogue::{self, Phrase};
use crate::fault::WireFault;

/// Every code but 0, in falling order: what the document says `code` can be.
pub(crate) const CODES: [i32; 12] = [-1, -2, -10, -11, -20, -50, -51, -100, -110, -400, -500, -1000];

/// When to ask again what was shed.
const SHED_WAIT: Duration = Duration::from_secs(1);

/// A refusal as the client gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) message: String,
    /// How long to wait before asking again makes sense.
    pub(crate) wait: Option<Duration>,
}

impl Told {
    fn new(code: i32, phrase: Phrase, language: Language) -> Self {
        Self { code, message: phrase.text(language).to_owned(), wait: None }
    }

    fn naming(mut self, parameter: &str) -> Self {
        self.message = self.message.replace("{parameter}", parameter);
        self
    }

    fn about(mut self, mobile: &str) -> Self {
        self.message = self.message.replace("{mobile}", mobile);
        self
    }

    fn limited_to(mut self, limit: usize) -> Self {
        self.message = self.message.replace("{limit}", &limit.to_string());
        self
    }

    fn waiting(mut self, wait: Duration, language: Language) -> Self {
        self.message = self.message.replace("{wait}", &catalogue::wait_text(wait, language));
        self.wait = Some(wait);
        self
    }
}

/// A refusal of the domain.
pub(crate) fn refusal(refusal: &Refusal, language: Language) -> Told {
    let told = |code, phrase| Told::new(code, phrase, language);
    match *refusal {
        Refusal::OldCodeWanted { ref mobile } => told(-100, catalogue::OLD_CODE_WANTED).about(&mobile.masked()),
        Refusal::MobileMissing => told(-1, catalogue::MOBILE_MISSING),
        Refusal::VerifyMissing => told(-1, catalogue::VERIFY_MISSING),
        Refusal::MobileMalformed(Operation::Bind) => told(-2, catalogue::MOBILE_MALFORMED),
        Refusal::MobileMalformed(Operation::Send | Operation::Status | Operation::Session | Operation::LogIn) => {
            told(-1, catalogue::MOBILE_MALFORMED)
        }
        Refusal::TextTooLong { parameter, limit } => {
            told(-1, catalogue::TEXT_TOO_LONG).naming(parameter).limited_to(limit)
        }
        Refusal::CodeExpired => told(-10, catalogue::CODE_EXPIRED),
        Refusal::CodeWrong => told(-11, catalogue::CODE_WRONG),
        Refusal::OldCodeExpired => told(-10, catalogue::OLD_CODE_EXPIRED),
        Refusal::OldCodeWrong => told(-11, catalogue::OLD_CODE_WRONG),
        Refusal::NumberChangeDenied => told(-1, catalogue::NUMBER_CHANGE_DENIED),
        Refusal::NumberChangedLately { wait } => told(-100, catalogue::NUMBER_CHANGED_LATELY).waiting(wait, language),
        Refusal::NumberRecycled => told(-50, catalogue::NUMBER_RECYCLED),
        Refusal::TestNumberExpired => told(-1, catalogue::TEST_NUMBER_EXPIRED),
        Refusal::OpenIdMissing => told(-20, catalogue::OPENID_MISSING),
        Refusal::IdentityUnproved => told(-400, catalogue::IDENTITY_UNPROVED),
        Refusal::NoMiniProgram => told(-1, catalogue::NO_MINI_PROGRAM),
        Refusal::AuthCodeMissing => told(-1, catalogue::AUTH_CODE_MISSING),
        Refusal::VoucherMissing => told(-1, catalogue::VOUCHER_MISSING),
        Refusal::Platform(PlatformFailure::NotConfigured) => told(-1, catalogue::PLATFORM_NOT_CONFIGURED),
        Refusal::Platform(PlatformFailure::NotOffered) => told(-1, catalogue::PLATFORM_NOT_OFFERED),
        Refusal::Platform(PlatformFailure::Stale) => told(-400, catalogue::PLATFORM_STALE),
        Refusal::Platform(PlatformFailure::Blocked) => told(-100, catalogue::PLATFORM_BLOCKED),
        Refusal::Platform(PlatformFailure::Busy) => told(-100, catalogue::PLATFORM_BUSY),
        Refusal::Platform(PlatformFailure::AppRefused) => told(-100, catalogue::PLATFORM_APP_REFUSED),
        Refusal::Platform(PlatformFailure::Unavailable | PlatformFailure::Unreadable) => {
            told(-100, catalogue::PLATFORM_UNAVAILABLE)
        }
        Refusal::NotStored(Operation::LogIn) => told(-100, catalogue::LOG_IN_NOT_STORED),
        Refusal::HeldByOther => told(-50, catalogue::HELD_BY_OTHER),
        Refusal::HeldBySeveral => told(-50, catalogue::HELD_BY_SEVERAL),
        Refusal::HeldByCaller => told(-51, catalogue::HELD_BY_CALLER),
        Refusal::NumberForbidden => told(-1, catalogue::NUMBER_FORBIDDEN),
        Refusal::AccountDisabled => told(-110, catalogue::ACCOUNT_DISABLED),
        Refusal::AccountAwaitingApproval => told(-110, catalogue::ACCOUNT_AWAITING_APPROVAL),
        Refusal::TokenMissing => told(-1, catalogue::TOKEN_MISSING),
        Refusal::TokenUnknown => told(-1, catalogue::TOKEN_UNKNOWN),
        Refusal::LoginRequired => told(-400, catalogue::LOGIN_REQUIRED),
        Refusal::SendTooSoon { wait } => told(-100, catalogue::SEND_TOO_SOON).waiting(wait, language),
        Refusal::SendLimit { guard, wait } => told(-100, limit_phrase(guard)).waiting(wait, language),
        Refusal::CaptchaWanted { wait, .. } => told(-100, catalogue::CAPTCHA_WANTED).waiting(wait, language),
        Refusal::TryLimit { guard: Guard::Tries, wait } => {
            told(-100, catalogue::CLIENT_TRY_LIMIT).waiting(wait, language)
        }
        Refusal::TryLimit { wait, .. } => told(-100, catalogue::TRY_LIMIT).waiting(wait, language),
        Refusal::IdempotencyKeyReused => told(-1, catalogue::IDEMPOTENCY_KEY_REUSED),
        Refusal::SmsRefused => told(-100, catalogue::SMS_REFUSED),
        Refusal::SmsLimited => told(-100, catalogue::SMS_LIMITED),
        Refusal::SmsUnavailable => told(-100, catalogue::SMS_UNAVAILABLE),
        Refusal::SmsUnknown => told(-100, catalogue::SMS_UNKNOWN),
        Refusal::NotStored(Operation::Send) => told(-100, catalogue::SEND_NOT_STORED),
        Refusal::NotStored(Operation::Bind) => told(-100, catalogue::BIND_NOT_STORED),
        Refusal::NotStored(Operation::Session | Operation::Status) => told(-100, catalogue::REQUEST_NOT_STORED),
    }
}

/// What a full quota says, so that the person knows whether another number, another network or only time helps.
const fn limit_phrase(guard: Guard) -> Phrase {
    match guard {
        Guard::Number | Guard::Interval => catalogue::SEND_LIMIT,
        Guard::Installation => catalogue::INSTALLATION_SEND_LIMIT,
        Guard::Address | Guard::AddressConversion => catalogue::ADDRESS_SEND_LIMIT,
        Guard::Account => catalogue::ACCOUNT_SEND_LIMIT,
        Guard::Range | Guard::CountryConversion => catalogue::RANGE_SEND_LIMIT,
        Guard::Budget | Guard::Failures | Guard::Tries => catalogue::BUDGET_SEND_LIMIT,
    }
}

/// A fault of the wire.
pub(crate) fn fault(fault: WireFault, language: Language) -> Told {
    let told = |code, phrase| Told::new(code, phrase, language);
    match fault {
        WireFault::InvalidParameter(parameter) => told(-1, catalogue::INVALID_PARAMETER).naming(parameter),
        WireFault::UnreadableBody => told(-1, catalogue::UNREADABLE_BODY),
        WireFault::TooLarge => told(-1, catalogue::TOO_LARGE),
        WireFault::NotFound => told(-1000, catalogue::NOT_FOUND),
        WireFault::MethodNotAllowed(_) => told(-1000, catalogue::METHOD_NOT_ALLOWED),
        WireFault::Forbidden => told(-1000, catalogue::FORBIDDEN),
        WireFault::NotReady => told(-100, catalogue::NOT_READY),
        WireFault::Overloaded => told(-100, catalogue::OVERLOADED).waiting(SHED_WAIT, language),
        WireFault::Panicked => told(-500, catalogue::FAILED),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mobile_bind_domain::ports::PlatformFailure;
    use mobile_bind_domain::{Guard, Language, Mobile, Operation, Refusal};

    use super::{CODES, Told, fault, refusal};
    use crate::fault::WireFault;

    const WAIT: Duration = Duration::from_millis(41_500);

    /// Every refusal, with the code that the contract gives it.
    fn refusals() -> Vec<(Refusal, i32)> {
        vec![
            (Refusal::MobileMissing, -1),
            (Refusal::VerifyMissing, -1),
            (Refusal::MobileMalformed(Operation::Send), -1),
            (Refusal::MobileMalformed(Operation::Status), -1),
            (Refusal::MobileMalformed(Operation::Bind), -2),
            (Refusal::TextTooLong { parameter: "nickname", limit: 60 }, -1),
            (Refusal::CodeExpired, -10),
            (Refusal::CodeWrong, -11),
            (Refusal::OldCodeWanted { mobile: Mobile::restore("17602128368").unwrap() }, -100),
            (Refusal::OldCodeExpired, -10),
            (Refusal::OldCodeWrong, -11),
            (Refusal::NumberChangeDenied, -1),
            (Refusal::NumberChangedLately { wait: WAIT }, -100),
            (Refusal::NumberRecycled, -50),
            (Refusal::TestNumberExpired, -1),
            (Refusal::OpenIdMissing, -20),
            (Refusal::IdentityUnproved, -400),
            (Refusal::NoMiniProgram, -1),
            (Refusal::AuthCodeMissing, -1),
            (Refusal::VoucherMissing, -1),
            (Refusal::Platform(PlatformFailure::NotConfigured), -1),
            (Refusal::Platform(PlatformFailure::NotOffered), -1),
            (Refusal::Platform(PlatformFailure::Stale), -400),
            (Refusal::Platform(PlatformFailure::Blocked), -100),
            (Refusal::Platform(PlatformFailure::Busy), -100),
            (Refusal::Platform(PlatformFailure::AppRefused), -100),
            (Refusal::Platform(PlatformFailure::Unavailable), -100),
            (Refusal::Platform(PlatformFailure::Unreadable), -100),
            (Refusal::NotStored(Operation::LogIn), -100),
            (Refusal::HeldByOther, -50),
            (Refusal::HeldBySeveral, -50),
            (Refusal::HeldByCaller, -51),
            (Refusal::NumberForbidden, -1),
            (Refusal::AccountDisabled, -110),
            (Refusal::AccountAwaitingApproval, -110),
            (Refusal::TokenMissing, -1),
            (Refusal::TokenUnknown, -1),
            (Refusal::LoginRequired, -400),
            (Refusal::SendTooSoon { wait: WAIT }, -100),
            (Refusal::SendLimit { guard: Guard::Number, wait: WAIT }, -100),
            (Refusal::CaptchaWanted { guard: Guard::Address, wait: WAIT }, -100),
            (Refusal::TryLimit { guard: Guard::Failures, wait: WAIT }, -100),
            (Refusal::TryLimit { guard: Guard::Tries, wait: WAIT }, -100),
            (Refusal::IdempotencyKeyReused, -1),
            (Refusal::SmsRefused, -100),
            (Refusal::SmsLimited, -100),
            (Refusal::SmsUnavailable, -100),
            (Refusal::SmsUnknown, -100),
            (Refusal::NotStored(Operation::Send), -100),
            (Refusal::NotStored(Operation::Status), -100),
            (Refusal::NotStored(Operation::Bind), -100),
            (Refusal::NotStored(Operation::Session), -100),
        ]
    }

    const FAULTS: [(WireFault, i32, u16); 9] = [
        (WireFault::InvalidParameter("lang"), -1, 200),
        (WireFault::UnreadableBody, -1, 200),
        (WireFault::TooLarge, -1, 413),
        (WireFault::NotFound, -1000, 404),
        (WireFault::MethodNotAllowed("GET"), -1000, 405),
        (WireFault::Forbidden, -1000, 403),
        (WireFault::NotReady, -100, 503),
        (WireFault::Overloaded, -100, 503),
        (WireFault::Panicked, -500, 500),
    ];

    fn in_every_language(told: impl Fn(Language) -> Told, code: i32) {
        let all = Language::ALL.map(told);
        assert!(CODES.contains(&code));
        for told in &all {
            assert_eq!(told.code, code);
            assert!(!told.message.is_empty() && !told.message.contains(['{', '}']), "{}", told.message);
        }
        assert_ne!(all[0].message, all[1].message);
    }

    #[test]
    fn every_refusal_has_its_code_and_words() {
        for (variant, code) in refusals() {
            in_every_language(|language| refusal(&variant, language), code);
        }
        for (variant, code, status) in FAULTS {
            in_every_language(|language| fault(variant, language), code);
            assert_eq!(variant.status().as_u16(), status);
        }
    }

    #[test]
    fn every_guard_has_its_words() {
        for guard in Guard::ALL {
            in_every_language(|language| refusal(&Refusal::SendLimit { guard, wait: WAIT }, language), -100);
        }
    }

    #[test]
    fn chinese_reads_as_the_contract_has_it() {
        let zh = |variant: Refusal| refusal(&variant, Language::Zh).message;
        assert_eq!(zh(Refusal::MobileMissing), "手机号码不能为空");
        assert_eq!(zh(Refusal::VerifyMissing), "验证码不能为空");
        assert_eq!(zh(Refusal::MobileMalformed(Operation::Bind)), "手机号码格式错误");
        assert_eq!(zh(Refusal::CodeExpired), "验证码已过期");
        assert_eq!(zh(Refusal::CodeWrong), "验证码错误");
        assert_eq!(zh(Refusal::OpenIdMissing), "用户openid不能为空");
        assert_eq!(zh(Refusal::HeldByOther), "手机已绑定其他帐号");
        assert_eq!(zh(Refusal::HeldByCaller), "请使用新的手机号");
        assert_eq!(zh(Refusal::TokenMissing), "token不能为空");
        assert_eq!(zh(Refusal::TokenUnknown), "用户信息不存在");
        assert_eq!(zh(Refusal::LoginRequired), "登录失效，请重新登录");
        assert_eq!(zh(Refusal::SendTooSoon { wait: WAIT }), "发送失败[发送过于频繁，请 42 秒后再试]");
        for send in [Refusal::SmsRefused, Refusal::SmsUnavailable, Refusal::NotStored(Operation::Send)] {
            assert!(zh(send).starts_with("发送失败["));
        }
        for bind in [Refusal::TryLimit { guard: Guard::Failures, wait: WAIT }, Refusal::NotStored(Operation::Bind)] {
            assert!(zh(bind).starts_with("绑定失败"));
        }
        assert!(zh(Refusal::NumberForbidden).starts_with("该手机禁止注册("));
    }

    #[test]
    fn refusals_name_what_they_are_about() {
        let told = refusal(&Refusal::TextTooLong { parameter: "nickname", limit: 60 }, Language::En);
        assert_eq!(told.message, "nickname is too long: at most 60 characters");
        assert_eq!(fault(WireFault::InvalidParameter("mobile"), Language::Zh).message, "参数 mobile 无效");
        assert_eq!(refusal(&Refusal::SendLimit { guard: Guard::Number, wait: WAIT }, Language::En).wait, Some(WAIT));
        assert_eq!(refusal(&Refusal::SmsRefused, Language::En).wait, None);
    }
}
