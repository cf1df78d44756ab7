//! Which language to answer in.

use std::cmp::Ordering;

use mobile_bind_domain::Language;

use crate::parameters::{Parameter, Parameters};

/// The language of a request with that query.
pub(crate) fn of(query: &str, accept_language: Option<&str>) -> Language {
    negotiate(Parameters::of_query(query).text(Parameter::Lang), accept_language)
}

/// The language of a request: its `lang` parameter, else the best of its `Accept-Language` (RFC 9110, section 12.5.4),
/// else simplified Chinese.
pub(crate) fn negotiate(lang: &str, accept_language: Option<&str>) -> Language {
    let accepted = || accept_language.and_then(preferred);
    named(lang).or_else(accepted).unwrap_or_default()
}

/// Reads ShopXO's names, `zh`, `en`, `cht` and `spa`, and language tags (RFC 5646), whatever their letter case.
fn named(tag: &str) -> Option<Language> {
    let mut subtags = tag.trim().split(['-', '_']);
    let primary = subtags.next()?;
    let is = |name: &str| primary.eq_ignore_ascii_case(name);
    if is("zh") {
        return Some(chinese(subtags));
    }
    match () {
        () if is("en") => Some(Language::En),
        () if is("cht") => Some(Language::Cht),
        () if is("es") || is("spa") => Some(Language::Spa),
        () => None,
    }
}

/// A script says which Chinese it is; without one, the region does.
fn chinese<'a>(subtags: impl Iterator<Item = &'a str>) -> Language {
    let mut by_region = Language::Zh;
    for subtag in subtags {
        match subtag.to_ascii_lowercase().as_str() {
            "hans" => return Language::Zh,
            "hant" => return Language::Cht,
            "tw" | "hk" | "mo" => by_region = Language::Cht,
            _ => {}
        }
    }
    by_region
}

/// The language of the highest weight, the first of equals; a weight of 0 excludes.
fn preferred(accept_language: &str) -> Option<Language> {
    let weighted = accept_language.split(',').filter_map(|range| {
        let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
        let weight = weight(parameters)?;
        let language = if tag.trim() == "*" { Some(Language::default()) } else { named(tag) };
        Some((language?, weight))
    });
    let usable = weighted.filter(|&(_, weight)| weight > 0.0);
    // `max_by` takes the last of equals, so the order is turned round.
    let best = usable.collect::<Vec<_>>().into_iter().rev();
    best.max_by(|(_, left), (_, right)| left.partial_cmp(right).unwrap_or(Ordering::Equal)).map(|(tag, _)| tag)
}

/// The weight, 0 to 1; `None` where it is malformed.
fn weight(parameters: &str) -> Option<f32> {
    let parameters = parameters.trim();
    if parameters.is_empty() {
        return Some(1.0);
    }
    let (name, value) = parameters.split_once('=')?;
    let weight: f32 = value.trim().parse().ok()?;
    (name.trim().eq_ignore_ascii_case("q") && (0.0..=1.0).contains(&weight)).then_some(weight)
}

#[cfg(test)]
mod tests {
    use mobile_bind_domain::Language::{self, Cht, En, Spa, Zh};
    use proptest::prelude::*;

    use super::negotiate;

    #[test]
    fn the_parameter_comes_first() {
        let names: [(&str, Language); 12] = [
            ("zh", Zh),
            ("en", En),
            ("cht", Cht),
            ("spa", Spa),
            ("EN", En),
            ("zh-CN", Zh),
            ("zh_CN", Zh),
            ("en-US", En),
            ("zh-TW", Cht),
            ("zh-hk", Cht),
            ("zh-Hans-HK", Zh),
            ("es", Spa),
        ];
        for (name, language) in names {
            let other = if language == En { "spa" } else { "en" };
            assert_eq!(negotiate(name, Some(other)), language, "{name}");
        }
    }

    #[test]
    fn then_what_the_client_accepts_by_weight() {
        for unknown in ["", "fr", "english", "1", "zh1"] {
            assert_eq!(negotiate(unknown, Some("es")), Spa, "{unknown:?}");
            assert_eq!(negotiate(unknown, None), Zh);
        }
        let accepts: [(&str, Language); 8] = [
            ("en;q=0.5, es;q=0.9", Spa),
            ("fr, en;q=0.8, zh;q=0.9", Zh),
            ("en, es", En),
            ("zh;q=0, en;q=0.1", En),
            ("zh-TW,zh;q=0.9,en-US;q=0.8", Cht),
            ("*", Zh),
            ("en;q=2, es;q=0.1", Spa),
            ("fr, ;q=, en;level=1, ,", Zh),
        ];
        for (accept, language) in accepts {
            assert_eq!(negotiate("", Some(accept)), language, "{accept}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_a_language(lang in ".{0,20}", accept in "[a-zA-Z*;=,q0-9. -]{0,60}") {
            negotiate(&lang, Some(&accept));
        }
    }
}
