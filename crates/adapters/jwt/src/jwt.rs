//! JWTs.

use std::borrow::Cow;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jsonwebtoken::{DecodingKey, EncodingKey, Header};
use mobile_bind_domain::ports::{OpenedSession, TokenError, TokenIssuer};
use mobile_bind_domain::{KeyId, Session, SessionId, SessionSeed, Timestamp, Token};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Algorithm, KeyError, TokenKey, TokenKeys};

/// Makes JWTs with the claims `iss, aud, sub, sid, client_type, iat, exp` and the key's id in the header.
pub struct JwtIssuer {
    keys: Vec<PreparedKey>,
    issuer: String,
    audience: String,
}

struct PreparedKey {
    id: KeyId,
    header: Header,
    /// The header as it stands in the key's own tokens.
    encoded_header: String,
    signing: EncodingKey,
    verifying: DecodingKey,
    /// As in a JWK, where others may verify with it.
    public: Option<String>,
}

#[derive(Serialize)]
struct NewClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: String,
    sid: String,
    client_type: &'a str,
    iat: u64,
    exp: u64,
}

/// What is read of a token. An audience is one text here, never a list: no other tokens are made.
#[derive(Deserialize)]
struct ReadClaims<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    aud: Cow<'a, str>,
    #[serde(borrow)]
    sid: Cow<'a, str>,
    exp: u64,
}

impl JwtIssuer {
    /// An issuer with these keys, that names itself `issuer` and makes tokens for `audience`.
    ///
    /// # Errors
    /// Where a key cannot be used with its algorithm.
    pub fn new(keys: &TokenKeys, issuer: &str, audience: &str) -> Result<Self, KeyError> {
        let keys = keys.all().map(PreparedKey::new).collect::<Result<_, _>>()?;
        Ok(Self { keys, issuer: issuer.to_owned(), audience: audience.to_owned() })
    }

    /// The public keys as a JWK set (RFC 7517), for others to verify with; `None` where none is public.
    #[must_use]
    pub fn key_set(&self) -> Option<Value> {
        let jwk = |key: &PreparedKey| {
            let x = key.public.as_ref()?;
            Some(json!({
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.id.as_str(), "x": x
            }))
        };
        let keys: Vec<Value> = self.keys.iter().filter_map(jwk).collect();
        (!keys.is_empty()).then(|| json!({ "keys": keys }))
    }

    fn find(&self, id: &str) -> Option<&PreparedKey> {
        self.keys.iter().find(|key| key.id.as_str() == id)
    }

    /// The key that a token of this header is made with. It is the key that says which algorithm is right, not the token.
    fn find_by_header(&self, encoded: &str) -> Option<&PreparedKey> {
        let own = self.keys.iter().find(|key| key.encoded_header == encoded);
        // Another way to write the same header is as good.
        own.or_else(|| {
            let header: Header = serde_json::from_slice(&BASE64URL_NOPAD.decode(encoded.as_bytes()).ok()?).ok()?;
            self.find(header.kid.as_deref()?).filter(|key| key.header.alg == header.alg)
        })
    }
}

impl PreparedKey {
    fn new(key: &TokenKey) -> Result<Self, KeyError> {
        let (algorithm, signing, verifying, public) = match key.algorithm {
            Algorithm::Hs256 => {
                let secret = key.secret();
                let keys = (EncodingKey::from_secret(secret), DecodingKey::from_secret(secret));
                (jsonwebtoken::Algorithm::HS256, keys.0, keys.1, None)
            }
            Algorithm::EdDsa => {
                let unusable = |_| KeyError::Unusable;
                let pair = Ed25519KeyPair::from_seed_unchecked(key.secret()).map_err(|_| KeyError::Unusable)?;
                let signing = EncodingKey::from_ed_der(pair.to_pkcs8().map_err(unusable)?.as_ref());
                let public = pair.public_key().as_ref();
                let verifying = DecodingKey::from_ed_der(public);
                (jsonwebtoken::Algorithm::EdDSA, signing, verifying, Some(BASE64URL_NOPAD.encode(public)))
            }
        };
        let mut header = Header::new(algorithm);
        header.kid = Some(key.id.as_str().to_owned());
        let encoded_header = serde_json::to_vec(&header).map_err(|_| KeyError::Unusable)?;
        let encoded_header = BASE64URL_NOPAD.encode(&encoded_header);
        Ok(Self { id: key.id.clone(), header, encoded_header, signing, verifying, public })
    }
}

impl TokenIssuer for JwtIssuer {
    fn open(&self, seed: SessionSeed) -> Result<OpenedSession, TokenError> {
        let current = self.keys.first().ok_or(TokenError(Box::new(KeyError::Unusable)))?;
        Ok(OpenedSession { seed, id: SessionId(seed.0), key: current.id.clone() })
    }

    fn issue(&self, session: &Session, expires_at: Timestamp) -> Result<Token, TokenError> {
        let gone = || TokenError(Box::new(KeyError::Gone(session.key.clone())));
        let key = self.find(session.key.as_str()).ok_or_else(gone)?;
        let claims = NewClaims {
            iss: &self.issuer,
            aud: &self.audience,
            sub: session.account.get().to_string(),
            sid: HEXLOWER.encode(&session.id.0),
            client_type: session.client_type.name(),
            iat: session.issued_at.as_seconds(),
            exp: expires_at.as_seconds(),
        };
        let failed = |error| TokenError(Box::new(KeyError::Signing(error)));
        let claims = serde_json::to_vec(&claims).map_err(|error| failed(error.into()))?;
        let mut token = format!("{}.{}", key.encoded_header, BASE64URL_NOPAD.encode(&claims));
        let signature = jsonwebtoken::crypto::sign(token.as_bytes(), &key.signing, key.header.alg).map_err(failed)?;
        token.push('.');
        token.push_str(&signature);
        Ok(Token::new(token))
    }

    fn read(&self, token: &str, now: Timestamp) -> Option<SessionId> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let key = self.find_by_header(header)?;
        // The library's own `decode` reads the header twice and the claims twice more, which costs as much as all the rest of
        // a look-up's token. Nothing of the claims is looked at before the signature holds.
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.verifying, key.header.alg)
            .ok()
            .filter(|ok| *ok)?;
        let claims = BASE64URL_NOPAD.decode(claims.as_bytes()).ok()?;
        let claims: ReadClaims<'_> = serde_json::from_slice(&claims).ok()?;
        if claims.iss != self.issuer || claims.aud != self.audience || claims.exp <= now.as_seconds() {
            return None;
        }
        let mut id = [0; 16];
        let well_formed =
            claims.sid.len() == 2 * id.len() && HEXLOWER.decode_mut(claims.sid.as_bytes(), &mut id).is_ok();
        well_formed.then_some(SessionId(id))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use data_encoding::BASE64URL_NOPAD;
    use mobile_bind_domain::ports::{OpenedSession, TokenIssuer};
    use mobile_bind_domain::{AccountId, ClientType, KeyId, Session, SessionSeed, Timestamp};
    use serde_json::{Value, json};

    use super::JwtIssuer;
    use crate::{Algorithm, TokenKey, TokenKeys};

    pub(crate) fn key(id: &str, algorithm: Algorithm, byte: u8) -> TokenKey {
        TokenKey::new(KeyId::new(id).unwrap(), algorithm, [byte; 32])
    }

    pub(crate) fn session_of(opened: &OpenedSession) -> Session {
        Session {
            id: opened.id,
            seed: opened.seed,
            key: opened.key.clone(),
            account: AccountId::new(7).unwrap(),
            client_type: ClientType::H5,
            issued_at: Timestamp::from_seconds(1000),
            used_at: Timestamp::from_seconds(1000),
        }
    }

    fn issuer(current: TokenKey, older: Vec<TokenKey>) -> JwtIssuer {
        JwtIssuer::new(&TokenKeys { current, older }, "mobile-bind", "mobile-bind").unwrap()
    }

    fn token(issuer: &JwtIssuer) -> (Session, String) {
        let session = session_of(&issuer.open(SessionSeed([9; 16])).unwrap());
        let token = issuer.issue(&session, Timestamp::from_seconds(2000)).unwrap();
        (session, token.expose().to_owned())
    }

    fn part(token: &str, index: usize) -> Value {
        let part = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
    }

    /// A token with its header or claims changed, the signature left.
    fn forged(token: &str, index: usize, change: impl Fn(&mut Value)) -> String {
        let mut value = part(token, index);
        change(&mut value);
        let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
        parts[index] = BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        parts.join(".")
    }

    #[test]
    fn claims_and_header() {
        let (_, token) = token(&issuer(key("k1", Algorithm::Hs256, 1), vec![]));
        assert_eq!(part(&token, 0), json!({ "typ": "JWT", "alg": "HS256", "kid": "k1" }));
        let claims = json!({
            "iss": "mobile-bind", "aud": "mobile-bind", "sub": "7", "sid": "09".repeat(16), "client_type": "h5",
            "iat": 1000, "exp": 2000
        });
        assert_eq!(part(&token, 1), claims);
    }

    #[test]
    fn a_token_is_read_until_it_expires() {
        for algorithm in [Algorithm::Hs256, Algorithm::EdDsa] {
            let issuer = issuer(key("k", algorithm, 1), vec![]);
            let (session, token) = token(&issuer);
            assert_eq!(issuer.read(&token, Timestamp::from_seconds(1999)), Some(session.id));
            assert_eq!(issuer.read(&token, Timestamp::from_seconds(2000)), None);
        }
    }

    /// As another version of the library may write it.
    #[test]
    fn a_header_may_be_written_in_another_order() {
        let issuer = issuer(key("k", Algorithm::Hs256, 1), vec![]);
        let (session, token) = token(&issuer);
        let sign = |header: &str| {
            let claims = token.split('.').nth(1).unwrap();
            let message = format!("{}.{claims}", BASE64URL_NOPAD.encode(header.as_bytes()));
            let secret = jsonwebtoken::EncodingKey::from_secret(&[1; 32]);
            let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &secret, jsonwebtoken::Algorithm::HS256);
            format!("{message}.{}", signature.unwrap())
        };
        let now = Timestamp::from_seconds(1500);
        assert_eq!(issuer.read(&sign(r#"{"kid":"k","alg":"HS256","typ":"JWT"}"#), now), Some(session.id));
        assert_eq!(issuer.read(&sign(r#"{"kid":"k","alg":"HS384","typ":"JWT"}"#), now), None);
        assert_eq!(issuer.read(&sign(r#"{"alg":"HS256","typ":"JWT"}"#), now), None);
        assert_eq!(issuer.read(&sign("rubbish"), now), None);
    }

    #[test]
    fn an_older_key_still_reads_and_signs_for_its_sessions() {
        let old = key("old", Algorithm::Hs256, 1);
        let (session, token) = token(&issuer(old.clone(), vec![]));
        let changed = issuer(key("new", Algorithm::EdDsa, 2), vec![old]);
        let now = Timestamp::from_seconds(1500);
        assert_eq!(changed.read(&token, now), Some(session.id));
        assert_eq!(changed.issue(&session, Timestamp::from_seconds(2000)).unwrap().expose(), token);
        assert_eq!(issuer(key("new", Algorithm::EdDsa, 2), vec![]).read(&token, now), None);
    }

    #[test]
    fn forgeries_are_not_read() {
        let now = Timestamp::from_seconds(1500);
        let home = issuer(key("k", Algorithm::EdDsa, 1), vec![key("h", Algorithm::Hs256, 2)]);
        let (_, good) = token(&home);
        assert!(home.read(&good, now).is_some());
        let unsigned = format!("{}.", good.rsplit_once('.').unwrap().0);
        let elsewhere = JwtIssuer::new(
            &TokenKeys { current: key("k", Algorithm::EdDsa, 1), older: vec![] },
            "elsewhere",
            "mobile-bind",
        );
        let other_audience = JwtIssuer::new(
            &TokenKeys { current: key("k", Algorithm::EdDsa, 1), older: vec![] },
            "mobile-bind",
            "elsewhere",
        );
        let forgeries = [
            forged(&unsigned, 0, |header| header["alg"] = json!("none")),
            forged(&good, 0, |header| header["alg"] = json!("HS256")),
            forged(&good, 0, |header| header["kid"] = json!("h")),
            forged(&good, 0, |header| header["kid"] = json!("foreign")),
            forged(&good, 0, |header| header["typ"] = json!("at+jwt")),
            forged(&good, 1, |claims| claims["exp"] = json!(9_999_999_999_u64)),
            forged(&good, 1, |claims| claims["sid"] = json!("00".repeat(16))),
            token(&issuer(key("k", Algorithm::EdDsa, 3), vec![])).1,
            token(&issuer(key("k", Algorithm::Hs256, 1), vec![])).1,
            token(&elsewhere.unwrap()).1,
            token(&other_audience.unwrap()).1,
            String::new(),
            "a.b.c".to_owned(),
        ];
        for forgery in forgeries {
            assert_eq!(home.read(&forgery, now), None, "{forgery}");
        }
    }

    #[test]
    fn only_public_keys_are_published() {
        assert!(issuer(key("h", Algorithm::Hs256, 1), vec![]).key_set().is_none());
        let both = issuer(key("e", Algorithm::EdDsa, 1), vec![key("h", Algorithm::Hs256, 2)]);
        let published = both.key_set().unwrap();
        assert_eq!(published["keys"].as_array().unwrap().len(), 1);
        assert_eq!(published["keys"][0]["kid"], "e");
        // The published key verifies what the private one signed.
        let x = published["keys"][0]["x"].as_str().unwrap();
        let (_, token) = token(&both);
        let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
        validation.validate_exp = false;
        validation.set_audience(&["mobile-bind"]);
        let verifying = jsonwebtoken::DecodingKey::from_ed_components(x).unwrap();
        assert!(jsonwebtoken::decode::<Value>(&token, &verifying, &validation).is_ok());
    }
}
