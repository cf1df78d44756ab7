//! Moving from the embedded store to PostgreSQL and back: every account is there, and every token goes on working. Into a shop's
//! own database and out of it: every account is there.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mobile_bind::cli::CommandLine;
use mobile_bind::settings::LimitMode;
use mobile_bind_domain::audit::AuditAction;
use mobile_bind_domain::outbox::{Attempt, AttemptOutcome, MessageId, MessageState, SealedCode};
use mobile_bind_domain::ports::Clock;
use mobile_bind_domain::{Account, Change, KeyId, MessageKey, Mobile, OutboxMessage, Revision, Write};
use mobile_bind_tests::contract::StoreUnderTest;
use mobile_bind_tests::contract::postgres::PostgresSchema;
use mobile_bind_tests::harness::TestServer;
use mobile_bind_tests::shop::Shop;

const MOBILE: &str = "17602128368";

async fn look_up(server: &TestServer, token: &str) -> Result<String> {
    let answer = server.post("/user/tokenuserinfo", &format!("token={token}")).await?;
    ensure!(answer.code() == Some(0), "{}", answer.text);
    Ok(answer.field("mobile").to_owned())
}

/// What was decided before the move is known, sealed and untouched.
async fn ensure_audited(server: &TestServer) -> Result<()> {
    let findings = server.app.service.verify_audit().await?;
    ensure!(findings.iter().all(|(_, findings)| findings.problems.is_empty()), "{findings:?}");
    ensure!(findings.iter().any(|(_, findings)| findings.segments > 0), "{findings:?}");
    let mobile = Mobile::restore(MOBILE).context("a number")?;
    let events = server.app.service.audit_of(&mobile, 10).await?;
    ensure!(events.iter().any(|event| event.action == AuditAction::Create), "{events:?}");
    Ok(())
}

/// A message that one provider could not deliver and another may still, and that is looked at again after the move.
async fn leave_message(server: &TestServer) -> Result<OutboxMessage> {
    let (mobile, now) = (Mobile::restore(MOBILE).context("a number")?, server.clock.now());
    let sent = server.app.service.store.messages_to(&mobile, 1).await?.remove(0).value;
    let attempt = |provider, reference| Attempt::new(provider, Ok(reference), now);
    let undelivered = Attempt { outcome: AttemptOutcome::Undelivered, ..attempt("main", "m-1") };
    let message = OutboxMessage {
        key: MessageKey { mobile, id: MessageId::new(now, [7; 10]) },
        state: MessageState::Accepted,
        sealed: Some(SealedCode { key: KeyId::new("key").context("a key")?, bytes: [7].into() }),
        attempts: vec![undelivered, attempt("spare", "s-1")],
        due_at: Some(now.after(Duration::from_secs(3_600))),
        ..sent
    };
    let write = Write::Message { expected: Revision::ABSENT, message: Box::new(message.clone()) };
    server.app.service.store.commit(Change { expectations: Vec::new(), writes: vec![write] }).await?;
    Ok(message)
}

/// It is as it was but for its code, its receipts find it, and the message that carried the code is there as well.
async fn ensure_messages(server: &TestServer, left: &OutboxMessage) -> Result<()> {
    let store = &server.app.service.store;
    let moved = OutboxMessage { sealed: None, ..left.clone() };
    for (provider, reference) in [("main", "m-1"), ("spare", "s-1")] {
        let found = store.message_by_reference(provider, reference).await?.context(reference)?;
        ensure!(found.value == moved, "{found:?}");
    }
    ensure!(store.messages_to(&moved.key.mobile, 9).await?.len() == 2);
    Ok(())
}

/// `mobile-bind store copy`, as an operator calls it.
async fn copy(data_dir: &std::path::Path, from: &str, to: &str) -> Result<()> {
    use clap::Parser as _;
    let data_dir = data_dir.to_str().context("a folder's name")?;
    let words = ["mobile-bind", "--data-dir", data_dir, "store", "copy", "--from", from, "--to", to];
    let command = CommandLine::try_parse_from(words)?;
    tokio::task::spawn_blocking(|| command.run()).await?
}

/// A server with a bound number, a message and an audit; and the number's token.
async fn with_a_bind() -> Result<(TestServer, String, OutboxMessage)> {
    let server = TestServer::start().await?;
    server.send_code("u", MOBILE).await?;
    let verify = server.last_code(MOBILE)?;
    let form = format!("mobile={MOBILE}&verify={verify}&weixin_openid=o1");
    let bound = server.post("/user/appmobilebind?application_client_type=weixin&uuid=u", &form).await?;
    ensure!(bound.code() == Some(0), "{}", bound.text);
    let token = bound.field("token").to_owned();
    let message = leave_message(&server).await?;
    for _ in 0..2 {
        server.clock.advance(Duration::from_secs(61));
        server.app.service.keep_audit().await?;
    }
    Ok((server, token, message))
}

/// The account with the number, and that it has the openid.
async fn ensure_bound(server: &TestServer) -> Result<Account> {
    let mobile = Mobile::restore(MOBILE).context("a number")?;
    let found = server.app.service.store.account_of(&mobile).await?.context("an account")?.value;
    let identity = found.held_identities().next().context("an openid")?;
    ensure!(identity.openid.as_str() == "o1", "{identity:?}");
    Ok(found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_move_into_a_shop_and_out_of_it() -> Result<()> {
    let shop = Shop::open().await?;
    let (server, token, message) = with_a_bind().await?;
    let (data_dir, folder) = (server.settings.data_dir.clone(), server.folder().to_owned());
    let before = ensure_bound(&server).await?;
    let moved = server.paused().await?;

    // What was broken off is called again.
    for _ in 0..2 {
        copy(&data_dir, "sled:", &shop.store()).await?;
    }
    let there = moved.resumed_over(&shop.store()).await?;
    let at_shop = ensure_bound(&there).await?;
    ensure!(at_shop.id == before.id && at_shop.seen_at.is_some(), "{at_shop:?}");
    ensure!(look_up(&there, &token).await.is_err(), "a JWT is no token of a shop's");
    ensure_audited(&there).await?;
    ensure_messages(&there, &message).await?;
    let moved = there.paused().await?;

    let back = format!("sled:{}", folder.join("back").display());
    copy(&data_dir, &shop.store(), &back).await?;
    let again = moved.resumed_over(&back).await?;
    ensure!(ensure_bound(&again).await? == at_shop);
    ensure_audited(&again).await?;
    ensure_messages(&again, &message).await?;
    again.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_that_gave_one_number_twice_is_not_copied_but_told() -> Result<()> {
    let shop = Shop::open().await?;
    for _ in 0..2 {
        shop.insert_user(&[("mobile", MOBILE.into())]).await?;
    }
    mobile_bind_shopxo::install(&mobile_bind_shopxo::Options::new(&shop.store())).await?;
    let folder = tempfile::tempdir()?;
    let told = copy(folder.path(), &shop.store(), "sled:").await.err().context("an error")?;
    let told = format!("{told:#}");
    ensure!(told.contains("one number: accounts 1, 2") && !told.contains(MOBILE), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_go_on_working_there_and_back() -> Result<()> {
    let schema = PostgresSchema::empty()?;
    schema.prepare().await?;
    let (server, token, message) = with_a_bind().await?;
    let (data_dir, folder) = (server.settings.data_dir.clone(), server.folder().to_owned());
    let moved = server.paused().await?;

    copy(&data_dir, "sled:", &schema.address()).await?;
    let there = moved.resumed_over(&schema.address()).await?;
    ensure!(look_up(&there, &token).await? == MOBILE);
    ensure_audited(&there).await?;
    ensure_messages(&there, &message).await?;
    // A second node of the same database knows the token as well, without any file of the first.
    let second = TestServer::start_with(|settings| {
        settings.limits.mode = LimitMode::Off;
        settings.store = schema.address();
    })
    .await?;
    ensure!(look_up(&second, &token).await? == MOBILE);
    second.stop().await?;
    let moved = there.paused().await?;

    let back = format!("sled:{}", folder.join("back").display());
    copy(&data_dir, &schema.address(), &back).await?;
    let again = moved.resumed_over(&back).await?;
    ensure!(look_up(&again, &token).await? == MOBILE);
    ensure_audited(&again).await?;
    ensure_messages(&again, &message).await?;
    again.stop().await
}
