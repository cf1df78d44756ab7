//! A connection that costs as little as can be: where many times more is asked than a server can do, the driver must not be
//! what is short of time. One write a request, and reads until the answer is whole.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use httparse::Status;
use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Answer;

/// More than the service answers with.
const MOST_HEADERS: usize = 32;

/// A kept-alive HTTP/1.1 connection, for answers that tell their length (RFC 9112, section 6.3).
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Wire {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("the server takes no connection")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: Vec::new(), answer: Vec::with_capacity(4096) })
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer> {
        self.write(request).await?;
        self.stream.write_all(&self.request).await.context("the server closed a connection")?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await.context("no answer came")? == 0 {
                bail!("an answer broke off");
            }
            if let Some(answer) = read(&self.answer)? {
                return Ok(answer);
            }
        }
    }

    async fn write(&mut self, request: Request<Full<Bytes>>) -> Result<()> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let into = &mut self.request;
        into.clear();
        into.extend_from_slice(format!("{} {} HTTP/1.1\r\n", head.method, head.uri).as_bytes());
        for (name, value) in &head.headers {
            into.extend_from_slice(name.as_str().as_bytes());
            into.extend_from_slice(b": ");
            into.extend_from_slice(value.as_bytes());
            into.extend_from_slice(b"\r\n");
        }
        into.extend_from_slice(format!("{CONTENT_LENGTH}: {}\r\n\r\n", body.len()).as_bytes());
        into.extend_from_slice(&body);
        Ok(())
    }
}

/// The answer, once all of it is there.
fn read(bytes: &[u8]) -> Result<Option<Answer>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let Status::Complete(start) = head.parse(bytes).context("an answer is not HTTP")? else { return Ok(None) };
    let status = StatusCode::from_u16(head.code.unwrap_or_default())?;
    let mut kept = HeaderMap::with_capacity(MOST_HEADERS);
    for header in head.headers.iter() {
        kept.insert(HeaderName::from_bytes(header.name.as_bytes())?, HeaderValue::from_bytes(header.value)?);
    }
    let length = kept.get(CONTENT_LENGTH).context("an answer does not tell its length")?;
    let length: usize = length.to_str()?.parse()?;
    let body = bytes.get(start..start + length);
    Ok(body.map(|body| Answer::new(status, kept, Bytes::copy_from_slice(body))))
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::{Wire, read};
    use crate::people::People;
    use crate::requests::Requests;

    #[test]
    fn an_answer_is_read_when_it_is_whole() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\ncontent-length: 11\r\n\r\n{\"code\":-1}";
        for end in 0..answer.len() {
            assert!(read(&answer[..end]).unwrap().is_none());
        }
        let whole = read(answer).unwrap().unwrap();
        let read_from_it = (whole.status, whole.code(), whole.retry_after_s());
        assert_eq!(read_from_it, (StatusCode::SERVICE_UNAVAILABLE, Some(-1), Some(1)));
        assert!(read(b"rubbish\r\n\r\n").is_err());
        assert!(read(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[tokio::test]
    async fn a_request_goes_out_whole() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let request = Requests::to(address).unwrap().send_code(People::default().next()).unwrap();
        let mut wire = Wire::open(address).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        server.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        assert_eq!(wire.send(request).await.unwrap().status, StatusCode::OK);
        drop(wire);
        let mut sent = String::new();
        server.read_to_string(&mut sent).await.unwrap();
        assert!(sent.starts_with("POST /user/appmobilebindverifysend?application=app"), "{sent}");
        assert!(sent.contains("content-length: 24\r\n\r\n{\"mobile\":\"13000000000\"}"), "{sent}");
    }
}
