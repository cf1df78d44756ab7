use std::sync::Arc;

use mobile_bind_domain::ports::TextMessage;
use mobile_bind_domain::{Language, Mobile};

use crate::config::{Kind, ProviderConfig};
use crate::tests::{config, message};

fn shown(config: ProviderConfig, message: &TextMessage) -> Vec<String> {
    let smpp = config.smpp(Arc::new(|_| {})).unwrap();
    smpp.shown(message).lines().map(str::to_owned).collect()
}

#[test]
fn each_text_gets_the_alphabet_that_has_it() {
    let near = config(Kind::Smpp, "smpp://10.0.0.7:2775");
    let lines = shown(near.clone(), &message("17602128368"));
    assert_eq!(lines[0], "bind_transceiver 10.0.0.7:2775 tls=false system_id=system-id password=***");
    assert!(
        lines[1].starts_with("submit_sm source_addr=Shop destination_addr=8617602128368 data_coding=0 "),
        "{lines:?}"
    );
    let lines = shown(near, &TextMessage { language: Language::Zh, ..message("17602128368") });
    // UCS-2, big-endian: 您 is U+60A8.
    assert!(lines[1].contains(" data_coding=8 short_message=60a8"), "{lines:?}");
    assert_eq!(lines[2], "", "one part");
}

#[test]
fn codes_go_out_encrypted_or_stay_near() {
    for (url, good) in [
        ("smpps://smsc.example", true),
        ("smpp://127.0.0.1:2775", true),
        ("smpp://192.168.1.9", true),
        ("smpp://smsc.example:2775", false),
        ("smpp://8.8.8.8:2775", false),
        ("https://smsc.example", false),
        ("smpps://smsc.example/path", false),
        ("smpps://", false),
    ] {
        assert_eq!(config(Kind::Smpp, url).check().is_ok(), good, "{url}");
    }
}

#[test]
fn what_does_not_fit_the_protocol_is_refused_by_name() {
    let long = ProviderConfig { from: "x".repeat(21), ..config(Kind::Smpp, "smpps://smsc.example") };
    assert!(long.check().unwrap_err().to_string().starts_with("from must be of 20"));
    let smpp = config(Kind::Smpp, "smpps://smsc.example").smpp(Arc::new(|_| {})).unwrap();
    let number = TextMessage { mobile: Mobile::restore(&"9".repeat(30)).unwrap(), ..message("17602128368") };
    assert!(smpp.parts(&number).is_err());
}
