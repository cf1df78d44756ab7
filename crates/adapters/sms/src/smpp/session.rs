//! One session with a message centre.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use mobile_bind_domain::ports::SendFailure;
use rusmpp::Pdu;
use rusmpp::pdus::{BindTransceiver, DeliverSmResp};
use rusmpp::types::COctetString;
use rusmpp::values::InterfaceVersion;
use rusmppc::{Client, ConnectionBuilder, Event};
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::receipt::read;
use crate::exchange::Fault;
use crate::receipts::Receipt;
use crate::secret::Secret;

/// How often a session that does nothing is asked whether it is there, and how long it may take to say so.
const ENQUIRE_EVERY: Duration = Duration::from_secs(30);
const ENQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a response may take; what sends gives up earlier by itself.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

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

/// A session that is bound; it ends when this is dropped.
pub(crate) struct Session {
    client: Client,
    listener: JoinHandle<()>,
}

impl Session {
    /// Connects and binds.
    pub(crate) async fn open(account: &SmppAccount, receipts: &Receipts) -> Result<Self, Fault> {
        let unreachable = |code: &'static str| move |_| Fault::new(SendFailure::Unavailable, code);
        let stream = TcpStream::connect((account.host.as_str(), account.port)).await;
        let stream = stream.map_err(|_| Fault::new(SendFailure::Unavailable, "no connection"))?;
        let session = if account.tls {
            let config = ClientConfig::with_platform_verifier().map_err(unreachable("no root certificates"))?;
            let name = ServerName::try_from(account.host.clone());
            let name = name.map_err(|_| Fault::new(SendFailure::Unavailable, "no host name"))?;
            let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
            let stream = stream.map_err(|_| Fault::new(SendFailure::Unavailable, "no tls"))?;
            let (client, events) = builder().connected(stream);
            Self { listener: tokio::spawn(listen(client.clone(), events, Arc::clone(receipts))), client }
        } else {
            let (client, events) = builder().connected(stream);
            Self { listener: tokio::spawn(listen(client.clone(), events, Arc::clone(receipts))), client }
        };
        let unfit = |what: &str| Fault::new(SendFailure::Unavailable, format!("{what} is too long"));
        let bind = BindTransceiver::builder()
            .system_id(account.system_id.parse().map_err(|_| unfit("system id"))?)
            .password(
                COctetString::from_slice(&[account.password.expose().as_bytes(), b"\0"].concat())
                    .map_err(|_| unfit("password"))?,
            )
            .interface_version(InterfaceVersion::Smpp3_4)
            .build();
        session
            .client
            .bind_transceiver(bind)
            .await
            .map_err(|error| Fault::new(SendFailure::Unavailable, format!("bind {}", super::fault(&error).code)))?;
        Ok(session)
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

fn builder() -> ConnectionBuilder {
    ConnectionBuilder::new()
        .enquire_link_interval(ENQUIRE_EVERY)
        .enquire_link_response_timeout(ENQUIRE_TIMEOUT)
        .enable_auto_enquire_link_response()
        .response_timeout(RESPONSE_TIMEOUT)
        // Centres speak 3.4; what is sent here is the same in both.
        .disable_interface_version_check()
}

/// Acknowledges what the centre delivers, and passes receipts on, until the connection is lost.
async fn listen(client: Client, mut events: impl Stream<Item = Event> + Unpin, receipts: Receipts) {
    while let Some(event) = std::future::poll_fn(|context| Pin::new(&mut events).poll_next(context)).await {
        let Event::Incoming(command) = event else { continue };
        if let Some(Pdu::DeliverSm(delivered)) = command.pdu() {
            // A centre that does not hear of it delivers it again.
            let _ = client.deliver_sm_resp(command.sequence_number, DeliverSmResp::default()).await;
            if let Some(receipt) = read(delivered) {
                receipts(receipt);
            }
        }
    }
}
