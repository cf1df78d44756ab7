//! Captchas: Cloudflare Turnstile and hCaptcha, which are asked alike, and a fake for development.

mod fake;
mod site_verify;

pub use fake::FakeCaptcha;
pub use site_verify::{Provider, SiteVerify, SiteVerifyError};
