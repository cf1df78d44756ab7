//! A request as an operator may see it.

use std::fmt::Write;

use crate::exchange::OutgoingRequest;

/// The request as it would go out, line by line, with what proves the sender's identity masked. Number and code are shown:
/// whoever asks has given them.
pub(crate) fn shown(request: &OutgoingRequest) -> String {
    let mut text = format!("{} {}\n", request.method, request.url);
    for (name, value) in &request.headers {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{name}: {}", masked(name, value));
    }
    if !request.body.is_empty() {
        let _ = writeln!(text, "\n{}", String::from_utf8_lossy(&request.body));
    }
    text
}

fn masked(name: &str, value: &str) -> String {
    let kept = match name {
        "authorization" => match value.find("Signature=") {
            Some(at) => value.get(..at + "Signature=".len()),
            None => value.find(' ').and_then(|at| value.get(..=at)),
        },
        "webhook-signature" => value.get(..3),
        _ => return value.to_owned(),
    };
    format!("{}***", kept.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use crate::config::Kind;
    use crate::provider::Provider;
    use crate::tests::{config, message, shared};

    #[test]
    fn credentials_are_masked_and_the_rest_is_exact() {
        let shared = shared();
        for (kind, proof) in [
            (Kind::Aliyun, "x-acs-version,Signature=***\n"),
            (Kind::Tencent, "SignedHeaders=content-type;host, Signature=***\n"),
            (Kind::Twilio, "authorization: Basic ***\n"),
            (Kind::Webhook, "webhook-signature: v1,***\n"),
        ] {
            let config = config(kind, "https://sms.example");
            let secret = config.secret.expose().to_owned();
            let provider = Provider::new("one", config, &shared).unwrap();
            let shown = provider.preview(&message("17602128368"));
            let first = "POST https://sms.example/";
            assert!(shown.starts_with(first) && shown.contains("17602128368") && shown.contains("0944"), "{shown}");
            let proof = proof.replace("x-acs-version,", "x-acs-signature-nonce;x-acs-version,");
            assert!(shown.contains(&proof), "{shown}");
            assert!(!shown.contains(&secret), "{shown}");
        }
    }
}
