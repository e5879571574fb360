//! Proxies: one for TCP that can be cut, so that a test takes NetBox out of reach without stopping it for other tests; one that
//! cuts connections by itself when an answer is on its way; and one for UDP that counts queries.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_util::sync::CancellationToken;

use super::LOOPBACK;
use super::process::free_port;

pub struct Proxy {
    address: SocketAddr,
    target: String,
    alive: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub async fn before(url: &str) -> Self {
        let target = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        // The proxy listens at the same address again after a cut.
        let address = SocketAddr::new(LOOPBACK.ip(), free_port());
        let listener = TcpListener::bind(address).await.unwrap();
        let (alive, task) = run(listener, target.clone());
        Self { address, target, alive, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Breaks every connection and accepts none.
    pub async fn cut(&mut self) {
        self.alive.cancel();
        (&mut self.task).await.unwrap();
    }

    pub async fn mend(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        (self.alive, self.task) = run(listener, self.target.clone());
    }
}

fn run(listener: TcpListener, target: String) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let alive = CancellationToken::new();
    let stop = alive.clone();
    let task = tokio::spawn(async move {
        loop {
            let mut client = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted.unwrap().0,
            };
            let (stop, target) = (stop.clone(), target.clone());
            tokio::spawn(async move {
                let Ok(mut server) = TcpStream::connect(target).await else { return };
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                }
            });
        }
    });
    (alive, task)
}

/// Relays HTTP, and withholds the answer of every so many writes: it breaks the connection when the server has answered, so after
/// it has committed.
pub struct CuttingProxy {
    address: SocketAddr,
    cut: Arc<AtomicU64>,
}

impl CuttingProxy {
    pub async fn before(url: &str, every: u64) -> Self {
        let target = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (writes, cut) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(0)));
        let counted = cut.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (target, writes, counted) = (target.clone(), writes.clone(), counted.clone());
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(target).await else { return };
                    if relay(client, server, &writes, every).await {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        Self { address, cut }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections it has broken.
    pub fn cuts(&self) -> u64 {
        self.cut.load(Ordering::Relaxed)
    }
}

/// Relays one connection. Returns whether an answer was withheld.
async fn relay(client: TcpStream, server: TcpStream, writes: &AtomicU64, every: u64) -> bool {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut withhold = false;
    loop {
        // A client sends its next request when it has the answer to the last one, so a piece begins with a method or goes on.
        tokio::select! {
            read = from_client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return false };
                let piece = &asked[..length];
                if [b"POST ".as_slice(), b"PATCH ", b"DELETE "].iter().any(|method| piece.starts_with(method)) {
                    withhold = writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(every);
                }
                if to_server.write_all(piece).await.is_err() {
                    return false;
                }
            }
            read = from_server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return false };
                if withhold {
                    return true;
                }
                if to_client.write_all(&answered[..length]).await.is_err() {
                    return false;
                }
            }
        }
    }
}

/// Relays single queries and answers over UDP and counts the queries.
pub struct CountingUdp {
    pub at: SocketAddr,
    queries: Arc<AtomicU64>,
}

impl CountingUdp {
    pub async fn before(target: SocketAddr) -> Self {
        let socket = Arc::new(UdpSocket::bind(LOOPBACK).await.unwrap());
        let (at, queries) = (socket.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
        let counted = queries.clone();
        tokio::spawn(async move {
            let mut question = [0; 1500];
            while let Ok((length, client)) = socket.recv_from(&mut question).await {
                counted.fetch_add(1, Ordering::Relaxed);
                let (socket, question) = (socket.clone(), question[..length].to_vec());
                tokio::spawn(async move {
                    let upstream = UdpSocket::bind(LOOPBACK).await.unwrap();
                    upstream.send_to(&question, target).await.unwrap();
                    let mut answer = [0; 1500];
                    if let Ok(length) = upstream.recv(&mut answer).await {
                        let _ = socket.send_to(&answer[..length], client).await;
                    }
                });
            }
        });
        Self { at, queries }
    }

    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }
}
