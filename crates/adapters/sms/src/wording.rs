//! What a message says.

use std::collections::BTreeMap;

use mobile_bind_domain::Language;
use mobile_bind_domain::ports::{Content, Purpose, TextMessage};

/// The name of a language, as settings have it.
pub(crate) fn language_name(language: Language) -> &'static str {
    match language {
        Language::Zh => "zh",
        Language::En => "en",
        Language::Cht => "cht",
        Language::Spa => "spa",
    }
}

/// The languages that a template may be in.
pub(crate) const LANGUAGES: [&str; 4] = ["zh", "en", "cht", "spa"];

/// Lifetimes are told in whole minutes.
fn minutes(message: &TextMessage) -> String {
    message.lifetime.as_secs().div_ceil(60).to_string()
}

/// Puts the message's own values in the places `{code}` and `{minutes}`, which one without a code has not.
pub(crate) fn filled(template: &str, message: &TextMessage) -> String {
    match message.content.code() {
        Some(code) => template.replace("{minutes}", &minutes(message)).replace("{code}", code.digits()),
        None => template.to_owned(),
    }
}

/// The parameters of a message's approved template. One without a code has none.
pub(crate) fn parameters<'a, T>(all: &'a [T], message: &TextMessage) -> &'a [T] {
    if message.content.code().is_some() { all } else { &[] }
}

/// The text of a message in its language, where the operator has none.
pub(crate) fn text(message: &TextMessage) -> String {
    filled(built_in(&message.content, message.language), message)
}

fn built_in(content: &Content, language: Language) -> &'static str {
    match (content, language) {
        (Content::Code(_), Language::Zh) => "您的验证码是 {code}，{minutes} 分钟内有效，请勿告诉他人。",
        (Content::Code(_), Language::Cht) => "您的驗證碼是 {code}，{minutes} 分鐘內有效，請勿告訴他人。",
        (Content::Code(_), Language::En) => {
            "Your verification code is {code}. It expires in {minutes} min. Never share it."
        }
        (Content::Code(_), Language::Spa) => {
            "Su código de verificación es {code}. Caduca en {minutes} min. No lo comparta con nadie."
        }
        (Content::NumberChanged, Language::Zh) => "您的帐号已改绑其他手机号码。如非本人操作，请立即联系我们。",
        (Content::NumberChanged, Language::Cht) => "您的帳號已改綁其他手機號碼。如非本人操作，請立即聯絡我們。",
        (Content::NumberChanged, Language::En) => {
            "Your account now has another mobile number. If you did not change it, contact us at once."
        }
        (Content::NumberChanged, Language::Spa) => {
            "Su cuenta tiene ahora otro número de móvil. Si no lo ha cambiado usted, contáctenos de inmediato."
        }
    }
}

/// Templates by purpose and language: texts, or the vendor's ids of approved ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Templates(pub(crate) BTreeMap<String, BTreeMap<String, String>>);

impl Templates {
    /// The template for a message: in its language, else in Chinese, else in whatever there is.
    pub(crate) fn find(&self, purpose: Purpose, language: Language) -> Option<&str> {
        let of_purpose = self.0.get(purpose.name())?;
        let own = of_purpose.get(language_name(language));
        own.or_else(|| of_purpose.get("zh")).or_else(|| of_purpose.values().next()).map(String::as_str)
    }
}

/// How a vendor that takes any text is told what to send.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    pub(crate) templates: Templates,
    /// The site that a browser may fill the code in at; empty for none.
    pub(crate) domain: String,
}

impl Texts {
    /// The whole text. Its last line binds the code to the site, as
    /// <https://wicg.github.io/sms-one-time-codes/> has it.
    pub(crate) fn text(&self, message: &TextMessage) -> String {
        let of_operator = self.templates.0.get(message.content.purpose().name());
        let template = of_operator.and_then(|texts| texts.get(language_name(message.language)));
        let text = template.map_or_else(|| text(message), |template| filled(template, message));
        match (self.domain.as_str(), message.content.code()) {
            ("", _) | (_, None) => text,
            (domain, Some(code)) => format!("{text}\n\n@{domain} #{}", code.digits()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Templates, Texts, text};
    use crate::tests::{message, templates};
    use mobile_bind_domain::Language;
    use mobile_bind_domain::ports::{Content, Purpose, TextMessage};

    #[test]
    fn every_language_tells_code_and_lifetime() {
        for language in Language::ALL {
            let told = text(&TextMessage { language, ..message("13800138000") });
            assert!(told.contains("0944") && told.contains("10") && !told.contains('{'), "{told}");
        }
    }

    #[test]
    fn every_language_tells_of_a_number_that_changed_without_a_code() {
        for language in Language::ALL {
            let changed = TextMessage { language, content: Content::NumberChanged, ..message("13800138000") };
            let texts = Texts { templates: Templates::default(), domain: "shop.example".to_owned() };
            let told = texts.text(&changed);
            assert!(!told.contains(|c: char| c.is_ascii_digit() || c == '{' || c == '@'), "{told}");
        }
    }

    #[test]
    fn a_template_is_in_the_language_or_in_chinese_or_in_any() {
        let find = |templates: &Templates, language| templates.find(Purpose::Bind, language).map(str::to_owned);
        let two = templates(&[("zh", "Z"), ("en", "E")]);
        assert_eq!(find(&two, Language::En).as_deref(), Some("E"));
        assert_eq!(find(&two, Language::Spa).as_deref(), Some("Z"));
        assert_eq!(find(&templates(&[("en", "E")]), Language::Zh).as_deref(), Some("E"));
        assert_eq!(find(&Templates::default(), Language::Zh), None);
    }

    #[test]
    fn a_text_may_end_in_the_domain_that_it_is_for() {
        let texts =
            Texts { templates: templates(&[("en", "{code}, {minutes} min")]), domain: "shop.example".to_owned() };
        assert_eq!(texts.text(&message("13800138000")), "0944, 10 min\n\n@shop.example #0944");
    }
}
