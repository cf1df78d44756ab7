//! One session with a message centre: requests go out numbered and find their responses again, a window limits how many wait,
//! and a line that is silent is asked whether it is there. <https://smpp.org/SMPP_v3_4_Issue1_2.pdf>, sections 2 and 4.11.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use mobile_bind_domain::ports::SendFailure;
use rusmpp::pdus::{BindTransceiver, DeliverSmResp};
use rusmpp::tokio_codec::CommandCodec;
use rusmpp::types::COctetString;
use rusmpp::values::InterfaceVersion;
use rusmpp::{Command, CommandStatus, Pdu};
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::codec::Framed;

use super::receipt::read;
use crate::exchange::Fault;
use crate::receipts::Receipt;
use crate::secret::Secret;

/// After how long a silent line is asked whether it is there; silent as long again, it is lost.
const ENQUIRE_EVERY: Duration = Duration::from_secs(15);
/// How many requests may wait for their responses.
const WINDOW: usize = 64;
/// The highest number of a request: section 3.2.
const LAST_NUMBER: u32 = 0x7fff_ffff;

/// Who hears of receipts.
pub(crate) type Receipts = Arc<dyn Fn(Receipt) + Send + Sync>;

/// How to get in.
pub(crate) struct SmppAccount {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    pub(crate) system_id: String,
    pub(crate) password: Secret,
}

/// A request, and who waits for its response.
struct Asked {
    pdu: Pdu,
    response: oneshot::Sender<Command>,
}

/// A session that is bound; it ends when this is dropped.
pub(crate) struct Session {
    requests: mpsc::Sender<Asked>,
    driver: JoinHandle<()>,
}

impl Session {
    /// Connects and binds.
    pub(crate) async fn open(account: &SmppAccount, receipts: &Receipts) -> Result<Self, Fault> {
        let unavailable = |code: &'static str| Fault::new(SendFailure::Unavailable, code);
        let stream = TcpStream::connect((account.host.as_str(), account.port)).await;
        let stream = stream.map_err(|_| unavailable("no connection"))?;
        // A submission is one small packet, and somebody waits for it.
        stream.set_nodelay(true).map_err(|_| unavailable("no connection"))?;
        let session = if account.tls {
            let config = ClientConfig::with_platform_verifier().map_err(|_| unavailable("no root certificates"))?;
            let name = ServerName::try_from(account.host.clone()).map_err(|_| unavailable("no host name"))?;
            let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
            Self::over(stream.map_err(|_| unavailable("no tls"))?, receipts)
        } else {
            Self::over(stream, receipts)
        };
        let bound = session.request(bind(account)?).await;
        match bound.map(|response| response.status()) {
            Some(CommandStatus::EsmeRok) => Ok(session),
            Some(status) => Err(Fault::new(SendFailure::Unavailable, format!("bind {status:?}"))),
            None => Err(unavailable("bind connection lost")),
        }
    }

    fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, receipts: &Receipts) -> Self {
        let (requests, asked) = mpsc::channel(WINDOW);
        let driver = Driver {
            line: Framed::new(stream, CommandCodec::new()),
            asked,
            waiting: HashMap::new(),
            number: 0,
            receipts: Arc::clone(receipts),
        };
        Self { requests, driver: tokio::spawn(driver.run()) }
    }

    /// Sends a request, and waits for its response; `None` where the session ends before that.
    pub(crate) async fn request(&self, pdu: Pdu) -> Option<Command> {
        let (response, responded) = oneshot::channel();
        self.requests.send(Asked { pdu, response }).await.ok()?;
        responded.await.ok()
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.requests.is_closed()
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&self) {
        self.requests.closed().await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn bind(account: &SmppAccount) -> Result<Pdu, Fault> {
    let unfit = |what: &str| Fault::new(SendFailure::Unavailable, format!("{what} is too long"));
    let password = [account.password.expose().as_bytes(), b"\0"].concat();
    let bind = BindTransceiver::builder()
        .system_id(account.system_id.parse().map_err(|_| unfit("system id"))?)
        .password(COctetString::from_slice(&password).map_err(|_| unfit("password"))?)
        .interface_version(InterfaceVersion::Smpp3_4)
        .build();
    Ok(bind.into())
}

/// What goes on in a session.
struct Driver<S> {
    line: Framed<S, CommandCodec>,
    asked: mpsc::Receiver<Asked>,
    waiting: HashMap<u32, oneshot::Sender<Command>>,
    number: u32,
    receipts: Receipts,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// Goes on until the line is lost, the centre unbinds, or nobody needs the session any more.
    async fn run(mut self) {
        let mut silence = interval(ENQUIRE_EVERY);
        silence.set_missed_tick_behavior(MissedTickBehavior::Delay);
        silence.reset();
        let mut enquired = false;
        loop {
            if self.waiting.len() >= WINDOW {
                // Whoever gave up waiting leaves his place.
                self.waiting.retain(|_, response| !response.is_closed());
            }
            let goes_on = tokio::select! {
                heard = self.line.next() => match heard {
                    Some(Ok(command)) => {
                        enquired = false;
                        silence.reset();
                        self.hear(command).await
                    }
                    _ => false,
                },
                asked = self.asked.recv(), if self.waiting.len() < WINDOW => match asked {
                    Some(Asked { pdu, response }) => {
                        let number = self.next_number();
                        self.waiting.insert(number, response);
                        self.say(CommandStatus::EsmeRok, number, pdu).await
                    }
                    None => false,
                },
                _ = silence.tick() => {
                    let number = self.next_number();
                    let silent = std::mem::replace(&mut enquired, true);
                    !silent && self.say(CommandStatus::EsmeRok, number, Pdu::EnquireLink).await
                }
            };
            if !goes_on {
                return;
            }
        }
    }

    fn next_number(&mut self) -> u32 {
        self.number = if self.number >= LAST_NUMBER { 1 } else { self.number + 1 };
        self.number
    }

    async fn say(&mut self, status: CommandStatus, number: u32, pdu: impl Into<Pdu>) -> bool {
        self.line.send(Command::new(status, number, pdu)).await.is_ok()
    }

    /// Takes what the centre says; answers whether the session goes on.
    async fn hear(&mut self, command: Command) -> bool {
        let number = command.sequence_number();
        match command.pdu() {
            Some(Pdu::DeliverSm(delivered)) => {
                let receipt = read(delivered);
                // A centre that does not hear of it delivers it again.
                let goes_on = self.say(CommandStatus::EsmeRok, number, DeliverSmResp::default()).await;
                if let Some(receipt) = receipt {
                    (self.receipts)(receipt);
                }
                goes_on
            }
            Some(Pdu::EnquireLink) => self.say(CommandStatus::EsmeRok, number, Pdu::EnquireLinkResp).await,
            Some(Pdu::Unbind) => {
                self.say(CommandStatus::EsmeRok, number, Pdu::UnbindResp).await;
                false
            }
            _ => {
                if let Some(response) = self.waiting.remove(&number) {
                    // Whoever waited may be gone.
                    let _ = response.send(command);
                }
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use futures_util::{SinkExt, StreamExt};
    use rusmpp::tokio_codec::CommandCodec;
    use rusmpp::{Command, CommandStatus, Pdu};
    use tokio::io::DuplexStream;
    use tokio_util::codec::Framed;

    use super::{ENQUIRE_EVERY, Session, WINDOW};

    fn pair() -> (Arc<Session>, Framed<DuplexStream, CommandCodec>) {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let receipts: super::Receipts = Arc::new(|_| {});
        (Arc::new(Session::over(near, &receipts)), Framed::new(far, CommandCodec::new()))
    }

    async fn heard(centre: &mut Framed<DuplexStream, CommandCodec>) -> Command {
        centre.next().await.unwrap().unwrap()
    }

    fn ask(session: &Arc<Session>) -> tokio::task::JoinHandle<Option<Command>> {
        let session = Arc::clone(session);
        tokio::spawn(async move { session.request(Pdu::Unbind).await })
    }

    #[tokio::test]
    async fn responses_find_their_requests_in_any_order() {
        let (session, mut centre) = pair();
        let first = ask(&session);
        let one = heard(&mut centre).await.sequence_number();
        let second = ask(&session);
        let two = heard(&mut centre).await.sequence_number();
        for (number, status) in
            [(two, CommandStatus::EsmeRthrottled), (99, CommandStatus::EsmeRok), (one, CommandStatus::EsmeRok)]
        {
            centre.send(Command::new(status, number, Pdu::UnbindResp)).await.unwrap();
        }
        assert_eq!(second.await.unwrap().unwrap().status(), CommandStatus::EsmeRthrottled);
        assert_eq!(first.await.unwrap().unwrap().status(), CommandStatus::EsmeRok);
    }

    #[tokio::test]
    async fn no_more_wait_at_once_than_the_window_holds_and_whoever_gives_up_makes_room() {
        let (session, mut centre) = pair();
        let asking: Vec<_> = (0..=WINDOW).map(|_| ask(&session)).collect();
        let mut numbers = Vec::new();
        for _ in 0..WINDOW {
            numbers.push(heard(&mut centre).await.sequence_number());
        }
        centre.send(Command::new(CommandStatus::EsmeRok, numbers[0], Pdu::UnbindResp)).await.unwrap();
        let next = heard(&mut centre).await.sequence_number();
        assert!(!numbers.contains(&next));
        for asked in asking {
            asked.abort();
        }
        let again = ask(&session);
        // Something is heard, and those who gave up are seen to have gone.
        centre.send(Command::new(CommandStatus::EsmeRok, 7_000, Pdu::EnquireLink)).await.unwrap();
        loop {
            let command = heard(&mut centre).await;
            if command.pdu() == Some(&Pdu::Unbind) {
                centre
                    .send(Command::new(CommandStatus::EsmeRok, command.sequence_number(), Pdu::UnbindResp))
                    .await
                    .unwrap();
                break;
            }
        }
        assert!(again.await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_line_is_asked_and_then_given_up() {
        let (session, mut centre) = pair();
        for _ in 0..3 {
            let asked = heard(&mut centre).await;
            assert_eq!(asked.pdu(), Some(&Pdu::EnquireLink));
            centre
                .send(Command::new(CommandStatus::EsmeRok, asked.sequence_number(), Pdu::EnquireLinkResp))
                .await
                .unwrap();
        }
        assert!(session.is_open());
        heard(&mut centre).await;
        tokio::time::timeout(ENQUIRE_EVERY + Duration::from_secs(1), session.ended()).await.unwrap();
        assert!(session.request(Pdu::Unbind).await.is_none());
    }

    #[tokio::test]
    async fn an_end_of_the_line_ends_whoever_waits() {
        let (session, mut centre) = pair();
        let asked = ask(&session);
        heard(&mut centre).await;
        drop(centre);
        assert!(asked.await.unwrap().is_none() && !session.is_open());
    }

    #[tokio::test]
    async fn the_centre_is_answered_and_may_unbind() {
        let (session, mut centre) = pair();
        for (asked, answered) in [(Pdu::EnquireLink, Pdu::EnquireLinkResp), (Pdu::Unbind, Pdu::UnbindResp)] {
            centre.send(Command::new(CommandStatus::EsmeRok, 5, asked)).await.unwrap();
            let answer = heard(&mut centre).await;
            assert_eq!((answer.sequence_number(), answer.pdu()), (5, Some(&answered)));
        }
        session.ended().await;
    }
}
