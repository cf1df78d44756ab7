//! Aliyun SMS: `SendSms` of dysmsapi `2017-05-25`, signed by ACS3-HMAC-SHA256.
//! <https://help.aliyun.com/zh/sms/developer-reference/api-dysmsapi-2017-05-25-sendsms>,
//! <https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature>

use data_encoding::HEXLOWER;
use mobile_bind_domain::ports::{SendFailure, TextMessage};
use reqwest::Method;
use serde::Deserialize;

use crate::exchange::{Answer, Fault, OutgoingRequest, Stamp, Standing, Vendor};
use crate::number::international;
use crate::secret::Secret;
use crate::signing::{hmac_sha256, percent_encoded, sha256_hex};
use crate::wording::{Templates, filled, parameters};

/// Where the API is.
pub(crate) const URL: &str = "https://dysmsapi.aliyuncs.com";
/// The API's version.
pub(crate) const VERSION: &str = "2017-05-25";
/// The call that lists the account's signatures.
pub(crate) const INQUIRY: &str = "QuerySmsSignList";
/// The name of the signature.
pub(crate) const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// An account at Aliyun, and what it may send.
pub(crate) struct Aliyun {
    /// Without a path.
    pub(crate) url: String,
    /// The host, and the port where it is not the scheme's own.
    pub(crate) host: String,
    pub(crate) access_key_id: String,
    pub(crate) access_key_secret: Secret,
    pub(crate) sign_name: String,
    pub(crate) templates: Templates,
    /// The template's variables and what is put in them.
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) home: String,
}

impl Vendor for Aliyun {
    fn request(&self, message: &TextMessage, stamp: &Stamp) -> OutgoingRequest {
        let number = international(&message.mobile, &self.home);
        // Numbers of the mainland go without their calling code, all others with it.
        let number = number.strip_prefix("86").map_or(number.clone(), str::to_owned);
        let parameters = parameters(&self.parameters, message).iter();
        let parameters: serde_json::Map<_, _> =
            parameters.map(|(name, value)| (name.clone(), filled(value, message).into())).collect();
        let template = self.templates.find(message.content.purpose(), message.language).unwrap_or_default();
        let parameters = serde_json::Value::Object(parameters).to_string();
        self.signed(
            "SendSms",
            &[
                ("PhoneNumbers", number.as_str()),
                ("SignName", &self.sign_name),
                ("TemplateCode", template),
                ("TemplateParam", &parameters),
            ],
            stamp,
        )
    }

    fn read(&self, answer: &Answer) -> Result<String, Fault> {
        let Some(body) = answer.json::<Body>() else { return Err(answer.unreadable()) };
        match body.code.as_str() {
            "OK" => Ok(body.biz_id.unwrap_or_default()),
            code => Err(Fault::new(meaning(code), code)),
        }
    }

    /// <https://help.aliyun.com/zh/sms/developer-reference/api-dysmsapi-2017-05-25-querysmssignlist>
    fn inquiry(&self, stamp: &Stamp) -> OutgoingRequest {
        self.signed(INQUIRY, &[("PageIndex", "1"), ("PageSize", "1")], stamp)
    }

    /// The gateway looks at the signature first: whatever else it says, it knows the account.
    /// <https://api.aliyun.com/document/Dysmsapi/2017-05-25/errorCode>
    fn standing(&self, answer: &Answer) -> Standing {
        let Some(Body { code, .. }) = answer.json() else { return Standing::Unclear(answer.unreadable().code) };
        let is_of_the_secret =
            ["InvalidAccessKeyId", "SignatureDoesNotMatch", "IncompleteSignature", "InvalidTimeStamp"];
        match code.as_str() {
            "OK" => Standing::Known,
            _ if is_of_the_secret.iter().any(|begin| code.starts_with(begin)) => Standing::refused(code),
            _ if answer.status >= 500 => Standing::unclear(code),
            _ => Standing::not_allowed(code),
        }
    }
}

impl Aliyun {
    /// A call with these parameters, which are sorted by name, as the signature wants them.
    fn signed(&self, action: &str, parameters: &[(&str, &str)], stamp: &Stamp) -> OutgoingRequest {
        let encoded = parameters.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value)));
        let query = encoded.collect::<Vec<_>>().join("&");
        let date = i64::try_from(stamp.at.as_seconds()).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
        let mut headers = vec![
            ("x-acs-action", action.to_owned()),
            ("x-acs-content-sha256", sha256_hex(b"")),
            ("x-acs-date", date.unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            ("x-acs-signature-nonce", stamp.nonce.clone()),
            ("x-acs-version", VERSION.to_owned()),
        ];
        let mut signed: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        signed.insert(0, ("host", &self.host));
        let request = SignedParts { method: "POST", path: "/", query: &query, headers: &signed, body: b"" };
        let authorization = request.authorization(&self.access_key_id, &self.access_key_secret);
        headers.push(("authorization", authorization));
        OutgoingRequest { method: Method::POST, url: format!("{}/?{query}", self.url), headers, body: Vec::new() }
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "Code")]
    code: String,
    #[serde(rename = "BizId")]
    biz_id: Option<String>,
}

/// What an error code means for the message.
/// <https://help.aliyun.com/zh/sms/developer-reference/api-error-codes>
fn meaning(code: &str) -> SendFailure {
    match code {
        // The number, or what would be said to it.
        "isv.MOBILE_NUMBER_ILLEGAL" | "isv.PHONE_NUMBER_ILLEGAL" | "isv.BLACK_KEY_CONTROL_LIMIT" => {
            SendFailure::Refused
        }
        "isv.DAY_LIMIT_CONTROL" | "isv.MONTH_LIMIT_CONTROL" => SendFailure::Limited,
        _ if code.starts_with("isv.BUSINESS_LIMIT") || code.starts_with("BUSINESS_LIMIT") => SendFailure::Limited,
        _ if code.starts_with("Throttling") => SendFailure::Limited,
        // A fault at Aliyun's, after it had the message.
        "isp.SYSTEM_ERROR" | "isp.GATEWAY_ERROR" | "isp.UNKNOWN" | "InternalError" => SendFailure::Unknown,
        // The account, its signature, template or credentials: another provider can still serve.
        _ => SendFailure::Unavailable,
    }
}

/// What the signature covers.
pub(crate) struct SignedParts<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// Sorted and encoded.
    pub(crate) query: &'a str,
    /// Names in lower case, sorted.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

impl SignedParts<'_> {
    fn signed_headers(&self) -> String {
        self.headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";")
    }

    pub(crate) fn signature(&self, secret: &Secret) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let canonical = format!(
            "{}\n{}\n{}\n{headers}\n{}\n{}",
            self.method,
            self.path,
            self.query,
            self.signed_headers(),
            sha256_hex(self.body)
        );
        let to_sign = format!("{ALGORITHM}\n{}", sha256_hex(canonical.as_bytes()));
        HEXLOWER.encode(&hmac_sha256(secret.expose().as_bytes(), to_sign.as_bytes()))
    }

    fn authorization(&self, id: &str, secret: &Secret) -> String {
        let (headers, signature) = (self.signed_headers(), self.signature(secret));
        format!("{ALGORITHM} Credential={id},SignedHeaders={headers},Signature={signature}")
    }
}

#[cfg(test)]
mod tests {
    use mobile_bind_domain::Timestamp;
    use mobile_bind_domain::ports::{Content, SendFailure, TextMessage};

    use super::{Aliyun, SignedParts, VERSION};
    use crate::exchange::{Answer, Stamp, Vendor};
    use crate::secret::Secret;
    use crate::tests::{message, templates};

    fn aliyun() -> Aliyun {
        Aliyun {
            url: "https://dysmsapi.aliyuncs.com".to_owned(),
            host: "dysmsapi.aliyuncs.com".to_owned(),
            access_key_id: "id".to_owned(),
            access_key_secret: Secret::new("secret".to_owned()),
            sign_name: "阿里云".to_owned(),
            templates: templates(&[("zh", "SMS_1"), ("en", "SMS_2")]),
            parameters: vec![("code".to_owned(), "{code}".to_owned())],
            home: "86".to_owned(),
        }
    }

    /// The example of the signature's documentation.
    #[test]
    fn signs_the_documented_example() {
        let headers = [
            ("host", "ecs.cn-shanghai.aliyuncs.com"),
            ("x-acs-action", "RunInstances"),
            ("x-acs-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("x-acs-date", "2023-10-26T10:22:32Z"),
            ("x-acs-signature-nonce", "3156853299f313e23d1673dc12e1703d"),
            ("x-acs-version", "2014-05-26"),
        ];
        let query = "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai";
        let request = SignedParts { method: "POST", path: "/", query, headers: &headers, body: b"" };
        let secret = Secret::new("YourAccessKeySecret".to_owned());
        let expected = "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0";
        assert_eq!(request.signature(&secret), expected);
    }

    #[test]
    fn the_request_says_what_the_vendor_asks_for() {
        let stamp = Stamp { at: Timestamp::from_seconds(1_700_000_000), nonce: "n".to_owned() };
        let request = aliyun().request(&message("17602128368"), &stamp);
        let expected = "https://dysmsapi.aliyuncs.com/?PhoneNumbers=17602128368&SignName=%E9%98%BF%E9%87%8C%E4%BA%91\
                        &TemplateCode=SMS_2&TemplateParam=%7B%22code%22%3A%220944%22%7D";
        assert_eq!(request.url, expected);
        assert_eq!(request.header("x-acs-date"), Some("2023-11-14T22:13:20Z"));
        assert_eq!(request.header("x-acs-version"), Some(VERSION));
        let authorization = request.header("authorization").unwrap();
        let signed = "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version";
        assert!(authorization.contains(&format!("Credential=id,SignedHeaders={signed},Signature=")), "{authorization}");
        assert!(!authorization.contains("secret"));
        let abroad = aliyun().request(&message("+85261234567"), &stamp);
        assert!(abroad.url.contains("PhoneNumbers=85261234567&"));
    }

    #[test]
    fn a_message_without_a_code_fills_in_nothing() {
        let mut aliyun = aliyun();
        aliyun.templates.0.insert("number_changed".to_owned(), [("zh".to_owned(), "SMS_9".to_owned())].into());
        let stamp = Stamp { at: Timestamp::from_seconds(1_700_000_000), nonce: "n".to_owned() };
        let changed = TextMessage { content: Content::NumberChanged, ..message("17602128368") };
        let request = aliyun.request(&changed, &stamp);
        assert!(request.url.ends_with("&TemplateCode=SMS_9&TemplateParam=%7B%7D"), "{}", request.url);
    }

    #[test]
    fn answers_are_understood() {
        let read = |status, body: &str| aliyun().read(&Answer { status, body: body.into() });
        let accepted = r#"{"Message":"OK","RequestId":"R","Code":"OK","BizId":"900619746936498440^0"}"#;
        assert_eq!(read(200, accepted).as_deref(), Ok("900619746936498440^0"));
        for (code, failure) in [
            ("isv.MOBILE_NUMBER_ILLEGAL", SendFailure::Refused),
            ("isv.BUSINESS_LIMIT_CONTROL", SendFailure::Limited),
            ("isv.DAY_LIMIT_CONTROL", SendFailure::Limited),
            ("Throttling.User", SendFailure::Limited),
            ("isv.AMOUNT_NOT_ENOUGH", SendFailure::Unavailable),
            ("SignatureDoesNotMatch", SendFailure::Unavailable),
            ("isp.SYSTEM_ERROR", SendFailure::Unknown),
        ] {
            let fault =
                read(200, &format!(r#"{{"Message":"给 17602128368","RequestId":"R","Code":"{code}"}}"#)).unwrap_err();
            assert_eq!((fault.failure, fault.code.as_str()), (failure, code));
        }
        assert_eq!(read(200, "<html>").unwrap_err().failure, SendFailure::Unknown);
    }
}
