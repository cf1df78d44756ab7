//! Playing what was recorded on the copy, each request at its own time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use mobile_bind_domain::ports::Clock;
use mobile_bind_domain::{Account, AccountId, ClientType, Mobile, SessionId, Timestamp};
use mobile_bind_shopxo::{Seen, SeenAccount, ShopObserver};
use serde_json::{Map, Value};

use super::comparison::{self, AtTheShop, OnTheCopy, Request, Unclear};
use super::copy::Copy;
use super::recorded::{self, Recorded, Route};
use super::report::{Compared, Report};
use crate::App;

/// The time of the request that is played.
#[derive(Debug, Default)]
pub(crate) struct RecordedTime(AtomicU64);

impl Clock for RecordedTime {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

impl RecordedTime {
    /// Time never goes back.
    pub(crate) fn reach(&self, at: Timestamp) {
        self.0.fetch_max(at.as_millis(), Ordering::SeqCst);
    }
}

/// A bind, as far as it was understood.
pub(crate) struct RecordedBind {
    pub(crate) recorded: Recorded,
    parameters: Map<String, Value>,
    pub(crate) mobile: Mobile,
    pub(crate) token: Option<SessionId>,
    pub(crate) client_type: ClientType,
}

/// A service over the copy that nobody else speaks to, and what came of it so far.
pub(crate) struct Replay {
    app: App,
    time: Arc<RecordedTime>,
    http: reqwest::Client,
    /// How the shop is looked at, where it may be.
    shop: Option<ShopObserver>,
    copy: Copy,
    pub(crate) report: Report,
}

impl Replay {
    pub(crate) fn new(app: App, time: Arc<RecordedTime>, shop: Option<ShopObserver>) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let copy = Copy::new(Arc::clone(&app.service.store));
        Ok(Self { app, time, http, shop, copy, report: Report::default() })
    }

    /// Ends the service over the copy; answers what is to be said.
    pub(crate) async fn finish(self) -> Result<String> {
        self.app.stop().await?;
        Ok(self.report.told())
    }

    /// What a request is, as a bind; counts what is none, and plays it where it asks for a code.
    pub(crate) async fn take(&mut self, recorded: Recorded) -> Result<Option<RecordedBind>> {
        match recorded.route() {
            Route::Bind => {}
            Route::Send => {
                self.time.reach(recorded.at);
                self.post(&recorded, &recorded.target, &recorded.content_type, recorded.body.clone()).await?;
                self.report.codes += 1;
                return Ok(None);
            }
            Route::Other => {
                self.report.others += 1;
                return Ok(None);
            }
        }
        let parameters = recorded.parameters();
        let read = parameters.and_then(|parameters| recorded::mobile(&parameters).map(|mobile| (parameters, mobile)));
        let Some((parameters, mobile)) = read else {
            self.report.unreadable += 1;
            return Ok(None);
        };
        let (token, client_type) = (recorded::session(&parameters), recorded::client_type(&parameters));
        Ok(Some(RecordedBind { recorded, parameters, mobile, token, client_type }))
    }

    /// What the shop has for a bind now; `None` where it is not looked at, or does not answer.
    pub(crate) async fn look(&self, bind: &RecordedBind) -> Option<Seen> {
        let seen = self.shop.as_ref()?.look(&bind.mobile, bind.token).await;
        seen.inspect_err(|error| tracing::warn!(%error, "the shop could not be looked at")).ok()
    }

    /// Compares a bind. `before` is what the shop had when it came, `after` what it has now. Answers what is to be said at once.
    pub(crate) async fn compare(
        &mut self,
        bind: &RecordedBind,
        line: Option<usize>,
        before: Option<&Seen>,
        after: Option<&Seen>,
    ) -> Result<Option<String>> {
        self.time.reach(bind.recorded.at);
        for seen in before.into_iter().flat_map(|seen| seen.holders.iter().chain(&seen.caller)) {
            self.follow(bind.recorded.at, seen).await?;
        }
        let shop = self.at_the_shop(bind, after).await?;
        match &shop {
            // What the shop may not have done is not done on the copy.
            AtTheShop::Unclear(why) => {
                self.report.pass_over(*why);
                self.meet(*why, after).await?;
                return Ok(None);
            }
            // Only his token can have told the shop who he was: it was dead already when the shop was looked at.
            AtTheShop::Changed(id, _) => {
                let token = bind.token.map(|token| (token, bind.client_type));
                self.copy.learn(*id, token, bind.recorded.at).await?;
            }
            _ => {}
        }
        let copy = self.play(bind).await?;
        let counterpart = self.counterpart(&shop).await?;
        if let OnTheCopy::Made(made) = &copy {
            let shop = if let AtTheShop::Made(shop) = &shop { Some(*shop) } else { None };
            self.copy.note_made(*made, shop);
        }
        let verdict = comparison::compare(&shop, &copy, |_| counterpart);
        let compared = Compared { at: bind.recorded.at, line, mobile: &bind.mobile, shop: &shop, copy: &copy };
        Ok(self.report.count(verdict, &compared))
    }

    /// Brings an account into the copy as it was when the bind came; what the shop has written since may be of the bind itself.
    async fn follow(&mut self, at: Timestamp, seen: &SeenAccount) -> Result<()> {
        if seen.changed_at().as_seconds() < at.as_seconds() { self.bring(seen).await } else { Ok(()) }
    }

    /// Brings accounts into the copy that could not be compared, since they were not there.
    async fn meet(&mut self, why: Unclear, after: Option<&Seen>) -> Result<()> {
        for seen in after.into_iter().flat_map(|seen| &seen.holders).filter(|_| why == Unclear::NotInTheCopy) {
            self.bring(seen).await?;
        }
        Ok(())
    }

    async fn bring(&mut self, seen: &SeenAccount) -> Result<()> {
        if !self.copy.follow(seen).await? {
            self.report.not_followed += 1;
        }
        Ok(())
    }

    async fn at_the_shop(&self, bind: &RecordedBind, after: Option<&Seen>) -> Result<AtTheShop> {
        let answered_with_user = bind.recorded.answered_with_user;
        let Some(after) = after else {
            return Ok(match answered_with_user {
                _ if self.shop.is_some() => AtTheShop::Unclear(Unclear::NotLookedAt),
                Some(true) => AtTheShop::CarriedOut,
                _ => AtTheShop::Unclear(Unclear::NothingDone),
            });
        };
        let mut in_the_copy = BTreeMap::new();
        for holder in &after.holders {
            let id = holder.account.id;
            let known = self.copy.of(id).await?.map(|known| known.value.mobile);
            in_the_copy.extend(known.map(|known| (id, known)));
        }
        let request = Request { at: bind.recorded.at, mobile: &bind.mobile, answered_with_user };
        Ok(comparison::at_the_shop(&request, &after.holders, |id| in_the_copy.get(&id).cloned()))
    }

    async fn counterpart(&self, shop: &AtTheShop) -> Result<Option<AccountId>> {
        match shop {
            AtTheShop::Entered(id) | AtTheShop::Changed(id, _) => {
                Ok(self.copy.of(*id).await?.map(|known| known.value.id))
            }
            _ => Ok(None),
        }
    }

    /// Binds on the copy, with a code that is right there.
    async fn play(&self, bind: &RecordedBind) -> Result<OnTheCopy> {
        let (recorded, store) = (&bind.recorded, self.copy.store());
        let holder = store.account_of(&bind.mobile).await?.map(|holder| holder.value);
        let caller = match bind.token {
            Some(token) => store.load_session(token).await?.map(|known| known.account.value),
            None => None,
        };
        if self.code(&bind.mobile).is_none() {
            // Its code was sent before the record began. The last route in a query is the one that counts.
            let target = format!("{}&s=user/appmobilebindverifysend", recorded.target);
            let answer = self.post(recorded, &target, &recorded.content_type, recorded.body.clone()).await?;
            if let Some(refused) = refusal(&answer) {
                return Ok(refused);
            }
        }
        let mut body = bind.parameters.clone();
        body.insert("verify".to_owned(), self.code(&bind.mobile).unwrap_or_default().into());
        let body = Value::Object(body).to_string();
        let answer = self.post(recorded, &recorded.target, "application/json", body).await?;
        if let Some(refused) = refusal(&answer) {
            return Ok(refused);
        }
        let id = answer["data"]["id"].as_str().and_then(|id| id.parse().ok()).and_then(AccountId::new);
        let id = id.context("the copy answered a bind without an account")?;
        let bound = store.account(id).await?.context("the copy bound to no account")?.value;
        Ok(bound_to(&bound, recorded.at, holder.as_ref(), caller.as_ref()))
    }

    /// The newest code that was sent to a number, if it has not been used.
    fn code(&self, mobile: &Mobile) -> Option<String> {
        let newest = self.app.sms.messages(Some(mobile.as_str())).into_iter().next()?;
        Some(newest.code()?.digits().to_owned())
    }

    async fn post(&self, recorded: &Recorded, target: &str, content_type: &str, body: String) -> Result<Value> {
        let request = self.http.post(format!("http://{}{target}", self.app.address));
        let request =
            request.header("content-type", content_type).header("x-forwarded-for", recorded.address.to_string());
        let text = request.body(body).send().await.context("the shadow gave no answer")?.text().await?;
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }
}

/// What an answer refuses, if it does.
fn refusal(answer: &Value) -> Option<OnTheCopy> {
    let code = answer["code"].as_i64().unwrap_or(i64::MIN);
    let text = answer["msg"].as_str().unwrap_or_default().to_owned();
    (code != 0).then_some(OnTheCopy::Refused { code, text })
}

/// What a bind did that ended with an account: `holder` had the number before, `caller` was logged in.
fn bound_to(bound: &Account, at: Timestamp, holder: Option<&Account>, caller: Option<&Account>) -> OnTheCopy {
    if holder.is_some_and(|holder| holder.id == bound.id) {
        return OnTheCopy::Entered(bound.id);
    }
    match caller.filter(|caller| caller.id == bound.id) {
        Some(caller) => OnTheCopy::Changed(bound.id, caller.mobile.clone()),
        None if bound.added_at >= at => OnTheCopy::Made(bound.id),
        // Whom an openid led to.
        None => OnTheCopy::Changed(bound.id, None),
    }
}
