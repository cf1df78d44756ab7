//! A fake message centre: SMPP 3.4, one account, receipts for whoever wants them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::{SinkExt, StreamExt};
use rusmpp::pdus::{BindTransceiver, BindTransceiverResp, DeliverSm, SubmitSm, SubmitSmResp};
use rusmpp::tokio_codec::CommandCodec;
use rusmpp::types::OctetString;
use rusmpp::values::EsmClass;
use rusmpp::{Command, CommandStatus, Pdu};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio_util::codec::Framed;

use super::server::{Stage, current_play};
use super::{FakeAccount, FakeMessage, Play};
use crate::receipts::{Receipt, ReceiptState};
use crate::signing::same;

/// Section 5.1.3: those that a submission can meet, by their numbers.
pub(super) const ERRORS: &[&str] =
    &["1", "4", "8", "10", "11", "13", "14", "15", "20", "51", "69", "88", "97", "98", "100", "255"];

/// A receipt: section 5.2.12.
const RECEIPT: u8 = 0b0000_0100;
/// The message begins with a header of its own: the same section.
const HAS_HEADER: u8 = 0b0100_0000;
/// UCS-2: section 5.2.19.
const UCS2: u8 = 8;

type Line = Framed<TcpStream, CommandCodec>;

/// Takes connections until it is dropped.
pub(super) async fn serve(listener: TcpListener, account: FakeAccount, stage: Arc<Stage>) {
    let mut connections = JoinSet::new();
    let account = Arc::new(account);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let line = Framed::new(stream, CommandCodec::new());
                let (account, stage, reports) = (Arc::clone(&account), Arc::clone(&stage), stage.reports.subscribe());
                let centre = Centre { line, account, stage, reports, bound: false, receipts: 0 };
                connections.spawn(centre.run());
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One session.
struct Centre {
    line: Line,
    account: Arc<FakeAccount>,
    stage: Arc<Stage>,
    reports: broadcast::Receiver<Receipt>,
    bound: bool,
    receipts: u32,
}

/// A session goes on, or it is over.
type GoesOn = bool;

impl Centre {
    async fn run(mut self) {
        let stage = Arc::clone(&self.stage);
        loop {
            let command = tokio::select! {
                heard = self.line.next() => heard,
                Ok(report) = self.reports.recv() => {
                    if !self.bound || self.deliver(receipt(&report)).await {
                        continue;
                    }
                    None
                }
                () = stage.hang_up.notified() => None,
            };
            let Some(Ok(command)) = command else { return };
            let number = command.sequence_number();
            let goes_on = match command.pdu() {
                Some(Pdu::BindTransceiver(bind)) => {
                    let status = self.judge(bind);
                    self.say(status, number, BindTransceiverResp::default()).await
                }
                Some(Pdu::SubmitSm(_)) if !self.bound => {
                    self.say(CommandStatus::EsmeRinvbndsts, number, SubmitSmResp::default()).await
                }
                Some(Pdu::SubmitSm(message)) => self.take(message, number).await,
                Some(Pdu::EnquireLink) => self.say(CommandStatus::EsmeRok, number, Pdu::EnquireLinkResp).await,
                Some(Pdu::Unbind) => {
                    self.say(CommandStatus::EsmeRok, number, Pdu::UnbindResp).await;
                    false
                }
                Some(Pdu::DeliverSmResp(_) | Pdu::EnquireLinkResp) => true,
                _ => self.say(CommandStatus::EsmeRinvcmdid, number, Pdu::GenericNack).await,
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Sections 4.1.5 and 4.1.6.
    fn judge(&mut self, bind: &BindTransceiver) -> CommandStatus {
        if self.bound {
            return CommandStatus::EsmeRalybnd;
        }
        if bind.system_id.as_str() != self.account.account {
            return CommandStatus::EsmeRinvsysid;
        }
        if !same(self.account.secret.expose(), bind.password.as_str()) {
            return CommandStatus::EsmeRinvpaswd;
        }
        self.bound = true;
        self.stage.sessions.fetch_add(1, Ordering::Relaxed);
        CommandStatus::EsmeRok
    }

    async fn say(&mut self, status: CommandStatus, number: u32, pdu: impl Into<Pdu>) -> GoesOn {
        self.line.send(Command::new(status, number, pdu)).await.is_ok()
    }

    async fn take(&mut self, message: &SubmitSm, number: u32) -> GoesOn {
        match current_play(&self.stage) {
            play @ (Play::Accept | Play::Lie | Play::Cut) => self.accept(message, number, &play).await,
            Play::Error(code) => {
                let status = code.parse::<u32>().map_or(CommandStatus::EsmeRsyserr, CommandStatus::from);
                self.say(status, number, SubmitSmResp::default()).await
            }
            Play::Status(status) => {
                self.say(CommandStatus::from(u32::from(status)), number, SubmitSmResp::default()).await
            }
            Play::Hang => true,
            Play::Garbage => self.line.get_mut().write_all(b"\0\0\0\x05{]not what was asked for").await.is_ok(),
            Play::Close => false,
        }
    }

    async fn accept(&mut self, message: &SubmitSm, number: u32, play: &Play) -> GoesOn {
        let id = format!("fake-{}", self.stage.accepted.fetch_add(1, Ordering::Relaxed) + 1);
        if let Some(phones) = self.stage.phones.as_ref().filter(|_| *play != Play::Lie) {
            phones(&FakeMessage {
                id: id.clone(),
                to: message.destination_addr.as_str().to_owned(),
                text: text(message),
            });
        }
        let response = SubmitSmResp::builder().message_id(id.parse().unwrap_or_default()).build();
        if *play == Play::Cut {
            // Half of a header.
            let _ = self.line.get_mut().write_all(&[0, 0, 0, 24, 0x80, 0, 0, 4]).await;
            return false;
        }
        let told = self.say(CommandStatus::EsmeRok, number, response).await;
        let wanted = u8::from(message.registered_delivery) & 0b11 != 0;
        if !told || !wanted || *play == Play::Lie {
            return told;
        }
        let mut told = receipt(&Receipt::new(id, ReceiptState::Delivered, ""));
        told.source_addr = message.destination_addr.clone();
        told.destination_addr = message.source_addr.clone();
        self.deliver(told).await
    }

    async fn deliver(&mut self, receipt: DeliverSm) -> GoesOn {
        self.receipts += 1;
        let receipts = self.receipts;
        self.say(CommandStatus::EsmeRok, receipts, receipt).await
    }
}

/// Appendix B of the specification.
fn receipt(receipt: &Receipt) -> DeliverSm {
    let (id, stat) = (&receipt.id, word(receipt.state));
    let error = if receipt.error.is_empty() { "000" } else { &receipt.error };
    let text =
        format!("id:{id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:{stat} err:{error} text:");
    DeliverSm::builder()
        .esm_class(EsmClass::from(RECEIPT))
        .short_message(OctetString::from_slice(text.as_bytes()).unwrap_or_default())
        .build()
}

fn word(state: ReceiptState) -> &'static str {
    match state {
        ReceiptState::Delivered => "DELIVRD",
        ReceiptState::Failed => "UNDELIV",
        ReceiptState::Pending => "ENROUTE",
    }
}

/// The text of a message, or of a part of one.
fn text(message: &SubmitSm) -> String {
    let mut bytes: &[u8] = message.short_message().as_ref();
    if u8::from(message.esm_class) & HAS_HEADER != 0 {
        let header = bytes.first().map_or(0, |&length| usize::from(length) + 1);
        bytes = bytes.get(header..).unwrap_or_default();
    }
    if u8::from(message.data_coding) == UCS2 {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    } else {
        // The GSM alphabet has the letters and digits where ASCII has them.
        String::from_utf8_lossy(bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use mobile_bind_domain::Language;
    use mobile_bind_domain::ports::{SendFailure, SmsSender, TextMessage};
    use tokio::sync::mpsc;

    use crate::config::Kind;
    use crate::fake_provider::{FakeAccount, FakeMessage, FakeProvider, Phones, Play, documented_errors};
    use crate::provider::{Provider, Shared};
    use crate::receipts::{Receipt, ReceiptState};
    use crate::secret::Secret;
    use crate::tests::{HandClock, config, message, shared};

    struct Scene {
        fake: FakeProvider,
        provider: Provider,
        phones: mpsc::UnboundedReceiver<FakeMessage>,
        receipts: mpsc::UnboundedReceiver<Receipt>,
    }

    async fn centre(phones: Option<Phones>) -> FakeProvider {
        let own = config(Kind::Smpp, "smpp://127.0.0.1:1");
        let account = FakeAccount { kind: Kind::Smpp, account: own.account, secret: own.secret };
        let listen = ([127, 0, 0, 1], 0).into();
        FakeProvider::start(&account, listen, Play::Accept, Arc::new(HandClock::default()), phones).await.unwrap()
    }

    async fn scene() -> Scene {
        let (sent, phones) = mpsc::unbounded_channel();
        let fake = centre(Some(Box::new(move |message| drop(sent.send(message.clone()))))).await;
        let (heard, receipts) = mpsc::unbounded_channel();
        let shared = Shared { receipts: Arc::new(move |_, receipt| drop(heard.send(receipt))), ..shared() };
        let provider = Provider::new("centre", config(Kind::Smpp, &fake.url()), &shared).unwrap();
        Scene { fake, provider, phones, receipts }
    }

    #[tokio::test]
    async fn a_message_reaches_its_phone_and_its_receipt_comes_back() {
        let Scene { fake: _fake, provider, mut phones, mut receipts } = scene().await;
        assert_eq!(provider.send(message("17602128368")).await.unwrap().id, "fake-1");
        let FakeMessage { id, to, text } = phones.recv().await.unwrap();
        assert_eq!((id.as_str(), to.as_str()), ("fake-1", "8617602128368"));
        assert!(text.contains("0944"), "{text}");
        let told = Receipt { id: "fake-1".to_owned(), state: ReceiptState::Delivered, error: String::new() };
        assert_eq!(receipts.recv().await, Some(told));
        let chinese = TextMessage { language: Language::Zh, ..message("17602128368") };
        provider.send(chinese).await.unwrap();
        assert!(phones.recv().await.unwrap().text.starts_with("您的验证码是"));
    }

    #[tokio::test]
    async fn every_status_has_its_class() {
        let Scene { fake, .. } = scene().await;
        for code in documented_errors(Kind::Smpp) {
            fake.set_play(Play::Error((*code).to_owned()));
            let expected = match *code {
                "11" => SendFailure::Refused,
                "20" | "88" => SendFailure::Limited,
                _ => SendFailure::Unavailable,
            };
            // Each by a provider of its own: one that fails again and again is left alone.
            let provider = Provider::new("centre", config(Kind::Smpp, &fake.url()), &shared()).unwrap();
            assert_eq!(provider.send(message("17602128368")).await, Err(expected), "{code}");
        }
    }

    #[tokio::test]
    async fn what_is_left_open_is_unknown_and_the_next_message_goes() {
        let Scene { fake, mut provider, mut phones, .. } = scene().await;
        provider.shorten(Duration::from_millis(200));
        for (play, arrives) in [(Play::Hang, false), (Play::Garbage, false), (Play::Cut, true), (Play::Close, false)] {
            fake.set_play(play.clone());
            assert_eq!(provider.send(message("17602128368")).await, Err(SendFailure::Unknown), "{play}");
            assert_eq!(phones.try_recv().is_ok(), arrives, "{play}");
            fake.set_play(Play::Accept);
            assert!(provider.send(message("17602128368")).await.is_ok(), "after {play}");
            phones.recv().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_lie_is_told_well() {
        let Scene { fake, provider, mut phones, mut receipts, .. } = scene().await;
        fake.set_play(Play::Lie);
        assert!(provider.send(message("17602128368")).await.is_ok());
        fake.set_play(Play::Accept);
        assert_eq!(provider.send(message("17602128368")).await.unwrap().id, "fake-2");
        assert_eq!(phones.recv().await.unwrap().id, "fake-2");
        assert_eq!(receipts.recv().await.unwrap().id, "fake-2");
    }

    #[tokio::test]
    async fn only_the_account_is_let_in() {
        let fake = centre(None).await;
        let right = config(Kind::Smpp, &fake.url());
        let mut wrong = right.clone();
        wrong.secret = Secret::new("wr0ng".to_owned());
        let wrong = Provider::new("centre", wrong, &shared()).unwrap();
        assert_eq!(wrong.send(message("17602128368")).await, Err(SendFailure::Unavailable));
        let found = wrong.examine().await;
        let last = found.last().unwrap();
        assert!(
            !last.well && last.what.contains("does not bind the account") && !last.what.contains("wr0ng"),
            "{found:?}"
        );
        let found = Provider::new("centre", right, &shared()).unwrap().examine().await;
        assert!(found.iter().all(|one| one.well), "{found:?}");
    }

    #[tokio::test]
    async fn a_session_that_is_kept_is_opened_again_without_a_message() {
        let Scene { fake, provider, .. } = scene().await;
        provider.keep_open();
        while fake.sessions() == 0 {
            tokio::task::yield_now().await;
        }
        fake.hang_up();
        while fake.sessions() < 2 {
            tokio::task::yield_now().await;
        }
    }
}
