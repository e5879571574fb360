//! Texts that people wrote into NetBox must not control the terminal of whoever runs a command.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::support::{HUNG, NetBox, Server, addresses, eventually};

/// Sets the window title, clears the screen, turns text red and around, and forges a line of `leasehold lookup`.
const HOSTILE: &str =
    "ok\u{1b}]0;owned\u{7}\u{1b}[2J\r\u{9b}31m\u{202e}\n  record   203.0.113.99/24 active forged.example";
/// How it is printed.
const ESCAPED: &str =
    r"ok\u{1b}]0;owned\u{7}\u{1b}[2J\r\u{9b}31m\u{202e}\n  record   203.0.113.99/24 active forged.example";

fn command(server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leasehold"));
    command.args(arguments).env("LEASEHOLD_SERVER", format!("http://{}", server.running.grpc));
    command.kill_on_drop(true);
    command
}

/// Standard output and standard error of a command.
async fn run(server: &Server, arguments: &[&str]) -> (String, String) {
    let done = command(server, arguments).output().await.unwrap();
    (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap())
}

/// A server before a NetBox whose prefix, lease and address carry the hostile text.
async fn hostile() -> (NetBox, Server) {
    let netbox = NetBox::emulated().await;
    let prefix = json!({
        "prefix": "203.0.113.0/24", "description": HOSTILE,
        "custom_fields": {
            "lease_owner": HOSTILE, "lease_expiry": "2099-06-01", "loa_reference": HOSTILE, "origin_asn": 64500,
        },
    });
    netbox.post("ipam/prefixes/", prefix).await;
    let server = Server::before(&netbox).await;
    let allocated = server.allocate(addresses(0, "203.0.113.0/24", 1, "n12")).await.unwrap();
    let path = format!("ipam/ip-addresses/{}/", allocated.addresses[0].id);
    let (status, answer, _) = netbox.rest("PATCH", &path, Some(json!({ "description": HOSTILE }))).await;
    assert_eq!(status, 200, "{answer}");
    eventually("the description is in the cache", async || {
        server
            .lookup(0, "203.0.113.1")
            .await
            .records
            .first()
            .is_some_and(|record| record.description == HOSTILE)
    })
    .await;
    (netbox, server)
}

#[tokio::test]
async fn no_command_prints_a_control_character_of_a_text_in_netbox() {
    let (_netbox, server) = hostile().await;
    for (arguments, quotes) in [
        (&["lookup", "203.0.113.1"][..], true),
        (&["lease", "show", "203.0.113.0/24"], true),
        (&["lease", "list"], true),
        (&["lease", "renew", "203.0.113.0/24", "--expiry", "2099-07-01", "--validate-only"], true),
        (&["lease", "end", "203.0.113.0/24", "--allow-in-use", "--validate-only"], true),
        (&["expiring", "--within", "36500d"], true),
        (&["allocations", "n12"], true),
        (&["allocations"], false),
        (&["allocate", "--prefix", "203.0.113.0/24", "--request-id", "n12"], true),
        (&["release", "--allocation", "n12", "--validate-only"], true),
        (&["history", "203.0.113.1"], true),
        (&["events", "list"], true),
        (&["preflight", "203.0.113.0/24"], true),
        (&["allocate", "--owner", HOSTILE, "--min-days-left", "36500"], false),
        (&["allocate", "--prefix", HOSTILE], false),
        (&["lease", "show", HOSTILE], true),
        (&["status"], false),
        (&["prefix", "show", "203.0.113.0/24"], true),
        (&["prefix", "list"], true),
        (&["utilization", "203.0.113.0/24"], false),
        (&["lease", "update", "203.0.113.0/24", "--loa", "LOA-1", "--validate-only"], true),
        (&["assign", "203.0.113.9", "--description", HOSTILE, "--validate-only"], false),
        (&["prefix", "list", "--vrf", HOSTILE], false),
        (&["admin", "trigger", HOSTILE], false),
        (&["lookup", "203.0.113.1", "-o", "name"], false),
        (&["lease", "list", "-o", "name"], false),
        (&["watch", "events", "-o", "table", "--count", "0"], true),
    ] {
        let (out, err) = run(&server, arguments).await;
        let printed = format!("{out}{err}");
        let unsafe_character = printed.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(unsafe_character, None, "{arguments:?} printed {printed:?}");
        assert!(
            !printed.lines().any(|line| line.starts_with("  record   203.0.113.99")),
            "{arguments:?}: {printed}"
        );
        assert!(!quotes || printed.contains(ESCAPED), "{arguments:?} does not quote the text: {printed}");
    }
}

#[tokio::test]
async fn json_keeps_the_text_of_netbox() {
    let (_netbox, server) = hostile().await;
    let (out, _) = run(&server, &["lookup", "203.0.113.1", "--output", "json"]).await;
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found["results"][0]["records"][0]["description"], HOSTILE);
    assert_eq!(found["results"][0]["lease"]["owner"], HOSTILE);

    let mut watch = command(&server, &["watch", "expiry", "--horizon", "36500"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(HUNG, lines.next_line()).await.unwrap().unwrap().unwrap();
    let message: Value = serde_json::from_str(&line).unwrap();
    assert!(message.to_string().contains(&json!(HOSTILE).to_string()), "{line}");
    watch.kill().await.unwrap();
}

#[test]
fn nothing_in_the_command_line_prints_past_the_escaping() {
    fn sources(directory: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
    }
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli");
    let files = sources(&room);
    assert!(files.len() > 30, "only {} files found: the test looks in the wrong place", files.len());
    for file in files.iter().filter(|file| !file.ends_with("terminal.rs")) {
        let text = std::fs::read_to_string(file).unwrap();
        for bypass in ["print!", "println!", "stdout()", "stderr()", "comfy_table"] {
            assert!(!text.contains(bypass), "{} uses {bypass}; use src/cli/terminal.rs", file.display());
        }
    }
}

#[tokio::test]
async fn more_records_than_the_emulator_can_make_are_refused_with_the_limit() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leasehold"));
    let command = command.args(["emulate-netbox", "--listen", "127.0.0.1:0", "--prefixes", "2000000"]);
    let done = command.kill_on_drop(true).output().await.unwrap();
    let err = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{err}");
    assert!(err.contains("2000000 prefixes do not fit: at most 1048576"), "{err}");
}
