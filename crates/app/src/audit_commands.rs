//! `mobile-bind audit …`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Subcommand;
use mobile_bind_domain::audit::RecordedEvent;
use mobile_bind_domain::{Mobile, Service};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::audit_text::{self, Told};
use crate::cli::print;
use crate::operators;
use crate::orders::{HiddenNumber, Order, ask};
use crate::settings::Settings;

/// How often more is looked for.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// How many events are asked for at a time.
const PAGE: usize = 1_000;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Prints the last events.
    Tail {
        /// How many.
        #[arg(long, short = 'n', default_value_t = 20)]
        lines: usize,
        /// Goes on with what comes.
        #[arg(long, short)]
        follow: bool,
    },
    /// Goes through the whole audit; fails where anything was altered, removed, added or cut.
    Verify,
    /// Says in words why a number was refused, and what else was done with it.
    Why {
        /// The number.
        #[arg(long, value_name = "NUMBER")]
        mobile: String,
        /// Who asks, for the audit [default: the Unix user].
        #[arg(long, value_name = "NAME")]
        operator: Option<String>,
    },
    /// Prints all events as JSON, one a line, node by node in their order.
    Export,
}

/// What an operator wants of the audit.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuditOrder {
    /// The last events. Answers [`Page`].
    Tail { lines: usize },
    /// What comes after. Answers [`Page`].
    After { places: Places, limit: usize },
    /// Answers [`Verified`].
    Verify,
    /// Answers a text.
    Why { mobile: HiddenNumber, operator: String },
}

/// Up to where a reader has read each node's events.
pub(crate) type Places = BTreeMap<u32, u64>;

/// Some events, and where to go on.
#[derive(Deserialize, Serialize)]
pub(crate) struct Page {
    events: Vec<Told>,
    places: Places,
}

/// What going through the audit has shown.
#[derive(Deserialize, Serialize)]
pub(crate) struct Verified {
    text: String,
    problems: Vec<String>,
}

impl AuditOrder {
    /// Carries it out.
    ///
    /// # Errors
    /// With what the operator needs to know.
    pub(crate) async fn carry_out(self, service: &Service) -> Result<Value> {
        let answer = match self {
            Self::Tail { lines } => {
                let places = places_now(service).await?;
                let events = service.audit_tail(lines).await?;
                serde_json::to_value(Page { events: events.iter().map(Told::of).collect(), places })
            }
            Self::After { places, limit } => serde_json::to_value(after(service, places, limit).await?),
            Self::Verify => serde_json::to_value(verify(service).await?),
            Self::Why { mobile, operator } => {
                let Some(mobile) = Mobile::restore(&mobile.0) else { bail!("that is no number") };
                serde_json::to_value(audit_text::why(service, &operator, mobile).await?)
            }
        };
        Ok(answer?)
    }
}

/// The ends of all nodes' events. What comes while they are looked at is told twice rather than never.
async fn places_now(service: &Service) -> Result<Places> {
    let audit = service.store.audit();
    let mut places = Places::new();
    for node in audit.audit_nodes().await? {
        let mut place = audit.last_checkpoint(node).await?.map_or(0, |last| last.last);
        while let Some(last) = audit.audit_events(node, place, PAGE).await?.last() {
            place = last.sequence;
        }
        places.insert(node.0, place);
    }
    Ok(places)
}

async fn after(service: &Service, mut places: Places, limit: usize) -> Result<Page> {
    let audit = service.store.audit();
    let mut events = Vec::new();
    for node in audit.audit_nodes().await? {
        let place = places.get(&node.0).copied().unwrap_or_default();
        let found = audit.audit_events(node, place, limit.saturating_sub(events.len())).await?;
        if let Some(last) = found.last() {
            places.insert(node.0, last.sequence);
        }
        events.extend(found.iter().filter_map(RecordedEvent::event).map(|event| Told::of(&event)));
    }
    Ok(Page { events, places })
}

async fn verify(service: &Service) -> Result<Verified> {
    let (mut text, mut problems) = (String::new(), Vec::new());
    for (node, findings) in service.verify_audit().await? {
        text += &audit_text::findings(node, &findings);
        problems.extend(findings.problems);
    }
    Ok(Verified { text, problems })
}

/// Does what was asked.
///
/// # Errors
/// With what the operator needs to know.
pub(crate) async fn run(settings: &Settings, command: AuditCommand) -> Result<()> {
    match command {
        AuditCommand::Tail { lines, follow } => tail(settings, lines, follow).await,
        AuditCommand::Verify => {
            let Verified { text, problems }: Verified = ask(settings, Order::Audit(AuditOrder::Verify)).await?;
            if problems.is_empty() {
                return print(&(text + "the audit is in order\n"));
            }
            bail!("{text}the audit is not in order:\n{}", problems.join("\n"))
        }
        AuditCommand::Why { mobile, operator } => {
            let operator = operators::operator(operator.as_deref())?;
            let order = AuditOrder::Why { mobile: HiddenNumber(mobile), operator };
            print(&ask::<String>(settings, Order::Audit(order)).await?)
        }
        AuditCommand::Export => export(settings).await,
    }
}

async fn tail(settings: &Settings, lines: usize, follow: bool) -> Result<()> {
    let page: Page = ask(settings, Order::Audit(AuditOrder::Tail { lines })).await?;
    let mut places = page.places;
    lines_of(&page.events)?;
    if !follow {
        return Ok(());
    }
    loop {
        tokio::time::sleep(FOLLOW_EVERY).await;
        let page: Page = ask(settings, Order::Audit(AuditOrder::After { places, limit: PAGE })).await?;
        lines_of(&page.events)?;
        places = page.places;
    }
}

fn lines_of(events: &[Told]) -> Result<()> {
    print(&events.iter().map(|event| event.line.as_str()).collect::<String>())
}

async fn export(settings: &Settings) -> Result<()> {
    let mut places = Places::new();
    loop {
        let before = places.clone();
        let page: Page = ask(settings, Order::Audit(AuditOrder::After { places, limit: PAGE })).await?;
        for event in &page.events {
            print(&format!("{}\n", event.json))?;
        }
        places = page.places;
        // Not where a page has no events: some may be of a later version.
        if places == before {
            return Ok(());
        }
    }
}
