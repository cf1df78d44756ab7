//! What became of a code that a client asked for.

use super::{Service, not_stored};
use crate::bind::is_empty;
use crate::outbox::SendStatus;
use crate::{Operation, OutboxMessage, Refusal, Requester};

/// Among how many of a number's messages the client's own is looked for: more than go to a number while a code lives.
const LATEST: usize = 32;

impl Service {
    /// What became of the last code that this client asked for to this number. Whoever did not ask for one is told the same
    /// of every number.
    ///
    /// # Errors
    /// Where the number is malformed or a test number that is past its date, or this client has no code for it that could still
    /// arrive in time.
    pub async fn send_status(&self, requester: &Requester, mobile: &str) -> Result<SendStatus, Refusal> {
        if is_empty(mobile) {
            return Err(Refusal::MobileMissing);
        }
        let mobile = self.policy.get().mobile_rule.parse(mobile).ok_or(Refusal::MobileMalformed(Operation::Status))?;
        let (client, now) = (requester.client(), self.clock.now());
        // Nothing more is on its way to a number for tests.
        if self.policy.get().test_number(&mobile, now)?.is_some() {
            return Ok(SendStatus::Accepted);
        }
        let messages = self.store.messages_to(&mobile, LATEST).await;
        let messages = messages.map_err(|error| not_stored(Operation::Status, &error))?;
        let with_code = |message: &OutboxMessage| message.purpose.brings_a_code();
        let own =
            messages.into_iter().map(|found| found.value).filter(with_code).find(|message| message.client == client);
        own.filter(|message| now < message.expires_at).map(|message| message.send_status()).ok_or(Refusal::CodeExpired)
    }
}
