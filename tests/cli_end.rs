//! How a command of the command line ends: by its time limit, by a signal, and by a second signal.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use leasehold::rpc::proto::v1;
use leasehold::rpc::proto::v1::prefix_service_client::PrefixServiceClient;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::mpsc;
use tonic::transport::Endpoint;

use crate::cli::{Done, command};
use crate::support::{HUNG, LOOPBACK, NetBox, directory, eventually};

/// A server that accepts connections and never answers. Each accepted connection is reported.
async fn silent() -> (String, mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (accepted, reports) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            open.push(listener.accept().await.unwrap());
            let _ = accepted.send(());
        }
    });
    (url, reports)
}

/// A gRPC server that begins an answer at once and sends a byte of it now and then, for ever.
async fn trickling() -> String {
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(trickle(stream));
        }
    });
    url
}

/// An HTTP/2 frame (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

async fn trickle(mut stream: TcpStream) {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const ACK: u8 = 1;
    const END_HEADERS: u8 = 4;
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    let call = loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.unwrap();
        match head[3] {
            SETTINGS if head[4] & ACK == 0 => stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await.unwrap(),
            HEADERS => break u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            _ => {}
        }
    };
    // `:status: 200`, and `content-type: application/grpc` as a literal, in HPACK (RFC 7541).
    let headers = [&[0x88, 0x0f, 0x10, 0x10][..], b"application/grpc"].concat();
    let mut answer = vec![frame(HEADERS, END_HEADERS, call, &headers)];
    // The head of a message of a million bytes, which never become complete.
    answer.push(frame(DATA, 0, call, &[0, 0, 0x0f, 0x42, 0x40]));
    stream.write_all(&answer.concat()).await.unwrap();
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    loop {
        pace.tick().await;
        if stream.write_all(&frame(DATA, 0, call, &[0])).await.is_err() {
            return;
        }
    }
}

/// Runs a command that nobody answers, and fails if its time limit does not end it.
async fn ended(url: &str, arguments: &[&str]) -> Done {
    let running = command(url, arguments).stdin(Stdio::null()).output();
    tokio::time::timeout(HUNG, running).await.expect("the command outlived its --timeout").unwrap().into()
}

/// Commands with one call, with a list of pages, and with a stream that ends by itself.
const BOUNDED: &[&[&str]] = &[
    &["lookup", "203.0.113.5", "--timeout", "1"],
    &["lease", "list", "--timeout", "1"],
    &["reputation", "203.0.113.0/24", "--timeout", "1"],
    &["admin", "sync", "--full", "--wait", "--timeout", "1"],
    &["status", "--wait", "--timeout", "1"],
];

#[tokio::test]
async fn a_server_that_never_answers_does_not_outlive_the_timeout() {
    let (url, _reports) = silent().await;
    for arguments in BOUNDED {
        let done = ended(&url, arguments).await;
        assert_eq!(done.code, Some(1), "{arguments:?}: {}", done.err);
        assert!(done.err.contains("not done within 1 s (see --timeout) (DEADLINE_EXCEEDED)"), "{}", done.err);
    }
}

#[tokio::test]
async fn an_answer_that_comes_a_byte_at_a_time_does_not_outlive_the_timeout() {
    let url = trickling().await;
    for arguments in BOUNDED {
        let done = ended(&url, arguments).await;
        assert_eq!(done.code, Some(1), "{arguments:?}: {}", done.err);
        assert!(done.err.contains("not done within 1 s (see --timeout) (DEADLINE_EXCEEDED)"), "{}", done.err);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_with_what_to_do() {
    let done = ended("http://127.0.0.1:9", &["release", "203.0.113.1", "--request-id", "gone-1"]).await;
    let lines: Vec<&str> = done.err.lines().collect();
    assert_eq!(done.code, Some(1));
    assert!(
        lines[0].starts_with("error: no server at http://127.0.0.1:9: Connection refused"),
        "{}",
        done.err
    );
    assert!(lines[0].ends_with("(UNAVAILABLE)"), "{}", done.err);
    assert!(lines[1].starts_with("Is `leasehold serve` running there?"), "{}", done.err);
    assert!(lines[2].ends_with("leasehold release 203.0.113.1 --request-id gone-1"), "{}", done.err);
}

#[tokio::test]
async fn one_ctrl_c_ends_a_client_command() {
    let (url, mut reports) = silent().await;
    let mut child = command(&url, &["lookup", "203.0.113.5"]).stderr(Stdio::null()).spawn().unwrap();
    within(reports.recv()).await.unwrap();
    signal(&child, "INT").await;
    assert_eq!(exit(&mut child).await.signal(), Some(2), "shells report this as 130");
}

/// `leasehold serve` with settings of the test.
struct Serve {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    _directory: tempfile::TempDir,
}

impl Serve {
    fn start(settings: &[(&str, &str)]) -> Self {
        let (guard, path) = directory();
        let mut command = Command::new(env!("CARGO_BIN_EXE_leasehold"));
        command
            .arg("serve")
            .env("LEASEHOLD_SERVER__GRPC_LISTEN", "127.0.0.1:0")
            .env("LEASEHOLD_SERVER__HTTP_LISTEN", "127.0.0.1:0")
            .env("LEASEHOLD_STORAGE__DIRECTORY", &path)
            .env("LEASEHOLD_LOG__LEVEL", "info")
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, log, _directory: guard }
    }

    /// Waits for a line of the log that holds a text, and returns it.
    async fn logged(&mut self, text: &str) -> String {
        within(async {
            while let Some(line) = self.log.next_line().await.unwrap() {
                if line.contains(text) {
                    return line;
                }
            }
            panic!("the log ended without {text:?}");
        })
        .await
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HUNG, future).await.expect("nothing happened")
}

async fn signal(child: &Child, name: &str) {
    let process = child.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-s", name, &process]).status().await.unwrap();
    assert!(sent.success());
}

async fn exit(child: &mut Child) -> ExitStatus {
    within(child.wait()).await.unwrap()
}

#[tokio::test]
async fn sigterm_during_the_start_is_obeyed_at_once() {
    // A database that accepts connections and never answers holds up the start.
    let (url, mut reports) = silent().await;
    let database = url.replace("http://", "postgres://user:secret@") + "/leasehold";
    let mut serve = Serve::start(&[
        ("LEASEHOLD_NETBOX__URL", "http://127.0.0.1:9"),
        ("LEASEHOLD_NETBOX__TOKEN", "0123456789abcdef0123456789abcdef01234567"),
        ("LEASEHOLD_LEDGER__POSTGRES_URL", &database),
    ]);
    within(reports.recv()).await.unwrap();
    signal(&serve.child, "TERM").await;
    serve.logged("stopped during the start").await;
    assert_eq!(exit(&mut serve.child).await.code(), Some(0));
}

#[tokio::test]
async fn a_second_ctrl_c_ends_a_server_that_waits_for_its_callers() {
    let netbox = NetBox::emulated().await;
    netbox.post("ipam/prefixes/", json!({ "prefix": "203.0.113.0/24" })).await;
    let mut serve = Serve::start(&[
        ("LEASEHOLD_NETBOX__URL", &netbox.url),
        ("LEASEHOLD_NETBOX__TOKEN", &netbox.token),
        ("LEASEHOLD_SERVER__DRAIN_SECONDS", "3600"),
    ]);
    let listening = serve.logged("listening").await;
    let grpc = listening.split_once("grpc=").unwrap().1.split(' ').next().unwrap();
    let channel = Endpoint::from_shared(format!("http://{grpc}")).unwrap().connect().await.unwrap();
    let mut prefixes = PrefixServiceClient::new(channel);
    eventually("the cache is filled", async || {
        prefixes.clone().list_vrfs(v1::ListVrfsRequest::default()).await.is_ok()
    })
    .await;
    // A stream of look-ups that its caller does not close is a call under way: the server waits for it.
    let (requests, stream) = mpsc::unbounded_channel();
    let ask = || {
        let address = "203.0.113.5".to_owned();
        requests.send(v1::StreamLookupAddressesRequest { address, ..Default::default() }).unwrap();
    };
    ask();
    let stream = tokio_stream::wrappers::UnboundedReceiverStream::new(stream);
    let mut answers = prefixes.stream_lookup_addresses(stream).await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap();

    signal(&serve.child, "INT").await;
    serve.logged("stopping").await;
    ask();
    assert!(answers.message().await.unwrap().is_some(), "the call under way goes on");
    signal(&serve.child, "INT").await;
    serve.logged("stopped at once by a second signal").await;
    assert_eq!(exit(&mut serve.child).await.code(), Some(130));
}

#[tokio::test]
async fn ctrl_c_ends_the_demo_in_the_middle_of_its_story() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_leasehold"))
        .args(["demo", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let first = within(lines.next_line()).await.unwrap().unwrap();
    assert!(first.starts_with("An emulated NetBox listens on"), "{first}");
    signal(&demo, "INT").await;
    // The story may have ended by then; after that, Ctrl-C is how the demo ends, and then it drains.
    let code = exit(&mut demo).await.code();
    assert!(matches!(code, Some(130 | 0)), "{code:?}");
}
