//! Numbers that change hands.

use std::time::Duration;

use mobile_bind_domain::{Mobile, Refusal};

use super::proving::Grounds;
use super::{COOLING_OFF, Rebind, Reference, Request, SILENCE};

impl Reference {
    /// Whether an account that has a number may take another. Where that needs a code for the old number, it is tried, and used.
    pub(super) fn may_change_number(
        &mut self,
        caller: u64,
        request: &Request,
        grounds: Option<Grounds>,
    ) -> Result<(), Refusal> {
        let by_token = self.logins.get(&request.token).filter(|login| self.is_live(login));
        if grounds == Some(Grounds::Installation)
            && self.rules.required
            && by_token.map(|login| login.id) != Some(caller)
        {
            return Err(Refusal::IdentityUnproved);
        }
        if self.rules.rebind == Rebind::Deny {
            return Err(Refusal::NumberChangeDenied);
        }
        let rests_until = self.number_since.get(&caller).map_or(0, |since| since + COOLING_OFF);
        if self.now < rests_until {
            return Err(Refusal::NumberChangedLately { wait: Duration::from_secs(rests_until - self.now) });
        }
        if self.rules.rebind == Rebind::OldCode { self.use_old_code(caller, request) } else { Ok(()) }
    }

    fn use_old_code(&mut self, caller: u64, request: &Request) -> Result<(), Refusal> {
        let former = self.people[&caller].number.clone().unwrap_or_default();
        if request.old_verify.is_empty() {
            return Err(
                Mobile::restore(&former).map_or(Refusal::MobileMissing, |mobile| Refusal::OldCodeWanted { mobile })
            );
        }
        let sent =
            self.codes.keys().copied().find(|&(number, client)| (number, client) == (former.as_str(), request.client));
        let place = sent.ok_or(Refusal::OldCodeExpired)?;
        self.try_code(place, &request.old_verify, [Refusal::OldCodeExpired, Refusal::OldCodeWrong])?;
        self.codes.remove(&place);
        Ok(())
    }

    pub(super) fn is_recycled(&self, holder: u64, token: &str) -> bool {
        let own = self.holder_of(token) == Some(holder);
        !own && self.now >= self.seen.get(&holder).copied().unwrap_or_default() + SILENCE
    }
}
