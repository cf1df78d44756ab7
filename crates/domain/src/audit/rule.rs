//! The names of the rules that refuse, and what they mean in words.

use std::time::Duration;

use crate::Refusal;

/// A refusal's name in events, and how long it lasts where it says so.
pub(crate) fn rule(refusal: &Refusal) -> (&'static str, Option<Duration>) {
    let name = match refusal {
        Refusal::MobileMissing => "mobile_missing",
        Refusal::VerifyMissing => "verify_missing",
        Refusal::MobileMalformed(_) => "mobile_malformed",
        Refusal::TextTooLong { .. } => "text_too_long",
        Refusal::CodeExpired => "code_expired",
        Refusal::CodeWrong => "code_wrong",
        Refusal::OldCodeWanted { .. } => "old_code_wanted",
        Refusal::OldCodeExpired => "old_code_expired",
        Refusal::OldCodeWrong => "old_code_wrong",
        Refusal::NumberChangeDenied => "number_change_denied",
        Refusal::NumberChangedLately { wait } => return ("number_changed_lately", Some(*wait)),
        Refusal::NumberRecycled => "number_recycled",
        Refusal::TestNumberExpired => "test_number_expired",
        Refusal::OpenIdMissing => "openid_missing",
        Refusal::IdentityUnproved => "identity_unproved",
        Refusal::NoMiniProgram => "no_mini_program",
        Refusal::AuthCodeMissing => "auth_code_missing",
        Refusal::VoucherMissing => "voucher_missing",
        Refusal::Platform(_) => "platform_failed",
        Refusal::HeldByOther => "held_by_other",
        Refusal::HeldBySeveral => "held_by_several",
        Refusal::HeldByCaller => "held_by_caller",
        Refusal::NumberForbidden => "number_forbidden",
        Refusal::AccountDisabled => "account_disabled",
        Refusal::AccountAwaitingApproval => "account_awaiting_approval",
        Refusal::TokenMissing => "token_missing",
        Refusal::TokenUnknown => "token_unknown",
        Refusal::LoginRequired => "login_required",
        Refusal::SendTooSoon { wait, .. } => return ("send_too_soon", Some(*wait)),
        Refusal::SendLimit { wait, .. } => return ("send_limit", Some(*wait)),
        Refusal::TryLimit { wait, .. } => return ("try_limit", Some(*wait)),
        Refusal::CaptchaWanted { .. } => "captcha_wanted",
        Refusal::IdempotencyKeyReused => "idempotency_key_reused",
        Refusal::SmsRefused => "sms_refused",
        Refusal::SmsLimited => "sms_limited",
        Refusal::SmsUnavailable => "sms_unavailable",
        Refusal::SmsUnknown => "sms_unknown",
        Refusal::NotStored(_) => "not_stored",
    };
    (name, None)
}

/// What a rule means, for whoever has to explain a refusal. A rule that this version does not know is said by its name.
#[must_use]
pub fn words(rule: &str) -> &str {
    match rule {
        "code_expired" => {
            "there was no live code: none was sent to this client, or it had expired, been used, or been burnt by wrong tries"
        }
        "code_wrong" => "the code was wrong",
        "old_code_wanted" => "a code sent to the number that the account had was wanted besides (numbers.rebind)",
        "old_code_expired" => "there was no live code for the number that the account had",
        "old_code_wrong" => "the code for the number that the account had was wrong",
        "number_change_denied" => "an account that has a number may not take another (numbers.rebind)",
        "number_changed_lately" => "the account had taken its number a short while before (numbers.cooling_off_s)",
        "number_recycled" => {
            "the number's account had been silent for so long that the number might be somebody else's (numbers.recycled)"
        }
        "test_number_expired" => "the number was one for tests, and past its date (test_numbers)",
        "openid_missing" => "the mini-program sent no openid",
        "identity_unproved" => "the openid was not proved by its platform",
        "platform_failed" => "the platform did not vouch for the log-in or the number",
        "held_by_other" => "the number belongs to another account than the caller's",
        "held_by_several" => {
            "the number, the openid or the unionid belongs to several accounts; `store verify` says which"
        }
        "held_by_caller" => "the number was the caller's own already",
        "number_forbidden" => "no account may be made for this number (register.forbidden_mobiles)",
        "account_disabled" => "the account is disabled",
        "account_awaiting_approval" => "the account waits for approval",
        "send_too_soon" => "a code had gone to the number a moment before (code.send_interval_s)",
        "send_limit" => "a quota on messages was used up (limits.sends_…)",
        "try_limit" => "too many wrong codes (limits.failures_…)",
        "captcha_wanted" => "a quota asked for a captcha, and none was solved",
        "idempotency_key_reused" => "the idempotency key had been used for another request",
        "sms_refused" => "the SMS provider does not send to this number",
        "sms_limited" => "the SMS provider took no more messages for then",
        "sms_unavailable" => "no SMS provider could be reached",
        "sms_unknown" => "the SMS provider did not answer; the message may have gone out",
        "not_stored" => "the store could not be read or written",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use crate::Refusal;

    #[test]
    fn a_refusal_of_a_number_has_words() {
        for refusal in [
            Refusal::CodeWrong,
            Refusal::CodeExpired,
            Refusal::HeldByOther,
            Refusal::HeldBySeveral,
            Refusal::SmsUnknown,
        ] {
            let (name, _) = super::rule(&refusal);
            assert_ne!(super::words(name), name);
        }
        assert_eq!(super::words("a_rule_of_tomorrow"), "a_rule_of_tomorrow");
    }
}
