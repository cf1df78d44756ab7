use std::sync::Arc;
use std::time::Duration;

use mobile_bind_domain::ports::Randomness;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Semaphore;
use tokio::time::advance;

use super::{Connection, ConnectionLimits, Door};
use crate::admission::{Admission, Capacity};

const LIMITS: ConnectionLimits =
    ConnectionLimits { open: 1, idle: Duration::from_secs(75), request: Duration::from_secs(30) };

fn connection() -> (Connection<DuplexStream>, DuplexStream) {
    connection_by(None, 64)
}

fn connection_by(door: Option<Arc<Door>>, buffered: usize) -> (Connection<DuplexStream>, DuplexStream) {
    let (server, client) = duplex(buffered);
    let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    (Connection::new(server, LIMITS, door, place), client)
}

struct Zeros;

impl Randomness for Zeros {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

async fn door(requests: usize) -> Option<Arc<Door>> {
    let admission = Admission::new(Capacity { requests, ..Capacity::default() });
    Some(Door::new(admission, Arc::new(Zeros)).await)
}

const REQUEST: &[u8] = b"POST /user/logout?lang=en HTTP/1.1\r\nContent-Length: 2\r\n\r\na=";
const REFUSED: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json; charset=utf-8\r\n\
                       retry-after: 1\r\ncache-control: no-store\r\nreferrer-policy: no-referrer\r\n\
                       x-content-type-options: nosniff\r\ncontent-length: 73\r\nx-request-id: 0000000000000000\r\n\r\n\
                       {\"msg\":\"Too busy right now. Try again in 1 second\",\"code\":-100,\"data\":[]}";

/// What the service reads, or what the client reads before the service reads anything.
async fn read_first(server: &mut Connection<DuplexStream>, client: &mut DuplexStream) -> Result<Vec<u8>, String> {
    let (mut for_service, mut for_client) = (vec![0; 1024], vec![0; REFUSED.len()]);
    tokio::select! {
        biased;
        _ = client.read_exact(&mut for_client) => Err(String::from_utf8(for_client).unwrap()),
        length = server.read(&mut for_service) => {
            for_service.truncate(length.unwrap());
            Ok(for_service)
        }
    }
}

#[tokio::test]
async fn what_there_is_no_room_for_is_turned_away_at_the_door() {
    // The answer does not fit into what is buffered: it is written in parts.
    let (mut server, mut client) = connection_by(door(0).await, 100);
    for _ in 0..3 {
        client.write_all(REQUEST).await.unwrap();
        assert_eq!(read_first(&mut server, &mut client).await, Err(REFUSED.to_owned()));
    }
    client.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(read_first(&mut server, &mut client).await.is_ok(), "all else is for the service");
}

/// As whoever tells versions of HTTP apart reads.
#[tokio::test]
async fn who_reads_a_little_first_gets_the_whole_of_what_is_let_in() {
    let (mut server, mut client) = connection_by(door(1).await, 1024);
    client.write_all(REQUEST).await.unwrap();
    let mut read = vec![0; REQUEST.len()];
    for part in read.chunks_mut(24) {
        server.read_exact(part).await.unwrap();
    }
    assert_eq!(read, REQUEST);
    drop(client);
    assert_eq!(server.read(&mut [0; 24]).await.unwrap(), 0);

    let (mut server, mut client) = connection_by(door(0).await, 1024);
    client.write_all(REQUEST).await.unwrap();
    let (mut few, mut refused) = ([0; 24], vec![0; REFUSED.len()]);
    tokio::select! {
        _ = server.read(&mut few) => panic!("nothing is for the service"),
        read = client.read_exact(&mut refused) => assert_eq!(read.unwrap(), REFUSED.len()),
    }
    assert_eq!(String::from_utf8(refused).unwrap(), REFUSED);
}

#[tokio::test]
async fn what_there_is_room_for_is_let_in() {
    let (mut server, mut client) = connection_by(door(1).await, 1024);
    for _ in 0..2 {
        client.write_all(REQUEST).await.unwrap();
        assert_eq!(read_first(&mut server, &mut client).await.as_deref(), Ok(REQUEST));
        server.write_all(b"A").await.unwrap();
        client.read_exact(&mut [0]).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_is_not_plain_is_the_services_own_from_then_on() {
    let (first, rest) = REQUEST.split_at(20);
    let two = REQUEST.repeat(2);
    let unclear: [&[&[u8]]; 3] = [&[first, rest], &[&two], &[b"rubbish"]];
    for parts in unclear {
        let (mut server, mut client) = connection_by(door(0).await, 1024);
        for part in parts {
            client.write_all(part).await.unwrap();
            assert_eq!(read_first(&mut server, &mut client).await.as_deref(), Ok(*part));
        }
        server.write_all(b"A").await.unwrap();
        client.read_exact(&mut [0]).await.unwrap();
        client.write_all(REQUEST).await.unwrap();
        assert_eq!(read_first(&mut server, &mut client).await.as_deref(), Ok(REQUEST));
    }
}

/// Whoever asks before he has the whole answer must not find another in the midst of it.
#[tokio::test]
async fn nobody_is_turned_away_within_an_answer() {
    let one_place = Admission::new(Capacity { requests: 1, ..Capacity::default() });
    let (mut server, mut client) = connection_by(Some(Door::new(Arc::clone(&one_place), Arc::new(Zeros)).await), 1024);
    client.write_all(REQUEST).await.unwrap();
    assert_eq!(read_first(&mut server, &mut client).await.as_deref(), Ok(REQUEST));
    let _taken = one_place.bulkhead("/user/logout").enter().unwrap();
    for part in ["first part", "second part"] {
        server.write_all(part.as_bytes()).await.unwrap();
        client.read_exact(&mut vec![0; part.len()]).await.unwrap();
    }
    client.write_all(REQUEST).await.unwrap();
    assert_eq!(read_first(&mut server, &mut client).await.as_deref(), Ok(REQUEST));
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
