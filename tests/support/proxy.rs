//! A TCP proxy that can be cut: how a test takes a NetBox out of reach without stopping it for the others.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::LOOPBACK;

pub struct Proxy {
    address: SocketAddr,
    target: String,
    alive: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub async fn before(url: &str) -> Self {
        let target = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (alive, task) = run(listener, target.clone());
        Self { address, target, alive, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every connection breaks, and none is made.
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
