//! A fake of Aliyun SMS.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use mobile_bind_domain::Timestamp;
use serde_json::json;

use super::{Part, Received, Reply, Taken, apart, field, fields};
use crate::secret::Secret;
use crate::signing::{percent_encoded, same, sha256_hex};
use crate::vendors::aliyun::{ALGORITHM, INQUIRY, SignedParts, VERSION};

/// <https://help.aliyun.com/zh/sms/developer-reference/api-error-codes> and the gateway's own.
pub(super) const ERRORS: &[&str] = &[
    "isv.ACCOUNT_ABNORMAL",
    "isv.ACCOUNT_NOT_EXISTS",
    "isv.AMOUNT_NOT_ENOUGH",
    "isv.BLACK_KEY_CONTROL_LIMIT",
    "isv.BUSINESS_LIMIT_CONTROL",
    "isv.DAY_LIMIT_CONTROL",
    "isv.DENY_IP_RANGE",
    "isv.INVALID_JSON_PARAM",
    "isv.INVALID_PARAMETERS",
    "isv.MOBILE_COUNT_OVER_LIMIT",
    "isv.MOBILE_NUMBER_ILLEGAL",
    "isv.MONTH_LIMIT_CONTROL",
    "isv.OUT_OF_SERVICE",
    "isv.PARAM_LENGTH_LIMIT",
    "isv.PARAM_NOT_SUPPORT_URL",
    "isv.PRODUCT_UN_SUBSCRIPT",
    "isv.SMS_SIGNATURE_ILLEGAL",
    "isv.SMS_TEMPLATE_ILLEGAL",
    "isv.TEMPLATE_MISSING_PARAMETERS",
    "isv.UNSUPPORTED_CONTENT",
    "isp.RAM_PERMISSION_DENY",
    "isp.SYSTEM_ERROR",
    "InternalError",
    "InvalidAccessKeyId.NotFound",
    "InvalidTimeStamp.Expired",
    "MissingParameter",
    "SignatureDoesNotMatch",
    "SignatureNonceUsed",
    "Throttling.User",
];

/// How far clocks may differ: fifteen minutes.
const SKEW_MS: u64 = 15 * 60 * 1000;
/// How many nonces are remembered.
const NONCES: usize = 10_000;

pub(super) struct FakeAliyun {
    id: String,
    secret: Secret,
    nonces: Mutex<(HashSet<String>, VecDeque<String>)>,
}

impl FakeAliyun {
    pub(super) fn new(id: String, secret: Secret) -> Self {
        Self { id, secret, nonces: Mutex::default() }
    }

    fn authenticate(&self, request: &Received, now: Timestamp) -> Result<(), &'static str> {
        let authorization = request.header("authorization");
        let parts = authorization.strip_prefix(ALGORITHM).ok_or("IncompleteSignature")?;
        let part = |name: &str| parts.split(',').find_map(|part| part.trim().strip_prefix(name)).unwrap_or_default();
        if part("Credential=") != self.id {
            return Err("InvalidAccessKeyId.NotFound");
        }
        let names: Vec<&str> = part("SignedHeaders=").split(';').collect();
        let needed =
            ["host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"];
        let sent = request.headers.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("x-acs-"));
        if !needed.into_iter().chain(sent).all(|name| names.contains(&name)) || !names.is_sorted() {
            return Err("SignatureDoesNotMatch");
        }
        let headers: Vec<_> = names.iter().map(|name| (*name, request.header(name))).collect();
        let mut pairs: Vec<_> = form_urlencoded::parse(request.query.as_bytes()).collect();
        pairs.sort();
        let encoded = |(name, value): &(_, _)| {
            let (name, value): (&std::borrow::Cow<'_, str>, &std::borrow::Cow<'_, str>) = (name, value);
            format!("{}={}", percent_encoded(name), percent_encoded(value))
        };
        let query = pairs.iter().map(encoded).collect::<Vec<_>>().join("&");
        let signed = SignedParts {
            method: &request.method,
            path: &request.path,
            query: &query,
            headers: &headers,
            body: &request.body,
        };
        let digest_fits = request.header("x-acs-content-sha256") == sha256_hex(&request.body);
        if !digest_fits || !same(&signed.signature(&self.secret), part("Signature=")) {
            return Err("SignatureDoesNotMatch");
        }
        let date = request.header("x-acs-date").parse::<jiff::Timestamp>().map_err(|_| "InvalidTimeStamp.Format")?;
        let told = Timestamp::from_millis(u64::try_from(date.as_millisecond()).unwrap_or_default());
        if apart(now, told) > SKEW_MS {
            return Err("InvalidTimeStamp.Expired");
        }
        if self.is_used(request.header("x-acs-signature-nonce")) { Err("SignatureNonceUsed") } else { Ok(()) }
    }

    fn is_used(&self, nonce: &str) -> bool {
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, order) = &mut *nonces;
        if !known.insert(nonce.to_owned()) {
            return true;
        }
        order.push_back(nonce.to_owned());
        if order.len() > NONCES
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
        false
    }
}

impl Part for FakeAliyun {
    fn inquired(&self, request: &Received, now: Timestamp) -> Option<Reply> {
        if request.header("x-acs-action") != INQUIRY {
            return None;
        }
        let known =
            || Reply { status: 200, body: json!({"Code": "OK", "SmsSignList": [], "RequestId": "fake"}).to_string() };
        Some(self.authenticate(request, now).map_or_else(|code| self.error(code), |()| known()))
    }

    fn take(&self, request: &Received, now: Timestamp) -> Result<Taken, &'static str> {
        self.authenticate(request, now)?;
        if request.header("x-acs-action") != "SendSms" || request.header("x-acs-version") != VERSION {
            return Err("InvalidAction.NotFound");
        }
        let mut all = fields(request.query.as_bytes());
        all.extend(fields(&request.body));
        let to = field(&all, "PhoneNumbers").ok_or("isv.MOBILE_NUMBER_ILLEGAL")?;
        let sign_name = field(&all, "SignName").ok_or("isv.SMS_SIGNATURE_ILLEGAL")?;
        let template = field(&all, "TemplateCode").ok_or("isv.SMS_TEMPLATE_ILLEGAL")?;
        let parameters = field(&all, "TemplateParam").unwrap_or("{}");
        let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(parameters);
        is_object.map_err(|_| "isv.INVALID_JSON_PARAM")?;
        if !to.trim_start_matches('+').bytes().all(|digit| digit.is_ascii_digit()) {
            return Err("isv.MOBILE_NUMBER_ILLEGAL");
        }
        Ok(Taken { to: to.to_owned(), what: format!("[{sign_name}] {template} {parameters}") })
    }

    fn accepted(&self, id: &str, _: &Taken) -> Reply {
        let body = json!({"Code": "OK", "Message": "OK", "RequestId": "fake", "BizId": id});
        Reply { status: 200, body: body.to_string() }
    }

    fn error(&self, code: &str) -> Reply {
        // The product's own errors come with 200, the gateway's with a status.
        let status = match code {
            "InternalError" => 500,
            "InvalidAccessKeyId.NotFound" | "InvalidAction.NotFound" => 404,
            _ if code.starts_with("isv.") || code.starts_with("isp.") => 200,
            _ => 400,
        };
        let body = json!({"Code": code, "Message": "an inner text that clients must not see", "RequestId": "fake"});
        Reply { status, body: body.to_string() }
    }
}
