//! The binary as a running service, spoken to over HTTP.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A running service. It is killed where it is dropped: nothing is closed in order.
pub(crate) struct Service {
    child: Child,
    base: String,
    client: reqwest::Client,
}

impl Service {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("listening on ").expect("the first line says where").to_owned();
        Self { child, base, client: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    /// Sends a form, and answers the envelope.
    pub(crate) async fn post(&self, path: &str, form: &str) -> Value {
        let request = self.client.post(format!("{}{path}", self.base)).body(form.to_owned());
        let response = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    /// Has a code sent to a number for the client `u`, and answers it.
    pub(crate) async fn code(&self, mobile: &str) -> String {
        self.post("/user/appmobilebindverifysend?uuid=u", &format!("mobile={mobile}")).await;
        let inbox = self.client.get(format!("{}/dev/sms?mobile={mobile}", self.base)).send().await.unwrap();
        let inbox: Value = serde_json::from_str(&inbox.text().await.unwrap()).unwrap();
        inbox[0]["code"].as_str().unwrap().to_owned()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
