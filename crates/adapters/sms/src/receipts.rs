//! What became of a message, as vendors tell it later. Aliyun's and Tencent's calls carry no signature: whoever takes them must
//! know them by a secret path and by their addresses. A receipt may come late, twice, and in any order.

use data_encoding::BASE64;
use serde::Deserialize;

use crate::config::Kind;
use crate::secret::Secret;
use crate::signing::{hmac_sha1, same};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptState {
    /// The phone has it.
    Delivered,
    /// It will not get it.
    Failed,
    /// Not known yet.
    Pending,
}

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's id of the message.
    pub id: String,
    /// What became of it.
    pub state: ReceiptState,
    /// The network's error code; empty where there is none.
    pub error: String,
}

impl Receipt {
    /// The longest error code that is kept.
    const ERROR_CHARS: usize = 40;

    /// An error code is one word without many digits: free text might repeat the number.
    pub(crate) fn new(id: String, state: ReceiptState, error: &str) -> Self {
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
        let word: String = error.split_whitespace().next().unwrap_or_default().chars().filter(plain).collect();
        let is_code = word.len() <= Self::ERROR_CHARS && word.bytes().filter(u8::is_ascii_digit).count() < 7;
        Self { id, state, error: if is_code { word } else { String::new() } }
    }
}

/// The receipts in the body of a vendor's call; `None` where it is none, or the kind makes no such calls.
#[must_use]
pub fn read_receipts(kind: Kind, body: &[u8]) -> Option<Vec<Receipt>> {
    match kind {
        Kind::Aliyun => Some(read::<AliyunReceipt>(body)?.into_iter().map(AliyunReceipt::receipt).collect()),
        Kind::Tencent => Some(read::<TencentReceipt>(body)?.into_iter().map(TencentReceipt::receipt).collect()),
        Kind::Twilio => Some(vec![twilio(body)?]),
        Kind::Webhook | Kind::Smpp => None,
    }
}

/// What the vendor wants to hear, so that it does not call again.
#[must_use]
pub fn thanks(kind: Kind) -> &'static str {
    match kind {
        Kind::Aliyun => r#"{"code":0,"msg":"OK"}"#,
        Kind::Tencent => r#"{"result":0,"errmsg":"OK"}"#,
        Kind::Twilio | Kind::Webhook | Kind::Smpp => "",
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Option<Vec<T>> {
    serde_json::from_slice(body).ok()
}

/// <https://help.aliyun.com/zh/sms/developer-reference/smsreport-2>
#[derive(Deserialize)]
struct AliyunReceipt {
    biz_id: String,
    success: bool,
    #[serde(default)]
    err_code: String,
}

impl AliyunReceipt {
    fn receipt(self) -> Receipt {
        let state = if self.success { ReceiptState::Delivered } else { ReceiptState::Failed };
        Receipt::new(self.biz_id, state, if self.success { "" } else { &self.err_code })
    }
}

/// <https://cloud.tencent.com/document/product/382/52077>
#[derive(Deserialize)]
struct TencentReceipt {
    sid: String,
    report_status: String,
    #[serde(default)]
    errmsg: String,
}

impl TencentReceipt {
    fn receipt(self) -> Receipt {
        match self.report_status.as_str() {
            "SUCCESS" => Receipt::new(self.sid, ReceiptState::Delivered, ""),
            "FAIL" => Receipt::new(self.sid, ReceiptState::Failed, &self.errmsg),
            _ => Receipt::new(self.sid, ReceiptState::Pending, ""),
        }
    }
}

/// <https://www.twilio.com/docs/messaging/guides/track-outbound-message-status>
fn twilio(body: &[u8]) -> Option<Receipt> {
    let field = |name: &str| {
        let mut fields = form_urlencoded::parse(body);
        fields.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    };
    let state = match field("MessageStatus")?.as_str() {
        "delivered" | "read" => ReceiptState::Delivered,
        "undelivered" | "failed" | "canceled" => ReceiptState::Failed,
        _ => ReceiptState::Pending,
    };
    Some(Receipt::new(field("MessageSid")?, state, &field("ErrorCode").unwrap_or_default()))
}

/// Whether a call is Twilio's: its header `X-Twilio-Signature` over the URL that it was told to call and the form that it
/// sent. <https://www.twilio.com/docs/usage/security#validating-requests>
#[must_use]
pub fn is_twilios(auth_token: &Secret, url: &str, form: &[u8], signature: &str) -> bool {
    let mut fields: Vec<_> = form_urlencoded::parse(form).collect();
    fields.sort();
    let signed = fields.iter().fold(url.to_owned(), |signed, (name, value)| signed + name + value);
    same(&BASE64.encode(&hmac_sha1(auth_token.expose().as_bytes(), signed.as_bytes())), signature)
}

#[cfg(test)]
mod tests {
    use super::{Receipt, ReceiptState, is_twilios, read_receipts};
    use crate::config::Kind;
    use crate::secret::Secret;

    fn receipt(id: &str, state: ReceiptState, error: &str) -> Receipt {
        Receipt { id: id.to_owned(), state, error: error.to_owned() }
    }

    #[test]
    fn each_vendors_receipts_are_read() {
        let aliyun = r#"[{"phone_number":"13900000001","send_time":"2017-01-01 11:12:13","report_time":"2017-02-02 22:23:24",
            "success":true,"err_code":"DELIVERED","err_msg":"用户接收成功","sms_size":"1","biz_id":"B1","out_id":"67890"},
            {"phone_number":"13900000002","success":false,"err_code":"MK:0015","biz_id":"B2"}]"#;
        let expected = vec![receipt("B1", ReceiptState::Delivered, ""), receipt("B2", ReceiptState::Failed, "MK:0015")];
        assert_eq!(read_receipts(Kind::Aliyun, aliyun.as_bytes()), Some(expected));
        let tencent = r#"[{"user_receive_time":"2015-10-17 08:03:04","nationcode":"86","mobile":"13900000001",
            "report_status":"SUCCESS","errmsg":"DELIVRD","description":"用户短信送达成功","sid":"S1"},
            {"nationcode":"86","mobile":"13900000002","report_status":"FAIL","errmsg":"UNDELIV 13900000002","sid":"S2"}]"#;
        let read = read_receipts(Kind::Tencent, tencent.as_bytes()).unwrap();
        assert_eq!(read[0], receipt("S1", ReceiptState::Delivered, ""));
        assert_eq!(read[1], receipt("S2", ReceiptState::Failed, "UNDELIV"));
        assert_eq!(Receipt::new(String::new(), ReceiptState::Failed, "to:13900000002").error, "");
        for (status, state) in [
            ("queued", ReceiptState::Pending),
            ("sent", ReceiptState::Pending),
            ("delivered", ReceiptState::Delivered),
            ("undelivered", ReceiptState::Failed),
        ] {
            let form = format!("MessageSid=SM1&MessageStatus={status}&To=%2B8613900000001");
            assert_eq!(read_receipts(Kind::Twilio, form.as_bytes()), Some(vec![receipt("SM1", state, "")]));
        }
        for kind in [Kind::Aliyun, Kind::Tencent, Kind::Twilio] {
            assert_eq!(read_receipts(kind, b"garbage"), None, "{kind:?}");
        }
    }

    /// The example of the vendor's documentation.
    #[test]
    fn twilios_documented_signature_fits() {
        let token = Secret::new("12345".to_owned());
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let form = b"CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
        let signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
        assert!(is_twilios(&token, url, form, signature));
        assert!(!is_twilios(&Secret::new("12346".to_owned()), url, form, signature));
        assert!(!is_twilios(&token, "https://mycompany.com/myapp.php", form, signature));
        assert!(!is_twilios(&token, url, b"CallSid=CA1", signature));
    }
}
