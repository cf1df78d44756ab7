//! What became of a message, as a message centre tells it.

use rusmpp::pdus::DeliverSm;
use rusmpp::tlvs::TlvValue;
use rusmpp::values::MessageState;

use crate::receipts::{Receipt, ReceiptState};

/// The receipt in a delivered message: by its optional parameters (section 5.3.2.12 and 5.3.2.35), else by its text
/// (appendix B). `None` where it is a message of somebody's own.
pub(super) fn read(delivered: &DeliverSm) -> Option<Receipt> {
    let text = String::from_utf8_lossy(delivered.short_message().as_ref()).into_owned();
    let (mut id, mut state) = (word(&text, "id:"), word(&text, "stat:").and_then(of_word));
    for value in delivered.tlvs().iter().filter_map(|tlv| tlv.value()) {
        match value {
            TlvValue::ReceiptedMessageId(told) => id = Some(told.as_str().to_owned()),
            TlvValue::MessageState(told) => state = of_state(*told).or(state),
            _ => {}
        }
    }
    let error = word(&text, "err:").filter(|code| code != "000").unwrap_or_default();
    Some(Receipt::new(id?, state?, &error))
}

fn word(text: &str, name: &str) -> Option<String> {
    let at = text.find(name)? + name.len();
    let word = text.get(at..)?.split(' ').next()?;
    (!word.is_empty()).then(|| word.to_owned())
}

fn of_word(word: String) -> Option<ReceiptState> {
    Some(match word.as_str() {
        "DELIVRD" => ReceiptState::Delivered,
        "EXPIRED" | "DELETED" | "UNDELIV" | "REJECTD" => ReceiptState::Failed,
        "ACCEPTD" | "ENROUTE" | "UNKNOWN" => ReceiptState::Pending,
        _ => return None,
    })
}

fn of_state(state: MessageState) -> Option<ReceiptState> {
    Some(match state {
        MessageState::Delivered => ReceiptState::Delivered,
        MessageState::Expired | MessageState::Deleted | MessageState::Undeliverable | MessageState::Rejected => {
            ReceiptState::Failed
        }
        MessageState::Enroute | MessageState::Accepted | MessageState::Unknown | MessageState::Scheduled => {
            ReceiptState::Pending
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::receipts::ReceiptState;
    use rusmpp::pdus::DeliverSm;
    use rusmpp::types::OctetString;

    fn state(text: &str) -> Option<(String, ReceiptState, String)> {
        let text = OctetString::from_slice(text.as_bytes()).unwrap();
        let receipt = read(&DeliverSm::builder().short_message(text).build())?;
        Some((receipt.id, receipt.state, receipt.error))
    }

    #[test]
    fn a_receipts_text_is_read() {
        let text = |stat: &str, err: &str| {
            format!(
                "id:A1 sub:001 dlvrd:001 submit date:2311142213 done date:2311142213 stat:{stat} err:{err} text:Your"
            )
        };
        let told = |state, error: &str| Some(("A1".to_owned(), state, error.to_owned()));
        assert_eq!(state(&text("DELIVRD", "000")), told(ReceiptState::Delivered, ""));
        assert_eq!(state(&text("UNDELIV", "1D")), told(ReceiptState::Failed, "1D"));
        assert_eq!(state(&text("ENROUTE", "000")), told(ReceiptState::Pending, ""));
        assert_eq!(state(&text("NONSENSE", "000")), None);
        assert_eq!(state("Hello, is anybody there?"), None);
    }
}
