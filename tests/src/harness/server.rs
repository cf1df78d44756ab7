//! The server under test.

use std::sync::Arc;

use anyhow::{Context, Result};
use mobile_bind::settings::LimitMode;
use mobile_bind::{App, Ports, Settings};
use mobile_bind_sms::SentMessage;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;
use tempfile::TempDir;

use super::{ManualClock, SeededCodes};

/// A server with a store of its own, listening on a free loopback port.
pub struct TestServer {
    /// The running service.
    pub app: App,
    /// Its time.
    pub clock: Arc<ManualClock>,
    /// Its settings.
    pub settings: Settings,
    client: reqwest::Client,
    folder: TempDir,
}

/// A server that is stopped.
pub struct PausedServer {
    clock: Arc<ManualClock>,
    settings: Settings,
    folder: TempDir,
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as it came.
    pub text: String,
    /// The body as JSON; null where it is none.
    pub body: Value,
}

impl Answer {
    /// The envelope's code.
    #[must_use]
    pub fn code(&self) -> Option<i64> {
        self.body["code"].as_i64()
    }

    /// A text of the user object; empty where absent.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.body["data"][name].as_str().unwrap_or_default()
    }
}

impl TestServer {
    /// Starts a server without quotas.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(|settings| settings.limits.mode = LimitMode::Off).await
    }

    /// Starts a server with settings of the test's own, over the defaults.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn start_with(set: impl FnOnce(&mut Settings)) -> Result<Self> {
        Self::start_seeded(set, SeededCodes::new(1, Default::default())).await
    }

    /// Starts a server with settings and codes of the test's own.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn start_seeded(set: impl FnOnce(&mut Settings), codes: SeededCodes) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut settings = Settings {
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: folder.path().join("data"),
            shutdown_timeout_s: 1,
            ..Settings::default()
        };
        // How busy the machine is must not decide on what a test sees.
        settings.server.overload_wait_ms = 0;
        set(&mut settings);
        let clock = Arc::new(ManualClock::default());
        let app = start(&settings, &clock, codes).await?;
        // Its own pool: no test waits for another's connections.
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { app, clock, settings, client, folder })
    }

    /// Stops the server, and keeps its folder, time and settings.
    ///
    /// # Errors
    /// Where it does not stop.
    pub async fn paused(self) -> Result<PausedServer> {
        let Self { app, clock, settings, client: _, folder } = self;
        app.stop().await?;
        Ok(PausedServer { clock, settings, folder })
    }

    /// Stops the server and starts it again on the same data.
    ///
    /// # Errors
    /// Where it does not stop or start.
    pub async fn restart(self) -> Result<Self> {
        self.paused().await?.resumed().await
    }

    /// Stops the server.
    ///
    /// # Errors
    /// Where it does not stop cleanly.
    pub async fn stop(self) -> Result<()> {
        drop(self.client);
        self.app.stop().await
    }

    /// The folder that the server keeps its data in.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The server's URL of a path with its query.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.app.address)
    }

    /// A client that speaks to the server.
    #[must_use]
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Sends a request as it is.
    ///
    /// # Errors
    /// Where no answer comes.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        let response = request.send().await.context("no answer")?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, headers, text, body })
    }

    /// Sends a body of a content type.
    ///
    /// # Errors
    /// Where no answer comes.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: impl Into<reqwest::Body>,
    ) -> Result<Answer> {
        let mut request = self.client.request(method, self.url(path)).body(body);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        self.send(request).await
    }

    /// Posts form fields.
    ///
    /// # Errors
    /// Where no answer comes.
    pub async fn post(&self, path: &str, form: &str) -> Result<Answer> {
        self.request(Method::POST, path, Some("application/x-www-form-urlencoded"), form.to_owned()).await
    }

    /// Asks for a code to a number, for the client `uuid`.
    ///
    /// # Errors
    /// Where no answer comes.
    pub async fn send_code(&self, uuid: &str, mobile: &str) -> Result<Answer> {
        self.post(&format!("/user/appmobilebindverifysend?uuid={uuid}"), &format!("mobile={mobile}")).await
    }

    /// The last code that went to a number.
    ///
    /// # Errors
    /// Where none did.
    pub fn last_code(&self, mobile: &str) -> Result<String> {
        let messages = self.app.sms.messages(Some(mobile));
        let newest = messages.iter().find_map(SentMessage::code).context("no code was sent")?;
        Ok(newest.digits().to_owned())
    }
}

impl PausedServer {
    /// Starts the server again, over another store.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn resumed_over(mut self, store: &str) -> Result<TestServer> {
        store.clone_into(&mut self.settings.store);
        self.resumed().await
    }

    async fn resumed(self) -> Result<TestServer> {
        let Self { clock, settings, folder } = self;
        let app = start(&settings, &clock, SeededCodes::new(2, Default::default())).await?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(TestServer { app, clock, settings, client, folder })
    }
}

async fn start(settings: &Settings, clock: &Arc<ManualClock>, codes: SeededCodes) -> Result<App> {
    let ports = Ports { clock: Some(clock.clone()), codes: Some(Arc::new(codes)), ..Ports::default() };
    App::start(settings, ports).await
}
