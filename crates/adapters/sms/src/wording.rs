//! What a message says.

use mobile_bind_domain::Language;
use mobile_bind_domain::ports::TextMessage;

/// The text of a message in its language. Lifetimes are told in whole minutes.
pub(crate) fn text(message: &TextMessage) -> String {
    let code = message.code.digits();
    let minutes = message.lifetime.as_secs().div_ceil(60);
    match message.language {
        Language::Zh => format!("您的验证码是 {code}，{minutes} 分钟内有效，请勿告诉他人。"),
        Language::Cht => format!("您的驗證碼是 {code}，{minutes} 分鐘內有效，請勿告訴他人。"),
        Language::En => format!("Your verification code is {code}. It expires in {minutes} min. Never share it."),
        Language::Spa => {
            format!("Su código de verificación es {code}. Caduca en {minutes} min. No lo comparta con nadie.")
        }
    }
}
