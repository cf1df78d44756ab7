use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Semaphore;
use tokio::time::advance;

use super::{Connection, ConnectionLimits};

const LIMITS: ConnectionLimits =
    ConnectionLimits { open: 1, idle: Duration::from_secs(75), request: Duration::from_secs(30) };

fn connection() -> (Connection<DuplexStream>, DuplexStream) {
    let (server, client) = duplex(64);
    let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    (Connection::new(server, LIMITS, place), client)
}

async fn times_out(connection: &mut Connection<DuplexStream>, after: Duration) {
    // Time stands still but for this: nothing is read a moment before, and the end comes on time.
    let mut byte = [0];
    let just_before = after - Duration::from_millis(1);
    assert!(tokio::time::timeout(just_before, connection.read(&mut byte)).await.is_err());
    let error = tokio::time::timeout(Duration::from_millis(5), connection.read(&mut byte)).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends() {
    let (mut server, _client) = connection();
    times_out(&mut server, LIMITS.idle).await;
}

#[tokio::test(start_paused = true)]
async fn a_byte_now_and_then_does_not_put_the_end_of_a_request_off() {
    let (mut server, mut client) = connection();
    let mut byte = [0];
    for _ in 0..3 {
        client.write_all(b"G").await.unwrap();
        server.read_exact(&mut byte).await.unwrap();
        advance(Duration::from_secs(9)).await;
    }
    times_out(&mut server, LIMITS.request - Duration::from_secs(27)).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_begins_a_new_time() {
    let (mut server, mut client) = connection();
    let mut byte = [0];
    for _ in 0..3 {
        client.write_all(b"G").await.unwrap();
        server.read_exact(&mut byte).await.unwrap();
        advance(Duration::from_secs(29)).await;
        server.write_all(b"A").await.unwrap();
        client.read_exact(&mut byte).await.unwrap();
        advance(Duration::from_secs(29)).await;
    }
    times_out(&mut server, LIMITS.idle - Duration::from_secs(29)).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_take_its_answer_is_given_up() {
    let (mut server, mut client) = connection();
    client.write_all(b"G").await.unwrap();
    server.read_exact(&mut [0]).await.unwrap();
    let error = server.write_all(&[b'A'; 1024]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}
