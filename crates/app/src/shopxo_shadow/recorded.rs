//! Requests that the shop answers, as nginx tells of them: a line of its log, or a mirrored request.

use std::net::IpAddr;

use mobile_bind_domain::{ClientType, Mobile, SessionId, Timestamp};
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Map, Value};

/// An answer that is longer holds a user: a refusal of ShopXO has some hundred bytes, a user more than a thousand.
const HOLDS_USER: u64 = 600;

/// What was recorded of one request. `Debug` is not there: it holds a number, a token and a code.
#[derive(Clone)]
pub(crate) struct Recorded {
    /// When it came.
    pub(crate) at: Timestamp,
    /// Whose it was.
    pub(crate) address: IpAddr,
    /// Path and query, as they came.
    pub(crate) target: String,
    pub(crate) content_type: String,
    pub(crate) body: String,
    /// Whether PHP answered with a user; `None` where nobody saw the answer.
    pub(crate) answered_with_user: Option<bool>,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Send,
    Bind,
    Other,
}

/// A line of nginx's log.
#[derive(Deserialize)]
struct Line {
    /// Seconds since the epoch.
    at: f64,
    address: IpAddr,
    target: String,
    #[serde(rename = "type")]
    content_type: String,
    body: String,
    /// Bytes of PHP's answer, as nginx has them: `-` where there was none.
    length: String,
}

/// Seconds since the epoch, as nginx writes them: with milliseconds.
pub(crate) fn seconds(text: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "points in time after 1970")]
    let millis = (text * 1000.0).round() as u64;
    Timestamp::from_millis(millis)
}

impl Recorded {
    /// What a line of nginx's log tells; `None` where it is none.
    pub(crate) fn in_log(line: &str) -> Option<Self> {
        let line: Line = serde_json::from_str(line).ok()?;
        let holds_user = line.length.parse().is_ok_and(|length: u64| length > HOLDS_USER);
        Some(Self {
            at: seconds(line.at),
            address: line.address,
            target: line.target,
            content_type: line.content_type,
            body: line.body,
            answered_with_user: Some(holds_user),
        })
    }

    /// What the request is for: the last `s` of its query counts.
    pub(crate) fn route(&self) -> Route {
        let target = self.target.to_ascii_lowercase().replace("%2f", "/");
        let route = target.split(['?', '&']).filter_map(|pair| pair.strip_prefix("s=")).next_back().unwrap_or_default();
        match route.trim_start_matches('/').trim_end_matches(".html") {
            "user/appmobilebindverifysend" => Route::Send,
            "user/appmobilebind" => Route::Bind,
            _ => Route::Other,
        }
    }

    /// The parameters of a bind: those of the query, and over them those of the body, of JSON or a form; `None` where the body is
    /// neither.
    pub(crate) fn parameters(&self) -> Option<Map<String, Value>> {
        let mut parameters = pairs(self.target.split_once('?').map_or("", |(_, query)| query))?;
        match serde_json::from_str(&self.body) {
            Ok(Value::Object(body)) => parameters.extend(body),
            _ if self.content_type.contains("json") && !self.body.is_empty() => return None,
            _ => parameters.extend(pairs(&self.body)?),
        }
        Some(parameters)
    }
}

fn pairs(text: &str) -> Option<Map<String, Value>> {
    let url = Url::parse(&format!("http://shop/?{text}")).ok()?;
    Some(url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect())
}

/// The text of a parameter; empty where there is none.
fn text<'p>(parameters: &'p Map<String, Value>, name: &str) -> &'p str {
    parameters.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The number that a bind is about.
pub(crate) fn mobile(parameters: &Map<String, Value>) -> Option<Mobile> {
    let number = match parameters.get("mobile") {
        Some(Value::Number(number)) => number.to_string(),
        _ => text(parameters, "mobile").trim().to_owned(),
    };
    Mobile::restore(&number)
}

/// The client type that a bind comes from.
pub(crate) fn client_type(parameters: &Map<String, Value>) -> ClientType {
    ClientType::from_name(text(parameters, "application_client_type")).unwrap_or(ClientType::Pc)
}

/// The session that a bind's token names at the shop.
pub(crate) fn session(parameters: &Map<String, Value>) -> Option<SessionId> {
    mobile_bind_shopxo::session_of_token(text(parameters, "token"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn recorded(target: &str, content_type: &str, body: &str) -> Recorded {
        let line = json!({
            "at": 1_790_000_000.123, "address": "203.0.113.7", "target": target, "type": content_type, "body": body,
            "length": "601",
        });
        Recorded::in_log(&line.to_string()).unwrap()
    }

    #[test]
    fn a_line_is_read_with_its_time_and_whether_a_user_was_answered() {
        let read = recorded("/api.php", "", "");
        assert_eq!((read.at.as_millis(), read.answered_with_user), (1_790_000_000_123, Some(true)));
        let line = json!({ "at": 1, "address": "::1", "target": "/", "type": "", "body": "", "length": "600" });
        assert_eq!(Recorded::in_log(&line.to_string()).unwrap().answered_with_user, Some(false));
        for length in ["-", "", "60, 700"] {
            let mut line = line.clone();
            line["length"] = length.into();
            assert_eq!(Recorded::in_log(&line.to_string()).unwrap().answered_with_user, Some(false));
        }
        assert!(Recorded::in_log("nonsense").is_none() && Recorded::in_log("{}").is_none());
    }

    #[test]
    fn routes_are_known_however_they_are_written() {
        for (target, route) in [
            ("/api.php?s=user/appmobilebind", Route::Bind),
            ("/api.php?uuid=U&s=/User%2FAppMobileBind.html&token=T", Route::Bind),
            ("/api.php?s=goods/detail&s=user/appmobilebind", Route::Bind),
            ("/api.php?s=user/appmobilebindverifysend&uuid=U", Route::Send),
            ("/api.php?s=user/appmobilebind&s=goods/detail", Route::Other),
            ("/api.php?as=user/appmobilebind", Route::Other),
            ("/", Route::Other),
        ] {
            assert_eq!(recorded(target, "", "").route(), route, "{target}");
        }
    }

    #[test]
    fn parameters_come_from_the_query_and_the_body_and_the_body_wins() {
        let target = format!("/api.php?s=user/appmobilebind&token={TOKEN}&mobile=1&application_client_type=h5");
        for (content_type, body) in [
            ("application/json", r#"{"mobile":"13900000001","verify":"0000"}"#),
            ("application/json", r#"{"mobile":13900000001,"verify":"0000"}"#),
            ("application/x-www-form-urlencoded", "mobile=13900000001&verify=0000"),
            ("", "mobile=+13900000001&verify=0000"),
        ] {
            let parameters = recorded(&target, content_type, body).parameters().unwrap();
            assert_eq!(mobile(&parameters).unwrap().as_str(), "13900000001", "{body}");
            assert_eq!(session(&parameters).unwrap().0[..2], [0x01, 0x23]);
            assert_eq!((&parameters["verify"], client_type(&parameters)), (&json!("0000"), ClientType::H5));
        }
    }

    #[test]
    fn what_has_no_number_or_no_parameters_is_told() {
        let parameters = recorded("/api.php?s=user/appmobilebind", "", "").parameters().unwrap();
        assert!(mobile(&parameters).is_none() && session(&parameters).is_none());
        assert!(recorded("/api.php", "application/json", "{\"mobile").parameters().is_none());
    }
}
