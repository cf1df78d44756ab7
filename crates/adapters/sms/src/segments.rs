//! How many short messages a text takes: 3GPP TS 23.038 (alphabets) and TS 23.040 section 9.2.3.24 (concatenation).

/// The basic table of the GSM 7-bit default alphabet, but for the escape.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// What takes an escape and a character.
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// The number of segments: of 160 septets, or 153 each where there are several; else, in UCS-2, of 70 and 67 units.
pub(crate) fn segments(text: &str) -> u64 {
    let septets = text.chars().try_fold(0, |sum, character| {
        let width = if BASIC.contains(character) {
            1
        } else if EXTENDED.contains(character) {
            2
        } else {
            return None;
        };
        Some(sum + width)
    });
    let (length, alone, together) = match septets {
        Some(septets) => (septets, 160, 153),
        None => (text.encode_utf16().count(), 70, 67),
    };
    if length <= alone { 1 } else { u64::try_from(length.div_ceil(together)).unwrap_or(u64::MAX) }
}

#[cfg(test)]
mod tests {
    use super::segments;

    #[test]
    fn a_text_takes_as_many_segments_as_its_alphabet_needs() {
        assert_eq!((segments(""), segments(&"a".repeat(160)), segments(&"a".repeat(161))), (1, 1, 2));
        assert_eq!((segments(&"a".repeat(306)), segments(&"a".repeat(307))), (2, 3));
        assert_eq!((segments(&"€".repeat(80)), segments(&"€".repeat(81))), (1, 2));
        assert_eq!((segments(&"码".repeat(70)), segments(&"码".repeat(71)), segments(&"码".repeat(135))), (1, 2, 3));
        assert_eq!(segments(&"🙂".repeat(36)), 2, "two units each");
        assert_eq!(segments("é ñ ü à"), 1);
    }
}
