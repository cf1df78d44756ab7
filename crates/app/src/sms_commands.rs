//! What an operator does about SMS providers at the command line.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Subcommand, ValueEnum};
use mobile_bind_domain::ports::{Clock, Content, Randomness, SmsSender, TextMessage, Trail};
use mobile_bind_domain::{Language, VerificationCode};
use mobile_bind_sms::fake_provider::{FakeAccount, FakeProvider, Phones, Play};
use mobile_bind_sms::{Deadline, Failover, Kind, Provider, Secret};

use crate::ambient::{SystemClock, SystemRandomness};
use crate::cli::print;
use crate::orders::{HiddenNumber, Order, ask};
use crate::providers;
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(crate) enum SmsCommand {
    /// Sends a message with a code that is good for nothing, by the providers of the settings.
    Send {
        /// The number.
        #[arg(long, value_name = "MOBILE")]
        to: String,
        /// By this provider alone.
        #[arg(long, value_name = "NAME")]
        provider: Option<String>,
        /// In this language.
        #[arg(long, value_enum, default_value = "zh")]
        language: LanguageName,
        /// Sends nothing: shows each provider's request in the order of trial, with secrets masked.
        #[arg(long)]
        dry_run: bool,
    },
    /// Tells what became of the messages to a number, newest first: states, providers, their ids and answers.
    Status {
        /// The number.
        #[arg(long, value_name = "MOBILE")]
        mobile: String,
    },
    /// Stands in for a vendor until it is stopped: verifies signatures, prints messages, misbehaves on order.
    Fake {
        /// Whom to stand in for.
        #[arg(long, value_enum, value_name = "KIND")]
        provider: KindName,
        /// Where to listen; port 0 takes any that is free.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// accept, error:CODE (one of the vendor's; for SMPP a status's number), status:NUMBER, hang, garbage, lie (accept and send nothing), cut (send, and
        /// close in the middle of the answer) or close.
        #[arg(long, value_name = "BEHAVIOUR", default_value = "accept")]
        behaviour: Play,
        /// The AccessKey id, SecretId, Account SID or system id that is let in.
        #[arg(long, value_name = "ID", default_value = "fake")]
        account: String,
        /// The secret that goes with it [default: one that the kind takes].
        #[arg(long, value_name = "SECRET")]
        secret: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LanguageName {
    Zh,
    En,
    Cht,
    Spa,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KindName {
    Aliyun,
    Tencent,
    Twilio,
    Webhook,
    Smpp,
}

impl KindName {
    fn kind(self) -> Kind {
        match self {
            Self::Aliyun => Kind::Aliyun,
            Self::Tencent => Kind::Tencent,
            Self::Twilio => Kind::Twilio,
            Self::Webhook => Kind::Webhook,
            Self::Smpp => Kind::Smpp,
        }
    }

    /// A secret that may be one of this kind: a webhook's is a key, SMPP's has eight characters at most.
    fn secret(self) -> &'static str {
        match self {
            Self::Aliyun | Self::Tencent | Self::Twilio | Self::Webhook => "whsec_ZmFrZS1mYWtlLWZha2UtZmFrZS1mYWtl",
            Self::Smpp => "fake",
        }
    }

    /// What to put in the settings, so that the fake is used.
    fn settings(self, url: &str, account: &str, secret: &str) -> String {
        let approved = "templates.bind.zh = \"1001\"\n";
        let rest = match self {
            Self::Aliyun => {
                format!("account = \"{account}\"\nfrom = \"fake\"\n{approved}parameters = [\"code={{code}}\"]\n")
            }
            Self::Tencent => format!(
                "account = \"{account}\"\nfrom = \"fake\"\napp_id = \"1400006666\"\n{approved}parameters = [\"{{code}}\"]\n"
            ),
            Self::Twilio => format!("account = \"{account}\"\nfrom = \"+15005550006\"\n"),
            Self::Webhook => String::new(),
            Self::Smpp => format!("account = \"{account}\"\nfrom = \"Fake\"\n"),
        };
        let kind = self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        format!(
            "[sms]\nsender = \"providers\"\n[sms.providers.fake]\nkind = \"{kind}\"\nurl = \"{url}\"\nsecret = \"{secret}\"\n\
             {rest}"
        )
    }
}

/// Does what was asked.
pub(crate) async fn run(settings: &Settings, command: SmsCommand) -> Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    match command {
        SmsCommand::Send { to, provider, language, dry_run } => {
            let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
            let message = message(settings, &to, language, randomness.as_ref())?;
            let all = providers::failover(settings, &clock, &randomness, Arc::new(|_, _| {}))?;
            let chosen = chosen(&all, provider.as_deref())?;
            let sender = Failover::new(chosen, randomness);
            if dry_run { show(&sender, &message) } else { send(settings, sender, message).await }
        }
        SmsCommand::Status { mobile } => {
            print(&ask::<String>(settings, Order::Messages { mobile: HiddenNumber(mobile) }).await?)
        }
        SmsCommand::Fake { provider, listen, behaviour, account, secret } => {
            let secret = secret.unwrap_or_else(|| provider.secret().to_owned());
            let known =
                FakeAccount { kind: provider.kind(), account: account.clone(), secret: Secret::new(secret.clone()) };
            // A closed standard output is no reason to fail.
            let phones: Phones = Box::new(|sent| drop(print(&format!("sms to {}: {}\n", sent.to, sent.text))));
            let fake = FakeProvider::start(&known, listen, behaviour, clock, Some(phones)).await;
            let fake = fake.with_context(|| format!("cannot stand in at {listen}"))?;
            print(&format!("listening on {}\n", fake.url()))?;
            print(&provider.settings(&fake.url(), &account, &secret))?;
            tokio::signal::ctrl_c().await.context("no signal can be waited for")
        }
    }
}

fn message(settings: &Settings, to: &str, language: LanguageName, randomness: &dyn Randomness) -> Result<TextMessage> {
    let policy = settings.policy()?;
    Ok(TextMessage {
        mobile: policy.mobile_rule.parse(to).context("the number is not one that mobile_pattern takes")?,
        content: Content::Code(VerificationCode::draw(randomness, policy.code_length)),
        language: match language {
            LanguageName::Zh => Language::Zh,
            LanguageName::En => Language::En,
            LanguageName::Cht => Language::Cht,
            LanguageName::Spa => Language::Spa,
        },
        lifetime: policy.code_lifetime,
        trail: Trail::default(),
    })
}

fn chosen(all: &Failover, name: Option<&str>) -> Result<Vec<Arc<Provider>>> {
    ensure!(!all.providers().is_empty(), "no provider is configured: add one as [sms.providers.NAME]");
    let Some(name) = name else { return Ok(all.providers().to_vec()) };
    let found = all.providers().iter().find(|provider| provider.name() == name);
    found.map(|provider| vec![Arc::clone(provider)]).with_context(|| format!("sms.providers.{name} is not configured"))
}

fn show(sender: &Failover, message: &TextMessage) -> Result<()> {
    let order = sender.order(message);
    ensure!(!order.is_empty(), "no provider serves this number");
    for provider in order {
        print(&format!("# {}\n{}\n", provider.name(), provider.preview(message)))?;
    }
    Ok(())
}

async fn send(settings: &Settings, sender: Failover, message: TextMessage) -> Result<()> {
    let sender = Deadline::new(Arc::new(sender), Duration::from_secs(settings.sms.timeout_s));
    match sender.send(message).await {
        Ok(accepted) => print(&format!("accepted by {}, id {}\n", accepted.provider, accepted.id)),
        Err(failure) => bail!(anyhow!(failure).context("not accepted")),
    }
}
