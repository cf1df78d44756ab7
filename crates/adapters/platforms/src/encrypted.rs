//! What platforms encrypt for their apps with the session key of a log-in: AES-CBC with PKCS #7 padding.
//!
//! There is no MAC, so that whoever can change a text on its way changes the number in it at the price of a garbled block. So
//! everything in it must be well-formed JSON, and both forms of the number must agree. All that is wrong with a text is told
//! in the same way.

use aws_lc_rs::cipher::{AES_128, AES_192, Algorithm, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use data_encoding::BASE64;
use mobile_bind_domain::Timestamp;
use mobile_bind_domain::ports::VouchedNumber;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

/// How much is decrypted; platforms' texts have a few hundred bytes.
const LIMIT: usize = 4096;

fn decrypted(algorithm: &'static Algorithm, key: &str, iv: &str, data: &str) -> Option<Zeroizing<Vec<u8>>> {
    if data.len() > LIMIT {
        return None;
    }
    let key = Zeroizing::new(BASE64.decode(key.as_bytes()).ok()?);
    let iv: [u8; 16] = BASE64.decode(iv.as_bytes()).ok()?.try_into().ok()?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(algorithm, &key).ok()?).ok()?;
    let mut text = Zeroizing::new(BASE64.decode(data.as_bytes()).ok()?);
    let plain = key.decrypt(&mut text, DecryptionContext::Iv128(FixedLength::from(iv))).ok()?;
    Some(Zeroizing::new(plain.to_vec()))
}

/// A phone number with its watermark: weixin, qq, toutiao; weixin's answer to a `code` has it as well.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PhoneInfo {
    phone_number: String,
    pure_phone_number: String,
    country_code: Value,
    watermark: Watermark,
}

#[derive(Deserialize)]
struct Watermark {
    timestamp: u64,
    appid: String,
}

impl PhoneInfo {
    /// The number, where it is for that app.
    pub(crate) fn vouched(self, app_id: &str) -> Option<VouchedNumber> {
        let country = match self.country_code {
            Value::String(code) => code,
            Value::Number(code) => code.to_string(),
            _ => return None,
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let agree = self.phone_number.ends_with(&self.pure_phone_number);
        let sound = agree && digits(&country) && digits(&self.pure_phone_number) && self.watermark.appid == app_id;
        sound.then(|| VouchedNumber {
            country,
            national: self.pure_phone_number,
            vouched_at: Some(Timestamp::from_seconds(self.watermark.timestamp)),
            occasion: self.watermark.timestamp.to_be_bytes().to_vec(),
        })
    }
}

/// The number in a text of weixin, qq or toutiao.
pub(crate) fn number(session_key: &str, iv: &str, data: &str, app_id: &str) -> Option<VouchedNumber> {
    let plain = decrypted(&AES_128, session_key, iv, data)?;
    serde_json::from_slice::<PhoneInfo>(&plain).ok()?.vouched(app_id)
}

#[derive(Deserialize)]
struct BaiduPhone {
    mobile: String,
}

/// The number in a text of baidu: 16 random bytes, the length of the JSON (4 bytes, big-endian), the JSON, and the AppKey.
/// The initialisation vector and the first block say nothing, so what follows tells one occasion from another.
pub(crate) fn baidu_number(session_key: &str, iv: &str, data: &str, app_key: &str) -> Option<VouchedNumber> {
    let plain = decrypted(&AES_192, session_key, iv, data)?;
    let (&length, rest) = plain.get(16..)?.split_first_chunk::<4>()?;
    let (json, key) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(length)).ok()?)?;
    if key != app_key.as_bytes() {
        return None;
    }
    let BaiduPhone { mobile } = serde_json::from_slice(json).ok()?;
    let digits = !mobile.is_empty() && mobile.bytes().all(|byte| byte.is_ascii_digit());
    let occasion = BASE64.decode(data.as_bytes()).ok()?;
    digits.then(|| VouchedNumber { country: "86".to_owned(), national: mobile, vouched_at: None, occasion })
}
