//! Processes that a test starts and that end with it.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand::Rng as _;

/// A port that nothing uses, for a listener that opens later. It lies below the range from which Linux takes the ports of
/// connections and of listeners that ask for any port, so that none of them gets it in the meantime.
pub fn free_port() -> u16 {
    loop {
        let port: u16 = rand::rng().random_range(20_000..32_000);
        let (tcp, udp) = (TcpListener::bind(("127.0.0.1", port)), UdpSocket::bind(("127.0.0.1", port)));
        if tcp.is_ok() && udp.is_ok() {
            return port;
        }
    }
}

/// A process that is killed when this is dropped.
pub struct Spawned(Child);

impl Spawned {
    pub fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A real StayRTR that serves a file of VRPs and reads it again every second.
pub struct StayRtr {
    _process: Spawned,
    pub rtr: u16,
    pub http: u16,
}

impl StayRtr {
    pub fn start(program: &str, file: &Path, rtr: u16) -> Self {
        let http = free_port();
        let process = Spawned::start(Command::new(program).current_dir(file.parent().unwrap()).args([
            "-bind",
            &format!("127.0.0.1:{rtr}"),
            "-cache",
            file.to_str().unwrap(),
            "-checktime=false",
            "-refresh",
            "1",
            "-metrics.addr",
            &format!("127.0.0.1:{http}"),
        ]));
        Self { _process: process, rtr, http }
    }
}

/// Waits until a value is the wanted one; fails after a minute with the value that it had last.
pub async fn until<T: PartialEq + std::fmt::Debug, F: Future<Output = T>>(
    what: &str,
    wanted: T,
    mut read: impl FnMut() -> F,
) {
    let mut last = None;
    for _ in 0..1_200 {
        let now = read().await;
        if now == wanted {
            return;
        }
        last = Some(now);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: expected {wanted:?}, but it is {last:?}");
}
