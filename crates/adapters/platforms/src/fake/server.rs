//! The fake's HTTP server.

use std::io;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{Play, Stage, answers};

const BODY_LIMIT: usize = 64 * 1024;

pub(super) async fn serve(listener: TcpListener, stage: Arc<Stage>) {
    // Connections end with the fake.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        while connections.try_join_next().is_some() {}
        let stage = Arc::clone(&stage);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&stage)));
            // A client that went away is none of the fake's concern.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, stage: Arc<Stage>) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT).collect().await.map_err(io::Error::other)?.to_bytes();
    let play = stage.state().play;
    let (status, text) = match play {
        Some(Play::Hang) => std::future::pending().await,
        Some(Play::Crash) => (500, "<html>Bad luck</html>".to_owned()),
        Some(Play::Garbage) => (200, "\u{0}]not what was asked for".to_owned()),
        _ => (200, String::new()),
    };
    let text = if status == 200 && text.is_empty() {
        answers::of(&stage, parts.uri.path(), parts.uri.query().unwrap_or_default(), &body)
    } else {
        text
    };
    let builder = Response::builder().status(status).header("content-type", "application/json");
    builder.body(Full::new(Bytes::from(text))).map_err(io::Error::other)
}
