//! A stand-in for the shop's PHP: it answers everything, and says what came, after it has done whatever a test has it do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use anyhow::Result;
use serde_json::json;

/// Listens on a free loopback port until the process ends.
pub struct StandIn {
    address: SocketAddr,
}

impl StandIn {
    /// Starts to listen.
    ///
    /// # Errors
    /// Where no port is free.
    pub fn start() -> Result<Self> {
        Self::start_with(|_, _| Ok(()))
    }

    /// Starts to listen, and does something with each request before it answers: it is given the target and the body. Where
    /// that fails there is no answer.
    ///
    /// # Errors
    /// Where no port is free.
    pub fn start_with(work: impl Fn(&str, &str) -> Result<()> + Send + Sync + 'static) -> Result<Self> {
        let work = Arc::new(work);
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A request that is none gets no answer, and fails the test that waits for one.
                let work = Arc::clone(&work);
                std::thread::spawn(move || answer(&stream, &*work));
            }
        });
        Ok(Self { address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn answer(mut stream: &TcpStream, work: &impl Fn(&str, &str) -> Result<()>) -> Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut forwarded) = (0, String::new());
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse()?,
            "x-forwarded-for" => value.clone_into(&mut forwarded),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body);
    work(&target, &body)?;
    let answer = json!({ "by": "the shop", "target": target, "body": body, "forwarded": forwarded }).to_string();
    let length = answer.len();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ";
    Ok(stream.write_all(format!("{head}{length}\r\n\r\n{answer}").as_bytes())?)
}
