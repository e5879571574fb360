//! The command line as one contract: what every command prints as a table and as names, how an answer looks as JSON, what is
//! an error, and how a write is repeated whose answer was lost. docs/cli.md describes it.

use std::process::Output;
use std::time::Duration;

use leasehold::emulator::Faults;
use leasehold::notify::{NotifySettings, SinkSettings, SinkTarget};
use leasehold::rpki::vrp_feed::{VrpFeedSettings, VrpLocation};
use leasehold::rpki::{RpkiSettings, RpkiSource};
use leasehold::validation::preflight::PreflightAspect;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{NetBox, Server, directory, eventually, settings};

/// A command of the real binary that talks to `url`.
pub fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leasehold"));
    command.args(arguments).env("LEASEHOLD_SERVER", url).env_remove("LEASEHOLD_TOKEN");
    command.kill_on_drop(true);
    command
}

/// What a command printed, and its exit code.
pub struct Done {
    pub out: String,
    pub err: String,
    pub code: Option<i32>,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
        }
    }
}

async fn run(server: &Server, arguments: &[&str]) -> Done {
    let url = format!("http://{}", server.running.grpc);
    command(&url, arguments).output().await.unwrap().into()
}

async fn json_of(server: &Server, arguments: &[&str]) -> Value {
    let done = run(server, &[arguments, &["-o", "json"]].concat()).await;
    serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("{arguments:?}: {}{}", done.out, done.err))
}

/// A server with two VRFs, a leased block in the global table, a VRP that authorises it, and a sink.
async fn ready() -> (NetBox, Server, tempfile::TempDir) {
    let netbox = NetBox::emulated().await;
    netbox.post("tenancy/tenants/", json!({ "name": "Example Hosting", "slug": "example-hosting" })).await;
    netbox.post("ipam/vrfs/", json!({ "name": "customers", "rd": "64500:7" })).await;
    let odd = netbox.post("ipam/vrfs/", json!({ "name": "123" })).await;
    netbox
        .post("ipam/prefixes/", json!({ "prefix": "10.0.0.0/8", "vrf": odd["id"], "status": "container" }))
        .await;
    let (guard, path) = directory();
    let vrps = path.join("vrps.json");
    let roas =
        json!({ "roas": [{ "asn": "AS64500", "prefix": "203.0.113.0/24", "maxLength": 24, "ta": "test" }] });
    std::fs::write(&vrps, roas.to_string()).unwrap();
    let mut settings = settings(&netbox);
    let feed = VrpFeedSettings { location: VrpLocation::File(vrps), expire: Duration::from_secs(86_400) };
    settings.checks.rpki =
        RpkiSettings { sources: vec![RpkiSource::VrpFeed(feed)], ..RpkiSettings::default() };
    settings.checks.validation.preflight.required = [PreflightAspect::Term, PreflightAspect::Roa].into();
    // It takes whatever is sent, so that the sink works whether or not something was.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let receiver = axum::Router::new().fallback(async || "");
    tokio::spawn(async move { axum::serve(listener, receiver).await.unwrap() });
    let target = SinkTarget::Alertmanager { url, token: None };
    let sink = SinkSettings { name: "ops".to_owned(), target, allow_private: true };
    settings.notify = NotifySettings { sinks: vec![sink], routes: Vec::new() };
    let server = Server::with(settings).await;
    server.live().await;
    (netbox, server, guard)
}

/// Text without what differs from run to run: times, days until a date, ids that are made up, directories.
fn settled(text: &str, directory: &str) -> String {
    let text = text.replace(directory, "<directory>");
    let word = |word: &str| {
        if word.parse::<jiff::Timestamp>().is_ok() {
            return "<time>".to_owned();
        }
        let number = word.trim_start_matches('(');
        let is_days = number.len() == 5 && number.bytes().all(|byte| byte.is_ascii_digit());
        if is_days { word.replace(number, "<days>") } else { word.to_owned() }
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    let mut text = text.lines().map(line).collect::<Vec<_>>().join("\n");
    // A column is as wide as the directory is long.
    while text.contains("<directory>") && text.contains("    ") {
        text = text.replace("    ", "   ");
    }
    text
}

/// Runs the commands one after another, and writes down what a person sees. Standard error is marked with `!`.
async fn transcript(server: &Server, directory: &str, commands: &[&str]) -> String {
    let mut written = String::new();
    for line in commands {
        let arguments: Vec<&str> = line.split(' ').collect();
        let done = run(server, &arguments).await;
        written += &format!("$ leasehold {line}\n");
        for line in settled(&done.out, directory).lines() {
            written += &format!("{line}\n");
        }
        for line in settled(&done.err, directory).lines() {
            written += &format!("! {line}\n");
        }
        if done.code != Some(0) {
            written += &format!("[exit {}]\n", done.code.unwrap());
        }
        written.push('\n');
    }
    written
}

#[tokio::test]
async fn every_command_prints_plain_columns_and_names() {
    let (_netbox, server, guard) = ready().await;
    let directory = guard.path().to_str().unwrap();
    let register = "lease register 203.0.113.0/24 --owner ACME-LIR --start 2026-06-01 --expiry 2099-06-01 \
                    --loa LOA-2026-0481 --tenant example-hosting --request-id lease-1";
    let before = transcript(
        &server,
        directory,
        &[
            "lease list",
            "lease list -o name",
            "expiring",
            "allocations",
            "notify deliveries",
            "events list --type lease_ended",
            "prefix list --within 203.0.113.0/24",
            "vrf list",
            "vrf list -o name",
            "vrf list --no-headers",
            &format!("{register} --validate-only"),
            register,
            "lease show 203.0.113.9",
            "lease show 203.0.113.9 -o name",
            "lease update 203.0.113.0/24 --loa LOA-2027-0102 --clear start --request-id lease-2",
            "lease renew 203.0.113.0/24 --expiry 2099-12-01 --request-id lease-3",
            "lease list",
            "lease list -o name",
            "lease list --no-headers",
            "lease list --order-by expiry --tenant id:1",
            "expiring --within 36500d",
            "expiring --within 36500d -o name",
            "allocate --prefix 203.0.113.0/24 --count 2 --dns-name web.example --request-id order-1",
            "allocate --prefix 203.0.113.0/24 --count 2 --dns-name web.example --request-id order-1 -o name",
            "allocate --prefix 203.0.113.0/24 --length 28 --description customer-42 --request-id order-2",
            "allocate --prefix 10.0.0.0/8 --vrf name:123 --count 1 --request-id order-3 -o name",
            "assign 203.0.113.77 --request-id order-4",
            "assign 203.0.113.78 --request-id order-5 -o name",
            "allocations order-1",
            "allocations -o name",
            "lookup 203.0.113.1 203.0.113.77",
            "lookup 203.0.113.1 198.51.100.9 -o name",
            "prefix list",
            "prefix list --utilization",
            "prefix list -o name --vrf 0",
            "prefix show 203.0.113.0/24",
            "prefix show 10.0.0.0/8 --vrf 123 -o name",
            "utilization 203.0.113.0/24 203.0.113.16/28",
            "utilization 203.0.113.0/24 -o name",
            "preflight 203.0.113.0/24 --origin 64500",
            "preflight 203.0.113.0/24 -o name",
            "validate 203.0.113.0/24 --origin 64500",
            "validate 203.0.113.0/24 --origin 64501 -o name",
            "irr 203.0.113.0/24 --origin 64500",
            "reputation 203.0.113.1",
            "release 203.0.113.77 --request-id gone-1",
            "release --allocation order-5 --request-id gone-2 -o name",
            "events list --type lease_registered",
            "events list --type address_released -o name",
            "history 203.0.113.77 --limit 1",
            "notify list",
            "notify list -o name",
            "notify replay --sink ops",
            "notify replay --sink ops -o name",
            "status -o name",
            "admin sync --wait -o name",
            "admin trigger allocation.settle --wait -o name",
            "lease end 203.0.113.0/24 --allow-in-use --request-id lease-4 -o name",
        ],
    )
    .await;
    insta::assert_snapshot!("cli", before);
}

#[tokio::test]
async fn what_is_not_there_exits_alike_for_every_command() {
    let (_netbox, server, _guard) = ready().await;
    for line in [
        "lookup 198.51.100.9",
        "prefix show 198.51.100.0/24",
        "prefix show 4711",
        "utilization 198.51.100.0/24",
        "lease show 198.51.100.9",
        "lease renew 198.51.100.0/24 --expiry 2099-06-01 --validate-only",
        "lease update 198.51.100.0/24 --loa LOA-1 --validate-only",
        "lease end 198.51.100.0/24 --validate-only",
        "lease list --vrf nowhere",
        "allocations no-such-request",
        "allocate --prefix 198.51.100.0/24 --validate-only",
        "release 198.51.100.9 --validate-only",
        "admin trigger no.such.job",
        "notify test nobody",
    ] {
        let done = run(&server, &line.split(' ').collect::<Vec<_>>()).await;
        let first = done.err.lines().next().unwrap_or_default();
        assert_eq!(done.code, Some(1), "{line}: {}", done.err);
        assert!(first.starts_with("error: ") && first.ends_with("NOT_FOUND)"), "{line}: {}", done.err);
    }
}

#[tokio::test]
async fn an_error_names_its_reason_every_field_and_what_to_do() {
    let (_netbox, server, _guard) = ready().await;
    let done =
        run(&server, &["allocate", "--prefix", "203.0.113.5/24", "--count", "5000", "--validate-only"]).await;
    let lines: Vec<&str> = done.err.lines().collect();
    assert_eq!(done.code, Some(1));
    assert_eq!(lines[0], "error: the request is not right (INVALID_FIELDS)");
    assert!(lines[1..].iter().any(|line| line.starts_with("  prefix: ")), "{}", done.err);
    assert!(lines[1..].iter().any(|line| line.starts_with("  count: ")), "{}", done.err);
    // With -o json, an error is the same text on standard error, and standard output stays empty.
    let json = run(&server, &["prefix", "show", "198.51.100.0/24", "-o", "json"]).await;
    assert_eq!((json.code, json.out.as_str()), (Some(1), ""));
    assert!(json.err.starts_with("error: ") && json.err.contains("(PREFIX_NOT_FOUND)"), "{}", json.err);
}

#[tokio::test]
async fn wrong_usage_exits_2_before_anything_is_sent() {
    // Nothing listens on this port: a command that sends something would exit 1.
    for line in [
        "lookup",
        "lookup 203.0.113.5 --timeout 0",
        "lookup 203.0.113.5 -o yaml",
        "lease show 203.0.113.5/24",
        "lease update 203.0.113.0/24",
        "lease update 203.0.113.0/24 --loa LOA-1 --clear loa",
        "lease renew 203.0.113.5 --expiry 2099-06-01",
        "allocate --count 1",
        "notify replay --sink ops -o name",
        "prefix list --vrf id:x",
        "lease list --tenant Example:Hosting",
        "no-such-command",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let done: Done = command("http://127.0.0.1:9", &arguments).output().await.unwrap().into();
        assert_eq!(done.code, Some(2), "{line}: {}", done.err);
        assert!(done.err.contains("error: "), "{line}: {}", done.err);
        assert!(done.out.is_empty(), "{line}: {}", done.out);
    }
}

#[tokio::test]
async fn json_has_one_shape_for_one_answer_and_for_many_and_for_none() {
    let (_netbox, server, _guard) = ready().await;
    let one = json_of(&server, &["lookup", "10.0.0.1", "--vrf", "name:123"]).await;
    let two = json_of(&server, &["lookup", "10.0.0.1", "10.0.0.2", "--vrf", "name:123"]).await;
    assert_eq!(one["results"].as_array().unwrap().len(), 1);
    assert_eq!(two["results"].as_array().unwrap().len(), 2);
    assert_eq!(one["results"][0], two["results"][0]);
    assert_eq!(one["results"][0]["records"], json!([]));
    assert_eq!(json_of(&server, &["lookup", "198.51.100.9"]).await["results"][0]["chain"], json!([]));
    let synced = one["cache"]["syncTime"].as_str().unwrap().to_owned();
    let then = json_of(&server, &["lookup", "10.0.0.1", "--vrf", "name:123", "--at", &synced]).await;
    assert!(then.get("results").is_some(), "{then}");

    let empty = json_of(&server, &["lease", "list"]).await;
    assert_eq!((&empty["leases"], &empty["nextPageToken"]), (&json!([]), &json!("")));
    assert_eq!(json_of(&server, &["events", "list", "--type", "lease_ended"]).await["events"], json!([]));
    let used = json_of(&server, &["utilization", "10.0.0.0/8", "--vrf", "name:123"]).await;
    assert_eq!(used["results"][0]["prefix"]["prefix"], "10.0.0.0/8");
}

#[tokio::test]
async fn all_pages_of_a_list_are_one_document() {
    let netbox = NetBox::emulated().await;
    netbox.emulator.as_ref().unwrap().seed(1_500, 0).unwrap();
    let server = Server::before(&netbox).await;
    let listed = json_of(&server, &["prefix", "list"]).await;
    assert_eq!((listed["prefixes"].as_array().unwrap().len(), &listed["nextPageToken"]), (1_500, &json!("")));
    let names = run(&server, &["prefix", "list", "-o", "name"]).await;
    assert_eq!(names.out.lines().count(), 1_500);
    let limited = run(&server, &["prefix", "list", "-o", "name", "--limit", "3"]).await;
    assert_eq!(limited.out.lines().collect::<Vec<_>>(), names.out.lines().take(3).collect::<Vec<_>>());
    assert!(limited.err.contains("there are more"), "{}", limited.err);
}

#[tokio::test]
async fn a_stream_prints_one_line_a_message_in_every_format() {
    let (_netbox, server, _guard) = ready().await;
    let registered = ["lease", "register", "203.0.113.0/24", "--owner", "ACME-LIR", "--expiry", "2099-06-01"];
    assert_eq!(run(&server, &registered).await.code, Some(0));
    // From the beginning of the log, so that the event of the registration ends the stream.
    let (_directory, path) = directory();
    let mut printed = Vec::new();
    for format in ["json", "table", "name"] {
        let token = json_of(&server, &["events", "list"]).await["resumeToken"].as_str().unwrap().to_owned();
        let file = path.join(format);
        std::fs::write(&file, token).unwrap();
        let file = file.to_str().unwrap();
        let last = format!("2099-06-0{}", 2 + printed.len());
        let renew = ["lease", "renew", "203.0.113.0/24", "--expiry", &last];
        assert_eq!(run(&server, &renew).await.code, Some(0));
        let watch = ["watch", "events", "--resume-file", file, "--count", "1", "-o", format];
        printed.push(run(&server, &watch).await.out);
    }
    let message: Value = serde_json::from_str(printed[0].trim_end()).unwrap();
    assert_eq!(message["event"]["type"], "EVENT_TYPE_LEASE_RENEWED");
    let lines: Vec<&str> = printed[1].lines().collect();
    assert!(lines[0].starts_with("SEQUENCE     TIME"), "{}", printed[1]);
    assert!(
        lines[1].contains("lease_renewed        203.0.113.0/24 (ACME-LIR) until 2099-06-03"),
        "{}",
        printed[1]
    );
    assert_eq!(lines.len(), 2);
    assert_eq!(printed[2], "203.0.113.0/24\n");
}

#[tokio::test]
async fn output_in_a_pipe_has_no_colours_and_no_boxes() {
    let (_netbox, server, _guard) = ready().await;
    for line in ["status", "prefix list", "preflight 10.0.0.0/8", "vrf list"] {
        let mut command =
            command(&format!("http://{}", server.running.grpc), &line.split(' ').collect::<Vec<_>>());
        let done: Done = command.env("TERM", "xterm-256color").output().await.unwrap().into();
        let drawn = done.out.chars().find(|c| *c == '\u{1b}' || ('\u{2500}'..='\u{257f}').contains(c));
        assert_eq!(drawn, None, "{line}: {}", done.out);
        assert!(!done.out.is_empty(), "{line}: {}", done.err);
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_repeated_by_the_line_that_it_prints() {
    let (netbox, server, _guard) = ready().await;
    netbox.post("ipam/prefixes/", json!({ "prefix": "203.0.113.0/24" })).await;
    assert_eq!(run(&server, &["admin", "sync", "--wait"]).await.code, Some(0));
    let emulator = netbox.emulator.as_ref().unwrap();
    emulator.set_faults(Faults { delay: Duration::from_secs(4), ..Faults::default() });
    let arguments =
        ["allocate", "--prefix", "203.0.113.0/24", "--description", "it's lost", "--timeout", "2"];
    let done = run(&server, &arguments).await;
    emulator.set_faults(Faults::default());
    assert_eq!(done.code, Some(1), "{}{}", done.out, done.err);
    let lines: Vec<&str> = done.err.lines().collect();
    let id = lines[0].strip_prefix("request id: ").unwrap().split(';').next().unwrap();
    assert_eq!(lines[1], "error: not done within 2 s (see --timeout) (DEADLINE_EXCEEDED)");
    let line = lines[2].split_once("done: leasehold ").unwrap().1;
    assert!(line.ends_with(&format!("--request-id {id}")), "{line}");

    let script = format!("{} {line} -o name", env!("CARGO_BIN_EXE_leasehold"));
    eventually("the repeated command succeeds", async || {
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).env("LEASEHOLD_SERVER", format!("http://{}", server.running.grpc));
        let done: Done = shell.output().await.unwrap().into();
        done.code == Some(0) && done.out == "203.0.113.1\n"
    })
    .await;
    let (_, recorded, _) = netbox.rest("GET", "ipam/ip-addresses/", None).await;
    assert_eq!(recorded["count"], 1, "{recorded}");
    assert_eq!(recorded["results"][0]["description"], "it's lost");
}

#[tokio::test]
async fn the_request_id_of_a_write_is_printed_before_the_request_and_is_in_the_answer() {
    let (_netbox, server, _guard) = ready().await;
    let arguments = ["allocate", "--prefix", "10.0.0.0/8", "--vrf", "name:123", "-o", "json"];
    let done = run(&server, &arguments).await;
    let answer: Value = serde_json::from_str(&done.out).unwrap();
    let id = answer["requestId"].as_str().unwrap();
    assert_eq!(done.err, format!("request id: {id}; repeat with --request-id {id} if the answer is lost\n"));
    // An id that the caller gives is not repeated, and a write that only tries needs none.
    for more in [["--request-id", "order-9"].as_slice(), &["--validate-only"]] {
        let done = run(&server, &[arguments.as_slice(), more].concat()).await;
        assert_eq!(done.code, Some(0), "{}", done.err);
        assert!(!done.err.contains("request id"), "{}", done.err);
    }
}
