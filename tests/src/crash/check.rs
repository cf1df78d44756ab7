//! What the service still knows after it was killed.

use anyhow::Result;

use super::client::{Answer, BindRequest, Client};
use super::load::{Bound, Guessed, Journal, Refused, TRIES};
use super::random::Random;

/// Looks, and notes what is wrong.
pub(super) struct Check {
    client: Client,
    seen: usize,
    /// What was answered and is gone.
    pub(super) lost: Vec<String>,
    /// What is there in part, or should not be.
    pub(super) torn: Vec<String>,
}

impl Check {
    pub(super) fn new(client: Client) -> Self {
        Self { client, seen: 0, lost: Vec::new(), torn: Vec::new() }
    }

    /// How many answers were looked at.
    pub(super) fn seen(&self) -> usize {
        self.seen
    }

    /// Looks at all of the last round and at some of those before, and takes the round into the journal.
    pub(super) async fn round(
        &mut self,
        journal: &mut Journal,
        mut load: Journal,
        earlier: usize,
        sample: usize,
        random: &mut Random,
    ) -> Result<()> {
        // First, while a bind that was stored and not answered is still answered again.
        for open in std::mem::take(&mut load.open) {
            if let Some(bound) = self.again(open).await? {
                load.bound.push(bound);
            }
        }
        for guessed in std::mem::take(&mut load.guessed) {
            self.guessed(&guessed).await?;
        }
        for refused in std::mem::take(&mut load.refused) {
            if let Some(bound) = self.refused(refused).await? {
                load.bound.push(bound);
            }
        }
        journal.add(load);
        for bound in &journal.bound[earlier..] {
            self.bound(bound, journal).await?;
            self.used_up(bound).await?;
        }
        for _ in 0..sample.min(earlier) {
            let chosen = random.within(0..u64::try_from(earlier)?);
            self.bound(&journal.bound[usize::try_from(chosen)?], journal).await?;
        }
        Ok(())
    }

    /// Looks at every bind that was ever acknowledged.
    pub(super) async fn everything(&mut self, journal: &Journal) -> Result<()> {
        for bound in &journal.bound {
            self.bound(bound, journal).await?;
        }
        Ok(())
    }

    /// The account is there, whole, with the session that was answered.
    async fn bound(&mut self, bound: &Bound, journal: &Journal) -> Result<()> {
        if journal.superseded.contains(&bound.token) {
            // What became of it is told by the bind that came after.
            return Ok(());
        }
        self.seen += 1;
        let found = self.client.look_up(&bound.token).await?;
        let mobile = &bound.request.mobile;
        if found.code() != 0 {
            self.lost.push(format!("the bind of {mobile}: its token answers {}", found.code()));
            return Ok(());
        }
        self.whole(&found, bound);
        Ok(())
    }

    fn whole(&mut self, found: &Answer, bound: &Bound) {
        let request = &bound.request;
        let expected = [
            ("id", bound.id.as_str()),
            ("mobile", request.mobile.as_str()),
            ("nickname", bound.nickname.as_str()),
            ("token", bound.token.as_str()),
            ("weixin_openid", request.openid.as_deref().unwrap_or_default()),
        ];
        for (name, expected) in expected {
            if found.field(name) != expected {
                self.torn.push(format!("the account of {}: its {name} is another", request.mobile));
            }
        }
    }

    /// The code of a bind is good for nothing more. Another nickname makes it another request, which no receipt answers.
    async fn used_up(&mut self, bound: &Bound) -> Result<()> {
        self.seen += 1;
        let request = BindRequest { nickname: "another".to_owned(), ..bound.request.clone() };
        let answer = self.client.bind(&request).await?;
        if answer.code() != -10 {
            self.torn.push(format!("the code of {}: used up, and answers {}", request.mobile, answer.code()));
        }
        Ok(())
    }

    /// A bind without an answer, sent again: it was stored whole, and is answered as it would have been, or not at all, and is
    /// carried out now.
    async fn again(&mut self, request: BindRequest) -> Result<Option<Bound>> {
        self.seen += 1;
        let answer = self.client.bind(&request).await?;
        if answer.code() == 0 {
            return Ok(Some(Bound::new(request, &answer)));
        }
        self.torn.push(format!("the interrupted bind of {}: sent again, it answers {}", request.mobile, answer.code()));
        Ok(None)
    }

    /// As many tries are left as there should be.
    async fn guessed(&mut self, guessed: &Guessed) -> Result<()> {
        self.seen += 1;
        let mut left = 0;
        let last = loop {
            match self.client.bind(&guessed.request).await?.code() {
                -11 if left <= TRIES => left += 1,
                other => break other,
            }
        };
        let mobile = &guessed.request.mobile;
        if last != -10 {
            self.torn.push(format!("the code of {mobile}: burnt, and answers {last}"));
        }
        let at_most = TRIES - guessed.counted;
        if left > at_most {
            self.lost.push(format!("{} of {} tries of {mobile}", left - at_most, guessed.counted));
        }
        if left + u8::from(guessed.in_flight) < at_most {
            self.torn.push(format!("the code of {mobile}: {left} tries left of {at_most}"));
        }
        Ok(())
    }

    /// The number is free: whoever binds it now gets a new account, with his own nickname.
    async fn refused(&mut self, refused: Refused) -> Result<Option<Bound>> {
        self.seen += 1;
        let Refused { mut request, has_code } = refused;
        let mobile = request.mobile.clone();
        request.nickname = format!("later-{mobile}");
        request.openid = Some(format!("later-{mobile}"));
        if !has_code {
            let sent = self.client.send_code(&request.uuid, &mobile).await?;
            if sent.code() != 0 {
                self.torn.push(format!("a code to {mobile}: never sent, and answers {}", sent.code()));
                return Ok(None);
            }
            request.verify = self.client.code(&mobile).await?;
        }
        let answer = self.client.bind(&request).await?;
        if answer.code() != 0 {
            self.lost.push(format!("the code of {mobile}: not used, and answers {}", answer.code()));
            return Ok(None);
        }
        if answer.field("nickname") != request.nickname {
            self.torn.push(format!("the number {mobile}: refused, and has an account"));
        }
        Ok(Some(Bound::new(request, &answer)))
    }
}
