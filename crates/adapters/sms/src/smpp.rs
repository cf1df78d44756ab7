//! SMPP 3.4: one session as a transceiver, kept open and opened again when it is lost.
//! <https://smpp.org/SMPP_v3_4_Issue1_2.pdf>

mod receipt;
mod session;

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use mobile_bind_domain::ports::{SendFailure, TextMessage};
use rusmpp::CommandStatus;
use rusmpp::extra::concatenation::SubmitSmMultipartExt;
use rusmpp::extra::encoding::ucs2::Ucs2;
use rusmpp::pdus::SubmitSm;
use rusmpp::values::{Npi, RegisteredDelivery, Ton};
use tokio::sync::Mutex;

pub(crate) use session::{Receipts, Session, SmppAccount};

use crate::exchange::Fault;
use crate::number::international;
use crate::wording::Texts;

/// A final receipt, be it good or bad: SMPP 3.4 section 5.2.17.
const FINAL_RECEIPT: u8 = 1;

/// An account at a message centre.
pub(crate) struct Smpp {
    pub(crate) account: SmppAccount,
    /// `+` and digits, digits (a short code), or a sender's name.
    pub(crate) from: String,
    pub(crate) texts: Texts,
    pub(crate) home: String,
    pub(crate) receipts: Receipts,
    /// The session, while there is one.
    pub(crate) session: Mutex<Option<Session>>,
    /// Tells the parts of one long message from those of another.
    pub(crate) reference: AtomicU16,
}

impl Smpp {
    pub(crate) fn new(account: SmppAccount, from: String, texts: Texts, home: String, receipts: Receipts) -> Self {
        Self { account, from, texts, home, receipts, session: Mutex::default(), reference: AtomicU16::new(1) }
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
        let client = self.client().await?;
        let mut id = None;
        for part in parts {
            left.store(true, Ordering::Relaxed);
            match client.submit_sm(part).await {
                Ok(response) => {
                    id.get_or_insert_with(|| response.message_id().as_str().to_owned());
                }
                // Some of the message has gone out.
                Err(error) if id.is_some() => return Err(Fault::new(SendFailure::Unknown, fault(&error).code)),
                Err(error) => return Err(fault(&error)),
            }
        }
        Ok(id.unwrap_or_default())
    }

    async fn client(&self) -> Result<rusmppc::Client, Fault> {
        let mut session = self.session.lock().await;
        if let Some(session) = session.as_ref().filter(|session| session.is_open()) {
            return Ok(session.client());
        }
        let opened = Session::open(&self.account, &self.receipts).await?;
        let client = opened.client();
        *session = Some(opened);
        Ok(client)
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
        let account = &self.account;
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

/// How a sender is written: section 5.2.5 and 5.2.6.
fn source(from: &str) -> (Ton, Npi, &str) {
    match from.strip_prefix('+') {
        Some(digits) => (Ton::International, Npi::Isdn, digits),
        None if from.bytes().all(|byte| byte.is_ascii_digit()) => (Ton::Unknown, Npi::Isdn, from),
        None => (Ton::Alphanumeric, Npi::Unknown, from),
    }
}

/// What an error means for a message whose submission was begun.
fn fault(error: &rusmppc::error::Error) -> Fault {
    use rusmppc::error::Error;
    match error {
        Error::UnexpectedResponse { response } => {
            let status = response.status();
            Fault::new(meaning(status), format!("{status:?}"))
        }
        Error::Encode(_) => Fault::new(SendFailure::Unavailable, "not encoded"),
        Error::ResponseTimeout { .. } => Fault::new(SendFailure::Unknown, "timeout"),
        _ => Fault::new(SendFailure::Unknown, "connection lost"),
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
