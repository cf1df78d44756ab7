//! A captcha without a riddle, for development and tests.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use mobile_bind_domain::AddressBlock;
use mobile_bind_domain::ports::{Captcha, CaptchaResponse, CaptchaUnavailable};

/// Takes each response that begins with `pass` once, answers nothing to `away`, and refuses all others.
#[derive(Debug, Default)]
pub struct FakeCaptcha(Mutex<HashSet<String>>);

#[async_trait]
impl Captcha for FakeCaptcha {
    async fn verify(&self, response: &CaptchaResponse, _: AddressBlock) -> Result<bool, CaptchaUnavailable> {
        match response.expose() {
            "away" => Err(CaptchaUnavailable),
            text if text.starts_with("pass") => {
                Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned()))
            }
            _ => Ok(false),
        }
    }
}
