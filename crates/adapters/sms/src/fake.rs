//! A fake provider: keeps messages in memory, prints them, and can be told to misbehave.

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use mobile_bind_domain::ports::{Accepted, Clock, SendFailure, SmsSender, TextMessage};
use mobile_bind_domain::{Timestamp, VerificationCode};
use tokio::sync::watch;

use crate::wording;

/// A message that the fake provider accepted.
#[derive(Clone, Debug)]
pub struct SentMessage {
    /// What was sent.
    pub message: TextMessage,
    /// When.
    pub sent_at: Timestamp,
}

impl SentMessage {
    /// The code in it; `None` where it has none.
    #[must_use]
    pub fn code(&self) -> Option<&VerificationCode> {
        self.message.content.code()
    }

    /// How it is worded.
    #[must_use]
    pub fn text(&self) -> String {
        wording::text(&self.message)
    }
}

/// What the fake provider does with messages to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Accepts them.
    Deliver,
    /// Refuses them.
    Refuse,
    /// Never answers.
    Hang,
}

/// Where accepted messages are printed.
type Printer = Mutex<Box<dyn Write + Send>>;

/// The fake provider.
pub struct FakeSms {
    clock: Arc<dyn Clock>,
    printer: Option<Printer>,
    messages: Mutex<VecDeque<SentMessage>>,
    behaviours: Mutex<HashMap<String, Behaviour>>,
    changes: watch::Sender<u64>,
}

impl FakeSms {
    /// How many messages are kept.
    pub const KEPT: usize = 10_000;

    /// A provider that accepts everything. Messages go to `printer` as well, one a line, with the whole number and the
    /// code: it must not be a log.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, printer: Option<Box<dyn Write + Send>>) -> Self {
        Self {
            clock,
            printer: printer.map(Mutex::new),
            messages: Mutex::default(),
            behaviours: Mutex::default(),
            changes: watch::Sender::default(),
        }
    }

    /// The last messages, newest first: all, or those to one number.
    #[must_use]
    pub fn messages(&self, mobile: Option<&str>) -> Vec<SentMessage> {
        let wanted = |sent: &&SentMessage| mobile.is_none_or(|mobile| sent.message.mobile.as_str() == mobile);
        locked(&self.messages).iter().rev().filter(wanted).cloned().collect()
    }

    /// Counts up with every message that is accepted and every behaviour that is set.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The numbers whose messages are not accepted, in order.
    #[must_use]
    pub fn behaviours(&self) -> Vec<(String, Behaviour)> {
        let mut set: Vec<_> =
            locked(&self.behaviours).iter().map(|(mobile, behaviour)| (mobile.clone(), *behaviour)).collect();
        set.sort_by(|one, other| one.0.cmp(&other.0));
        set
    }

    /// Sets what happens to messages to a number from now on.
    pub fn set_behaviour(&self, mobile: &str, behaviour: Behaviour) {
        let mut behaviours = locked(&self.behaviours);
        match behaviour {
            Behaviour::Deliver => behaviours.remove(mobile),
            Behaviour::Refuse | Behaviour::Hang => behaviours.insert(mobile.to_owned(), behaviour),
        };
        drop(behaviours);
        self.changes.send_modify(|count| *count += 1);
    }

    fn accept(&self, message: TextMessage) {
        if let Some(printer) = &self.printer {
            // A closed standard output is no reason to fail.
            let line = format!("sms to {}: {}\n", message.mobile.as_str(), wording::text(&message));
            let _ = locked(printer).write_all(line.as_bytes());
        }
        let mut messages = locked(&self.messages);
        if messages.len() == Self::KEPT {
            messages.pop_front();
        }
        messages.push_back(SentMessage { message, sent_at: self.clock.now() });
        drop(messages);
        self.changes.send_modify(|count| *count += 1);
    }
}

#[async_trait]
impl SmsSender for FakeSms {
    async fn send(&self, message: TextMessage) -> Result<Accepted, SendFailure> {
        let behaviour = locked(&self.behaviours).get(message.mobile.as_str()).copied();
        let trail = message.trail.clone();
        trail.begin("fake");
        match behaviour.unwrap_or(Behaviour::Deliver) {
            Behaviour::Deliver => {
                self.accept(message);
                trail.end(Ok(""));
                Ok(Accepted { provider: "fake".to_owned(), id: String::new() })
            }
            Behaviour::Refuse => {
                trail.end(Err(SendFailure::Refused));
                Err(SendFailure::Refused)
            }
            Behaviour::Hang => std::future::pending().await,
        }
    }
}

/// Nothing here is left half-done by a panic, so a poisoned lock is as good as any.
fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use mobile_bind_domain::ports::{Clock, Content, SendFailure, SmsSender, TextMessage};
    use mobile_bind_domain::{Language, Mobile, Timestamp, VerificationCode};

    use super::{Behaviour, FakeSms};
    use crate::Deadline;

    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(43_200)
        }
    }

    fn message(mobile: &str) -> TextMessage {
        TextMessage {
            mobile: Mobile::restore(mobile).unwrap(),
            content: Content::Code(VerificationCode::from_digits("0944").unwrap()),
            language: Language::En,
            lifetime: Duration::from_secs(600),
            trail: Default::default(),
        }
    }

    #[tokio::test]
    async fn keeps_the_last_messages_newest_first() {
        let sms = FakeSms::new(Arc::new(Noon), None);
        for number in 0..=FakeSms::KEPT {
            sms.send(message(&format!("{}", 13_000_000_000_u64 + number as u64))).await.unwrap();
        }
        let kept = sms.messages(None);
        assert_eq!(kept.len(), FakeSms::KEPT);
        assert_eq!(kept[0].message.mobile.as_str(), "13000010000");
        assert_eq!(kept[FakeSms::KEPT - 1].message.mobile.as_str(), "13000000001");
        assert_eq!(sms.messages(Some("13000000005")).len(), 1);
        assert!(sms.messages(Some("13000000000")).is_empty());
    }

    #[tokio::test]
    async fn prints_what_it_accepts_and_only_that() {
        let (reader, writer) = std::io::pipe().unwrap();
        let sms = FakeSms::new(Arc::new(Noon), Some(Box::new(writer)));
        sms.set_behaviour("13000000001", Behaviour::Refuse);
        assert_eq!(sms.send(message("13000000001")).await, Err(SendFailure::Refused));
        sms.send(message("13000000000")).await.unwrap();
        drop(sms);
        let printed = std::io::read_to_string(reader).unwrap();
        assert!(printed.starts_with("sms to 13000000000: ") && printed.contains("0944"), "{printed}");
        assert_eq!(printed.lines().count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_provider_is_given_up() {
        let sms = Arc::new(FakeSms::new(Arc::new(Noon), None));
        sms.set_behaviour("13000000000", Behaviour::Hang);
        let sender = Deadline::new(sms.clone(), Duration::from_secs(5));
        assert_eq!(sender.send(message("13000000000")).await, Err(SendFailure::Unknown));
        sms.set_behaviour("13000000000", Behaviour::Deliver);
        assert!(sender.send(message("13000000000")).await.is_ok());
    }
}
