//! Text as PostgreSQL can hold it: any but U+0000, which clients may send.

use std::borrow::Cow;

const NUL: char = '\0';
/// A noncharacter, which no text for people has.
const ESCAPE: char = '\u{10FFFF}';

/// What is stored for a text: the text itself, but for rubbish.
pub(crate) fn stored(text: &str) -> Cow<'_, str> {
    if !text.contains([NUL, ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            NUL => escaped.extend([ESCAPE, '0']),
            ESCAPE => escaped.extend([ESCAPE, '1']),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// The text of what was stored; `None` where nothing would have been stored so.
pub(crate) fn restored(stored: &str) -> Option<Cow<'_, str>> {
    if !stored.contains(ESCAPE) {
        return Some(Cow::Borrowed(stored));
    }
    let mut text = String::with_capacity(stored.len());
    let mut characters = stored.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            ESCAPE => match characters.next()? {
                '0' => NUL,
                '1' => ESCAPE,
                _ => return None,
            },
            other => other,
        });
    }
    Some(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::{restored, stored};

    proptest! {
        #[test]
        fn any_text_comes_back(text in "[a\0\u{10FFFF}01é]{0,12}|.*") {
            let kept = stored(&text);
            prop_assert!(!kept.contains('\0'));
            prop_assert_eq!(restored(&kept).map(Cow::into_owned), Some(text));
        }
    }

    #[test]
    fn ordinary_text_is_stored_as_it_is_and_a_broken_escape_is_refused() {
        assert_eq!(stored("上海 é"), "上海 é");
        assert_eq!(restored("a\u{10FFFF}"), None);
        assert_eq!(restored("a\u{10FFFF}2"), None);
    }
}
