//! The HTTP client: one kept-alive HTTP/1.1 connection for each request that may be under way.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A connection, which carries one request at a time.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("the server takes no connection")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Its end shows where the next request is sent.
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer> {
        self.sender.ready().await.context("the server closed a connection")?;
        let response = self.sender.send_request(request).await.context("no answer came")?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.context("an answer broke off")?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

impl Answer {
    pub(crate) fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self { status, headers, body }
    }

    /// The seconds after which to ask again (RFC 9110, section 10.2.3); `None` where the server does not say.
    pub(crate) fn retry_after_s(&self) -> Option<u64> {
        self.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()
    }

    /// The envelope's code; `None` where there is none.
    pub(crate) fn code(&self) -> Option<i32> {
        let digits = after(&self.body, b"\"code\":")?;
        let end = digits.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'-')?;
        std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
    }

    /// A text of the body, by its key; the first one of that name. For texts without escapes alone.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        let text = after(&self.body, format!("\"{key}\":\"").as_bytes())?;
        let end = text.iter().position(|byte| *byte == b'"')?;
        std::str::from_utf8(text.get(..end)?).ok()
    }
}

fn after<'a>(body: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let start = body.windows(key.len()).position(|window| window == key)?;
    body.get(start + key.len()..)
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use hyper::body::Bytes;
    use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    use super::Answer;

    fn answer(body: &'static str) -> Answer {
        Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn the_code_is_found_without_parsing() {
        assert_eq!(answer(r#"{"msg":"验证码错误","code":-11,"data":[]}"#).code(), Some(-11));
        assert_eq!(answer(r#"{"msg":"绑定成功","code":0,"data":{"id":"1"}}"#).code(), Some(0));
        assert_eq!(answer("<html>").code(), None);
        assert_eq!(answer(r#"{"code":"#).code(), None);
    }

    #[test]
    fn when_to_ask_again_is_in_seconds() {
        let mut busy = answer("{}");
        assert_eq!(busy.retry_after_s(), None);
        busy.headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        assert_eq!(busy.retry_after_s(), Some(1));
    }

    #[test]
    fn texts_are_found_by_their_key() {
        let body = r#"{"data":{"id":"7","token":"a.b-c_d","mobile":"13000000000"}}"#;
        assert_eq!(answer(body).text("token"), Some("a.b-c_d"));
        assert_eq!(answer(body).text("tok"), None);
    }
}
