//! The work that is interrupted, and what is known of it afterwards.

use std::sync::Arc;

use anyhow::Result;
use tokio::sync::watch;

use super::client::{Answer, BindRequest, Client};
use super::random::Random;

/// Tries that a code has, as the settings' default says.
pub(super) const TRIES: u8 = 5;

/// A bind that was answered with code 0.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) request: BindRequest,
    pub(crate) id: String,
    pub(crate) token: String,
    /// The nickname that the account has, which a later bind need not have changed.
    pub(crate) nickname: String,
}

impl Bound {
    pub(crate) fn new(request: BindRequest, answer: &Answer) -> Self {
        Self {
            id: answer.field("id").to_owned(),
            token: answer.field("token").to_owned(),
            nickname: answer.field("nickname").to_owned(),
            request,
        }
    }
}

/// Wrong tries of one code.
#[derive(Clone, Debug)]
pub(super) struct Guessed {
    /// The last try.
    pub(super) request: BindRequest,
    /// How many were answered.
    pub(super) counted: u8,
    /// Whether one more was on its way.
    pub(super) in_flight: bool,
}

/// A number for which everything that was asked was refused.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    /// What was asked last.
    pub(super) request: BindRequest,
    /// Whether its code was sent, and is still good.
    pub(super) has_code: bool,
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) bound: Vec<Bound>,
    /// Of `bound`, those whose account has another number and session by now.
    pub(super) superseded: std::collections::HashSet<String>,
    /// Binds without an answer.
    pub(super) open: Vec<BindRequest>,
    pub(super) guessed: Vec<Guessed>,
    pub(super) refused: Vec<Refused>,
}

impl Journal {
    /// Takes over what another one knows.
    pub(super) fn add(&mut self, other: Self) {
        self.bound.extend(other.bound);
        self.superseded.extend(other.superseded);
        self.open.extend(other.open);
        self.guessed.extend(other.guessed);
        self.refused.extend(other.refused);
    }

    /// A bound account for a worker to go on with, another one for each.
    pub(super) fn some_bound(&self, worker: u64) -> Option<Bound> {
        let from_the_end = usize::try_from(worker).ok()?;
        self.bound.iter().rev().filter(|bound| !self.superseded.contains(&bound.token)).nth(from_the_end).cloned()
    }
}

/// One client that asks for one thing after the other.
pub(super) struct Worker {
    client: Arc<Client>,
    number: u64,
    random: Random,
    journal: Journal,
    /// The account that it may give another number.
    own: Option<Bound>,
}

impl Worker {
    pub(super) fn new(client: Arc<Client>, first_number: u64, random: Random, own: Option<Bound>) -> Self {
        let own = own.filter(|bound| bound.request.openid.is_none());
        Self { client, number: first_number, random, journal: Journal::default(), own }
    }

    /// Asks until there is no answer, or it is told to stop.
    pub(super) async fn run(mut self, stopped: watch::Receiver<bool>) -> Journal {
        while !*stopped.borrow() {
            let done = match self.random.within(0..10) {
                0..=4 => self.bind(None).await,
                5 | 6 => {
                    let own = self.own.take();
                    self.bind(own).await
                }
                7 | 8 => self.guess().await,
                _ => self.be_refused().await,
            };
            if done.is_err() {
                break;
            }
        }
        self.journal
    }

    fn request(&mut self) -> BindRequest {
        self.number += 1;
        let number = self.number;
        BindRequest {
            uuid: format!("installation-{number}"),
            mobile: number.to_string(),
            verify: String::new(),
            nickname: format!("nickname-{number}"),
            openid: self.random.draw().is_multiple_of(2).then(|| format!("openid-{number}")),
            token: None,
        }
    }

    async fn with_code(&self, mut request: BindRequest) -> Result<BindRequest> {
        let sent = self.client.send_code(&request.uuid, &request.mobile).await?;
        anyhow::ensure!(sent.code() == 0, "not sent");
        request.verify = self.client.code(&request.mobile).await?;
        Ok(request)
    }

    /// Binds a new number: to a new account, or to one that has another.
    async fn bind(&mut self, own: Option<Bound>) -> Result<()> {
        let mut request = self.request();
        if let Some(own) = &own {
            request.openid = None;
            request.token = Some(own.token.clone());
        }
        let request = self.with_code(request).await?;
        if let Some(own) = own {
            // From here on its old number and session may be gone, whether or not that is answered.
            self.journal.superseded.insert(own.token);
        }
        let answer = self.client.bind(&request).await;
        match answer {
            Ok(answer) if answer.code() == 0 => {
                let bound = Bound::new(request, &answer);
                self.own = Some(bound.clone()).filter(|bound| bound.request.openid.is_none());
                self.journal.bound.push(bound);
                Ok(())
            }
            // Refused for the store's sake: like no answer at all.
            Ok(_) => {
                self.journal.open.push(request);
                Ok(())
            }
            Err(error) => {
                self.journal.open.push(request);
                Err(error)
            }
        }
    }

    /// Tries wrong codes, but leaves the code at least one try.
    async fn guess(&mut self) -> Result<()> {
        let request = self.request();
        let mut request = self.with_code(request).await?;
        request.openid.get_or_insert_with(|| format!("openid-{}", request.mobile));
        request.verify = wrong(&request.verify);
        let mut guessed = Guessed { request, counted: 0, in_flight: false };
        for _ in 0..self.random.within(1..u64::from(TRIES)) {
            match self.client.bind(&guessed.request).await {
                Ok(answer) if answer.code() == -11 => guessed.counted += 1,
                other => {
                    guessed.in_flight = true;
                    self.journal.guessed.push(guessed);
                    return other.map(|_| ());
                }
            }
        }
        self.journal.guessed.push(guessed);
        Ok(())
    }

    /// Asks for what is refused: without a code, or as a mini-program without an openid.
    async fn be_refused(&mut self) -> Result<()> {
        let mut request = self.request();
        let has_code = self.random.draw().is_multiple_of(2);
        if has_code {
            request = self.with_code(request).await?;
            request.openid = Some(String::new());
        } else {
            request.verify = "1234".to_owned();
        }
        let answer = self.client.bind(&request).await;
        // Without an answer it was refused all the same.
        let refused = answer.as_ref().map_or(true, |answer| answer.code() != 0);
        anyhow::ensure!(refused, "what cannot be was bound");
        self.journal.refused.push(Refused { request, has_code });
        answer.map(|_| ())
    }
}

/// Another code of the same length.
pub(super) fn wrong(code: &str) -> String {
    let other = |digit: char| if digit == '9' { '0' } else { '9' };
    code.chars().map(other).collect()
}
