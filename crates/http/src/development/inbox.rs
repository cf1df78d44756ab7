//! The inbox: the page, and what it shows, sent to it as it changes (server-sent events, the HTML standard's section 9.2).

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use mobile_bind_domain::Service;
use poem::web::sse::{Event, SSE};
use poem::{Endpoint, IntoResponse, Request, Response, Result};
use serde::Serialize;
use tokio::sync::watch;

use super::{Behaviour, Development, WrittenMessage};
use crate::time_text;

/// How many messages the inbox shows: the newest.
const SHOWN: usize = 100;
/// How often a connection says that it is there, so that it is not closed as idle.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// All that the inbox shows.
#[derive(Serialize)]
struct Shown {
    now: String,
    messages: Vec<WrittenMessage>,
    behaviours: Vec<(String, Behaviour)>,
}

pub(super) struct EventsRoute {
    pub(super) development: Arc<dyn Development>,
    pub(super) service: Arc<Service>,
}

/// What a listener is told of, and whether it is still to be told of what was there when it came.
struct Listener {
    development: Arc<dyn Development>,
    service: Arc<Service>,
    changes: watch::Receiver<u64>,
    is_new: bool,
}

impl Listener {
    /// Waits for the next change; `None` when there will be none.
    async fn next(mut self) -> Option<(Event, Self)> {
        if !self.is_new {
            self.changes.changed().await.ok()?;
        }
        self.is_new = false;
        self.changes.mark_unchanged();
        let mut messages = self.development.messages(None);
        messages.truncate(SHOWN);
        let shown = Shown {
            now: time_text::rfc3339(self.service.clock.now()),
            messages: messages.into_iter().map(WrittenMessage::from).collect(),
            behaviours: self.development.behaviours(),
        };
        let event = Event::message(serde_json::to_string(&shown).ok()?);
        Some((event, self))
    }
}

impl Endpoint for EventsRoute {
    type Output = Response;

    async fn call(&self, _: Request) -> Result<Response> {
        let (development, service) = (Arc::clone(&self.development), Arc::clone(&self.service));
        let changes = development.changes();
        let listener = Listener { development, service, changes, is_new: true };
        Ok(SSE::new(stream::unfold(listener, Listener::next)).keep_alive(KEEP_ALIVE).into_response())
    }
}
