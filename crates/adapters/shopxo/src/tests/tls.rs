//! TLS to a server that says no more than its handshake, with certificates made here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::{Options, ShopxoStore};

/// `CLIENT_SSL`, <https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html>.
const SSL: u32 = 0x800;
/// `LONG_PASSWORD`, `CONNECT_WITH_DB`, `PROTOCOL_41`, `TRANSACTIONS`, `SECURE_CONNECTION`, `PLUGIN_AUTH`.
const PLAIN: u32 = 0x0008_a209;

/// `ER_ACCESS_DENIED_ERROR`: who hears it has got through.
const DENIED: u16 = 1045;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(folder: &TempDir, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file }
    }

    /// What a server of that name does TLS by.
    fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

async fn write_packet(stream: &mut (impl AsyncWrite + Unpin), sequence: u8, payload: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    stream.write_all(&[&[length[0], length[1], length[2], sequence], payload].concat()).await?;
    stream.flush().await
}

async fn read_packet(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let mut payload = vec![0; usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16];
    stream.read_exact(&mut payload).await?;
    Ok(payload)
}

/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html>.
fn handshake(capabilities: u32) -> Vec<u8> {
    let flags = capabilities.to_le_bytes();
    let mut packet = vec![10];
    packet.extend(b"8.0.36\0\x01\0\0\0saltsalt\0");
    packet.extend([flags[0], flags[1], 45, 2, 0, flags[2], flags[3], 21]);
    packet.extend([0; 10]);
    packet.extend(b"saltsaltsalt\0mysql_native_password\0");
    packet
}

async fn talk(mut stream: TcpStream, acceptor: Option<TlsAcceptor>) -> std::io::Result<()> {
    let capabilities = if acceptor.is_some() { PLAIN | SSL } else { PLAIN };
    write_packet(&mut stream, 0, &handshake(capabilities)).await?;
    read_packet(&mut stream).await?;
    let Some(acceptor) = acceptor else { return Ok(()) };
    let mut secured = acceptor.accept(stream).await?;
    read_packet(&mut secured).await?;
    let denied = [&[0xff], &DENIED.to_le_bytes()[..], b"#28000no"].concat();
    write_packet(&mut secured, 3, &denied).await?;
    secured.shutdown().await
}

/// A server that does TLS by the acceptor, or none.
async fn server(acceptor: Option<TlsAcceptor>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Whoever is not satisfied hangs up.
            let _ = talk(stream, acceptor.clone()).await;
        }
    });
    address
}

async fn refusal(server: SocketAddr, host: &str, roots: Option<&Authority>) -> String {
    let address = format!("shopxo:mysql://u:hush@{host}:{}/shop?ssl-mode=VERIFY_IDENTITY", server.port());
    let root_certificates = roots.map(|authority| authority.file.clone());
    let error = ShopxoStore::open(Options { root_certificates, ..Options::new(&address) }).await.err().unwrap();
    let told = format!("{error:?}");
    assert!(!told.contains("hush"), "{told}");
    told
}

#[tokio::test]
async fn the_server_must_be_who_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, foreign) = (Authority::new(&folder, "ours.pem"), Authority::new(&folder, "foreign.pem"));
    let here = server(Some(ours.acceptor("127.0.0.1"))).await;
    let let_through = refusal(here, "127.0.0.1", Some(&ours)).await;
    assert!(let_through.contains(&DENIED.to_string()), "{let_through}");

    let by_another = refusal(here, "127.0.0.1", Some(&foreign)).await;
    assert!(by_another.contains("UnknownIssuer") || by_another.contains("BadSignature"), "{by_another}");
    let by_the_world = refusal(here, "127.0.0.1", None).await;
    assert!(by_the_world.contains("UnknownIssuer"), "{by_the_world}");
    let of_another = refusal(here, "localhost", Some(&ours)).await;
    assert!(of_another.contains("NotValidForName"), "{of_another}");
}

#[tokio::test]
async fn a_server_without_tls_is_not_spoken_to_in_the_open() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(&folder, "ours.pem");
    let told = refusal(server(None).await, "127.0.0.1", Some(&ours)).await;
    assert!(told.contains("Unencrypted"), "{told}");
}
