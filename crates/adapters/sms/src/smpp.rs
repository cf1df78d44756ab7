//! SMPP 3.4: one session as a transceiver, opened when it is needed or wanted, and again when it is lost.
//! <https://smpp.org/SMPP_v3_4_Issue1_2.pdf>

mod receipt;
mod session;

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mobile_bind_domain::ports::{SendFailure, TextMessage};
use rusmpp::extra::concatenation::SubmitSmMultipartExt;
use rusmpp::extra::encoding::ucs2::Ucs2;
use rusmpp::pdus::SubmitSm;
use rusmpp::values::{Npi, RegisteredDelivery, Ton};
use rusmpp::{CommandStatus, Pdu};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tracing::debug;

pub(crate) use session::{Receipts, Session, SmppAccount};

use crate::examination::Endpoint;
use crate::exchange::Fault;
use crate::number::international;
use crate::wording::Texts;

/// A final receipt, be it good or bad: SMPP 3.4 section 5.2.17.
const FINAL_RECEIPT: u8 = 1;

/// How long is waited before a lost session is opened again: doubled with every time that fails.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// An account at a message centre.
pub(crate) struct Smpp {
    pub(crate) line: Arc<SmppLine>,
    /// `+` and digits, digits (a short code), or a sender's name.
    pub(crate) from: String,
    pub(crate) texts: Texts,
    pub(crate) home: String,
    /// Keeps the session open, where that is wanted.
    keeper: OnceLock<JoinHandle<()>>,
    /// Tells the parts of one long message from those of another.
    pub(crate) reference: AtomicU16,
}

impl Smpp {
    pub(crate) fn new(account: SmppAccount, from: String, texts: Texts, home: String, receipts: Receipts) -> Self {
        let line = Arc::new(SmppLine { account, receipts, session: Mutex::default() });
        Self { line, from, texts, home, keeper: OnceLock::new(), reference: AtomicU16::new(1) }
    }

    /// Opens the session and keeps it open, for as long as this lives: receipts come also where nothing is sent.
    pub(crate) fn keep_open(&self) {
        self.keeper.get_or_init(|| tokio::spawn(keep_open(Arc::clone(&self.line))));
    }

    /// Where the centre is.
    pub(crate) fn endpoint(&self) -> Endpoint {
        let SmppAccount { host, port, tls, .. } = &self.line.account;
        Endpoint { host: host.clone(), port: *port, tls: *tls }
    }

    /// Binds and unbinds, by a session of its own.
    pub(crate) async fn knock(&self) -> Result<(), Fault> {
        let session = Session::open(&self.line.account, &self.line.receipts).await?;
        // Whatever becomes of the courtesy, the account was let in.
        session.request(Pdu::Unbind).await;
        Ok(())
    }

    /// Submits the message, part by part; answers the first part's id.
    pub(crate) async fn send(&self, message: &TextMessage, timeout: Duration) -> Result<String, Fault> {
        let parts = self.parts(message)?;
        let left = AtomicBool::new(false);
        let sent = tokio::time::timeout(timeout, self.submit(parts, &left)).await;
        let failure = if left.load(Ordering::Relaxed) { SendFailure::Unknown } else { SendFailure::Unavailable };
        sent.unwrap_or_else(|_| Err(Fault::new(failure, "timeout")))
    }

    async fn submit(&self, parts: Vec<SubmitSm>, left: &AtomicBool) -> Result<String, Fault> {
        let session = self.line.session().await?;
        let mut id = None;
        for part in parts {
            left.store(true, Ordering::Relaxed);
            match submitted(&session, part).await {
                Ok(told) => {
                    id.get_or_insert(told);
                }
                // Some of the message has gone out.
                Err(fault) if id.is_some() => return Err(Fault { failure: SendFailure::Unknown, ..fault }),
                Err(fault) => return Err(fault),
            }
        }
        Ok(id.unwrap_or_default())
    }

    /// The message as it is submitted: in the GSM alphabet where that has all its characters, else in UCS-2, and in parts
    /// where it is longer than one short message.
    pub(crate) fn parts(&self, message: &TextMessage) -> Result<Vec<SubmitSm>, Fault> {
        let unfit = |what: &str| Fault::new(SendFailure::Unavailable, format!("{what} does not fit"));
        let (ton, npi, from) = source(&self.from);
        let one = SubmitSm::builder()
            .source_addr_ton(ton)
            .source_addr_npi(npi)
            .source_addr(from.parse().map_err(|_| unfit("from"))?)
            .dest_addr_ton(Ton::International)
            .dest_addr_npi(Npi::Isdn)
            .destination_addr(international(&message.mobile, &self.home).parse().map_err(|_| unfit("number"))?)
            .registered_delivery(RegisteredDelivery::from(FINAL_RECEIPT))
            .build();
        let text = self.texts.text(message);
        let parts = one.multipart(&text).reference_u16(self.reference.fetch_add(1, Ordering::Relaxed));
        parts.gsm7bit_unpacked().fallback(Ucs2::new()).build().map_err(|_| unfit("text"))
    }

    /// What would be submitted, line by line.
    pub(crate) fn shown(&self, message: &TextMessage) -> String {
        let account = &self.line.account;
        let mut text = format!(
            "bind_transceiver {}:{} tls={} system_id={} password=***\n",
            account.host, account.port, account.tls, account.system_id
        );
        for part in self.parts(message).unwrap_or_default() {
            text.push_str(&format!(
                "submit_sm source_addr={} destination_addr={} data_coding={} short_message={}\n",
                self.from,
                part.destination_addr.as_str(),
                u8::from(part.data_coding),
                data_encoding::HEXLOWER.encode(part.short_message().as_ref())
            ));
        }
        text + "\n" + &self.texts.text(message) + "\n"
    }
}

impl Drop for Smpp {
    fn drop(&mut self) {
        self.keeper.get().inspect(|keeper| keeper.abort());
    }
}

/// The way to a message centre.
pub(crate) struct SmppLine {
    account: SmppAccount,
    receipts: Receipts,
    /// The session, while there is one.
    session: Mutex<Option<Arc<Session>>>,
}

impl SmppLine {
    /// The session, opened where there is none.
    async fn session(&self) -> Result<Arc<Session>, Fault> {
        let mut session = self.session.lock().await;
        if let Some(open) = session.as_ref().filter(|session| session.is_open()) {
            return Ok(Arc::clone(open));
        }
        let opened = Arc::new(Session::open(&self.account, &self.receipts).await?);
        *session = Some(Arc::clone(&opened));
        Ok(opened)
    }
}

/// Goes on until it is aborted.
async fn keep_open(line: Arc<SmppLine>) {
    let mut wait = FIRST_WAIT;
    loop {
        match line.session().await {
            Ok(session) => {
                wait = FIRST_WAIT;
                session.ended().await;
            }
            Err(Fault { code, .. }) => {
                debug!(host = line.account.host, code, "no session with the message centre");
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
        tokio::time::sleep(wait).await;
    }
}

/// Submits one part; answers its id.
async fn submitted(session: &Session, part: SubmitSm) -> Result<String, Fault> {
    let Some(response) = session.request(part.into()).await else {
        return Err(Fault::new(SendFailure::Unknown, "connection lost"));
    };
    match (response.status(), response.pdu()) {
        (CommandStatus::EsmeRok, Some(Pdu::SubmitSmResp(taken))) => Ok(taken.message_id().as_str().to_owned()),
        (CommandStatus::EsmeRok, _) => Err(Fault::new(SendFailure::Unknown, "another response")),
        (status, _) => Err(Fault::new(meaning(status), format!("{status:?}"))),
    }
}

/// How a sender is written: section 5.2.5 and 5.2.6.
fn source(from: &str) -> (Ton, Npi, &str) {
    match from.strip_prefix('+') {
        Some(digits) => (Ton::International, Npi::Isdn, digits),
        None if from.bytes().all(|byte| byte.is_ascii_digit()) => (Ton::Unknown, Npi::Isdn, from),
        None => (Ton::Alphanumeric, Npi::Unknown, from),
    }
}

/// What a status means for the message: section 5.1.3. Whatever the centre answers, it has not taken the message.
fn meaning(status: CommandStatus) -> SendFailure {
    match status {
        CommandStatus::EsmeRinvdstadr => SendFailure::Refused,
        CommandStatus::EsmeRthrottled | CommandStatus::EsmeRmsgqful => SendFailure::Limited,
        _ => SendFailure::Unavailable,
    }
}

#[cfg(test)]
mod tests;
