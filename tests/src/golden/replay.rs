//! Playing a scenario.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use mobile_bind::Settings;
use mobile_bind::settings::{LimitMode, ProofSetting};
use mobile_bind_domain::{Account, Service};
use mobile_bind_sms::Behaviour;
use regex::Regex;
use reqwest::Method;

use super::compare::{Comparison, Difference};
use super::format::{After, Case, GivenSettings, Step};
use super::placeholders::{Placeholders, literal_codes};
use super::seed::seed;
use crate::harness::{Answer, SeededCodes, TestServer};

pub(super) async fn replay(case: &Case, store: &str) -> Result<Vec<Difference>> {
    let codes = SeededCodes::new(1, literal_codes(case)?);
    let given = |settings: &mut Settings| {
        store.clone_into(&mut settings.store);
        set(settings, &case.given.settings);
    };
    let server = TestServer::start_seeded(given, codes).await?;
    let mut placeholders = Placeholders::default();
    seed(&server.app.service, &case.given.users, &mut placeholders).await?;
    let mut found = Vec::new();
    for (index, step) in case.steps.iter().enumerate() {
        let mut comparison = Comparison { case: &case.name, step: (index + 1).to_string(), found: &mut found };
        play(step, &server, &mut placeholders, &mut comparison).await?;
    }
    if let Some(after) = &case.after {
        let mut comparison = Comparison { case: &case.name, step: "after".to_owned(), found: &mut found };
        compare_stored(after, &server.app.service, &mut placeholders, &mut comparison).await?;
    }
    server.stop().await?;
    Ok(found)
}

/// ShopXO knows no proof of an openid, and no quotas but the interval.
fn set(settings: &mut Settings, given: &GivenSettings) {
    settings.platform_proof = ProofSetting::Trust;
    settings.limits.mode = LimitMode::Off;
    settings.code.send_interval_s = given.send_interval_s;
    settings.code.lifetime_s = given.code_ttl_s;
    settings.register.audit = given.register_audit;
    settings.register.forbidden_mobiles.clone_from(&given.forbidden_mobiles);
    settings.shop.mandatory_bind = given.mandatory_bind;
}

async fn play(
    step: &Step,
    server: &TestServer,
    placeholders: &mut Placeholders,
    comparison: &mut Comparison<'_>,
) -> Result<()> {
    server.clock.advance(Duration::try_from_secs_f64(step.wait_s).context("wait_s is no time")?);
    let numbers = numbers_in(step)?;
    if step.provider_refuses {
        numbers.iter().for_each(|number| server.app.sms.set_behaviour(number, Behaviour::Refuse));
    }
    let sent_before = server.app.sms.messages(None).len();
    let answer = request(step, server, placeholders).await?;
    numbers.iter().for_each(|number| server.app.sms.set_behaviour(number, Behaviour::Deliver));

    let messages = server.app.sms.messages(None);
    let sent: Vec<_> = messages.iter().take(messages.len() - sent_before).rev().collect();
    let sent_to: Vec<&str> = sent.iter().map(|sent| sent.message.mobile.as_str()).collect();
    comparison.same(
        "sms_to",
        step.sms_to.as_deref().unwrap_or("nobody"),
        if sent_to.is_empty() { "nobody".to_owned() } else { sent_to.join(" and ") },
    );
    for sent in sent {
        if let Some(code) = sent.code() {
            placeholders.add_code(sent.message.mobile.as_str(), code.digits().to_owned());
        }
    }
    comparison.answer(&step.answer, &answer, server, placeholders);
    Ok(())
}

async fn request(step: &Step, server: &TestServer, placeholders: &Placeholders) -> Result<Answer> {
    let recorded = &step.request;
    let method: Method = recorded.method.parse()?;
    let url = server.url(&placeholders.fill(&recorded.path)?);
    let mut request = server.client().request(method, url).body(placeholders.fill(&recorded.body)?);
    if let Some(content_type) = &recorded.content_type {
        request = request.header("content-type", content_type);
    }
    for (name, value) in &recorded.headers {
        request = request.header(name, placeholders.fill(value)?);
    }
    server.send(request).await
}

fn numbers_in(step: &Step) -> Result<Vec<String>> {
    let digits = Regex::new(r"\d{11}")?;
    let texts = [&step.request.path, &step.request.body];
    Ok(texts.into_iter().flat_map(|text| digits.find_iter(text)).map(|found| found.as_str().to_owned()).collect())
}

/// Deleted accounts are not compared; every other account must be there, and no more.
async fn compare_stored(
    after: &After,
    service: &Service,
    placeholders: &mut Placeholders,
    comparison: &mut Comparison<'_>,
) -> Result<()> {
    let stored = service.store.accounts(None, 1000).await?;
    let mut stored: BTreeMap<String, Account> =
        stored.into_iter().map(|account| (account.value.id.get().to_string(), account.value)).collect();
    stored.retain(|_, account| account.deleted_at.is_none());
    let mut expected: Vec<_> = after.users.iter().filter(|user| !user.deleted).collect();
    comparison.same("accounts", expected.len(), stored.len());
    // Accounts whose ids are known from an answer go first, so that what is left over is what no answer showed.
    expected.sort_by_key(|user| placeholders.resolve_id(&user.id, "").starts_with("the id"));
    for user in expected {
        let known = placeholders.resolve_id(&user.id, "");
        let unmet = || stored.keys().find(|id| !placeholders.stands_for(id)).cloned();
        let id = if stored.contains_key(&known) { Some(known) } else { unmet() };
        let account = id.and_then(|id| {
            placeholders.resolve_id(&user.id, &id);
            stored.remove(&id)
        });
        match account {
            Some(account) => comparison.account(user, &account, service, placeholders).await?,
            None => comparison.same("account", &user.id, "none"),
        }
    }
    Ok(())
}
