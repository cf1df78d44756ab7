//! A fake of Tencent Cloud SMS.

use mobile_bind_domain::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::{Part, Received, Reply, Taken, apart};
use crate::secret::Secret;
use crate::signing::same;
use crate::vendors::tencent::{ALGORITHM, INQUIRY, SERVICE, SignedParts, VERSION};

/// <https://cloud.tencent.com/document/api/382/52075>, those that sending one message can meet.
pub(super) const ERRORS: &[&str] = &[
    "AuthFailure.SecretIdNotFound",
    "AuthFailure.SignatureExpire",
    "AuthFailure.SignatureFailure",
    "FailedOperation.ContainSensitiveWord",
    "FailedOperation.FailResolvePacket",
    "FailedOperation.InsufficientBalanceInSmsPackage",
    "FailedOperation.JsonParseFail",
    "FailedOperation.PhoneNumberInBlacklist",
    "FailedOperation.SignatureIncorrectOrUnapproved",
    "FailedOperation.TemplateIncorrectOrUnapproved",
    "FailedOperation.TemplateParamSetNotMatchApprovedTemplate",
    "FailedOperation.TemplateUnapprovedOrNotExist",
    "InternalError.JsonParseFail",
    "InternalError.OtherError",
    "InternalError.RequestTimeException",
    "InternalError.RestApiInterfaceNotExist",
    "InternalError.SendAndRecvFail",
    "InternalError.SigFieldMissing",
    "InternalError.SigVerificationFail",
    "InternalError.Timeout",
    "InternalError.UnknownError",
    "InvalidParameterValue.ContentLengthLimit",
    "InvalidParameterValue.IncorrectPhoneNumber",
    "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter",
    "InvalidParameterValue.SdkAppIdNotExist",
    "InvalidParameterValue.TemplateParameterFormatError",
    "InvalidParameterValue.TemplateParameterLengthLimit",
    "LimitExceeded.AppCountryOrRegionDailyLimit",
    "LimitExceeded.AppCountryOrRegionInBlacklist",
    "LimitExceeded.AppDailyLimit",
    "LimitExceeded.DailyLimit",
    "LimitExceeded.DeliveryFrequencyLimit",
    "LimitExceeded.PhoneNumberCountLimit",
    "LimitExceeded.PhoneNumberDailyLimit",
    "LimitExceeded.PhoneNumberOneHourLimit",
    "LimitExceeded.PhoneNumberSameContentDailyLimit",
    "LimitExceeded.PhoneNumberThirtySecondLimit",
    "MissingParameter.EmptyPhoneNumberSet",
    "RequestLimitExceeded",
    "UnauthorizedOperation.RequestIpNotInWhitelist",
    "UnauthorizedOperation.SdkAppIdIsDisabled",
    "UnauthorizedOperation.ServiceSuspendDueToArrears",
    "UnauthorizedOperation.SmsSdkAppIdVerifyFail",
    "UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone",
    "UnsupportedOperation.UnsupportedRegion",
];

/// How far clocks may differ: five minutes.
const SKEW_MS: u64 = 5 * 60 * 1000;

pub(super) struct FakeTencent {
    pub(super) id: String,
    pub(super) secret: Secret,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters {
    phone_number_set: Vec<String>,
    sms_sdk_app_id: String,
    sign_name: String,
    template_id: String,
    #[serde(default)]
    template_param_set: Vec<String>,
}

impl FakeTencent {
    fn authenticate(&self, request: &Received, now: Timestamp) -> Result<(), &'static str> {
        let failure = "AuthFailure.SignatureFailure";
        let parts = request.header("authorization").strip_prefix(ALGORITHM).ok_or(failure)?;
        let part = |name: &str| parts.split(',').find_map(|part| part.trim().strip_prefix(name)).unwrap_or_default();
        let (id, scope) = part("Credential=").split_once('/').ok_or(failure)?;
        if id != self.id {
            return Err("AuthFailure.SecretIdNotFound");
        }
        let timestamp: u64 = request.header("x-tc-timestamp").parse().map_err(|_| failure)?;
        let signed = SignedParts {
            host: request.header("host"),
            content_type: request.header("content-type"),
            timestamp,
            service: SERVICE,
            body: &request.body,
        };
        let date = jiff::Timestamp::from_second(i64::try_from(timestamp).unwrap_or_default()).unwrap_or_default();
        let expected_scope = format!("{}/{SERVICE}/tc3_request", date.strftime("%Y-%m-%d"));
        let fits = part("SignedHeaders=") == "content-type;host" && scope == expected_scope;
        if !fits || !same(&signed.signature(&self.secret), part("Signature=")) {
            return Err(failure);
        }
        let expired = apart(now, Timestamp::from_seconds(timestamp)) > SKEW_MS;
        if expired { Err("AuthFailure.SignatureExpire") } else { Ok(()) }
    }
}

impl Part for FakeTencent {
    fn inquired(&self, request: &Received, now: Timestamp) -> Option<Reply> {
        if request.header("x-tc-action") != INQUIRY {
            return None;
        }
        let known = || {
            let body = json!({"Response": {"DescribeSignListStatusSet": [], "RequestId": "fake"}});
            Reply { status: 200, body: body.to_string() }
        };
        Some(self.authenticate(request, now).map_or_else(|code| self.error(code), |()| known()))
    }

    fn take(&self, request: &Received, now: Timestamp) -> Result<Taken, &'static str> {
        self.authenticate(request, now)?;
        if request.header("x-tc-action") != "SendSms" || request.header("x-tc-version") != VERSION {
            return Err("InvalidAction");
        }
        let parameters: Parameters =
            serde_json::from_slice(&request.body).map_err(|_| "FailedOperation.JsonParseFail")?;
        let to = parameters.phone_number_set.into_iter().next().ok_or("MissingParameter.EmptyPhoneNumberSet")?;
        if parameters.sms_sdk_app_id.is_empty() || parameters.template_id.is_empty() {
            return Err("InvalidParameterValue.SdkAppIdNotExist");
        }
        if !to.strip_prefix('+').is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_digit())) {
            return Err("InvalidParameterValue.IncorrectPhoneNumber");
        }
        let values = parameters.template_param_set.join(", ");
        Ok(Taken { to, what: format!("[{}] {} {values}", parameters.sign_name, parameters.template_id) })
    }

    fn accepted(&self, id: &str, message: &Taken) -> Reply {
        status_set(id, "Ok", "send success", &message.to)
    }

    fn error(&self, code: &str) -> Reply {
        let inner = "an inner text that clients must not see";
        // Those of one number come in its status, those of the request in place of all.
        if code.starts_with("LimitExceeded.PhoneNumber") || code.starts_with("FailedOperation.PhoneNumber") {
            return status_set("", code, inner, "+8613800138000");
        }
        let body = json!({"Response": {"Error": {"Code": code, "Message": inner}, "RequestId": "fake"}});
        Reply { status: 200, body: body.to_string() }
    }
}

fn status_set(id: &str, code: &str, message: &str, to: &str) -> Reply {
    let status = json!({"SerialNo": id, "PhoneNumber": to, "Fee": 1, "SessionContext": "", "Code": code,
        "Message": message, "IsoCode": "CN"});
    let body = json!({"Response": {"SendStatusSet": [status], "RequestId": "fake"}});
    Reply { status: 200, body: body.to_string() }
}
