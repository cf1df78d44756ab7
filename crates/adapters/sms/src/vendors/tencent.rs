//! Tencent Cloud SMS: `SendSms` of `2021-01-11`, signed by TC3-HMAC-SHA256.
//! <https://cloud.tencent.com/document/api/382/55981>, <https://cloud.tencent.com/document/api/382/52072>

use data_encoding::HEXLOWER;
use mobile_bind_domain::ports::{SendFailure, TextMessage};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::exchange::{Answer, Fault, OutgoingRequest, Stamp, Standing, Vendor};
use crate::number::international;
use crate::secret::Secret;
use crate::signing::{hmac_sha256, sha256_hex};
use crate::wording::{Templates, filled, parameters};

/// Where the API is.
pub(crate) const URL: &str = "https://sms.tencentcloudapi.com";
/// The API's version.
pub(crate) const VERSION: &str = "2021-01-11";
/// The call that tells of the account's signatures.
pub(crate) const INQUIRY: &str = "DescribeSmsSignList";
/// The name of the signature.
pub(crate) const ALGORITHM: &str = "TC3-HMAC-SHA256";
/// The product's name in the signature.
pub(crate) const SERVICE: &str = "sms";

/// An account at Tencent Cloud, and what it may send.
pub(crate) struct Tencent {
    /// Without a path.
    pub(crate) url: String,
    /// The host, and the port where it is not the scheme's own.
    pub(crate) host: String,
    pub(crate) secret_id: String,
    pub(crate) secret_key: Secret,
    pub(crate) region: String,
    pub(crate) app_id: String,
    pub(crate) sign_name: String,
    pub(crate) templates: Templates,
    /// What is put in the template's numbered places.
    pub(crate) parameters: Vec<String>,
    pub(crate) home: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    phone_number_set: [String; 1],
    sms_sdk_app_id: &'a str,
    sign_name: &'a str,
    template_id: &'a str,
    template_param_set: Vec<String>,
}

impl Vendor for Tencent {
    fn request(&self, message: &TextMessage, stamp: &Stamp) -> OutgoingRequest {
        let values = parameters(&self.parameters, message);
        let parameters = Parameters {
            phone_number_set: [format!("+{}", international(&message.mobile, &self.home))],
            sms_sdk_app_id: &self.app_id,
            sign_name: &self.sign_name,
            template_id: self.templates.find(message.content.purpose(), message.language).unwrap_or_default(),
            template_param_set: values.iter().map(|value| filled(value, message)).collect(),
        };
        // Text and lists of text are always JSON.
        self.signed("SendSms", serde_json::to_vec(&parameters).unwrap_or_default(), stamp)
    }

    fn read(&self, answer: &Answer) -> Result<String, Fault> {
        let Some(Body { response }) = answer.json() else { return Err(answer.unreadable()) };
        if let Some(error) = response.error {
            return Err(Fault::new(meaning(&error.code), error.code));
        }
        let status = response.send_status_set.into_iter().next().ok_or_else(|| answer.unreadable())?;
        match status.code.as_str() {
            "Ok" => Ok(status.serial_no.unwrap_or_default()),
            code => Err(Fault::new(meaning(code), code)),
        }
    }

    /// <https://cloud.tencent.com/document/api/382/55979>; the signature's id is anybody's.
    fn inquiry(&self, stamp: &Stamp) -> OutgoingRequest {
        self.signed(INQUIRY, br#"{"SignIdSet":[1],"International":0}"#.to_vec(), stamp)
    }

    /// The gateway looks at the signature first: whatever else it says, it knows the account.
    /// <https://cloud.tencent.com/document/api/382/52075>
    fn standing(&self, answer: &Answer) -> Standing {
        let Some(Body { response }) = answer.json() else { return Standing::Unclear(answer.unreadable().code) };
        match response.error {
            None => Standing::Known,
            Some(VendorError { code }) if code.starts_with("AuthFailure.Unauthorized") => Standing::not_allowed(code),
            Some(VendorError { code }) if code.starts_with("AuthFailure") => Standing::refused(code),
            Some(VendorError { code }) if code.starts_with("InternalError") => Standing::unclear(code),
            Some(VendorError { code }) => Standing::not_allowed(code),
        }
    }
}

impl Tencent {
    fn signed(&self, action: &str, body: Vec<u8>, stamp: &Stamp) -> OutgoingRequest {
        let (content_type, timestamp) = ("application/json", stamp.at.as_seconds());
        let signed = SignedParts { host: &self.host, content_type, timestamp, service: SERVICE, body: &body };
        let authorization = signed.authorization(&self.secret_id, &self.secret_key);
        let mut headers = vec![
            ("authorization", authorization),
            ("content-type", content_type.to_owned()),
            ("x-tc-action", action.to_owned()),
            ("x-tc-timestamp", timestamp.to_string()),
            ("x-tc-version", VERSION.to_owned()),
        ];
        if !self.region.is_empty() {
            headers.push(("x-tc-region", self.region.clone()));
        }
        OutgoingRequest { method: Method::POST, url: format!("{}/", self.url), headers, body }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    response: Response,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    #[serde(default)]
    send_status_set: Vec<SendStatus>,
    error: Option<VendorError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendStatus {
    serial_no: Option<String>,
    code: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VendorError {
    code: String,
}

/// What an error code means for the message. <https://cloud.tencent.com/document/api/382/52075>
fn meaning(code: &str) -> SendFailure {
    match code {
        // The number, or what would be said to it.
        "FailedOperation.PhoneNumberInBlacklist"
        | "FailedOperation.PhoneNumberParseFail"
        | "FailedOperation.ContainSensitiveWord"
        | "InvalidParameterValue.IncorrectPhoneNumber" => SendFailure::Refused,
        // Named limits, but about the account's settings.
        "LimitExceeded.AppCountryOrRegionInBlacklist" | "LimitExceeded.PhoneNumberCountLimit" => {
            SendFailure::Unavailable
        }
        _ if code.starts_with("LimitExceeded") || code.starts_with("RequestLimitExceeded") => SendFailure::Limited,
        // The request was not taken in.
        "InternalError.SigFieldMissing"
        | "InternalError.SigVerificationFail"
        | "InternalError.JsonParseFail"
        | "InternalError.RestApiInterfaceNotExist" => SendFailure::Unavailable,
        // A fault at Tencent's, after it had the message.
        _ if code.starts_with("InternalError") => SendFailure::Unknown,
        // The account, its signature, template or credentials: another provider can still serve.
        _ => SendFailure::Unavailable,
    }
}

/// What the signature covers: a `POST` to `/` without a query, with the headers `content-type` and `host`.
pub(crate) struct SignedParts<'a> {
    pub(crate) host: &'a str,
    pub(crate) content_type: &'a str,
    /// Seconds since the Unix epoch.
    pub(crate) timestamp: u64,
    pub(crate) service: &'a str,
    pub(crate) body: &'a [u8],
}

impl SignedParts<'_> {
    fn date(&self) -> String {
        let at = i64::try_from(self.timestamp).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
        at.unwrap_or_default().strftime("%Y-%m-%d").to_string()
    }

    pub(crate) fn signature(&self, secret: &Secret) -> String {
        let canonical = format!(
            "POST\n/\n\ncontent-type:{}\nhost:{}\n\ncontent-type;host\n{}",
            self.content_type,
            self.host,
            sha256_hex(self.body)
        );
        let (date, timestamp, service) = (self.date(), self.timestamp, self.service);
        let digest = sha256_hex(canonical.as_bytes());
        let to_sign = format!("{ALGORITHM}\n{timestamp}\n{date}/{service}/tc3_request\n{digest}");
        let key = [date.as_str(), service, "tc3_request"]
            .iter()
            .fold(format!("TC3{}", secret.expose()).into_bytes(), |key, part| hmac_sha256(&key, part.as_bytes()));
        HEXLOWER.encode(&hmac_sha256(&key, to_sign.as_bytes()))
    }

    fn authorization(&self, id: &str, secret: &Secret) -> String {
        let (date, service, signature) = (self.date(), self.service, self.signature(secret));
        format!(
            "{ALGORITHM} Credential={id}/{date}/{service}/tc3_request, SignedHeaders=content-type;host, \
             Signature={signature}"
        )
    }
}

#[cfg(test)]
mod tests {
    use mobile_bind_domain::Timestamp;
    use mobile_bind_domain::ports::{Content, SendFailure, TextMessage};

    use super::{SignedParts, Tencent};
    use crate::exchange::{Answer, Stamp, Vendor};
    use crate::secret::Secret;
    use crate::tests::{message, templates};

    fn tencent() -> Tencent {
        Tencent {
            url: "https://sms.tencentcloudapi.com".to_owned(),
            host: "sms.tencentcloudapi.com".to_owned(),
            secret_id: "id".to_owned(),
            secret_key: Secret::new("secret".to_owned()),
            region: "ap-guangzhou".to_owned(),
            app_id: "1400006666".to_owned(),
            sign_name: "腾讯云".to_owned(),
            templates: templates(&[("zh", "449739")]),
            parameters: vec!["{code}".to_owned(), "{minutes}".to_owned()],
            home: "86".to_owned(),
        }
    }

    /// The example of the signature's documentation.
    #[test]
    fn signs_the_documented_example() {
        let body = r#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}"#;
        let parts = SignedParts {
            host: "cvm.tencentcloudapi.com",
            content_type: "application/json; charset=utf-8",
            timestamp: 1_551_113_065,
            service: "cvm",
            body: body.as_bytes(),
        };
        let expected = "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168";
        let secret = Secret::new("Gu5t9xGARNpq86cd98joQYCN3EXAMPLE".to_owned());
        assert_eq!(parts.signature(&secret), expected);
    }

    #[test]
    fn the_request_says_what_the_vendor_asks_for() {
        let stamp = Stamp { at: Timestamp::from_seconds(1_551_113_065), nonce: String::new() };
        let request = tencent().request(&message("17602128368"), &stamp);
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let expected = serde_json::json!({
            "PhoneNumberSet": ["+8617602128368"], "SmsSdkAppId": "1400006666", "SignName": "腾讯云",
            "TemplateId": "449739", "TemplateParamSet": ["0944", "10"],
        });
        assert_eq!(body, expected);
        assert_eq!(
            (request.header("x-tc-timestamp"), request.header("x-tc-region")),
            (Some("1551113065"), Some("ap-guangzhou"))
        );
        let authorization = request.header("authorization").unwrap();
        assert!(
            authorization.starts_with("TC3-HMAC-SHA256 Credential=id/2019-02-25/sms/tc3_request, "),
            "{authorization}"
        );
    }

    #[test]
    fn a_message_without_a_code_fills_in_nothing() {
        let mut tencent = tencent();
        tencent.templates.0.insert("number_changed".to_owned(), [("zh".to_owned(), "9".to_owned())].into());
        let stamp = Stamp { at: Timestamp::from_seconds(1_551_113_065), nonce: String::new() };
        let changed = TextMessage { content: Content::NumberChanged, ..message("17602128368") };
        let body: serde_json::Value = serde_json::from_slice(&tencent.request(&changed, &stamp).body).unwrap();
        assert_eq!((&body["TemplateId"], &body["TemplateParamSet"]), (&"9".into(), &serde_json::json!([])));
    }

    #[test]
    fn answers_are_understood() {
        let read = |body: &str| tencent().read(&Answer { status: 200, body: body.into() });
        let status = |code: &str| {
            format!(
                r#"{{"Response":{{"SendStatusSet":[{{"SerialNo":"5000:1","PhoneNumber":"+8617602128368","Code":"{code}","Message":"m"}}],"RequestId":"r"}}}}"#
            )
        };
        assert_eq!(read(&status("Ok")).as_deref(), Ok("5000:1"));
        for (code, failure) in [
            ("FailedOperation.PhoneNumberInBlacklist", SendFailure::Refused),
            ("LimitExceeded.PhoneNumberThirtySecondLimit", SendFailure::Limited),
            ("LimitExceeded.PhoneNumberCountLimit", SendFailure::Unavailable),
            ("InternalError.Timeout", SendFailure::Unknown),
            ("InternalError.SigVerificationFail", SendFailure::Unavailable),
        ] {
            assert_eq!(read(&status(code)).unwrap_err().failure, failure, "{code}");
        }
        let error = r#"{"Response":{"Error":{"Code":"AuthFailure.SignatureFailure","Message":"m"},"RequestId":"r"}}"#;
        assert_eq!(read(error).unwrap_err().failure, SendFailure::Unavailable);
        assert_eq!(
            read(r#"{"Response":{"SendStatusSet":[],"RequestId":"r"}}"#).unwrap_err().failure,
            SendFailure::Unknown
        );
        assert_eq!(read("garbage").unwrap_err().failure, SendFailure::Unknown);
    }
}
