//! The document's examples of answers: one for every code that an operation can answer, each with the words that the tables
//! give it. They are put into the written document, since poem-openapi's registry has no place for them.

use std::time::Duration;

use mobile_bind_domain::ports::PlatformFailure;
use mobile_bind_domain::{Guard, Language, Mobile, Operation, Refusal};
use serde_json::{Map, Value, json};

use crate::answer::CaptchaWidget;
use crate::catalogue::{self, Phrase};
use crate::fault::WireFault;
use crate::refusal_table::{self, Told};
use crate::schemas;

/// Why an operation refuses.
enum Cause {
    Refused(Refusal),
    /// A code is wanted for the number that the account has.
    OldCodeWanted,
    Unread(WireFault),
}

/// One refusal: its name in the document, and why.
type Named = (&'static str, Cause);

/// What an operation answers.
struct Answers {
    operation_id: &'static str,
    /// The success: its name, its words, and what comes with it.
    success: (&'static str, Phrase, fn() -> Value),
    refusals: &'static [Named],
}

/// The number that an account of the examples has.
const OLD_NUMBER: &str = "13800138000";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

const INVALID: Named = ("parameterInvalid", Cause::Unread(WireFault::InvalidParameter("lang")));
const KEY_REUSED: Named = ("idempotencyKeyReused", Cause::Refused(Refusal::IdempotencyKeyReused));
const UNREADABLE: Named = ("bodyUnreadable", Cause::Unread(WireFault::UnreadableBody));

fn nothing() -> Value {
    json!([])
}

fn user() -> Value {
    schemas::user_example().unwrap_or_default()
}

/// A widget of Turnstile, with the site key of its documentation that always passes:
/// <https://developers.cloudflare.com/turnstile/troubleshooting/testing/>.
fn captcha() -> CaptchaWidget {
    CaptchaWidget { provider: "turnstile".to_owned(), site_key: "1x00000000000000000000AA".to_owned() }
}

const OPERATIONS: [Answers; 7] = [
    Answers {
        operation_id: "sendVerificationCode",
        success: ("sent", catalogue::SENT, nothing),
        refusals: &[
            ("mobileMissing", Cause::Refused(Refusal::MobileMissing)),
            ("mobileMalformed", Cause::Refused(Refusal::MobileMalformed(Operation::Send))),
            ("tooSoon", Cause::Refused(Refusal::SendTooSoon { wait: MINUTE })),
            ("tooMany", Cause::Refused(Refusal::SendLimit { guard: Guard::Budget, wait: DAY })),
            ("captchaWanted", Cause::Refused(Refusal::CaptchaWanted { guard: Guard::Address, wait: HOUR })),
            ("providerRefused", Cause::Refused(Refusal::SmsRefused)),
            ("providerSilent", Cause::Refused(Refusal::SmsUnknown)),
            KEY_REUSED,
            INVALID,
            UNREADABLE,
        ],
    },
    Answers {
        operation_id: "getVerificationCodeStatus",
        success: ("accepted", catalogue::LOOKED_UP, schemas::code_status_example),
        refusals: &[
            ("mobileMissing", Cause::Refused(Refusal::MobileMissing)),
            ("mobileMalformed", Cause::Refused(Refusal::MobileMalformed(Operation::Status))),
            ("notAskedFor", Cause::Refused(Refusal::CodeExpired)),
            INVALID,
            UNREADABLE,
        ],
    },
    Answers {
        operation_id: "bindMobile",
        success: ("bound", catalogue::BOUND, user),
        refusals: &[
            ("mobileMissing", Cause::Refused(Refusal::MobileMissing)),
            ("verifyMissing", Cause::Refused(Refusal::VerifyMissing)),
            ("mobileMalformed", Cause::Refused(Refusal::MobileMalformed(Operation::Bind))),
            ("textTooLong", Cause::Refused(Refusal::TextTooLong { parameter: "nickname", limit: 60 })),
            ("codeExpired", Cause::Refused(Refusal::CodeExpired)),
            ("codeWrong", Cause::Refused(Refusal::CodeWrong)),
            ("tooManyTries", Cause::Refused(Refusal::TryLimit { guard: Guard::Failures, wait: DAY })),
            ("openidMissing", Cause::Refused(Refusal::OpenIdMissing)),
            ("openidUnproved", Cause::Refused(Refusal::IdentityUnproved)),
            ("heldByOther", Cause::Refused(Refusal::HeldByOther)),
            ("heldBySeveral", Cause::Refused(Refusal::HeldBySeveral)),
            ("heldByCaller", Cause::Refused(Refusal::HeldByCaller)),
            ("numberForbidden", Cause::Refused(Refusal::NumberForbidden)),
            ("oldCodeWanted", Cause::OldCodeWanted),
            ("oldCodeExpired", Cause::Refused(Refusal::OldCodeExpired)),
            ("oldCodeWrong", Cause::Refused(Refusal::OldCodeWrong)),
            ("changeDenied", Cause::Refused(Refusal::NumberChangeDenied)),
            ("changedLately", Cause::Refused(Refusal::NumberChangedLately { wait: DAY })),
            ("recycled", Cause::Refused(Refusal::NumberRecycled)),
            ("awaitingApproval", Cause::Refused(Refusal::AccountAwaitingApproval)),
            KEY_REUSED,
            INVALID,
            UNREADABLE,
        ],
    },
    Answers {
        operation_id: "logInMiniProgram",
        success: ("stranger", catalogue::LOGGED_IN, schemas::stranger_example),
        refusals: &[
            ("authCodeMissing", Cause::Refused(Refusal::AuthCodeMissing)),
            ("noMiniProgram", Cause::Refused(Refusal::NoMiniProgram)),
            ("platformNotConfigured", Cause::Refused(Refusal::Platform(PlatformFailure::NotConfigured))),
            ("authCodeStale", Cause::Refused(Refusal::Platform(PlatformFailure::Stale))),
            ("platformBusy", Cause::Refused(Refusal::Platform(PlatformFailure::Busy))),
            ("heldBySeveral", Cause::Refused(Refusal::HeldBySeveral)),
            ("accountDisabled", Cause::Refused(Refusal::AccountDisabled)),
            INVALID,
            UNREADABLE,
        ],
    },
    Answers {
        operation_id: "bindVouchedMobile",
        success: ("bound", catalogue::BOUND, user),
        refusals: &[
            ("openidMissing", Cause::Refused(Refusal::OpenIdMissing)),
            ("voucherMissing", Cause::Refused(Refusal::VoucherMissing)),
            ("openidUnproved", Cause::Refused(Refusal::IdentityUnproved)),
            ("codeStale", Cause::Refused(Refusal::Platform(PlatformFailure::Stale))),
            ("platformBusy", Cause::Refused(Refusal::Platform(PlatformFailure::Busy))),
            ("notOfThisShop", Cause::Refused(Refusal::MobileMalformed(Operation::Bind))),
            ("heldByOther", Cause::Refused(Refusal::HeldByOther)),
            ("heldBySeveral", Cause::Refused(Refusal::HeldBySeveral)),
            ("numberForbidden", Cause::Refused(Refusal::NumberForbidden)),
            ("awaitingApproval", Cause::Refused(Refusal::AccountAwaitingApproval)),
            INVALID,
            UNREADABLE,
        ],
    },
    Answers {
        operation_id: "getTokenUser",
        success: ("found", catalogue::LOOKED_UP, user),
        refusals: &[
            ("tokenMissing", Cause::Refused(Refusal::TokenMissing)),
            ("tokenUnknown", Cause::Refused(Refusal::TokenUnknown)),
            INVALID,
            UNREADABLE,
        ],
    },
    Answers {
        operation_id: "logOut",
        success: ("loggedOut", catalogue::LOGGED_OUT, nothing),
        refusals: &[("loginRequired", Cause::Refused(Refusal::LoginRequired)), INVALID, UNREADABLE],
    },
];

/// What the transport answers, by HTTP status.
const FAULTS: [(&str, &str, WireFault); 3] = [
    ("413", "tooLarge", WireFault::TooLarge),
    ("500", "failed", WireFault::Panicked),
    ("503", "overloaded", WireFault::Overloaded),
];

/// Puts the examples into a document.
pub(crate) fn add(document: &mut Value) {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return };
    for operation in paths.values_mut().filter_map(|path| path.get_mut("post")) {
        let answers = OPERATIONS.iter().find(|answers| operation["operationId"] == answers.operation_id);
        let Some(answers) = answers else { continue };
        add_to(operation, "200", of_operation(answers));
        for (status, name, fault) in FAULTS {
            let told = refusal_table::fault(fault, Language::Zh);
            add_to(operation, status, Map::from_iter([named(name, &told)]));
        }
    }
}

fn of_operation(answers: &Answers) -> Map<String, Value> {
    let (name, words, data) = answers.success;
    let value = json!({ "msg": words.text(Language::Zh), "code": 0, "data": data() });
    let mut examples =
        Map::from_iter([(name.to_owned(), json!({ "summary": words.text(Language::En), "value": value }))]);
    for (name, cause) in answers.refusals {
        let old = Mobile::restore(OLD_NUMBER);
        let told = |language| match (cause, &old) {
            (Cause::Refused(refusal), _) => refusal_table::refusal(refusal, language),
            (Cause::Unread(fault), _) => refusal_table::fault(*fault, language),
            (Cause::OldCodeWanted, Some(mobile)) => {
                refusal_table::refusal(&Refusal::OldCodeWanted { mobile: mobile.clone() }, language)
            }
            (Cause::OldCodeWanted, None) => refusal_table::refusal(&Refusal::OldCodeExpired, language),
        };
        let (name, mut example) = named(name, &told(Language::Zh));
        if let (Cause::OldCodeWanted, Some(mobile)) = (cause, &old) {
            example["value"]["old_mobile"] = Value::from(mobile.masked());
        }
        let Told { code, message, .. } = told(Language::En);
        example["summary"] = Value::from(format!("{code}: {message}"));
        if matches!(cause, Cause::Refused(Refusal::CaptchaWanted { .. })) {
            example["value"]["captcha"] = json!(captcha());
        }
        examples.insert(name, example);
    }
    examples
}

fn named(name: &str, told: &Told) -> (String, Value) {
    let value = json!({ "msg": told.message, "code": told.code, "data": [] });
    (name.to_owned(), json!({ "summary": told.code.to_string(), "value": value }))
}

fn add_to(operation: &mut Value, status: &str, examples: Map<String, Value>) {
    let media = operation.pointer_mut(&format!("/responses/{status}/content/application~1json"));
    if let Some(media) = media.and_then(Value::as_object_mut) {
        media.insert("examples".to_owned(), Value::Object(examples));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use crate::document::openapi_document;

    /// The codes that an operation's description says it refuses with.
    fn told(description: &str) -> BTreeSet<i64> {
        let words = description.split(|character: char| !character.is_ascii_digit() && character != '-');
        words.filter_map(|word| word.parse().ok()).filter(|&code: &i64| code < 0).collect()
    }

    #[test]
    fn every_operation_shows_every_code_that_it_tells_of() {
        let document: Value = serde_json::from_str(&openapi_document()).unwrap();
        for operation in document["paths"].as_object().unwrap().values().map(|path| &path["post"]) {
            let id = operation["operationId"].as_str().unwrap();
            let examples = &operation["responses"]["200"]["content"]["application/json"]["examples"];
            let examples = examples.as_object().unwrap_or_else(|| panic!("{id} has no examples"));
            let codes: BTreeSet<i64> =
                examples.values().map(|example| example["value"]["code"].as_i64().unwrap()).collect();
            assert!(codes.contains(&0), "{id} shows no success");
            let told = told(operation["description"].as_str().unwrap());
            let shown: BTreeSet<i64> = codes.into_iter().filter(|&code| code < 0).collect();
            assert!(shown.is_subset(&told), "{id} does not tell of {:?}", shown.difference(&told));
            // A busy store is told of, and cannot be shown on request.
            let unseen: Vec<_> = told.difference(&shown).filter(|&&code| code != -100).collect();
            assert!(unseen.is_empty(), "{id} has no example of {unseen:?}");
            for status in ["413", "500", "503"] {
                let media = &operation["responses"][status]["content"]["application/json"];
                assert_eq!(media["examples"].as_object().unwrap().len(), 1, "{id} {status}");
            }
        }
    }
}
