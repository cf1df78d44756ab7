//! What operators ask of accounts, carried out where the store is open.

use anyhow::{Context, Result, anyhow};
use mobile_bind_domain::administration::{self, AccountDetails, AccountName};
use mobile_bind_domain::{Account, AccountId, ClientType, Mobile, Service};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{export, sheet};
use crate::orders::HiddenNumber;

/// What an operator wants of an account.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct AccountRequest {
    pub(crate) name: Named,
    /// Who asks.
    pub(crate) operator: String,
    pub(crate) order: AccountOrder,
}

/// Which account.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Named {
    Mobile(HiddenNumber),
    Id(u64),
}

/// What is to be done. `Show` answers [`Shown`], `Export` JSON, the others a text that says what was done.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccountOrder {
    Show { unmask: bool },
    Sessions,
    Unbind,
    Disable,
    Enable,
    Delete,
    Export,
    Revoke { client_type: Option<String> },
}

/// An account as it was shown.
#[derive(Deserialize, Serialize)]
pub(crate) struct Shown {
    /// Its id, which is its name whatever becomes of its number.
    pub(crate) id: u64,
    pub(crate) text: String,
}

impl AccountRequest {
    /// Carries it out.
    ///
    /// # Errors
    /// With what the operator needs to know.
    pub(crate) async fn carry_out(self, service: &Service) -> Result<Value> {
        let name = self.name.read()?;
        let operator = self.operator.as_str();
        let order = match self.order {
            AccountOrder::Show { unmask } => return show(service, operator, &name, unmask).await,
            AccountOrder::Sessions => {
                let found = service.find_account(&name).await?;
                return Ok(sheet::sessions(&found, &service.policy.get().session, service.clock.now()).into());
            }
            AccountOrder::Export => return export::export(service, operator, &name).await,
            AccountOrder::Unbind => administration::AccountOrder::Unbind,
            AccountOrder::Disable => administration::AccountOrder::Disable,
            AccountOrder::Enable => administration::AccountOrder::Enable,
            AccountOrder::Delete => administration::AccountOrder::Delete,
            AccountOrder::Revoke { client_type } => {
                let named = |name: String| ClientType::from_name(&name).context("no client type has that name");
                administration::AccountOrder::Revoke(client_type.map(named).transpose()?)
            }
        };
        let before = service.find_account(&name).await?;
        // By its id: the very account that was found, whoever has the number by then.
        let name = AccountName::Id(before.account.value.id);
        service.administer(operator, &name, order).await?;
        Ok(done(&before, order).into())
    }
}

impl Named {
    fn read(self) -> Result<AccountName> {
        match self {
            Self::Mobile(number) => Mobile::restore(&number.0).map(AccountName::Mobile).context("that is no number"),
            Self::Id(id) => AccountId::new(id).map(AccountName::Id).context("an id has one to ten digits"),
        }
    }
}

async fn show(service: &Service, operator: &str, name: &AccountName, unmask: bool) -> Result<Value> {
    let found = if unmask { service.unmask(operator, name).await? } else { service.find_account(name).await? };
    let id = found.account.value.id.get();
    let text = sheet::account(&found, !unmask, &service.policy.get().session, service.clock.now());
    serde_json::to_value(Shown { id, text }).map_err(|error| anyhow!(error))
}

/// What was done, in a sentence.
fn done(before: &AccountDetails, order: administration::AccountOrder) -> String {
    let account = &before.account.value;
    let sessions = before.sessions.len();
    let ended = match sessions {
        0 => "it had no sessions".to_owned(),
        1 => "its session has ended".to_owned(),
        _ => format!("its {sessions} sessions have ended"),
    };
    let what = match order {
        administration::AccountOrder::Unbind => format!("its number {} is free", number(account)),
        administration::AccountOrder::Disable => format!("it may no longer log in; {ended}"),
        administration::AccountOrder::Enable => "it may log in again".to_owned(),
        administration::AccountOrder::Delete => {
            let openids = account.held_identities().count();
            format!("it is deleted; its number ({}) and openids ({openids}) are free; {ended}", number(account))
        }
        administration::AccountOrder::Revoke(None) => ended,
        administration::AccountOrder::Revoke(Some(client_type)) => {
            format!("its session on {} has ended", client_type.name())
        }
    };
    format!("account {}: {what}\n", account.id.get())
}

fn number(account: &Account) -> String {
    account.held_mobile().map_or_else(|| "none".to_owned(), Mobile::masked)
}
