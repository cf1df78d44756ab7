//! Moving messages: what became of them, and the ways by which later receipts find them.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use mobile_bind_domain::ports::Store;
use mobile_bind_domain::{Change, MessageKey, OutboxMessage, Versioned, Write};

use crate::checksum::Checksum;

/// How many are read and committed together.
const BATCH: usize = 1_024;

/// Writes the messages that the target has not, or has otherwise. Their codes stay behind: no challenge moves, so that a code
/// that was sent after the move would be of no use to anybody.
///
/// # Errors
/// Where a store cannot be used.
pub(crate) async fn copy(source: &Arc<dyn Store>, target: &Arc<dyn Store>) -> Result<()> {
    let is_empty = target.messages(None, 1).await?.is_empty();
    let mut after: Option<MessageKey> = None;
    loop {
        let messages = source.messages(after.as_ref(), BATCH).await?;
        let Some(last) = messages.last() else { return Ok(()) };
        after = Some(last.value.key.clone());
        let mut writes = Vec::new();
        for Versioned { value, .. } in messages {
            let message = OutboxMessage { sealed: None, ..value };
            let known = if is_empty { None } else { target.message(&message.key).await? };
            if known.as_ref().is_none_or(|known| known.value != message) {
                let expected = Versioned::revision_of(known.as_ref());
                writes.push(Write::Message { expected, message: Box::new(message) });
            }
        }
        if !writes.is_empty() {
            let committed = target.commit(Change { expectations: Vec::new(), writes }).await;
            committed.map_err(|error| anyhow!(error).context("messages could not be written; call it again"))?;
        }
    }
}

/// Adds all messages to a checksum.
///
/// # Errors
/// Where the store cannot be read.
pub(crate) async fn add_to(checksum: &mut Checksum, store: &Arc<dyn Store>) -> Result<()> {
    let mut after: Option<MessageKey> = None;
    loop {
        let messages = store.messages(after.as_ref(), BATCH).await?;
        let Some(last) = messages.last() else { return Ok(()) };
        after = Some(last.value.key.clone());
        messages.iter().for_each(|message| checksum.add_message(&message.value));
        // The embedded store never waits: the other one's answer must be heard in time.
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mobile_bind_domain::outbox::{Attempt, MessageId, MessageState, SealedCode};
    use mobile_bind_domain::policy::OutboxPolicy;
    use mobile_bind_domain::ports::Store;
    use mobile_bind_domain::{
        Change, Client, Installation, KeyId, Language, MessageKey, Mobile, OutboxMessage, Revision, Timestamp, Write,
    };
    use mobile_bind_memory::MemoryStore;

    use super::{BATCH, add_to, copy};
    use crate::checksum::Checksum;

    fn message(number: usize) -> OutboxMessage {
        let now = Timestamp::from_seconds(1_790_000_000);
        let mobile = Mobile::restore(&format!("1760{number}")).unwrap();
        let key = MessageKey { mobile, id: MessageId::new(now, [1; 10]) };
        let client = Client::Installation(Installation::new("u").unwrap());
        let sealed = SealedCode { key: KeyId::new("key").unwrap(), bytes: [7].into() };
        let lasts = (now, now.after(std::time::Duration::from_secs(600)));
        OutboxMessage::with_code(key, client, Language::Zh, sealed, lasts, &OutboxPolicy::default())
    }

    async fn put(store: &Arc<dyn Store>, expected: Revision, message: OutboxMessage) {
        let writes = vec![Write::Message { expected, message: Box::new(message) }];
        store.commit(Change { expectations: Vec::new(), writes }).await.unwrap();
    }

    async fn sum(store: &Arc<dyn Store>) -> String {
        let mut checksum = Checksum::default();
        add_to(&mut checksum, store).await.unwrap();
        checksum.finished().to_string()
    }

    #[tokio::test]
    async fn all_are_copied_and_again_what_has_changed() {
        let source: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let target: Arc<dyn Store> = Arc::new(MemoryStore::new());
        for number in 0..BATCH + 2 {
            put(&source, Revision::ABSENT, message(number)).await;
        }
        copy(&source, &target).await.unwrap();
        assert!(sum(&source).await.contains(&format!("{} messages", BATCH + 2)));
        assert_eq!(sum(&source).await, sum(&target).await);
        assert!(target.messages(None, BATCH).await.unwrap().iter().all(|copied| copied.value.sealed.is_none()));

        let key = message(BATCH).key;
        let known = source.message(&key).await.unwrap().unwrap();
        let attempt = Attempt::new("main", Ok("m-1"), known.value.queued_at);
        let accepted = OutboxMessage { state: MessageState::Accepted, attempts: vec![attempt], ..known.value };
        put(&source, known.revision, accepted).await;
        assert_ne!(sum(&source).await, sum(&target).await);
        let untouched = message(1).key;
        let before = target.message(&untouched).await.unwrap();
        copy(&source, &target).await.unwrap();
        assert_eq!(sum(&source).await, sum(&target).await);
        assert_eq!(target.message(&untouched).await.unwrap(), before, "what is alike is not written again");
        assert!(target.message_by_reference("main", "m-1").await.unwrap().is_some());
    }
}
