//! What the platforms' error codes mean. Who must do something about it decides: the user (the app is to be opened again, or he
//! is blocked), time (busy, or asked too often), or the operator (the app is not configured as the platform has it).

use mobile_bind_domain::Platform;
use mobile_bind_domain::ports::PlatformFailure;
use tracing::warn;

/// What a platform does not document is a matter of the operator's until somebody has looked at it.
const UNKNOWN: PlatformFailure = PlatformFailure::AppRefused;

/// Weixin: <https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-login/code2Session.html>. QQ has the same codes (a
/// copy of its page: <https://w3cschool.cn/qqxiaochengxu/qqxiaochengxu-c5fl3875.html>).
pub(crate) fn tencent(platform: Platform, errcode: i64) -> Option<PlatformFailure> {
    let failure = match errcode {
        0 => return None,
        -1 | 45009 | 45011 => PlatformFailure::Busy,
        40029 | 40163 => PlatformFailure::Stale,
        40226 => PlatformFailure::Blocked,
        _ => UNKNOWN,
    };
    Some(told(platform, &errcode.to_string(), failure))
}

/// <https://developer.open-douyin.com/docs/resource/zh-CN/mini-app/develop/server/log-in/code-2-session>
pub(super) fn toutiao(err_no: i64) -> Option<PlatformFailure> {
    let failure = match err_no {
        0 => return None,
        -1 | 28_001_005 => PlatformFailure::Busy,
        40018 | 40019 | 28_001_018 | 28_001_019 => PlatformFailure::Stale,
        _ => UNKNOWN,
    };
    Some(told(Platform::Toutiao, &err_no.to_string(), failure))
}

/// The `result` of Kuaishou's open platform, as its list "错误码", "oauth2.0" has it (a copy:
/// <https://apifox.com/apidoc/project-462993/doc-355272>). What the page of `code2session` itself adds
/// (<https://mp.kuaishou.com/docs/develop/server/code2Session.html>) is not known here: of a `result` that is not in that list
/// `error` decides, as RFC 6749, section 5.2, has it, and then the text.
pub(super) fn kuaishou(result: i64, error: &str, text: &str) -> Option<PlatformFailure> {
    let failure = match (result, error) {
        (1, _) => return None,
        // The server's own fault.
        (100_200_500, _) => PlatformFailure::Busy,
        // A wrong code; and a user who has not let the app in, or no longer does.
        (100_200_105 | 100_200_109..=100_200_111, _) => PlatformFailure::Stale,
        // Parameters, the app, its rights, the kind of answer, of grant and of scope; an openid; tokens that nobody asked for.
        (100_200_100..=100_200_113, _) => PlatformFailure::AppRefused,
        (_, "invalid_grant") => PlatformFailure::Stale,
        _ if text.contains("code") => PlatformFailure::Stale,
        _ => UNKNOWN,
    };
    Some(told(Platform::Kuaishou, &result.to_string(), failure))
}

/// Baidu's `error` is that of its OAuth 2.0 (a copy of the list: <https://w3cschool.cn/baiduapp/baiduapp-9mqz2t64.html>), which
/// goes by RFC 6749. Where there is an `errno` besides, `error` may be any text (a copy of that page:
/// <https://www.bookstack.cn/read/smartprogram-20210306/a4bcb54eb96e30d2.md>). Of its numbers 10010100 alone is known here, a
/// parameter that is missing or malformed: the code is not empty, so it is the app's key or secret. Of others the text decides.
pub(super) fn baidu(errno: i64, error: &str, text: &str) -> Option<PlatformFailure> {
    let failure = match (errno, error) {
        (0, "") => return None,
        (10_010_100, _) => PlatformFailure::AppRefused,
        (_, "invalid_grant" | "invalid_code") => PlatformFailure::Stale,
        (_, "temporarily_unavailable" | "server_error") => PlatformFailure::Busy,
        (_, "invalid_client" | "unknown_client_id" | "unauthorized_client") => PlatformFailure::AppRefused,
        (_, "invalid_request" | "invalid_scope" | "unsupported_grant_type") => PlatformFailure::AppRefused,
        _ if text.to_ascii_lowercase().contains("code") => PlatformFailure::Stale,
        _ => UNKNOWN,
    };
    let number = errno.to_string();
    Some(told(Platform::Baidu, if errno == 0 { error } else { &number }, failure))
}

/// Alipay's gateway has the `code` (<https://opendocs.alipay.com/open/common/105806>), the method the `sub_code`
/// (<https://opendocs.alipay.com/apis/api_9/alipay.system.oauth.token>). `isv.code-is-reused` stands in neither.
pub(super) fn alipay(code: &str, sub_code: &str) -> Option<PlatformFailure> {
    let failure = match (code, sub_code) {
        ("" | "10000", _) => return None,
        // Wrong, used, expired, or of another kind of grant.
        (_, "isv.code-invalid" | "isv.code-is-reused") => PlatformFailure::Stale,
        // Not to be served now, on Alipay's side or at its gate; and asked too often.
        ("20000" | "40005", _) | (_, "isp.unknow-error" | "aop.unknow-error") => PlatformFailure::Busy,
        (_, "isv.app-call-limited" | "isv.method-call-limited") => PlatformFailure::Busy,
        // Parameters, signatures, clocks, keys, rights; and isv.unmatched-app-id, a code of another app of the shop's.
        _ => PlatformFailure::AppRefused,
    };
    Some(told(Platform::Alipay, if sub_code.is_empty() { code } else { sub_code }, failure))
}

/// Tells the operator the code that he can look up. No text goes along: Baidu's has the log-in code in it.
fn told(platform: Platform, code: &str, failure: PlatformFailure) -> PlatformFailure {
    if failure == PlatformFailure::AppRefused {
        let is_code = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let code = if code.len() <= 48 && code.bytes().all(is_code) { code } else { "unreadable" };
        warn!(platform = platform.name(), code, "a platform refuses the app as it is configured");
    }
    failure
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::read;
    use super::*;
    use crate::config::{PlatformConfig, Secret};

    fn failure(platform: Platform, answer: &str) -> PlatformFailure {
        let config = PlatformConfig {
            platform,
            app_id: "app".to_owned(),
            app_key: "key".to_owned(),
            secret: Secret::new("secret".to_owned()),
            public_key: String::new(),
            url: String::new(),
            timeout: Duration::from_secs(1),
            plain_http: false,
        };
        read(&config, answer.as_bytes()).err().unwrap()
    }

    fn are(platform: Platform, expected: PlatformFailure, answers: &[&str]) {
        for answer in answers {
            assert_eq!(failure(platform, answer), expected, "{platform:?} {answer}");
        }
    }

    #[test]
    fn weixins_and_qqs_codes_are_those_of_their_pages() {
        for platform in [Platform::Weixin, Platform::Qq] {
            are(platform, PlatformFailure::Busy, &[r#"{"errcode":-1}"#, r#"{"errcode":45011}"#]);
            let stale = [r#"{"errcode":40029,"errmsg":"invalid code, rid: 6762"}"#, r#"{"errcode":40163}"#];
            are(platform, PlatformFailure::Stale, &stale);
            are(platform, PlatformFailure::Blocked, &[r#"{"errcode":40226,"errmsg":"code blocked"}"#]);
            are(platform, PlatformFailure::AppRefused, &[r#"{"errcode":40013}"#, r#"{"errcode":40125}"#]);
        }
    }

    #[test]
    fn toutiaos_codes_are_those_of_its_page() {
        let of = |code: i64| format!(r#"{{"err_no":{code},"err_tips":"an inner text"}}"#);
        for (expected, codes) in [
            (PlatformFailure::Busy, vec![-1]),
            (PlatformFailure::Stale, vec![40018, 40019]),
            (PlatformFailure::AppRefused, vec![40014, 40015, 40017]),
        ] {
            codes.into_iter().for_each(|code| are(Platform::Toutiao, expected, &[&of(code)]));
        }
    }

    #[test]
    fn kuaishous_results_are_those_of_its_list() {
        let of = |result: i64| format!(r#"{{"result":{result},"error_msg":"the code or the client is invalid"}}"#);
        for (expected, results) in [
            (PlatformFailure::Busy, vec![100_200_500]),
            (PlatformFailure::Stale, vec![100_200_105, 100_200_109, 100_200_110, 100_200_111]),
            (PlatformFailure::AppRefused, vec![100_200_100, 100_200_101, 100_200_102, 100_200_104, 100_200_106]),
        ] {
            results.into_iter().for_each(|result| are(Platform::Kuaishou, expected, &[&of(result)]));
        }
        are(Platform::Kuaishou, PlatformFailure::Stale, &[r#"{"result":7,"error":"invalid_grant"}"#]);
        are(Platform::Kuaishou, PlatformFailure::Stale, &[r#"{"result":7,"error_msg":"js_code is invalid"}"#]);
        are(Platform::Kuaishou, PlatformFailure::AppRefused, &[r#"{"result":7}"#, "{}"]);
    }

    #[test]
    fn baidus_errors_are_those_of_its_lists() {
        let stale = r#"{"error":"invalid_grant","error_description":"Invalid authorization code: ANXxSNjw"}"#;
        are(Platform::Baidu, PlatformFailure::Stale, &[stale]);
        let missing = r#"{"errno":10010100,"error":"parameter is invalid",
            "error_description":"Key: 'Code2SessionKeyParam.ClientID' Error:Field validation for 'ClientID' failed"}"#;
        let ours = [
            missing,
            r#"{"error":"invalid_client","error_description":"unknown client id"}"#,
            r#"{"error":"unsupported_grant_type","error_description":"of a code"}"#,
            r#"{"errno":"7","error":"some text"}"#,
        ];
        are(Platform::Baidu, PlatformFailure::AppRefused, &ours);
        are(Platform::Baidu, PlatformFailure::Stale, &[r#"{"errno":8,"error":"x","error_description":"Bad Code"}"#]);
        are(Platform::Baidu, PlatformFailure::Busy, &[r#"{"error":"temporarily_unavailable"}"#]);
    }

    #[test]
    fn alipays_codes_are_those_of_its_pages() {
        let of = |code: &str, sub_code: &str| {
            format!(
                r#"{{"error_response":{{"code":"{code}","msg":"x","sub_code":"{sub_code}","sub_msg":"授权码code无效"}}}}"#
            )
        };
        for (expected, answers) in [
            (PlatformFailure::Stale, vec![("40002", "isv.code-invalid")]),
            (
                PlatformFailure::Busy,
                vec![
                    ("20000", "isp.unknow-error"),
                    ("20000", "aop.unknow-error"),
                    ("40005", "isv.app-call-limited"),
                    ("40004", "isp.unknow-error"),
                ],
            ),
            (
                PlatformFailure::AppRefused,
                vec![
                    ("40002", "isv.invalid-app-id"),
                    ("40002", "isv.invalid-signature"),
                    ("40002", "isv.grant-type-invalid"),
                    ("40002", "isv.unmatched-app-id"),
                    ("40006", "isv.insufficient-isv-permissions"),
                    ("40001", "isv.missing-signature-key"),
                ],
            ),
        ] {
            answers.into_iter().for_each(|(code, sub)| are(Platform::Alipay, expected, &[&of(code, sub)]));
        }
        are(Platform::Alipay, PlatformFailure::Unreadable, &[r#"{"error_response":{}}"#]);
    }
}
