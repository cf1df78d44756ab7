//! Tokens that were made up, or made for something else.

use mobile_bind::settings::ProofSetting;

use crate::stage::{Stage, VICTIMS_NUMBER};

fn base64url(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            encoded.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    encoded
}

#[tokio::test]
async fn the_genuine_token_is_taken_and_no_other() {
    let stage = Stage::with_openids(ProofSetting::Required).await;
    let token = stage.victim().await;
    assert_eq!(stage.number_of(&token).await.field("mobile"), VICTIMS_NUMBER);
    let parts: Vec<&str> = token.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    let other_header = |alg: &str, kid: &str| base64url(&format!(r#"{{"typ":"JWT","alg":"{alg}","kid":"{kid}"}}"#));
    let ticket = stage.log_in("", "stranger.1").await.field("auth_ticket").to_owned();
    let mut forged = vec![ticket];
    for alg in ["none", "None", "HS256", "HS512", "EdDSA", "RS256", "ES256"] {
        for kid in ["", "unknown", "../../dev/null"] {
            forged.push(format!("{}.{claims}.{signature}", other_header(alg, kid)));
            forged.push(format!("{}.{claims}.", other_header(alg, kid)));
        }
    }
    let far = r#"{"iss":"mobile-bind","aud":"mobile-bind","sub":"1","sid":"00000000000000000000000000000000","exp":9999999999}"#;
    let elsewhere = far.replace(r#""aud":"mobile-bind""#, r#""aud":"another""#);
    for claims in [far, &elsewhere] {
        forged.push(format!("{header}.{}.{signature}", base64url(claims)));
    }
    forged.push(format!("{header}.{claims}."));
    forged.push(format!("{header}.{claims}.{}", signature.chars().rev().collect::<String>()));
    for forged in forged {
        assert_eq!(stage.number_of(&forged).await.code(), Some(-1), "{forged}");
    }
    assert_eq!(stage.number_of(&token).await.code(), Some(0));
}
