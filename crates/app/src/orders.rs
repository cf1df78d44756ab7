//! What operators may order while a service runs, or while none does: the same code carries it out, at a [`Desk`].
//!
//! The embedded store can be open once, so an order goes to the running service by its socket ([`crate::control`]), and is
//! carried out here where none runs. A database is open to anybody: there it is always carried out here.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account::AccountRequest;
use crate::audit_commands::AuditOrder;
use crate::control;
use crate::desk::Desk;
use crate::settings::Settings;
use crate::sms_status;
use crate::stores::store_folder;

/// A number that `Debug` does not show.
#[derive(Deserialize, Serialize)]
pub(crate) struct HiddenNumber(pub(crate) String);

impl fmt::Debug for HiddenNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HiddenNumber(***)")
    }
}

/// An order.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Write a backup to an absolute path. Answers the sequence of the last change in it.
    Backup { to: PathBuf },
    /// Tell what became of the messages to a number. Answers text, with the number masked.
    Messages { mobile: HiddenNumber },
    /// Something about an account.
    Account(AccountRequest),
    /// Something about the audit.
    Audit(AuditOrder),
}

impl Order {
    /// Carries it out.
    ///
    /// # Errors
    /// With what the operator needs to know.
    pub(crate) async fn carry_out(self, desk: &Desk) -> Result<Value> {
        match self {
            Self::Backup { to } => answer(&desk.back_up(&to).await?),
            Self::Messages { mobile } => answer(&sms_status::told(&desk.service, &mobile.0).await?),
            Self::Account(request) => request.carry_out(&desk.service).await,
            Self::Audit(order) => order.carry_out(&desk.service).await,
        }
    }
}

fn answer(answer: &impl Serialize) -> Result<Value> {
    serde_json::to_value(answer).context("the answer cannot be written")
}

/// Has an order carried out: by the running service where one has the store, else here.
///
/// # Errors
/// Where the store is not there or cannot be used, or the order is refused.
pub(crate) async fn ask<A: DeserializeOwned>(settings: &Settings, order: Order) -> Result<A> {
    let answer = match by_service(settings, &order).await? {
        Some(answer) => answer,
        None => by_itself(settings, order).await?,
    };
    serde_json::from_value(answer).context("the answer cannot be read")
}

async fn by_service(settings: &Settings, order: &Order) -> Result<Option<Value>> {
    let Some(folder) = store_folder(settings) else { return Ok(None) };
    // To look at one that is not there would make it.
    ensure!(folder.is_dir(), "there is no store in {}", folder.display());
    control::send(&settings.data_dir, order).await
}

async fn by_itself(settings: &Settings, order: Order) -> Result<Value> {
    let desk = Desk::open(settings).await?;
    let carried_out = order.carry_out(&desk).await;
    desk.close().await?;
    carried_out
}
