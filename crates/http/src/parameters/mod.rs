//! A request's parameters: query and body are one set, and the body wins. What is sent twice counts as sent last, what no
//! operation takes is ignored.

mod form;
mod json;
mod parameter;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use poem::Body;
use poem::http::{HeaderMap, header};

pub(crate) use parameter::Parameter;

use crate::fault::WireFault;

/// The longest body, in bytes.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// What was sent for one parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing, or `null`.
    #[default]
    Absent,
    /// A scalar, as text.
    Text(String),
    /// An array or object.
    Container,
}

/// The parameters of one request.
#[derive(Clone, Default)]
pub(crate) struct Parameters([Value; Parameter::ALL.len()]);

impl Parameters {
    /// The query's parameters.
    pub(crate) fn of_query(query: &str) -> Self {
        let mut parameters = Self::default();
        form::read_urlencoded(query.as_bytes(), &mut parameters);
        parameters
    }

    /// The body's parameters. A body of another content type, or of none, counts as empty.
    pub(crate) async fn of_body(headers: &HeaderMap, body: Bytes) -> Result<Self, WireFault> {
        let mut parameters = Self::default();
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is = |essence: &str| self::essence(content_type).eq_ignore_ascii_case(essence);
        if is("application/json") {
            json::read(&body, &mut parameters)?;
        } else if is("application/x-www-form-urlencoded") {
            form::read_urlencoded(&body, &mut parameters);
        } else if is("multipart/form-data") {
            // Boxed, for it is large and rare: what awaits it need not be as large.
            Box::pin(form::read_multipart(content_type, body, &mut parameters)).await?;
        }
        Ok(parameters)
    }

    /// Takes over all that is in `other`.
    pub(crate) fn overlay(&mut self, other: Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            if theirs != Value::Absent {
                *mine = theirs;
            }
        }
    }

    /// Sets one parameter, whatever it was.
    pub(crate) fn set(&mut self, parameter: Parameter, value: Value) {
        if let Some(place) = self.0.get_mut(parameter as usize) {
            *place = value;
        }
    }

    fn get(&self, parameter: Parameter) -> &Value {
        self.0.get(parameter as usize).unwrap_or(&Value::Absent)
    }

    /// The text of a parameter; empty where there is none.
    pub(crate) fn text(&self, parameter: Parameter) -> &str {
        match self.get(parameter) {
            Value::Text(text) => text,
            Value::Absent | Value::Container => "",
        }
    }

    /// Refuses an array or object where a scalar is due.
    pub(crate) fn check(&self, mut taken: impl Iterator<Item = Parameter>) -> Result<(), WireFault> {
        let invalid =
            |parameter: &Parameter| *self.get(*parameter) == Value::Container && !parameter.forgives_containers();
        taken.find(invalid).map_or(Ok(()), |parameter| Err(WireFault::InvalidParameter(parameter.name())))
    }
}

/// A content type without its parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Reads a body that is not over the limit. One that came in one piece, or was read before, is not copied.
pub(crate) async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, WireFault> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > BODY_LIMIT as u64) {
        return Err(WireFault::TooLarge);
    }
    match Limited::new(BoxBody::from(body), BODY_LIMIT).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(WireFault::TooLarge),
        Err(_) => Err(WireFault::UnreadableBody),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use poem::http::{HeaderMap, HeaderValue, header};
    use proptest::prelude::*;

    use super::{Parameter, Parameters, Value};
    use crate::fault::WireFault;

    async fn body(content_type: &str, body: impl AsRef<[u8]>) -> Result<Parameters, WireFault> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        Parameters::of_body(&headers, Bytes::copy_from_slice(body.as_ref())).await
    }

    #[tokio::test]
    async fn the_body_wins_over_the_query() {
        let mut parameters = Parameters::of_query("mobile=1&verify=2&token=T&unknown=x");
        let sent = body("Application/JSON; charset=utf-8", r#"{"mobile":"3","token":null,"nickname":""}"#).await;
        parameters.overlay(sent.unwrap());
        let texts = [Parameter::Mobile, Parameter::Verify, Parameter::Token, Parameter::Nickname];
        assert_eq!(texts.map(|parameter| parameters.text(parameter)), ["3", "2", "T", ""]);
    }

    #[tokio::test]
    async fn other_content_types_count_as_empty() {
        for other in ["text/plain", "application/xml", "text/json", "", "application/json+x"] {
            let parameters = body(other, r#"{"mobile":"3"}"#).await.unwrap();
            assert_eq!(parameters.text(Parameter::Mobile), "", "{other}");
        }
        let untyped = Parameters::of_body(&HeaderMap::new(), Bytes::from_static(b"mobile=3")).await.unwrap();
        assert_eq!(untyped.text(Parameter::Mobile), "");
    }

    #[test]
    fn containers_are_refused_where_they_matter() {
        let parameters = Parameters::of_query("mobile[]=1&referrer[]=2");
        assert!(parameters.check([Parameter::Verify, Parameter::Referrer].into_iter()).is_ok());
        let refused = parameters.check([Parameter::Referrer, Parameter::Mobile].into_iter());
        assert_eq!(refused, Err(WireFault::InvalidParameter("mobile")));
        assert_eq!(parameters.text(Parameter::Referrer), "");
    }

    proptest! {
        /// Whatever arrives, reading ends with parameters or with one of two faults.
        #[test]
        fn any_bytes_can_be_read(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..300),
                "[\\[\\]{}\":,a-z0-9.eE+-]{0,80}".prop_map(String::into_bytes),
                "(--X|\r\n|content-disposition: form-data; name=\"mobile\"|[a-z]){0,30}".prop_map(String::into_bytes),
            ],
            content_type in prop_oneof![
                Just("application/json"),
                Just("application/x-www-form-urlencoded"),
                Just("multipart/form-data; boundary=X"),
                Just("multipart/form-data"),
            ],
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            match runtime.block_on(body(content_type, &bytes)) {
                Ok(parameters) => prop_assert_eq!(parameters.0.len(), Parameter::ALL.len()),
                Err(fault) => prop_assert_eq!(fault, WireFault::UnreadableBody),
            }
        }

        #[test]
        fn forms_give_back_what_was_put_in(value in "\\PC{0,40}") {
            let encoded: String = form_urlencoded::Serializer::new(String::new()).append_pair("nickname", &value).finish();
            let parameters = Parameters::of_query(&encoded);
            prop_assert_eq!(parameters.get(Parameter::Nickname), &Value::Text(value));
        }
    }
}
