use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::environment::Environment;
use super::error::Error;
use super::raw::RawSettings;
use super::settings::Settings;
use crate::notify::SinkTarget;

struct Variables(Vec<(&'static str, &'static str)>);

impl Environment for Variables {
    fn variables(&self) -> Vec<(String, String)> {
        self.0.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }
}

const URL: (&str, &str) = ("LEASEHOLD_NETBOX__URL", "https://netbox.example");
/// Looks like a number, but must stay text.
const TOKEN: (&str, &str) = ("LEASEHOLD_NETBOX__TOKEN", "12e4567890123456789012345678901234567890");

/// Reads a file with this content, and these variables beside NetBox's URL and token.
fn read(file: &str, variables: &[(&'static str, &'static str)]) -> RawSettings {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leasehold.toml");
    std::fs::write(&path, file).unwrap();
    RawSettings::read(Some(&path), &Variables([&[URL, TOKEN], variables].concat()))
}

fn check(file: &str) -> Result<Settings, Error> {
    read(file, &[]).check()
}

fn keys(error: &Error) -> Vec<&str> {
    error.problems().iter().map(|problem| problem.key.as_str()).collect()
}

#[test]
fn the_defaults_are_valid() {
    let settings = check("").unwrap();
    assert_eq!(settings.netbox.token.expose_secret(), TOKEN.1);
    assert_eq!(settings.poll, Duration::from_secs(2));
}

#[test]
fn variables_that_are_not_settings_are_ignored() {
    assert!(read("", &[("LEASEHOLD_SERVER", "http://127.0.0.1:1")]).check().is_ok());
    let raw = read("", &[("LEASEHOLD_NETBOX_URL", "x"), ("LEASEHOLD_SERVER_SERVICE_HOST", "10.0.0.1")]);
    assert!(raw.check().is_ok());
    assert_eq!(raw.warnings().len(), 1, "{:?}", raw.warnings());
    assert!(raw.warnings()[0].contains("LEASEHOLD_NETBOX__URL"), "{:?}", raw.warnings());
}

#[test]
fn variables_are_read_as_the_type_of_their_setting() {
    let raw = read(
        "[expiry]\nthresholds = [3]",
        &[
            ("LEASEHOLD_SYNC__POLL_SECONDS", "0.5"),
            ("LEASEHOLD_SERVER__DRAIN_SECONDS", "7"),
            ("LEASEHOLD_SERVER__ALLOW_REMOTE", "yes"),
            ("LEASEHOLD_VALIDATION__REPUTATION__POLICY_IS_WATCH", "0"),
            ("LEASEHOLD_EXPIRY__THRESHOLDS", "[9, 1]"),
            ("LEASEHOLD_NETBOX__FIELDS__LEASE_OWNER", "lessor"),
        ],
    );
    let settings = raw.check().unwrap();
    assert_eq!((settings.poll, settings.drain), (Duration::from_millis(500), Duration::from_secs(7)));
    assert!(!settings.checks.validation.reputation.policy_is_watch);
    assert_eq!(settings.expiry.expiry, crate::expiry::Thresholds::new(vec![9, 1]).unwrap());
    assert_eq!(settings.netbox.fields.name(crate::netbox::Field::LeaseOwner), "lessor");
}

#[test]
fn a_file_may_quote_values_of_any_type() {
    let settings = check(
        "[server]\ndrain_seconds = \"007\"\nallow_remote = \"yes\"\n[sync]\npoll_seconds = \".5\"\n\
         [expiry]\nthresholds = \"[9, 1]\"\n",
    );
    let settings = settings.unwrap();
    assert_eq!((settings.poll, settings.drain), (Duration::from_millis(500), Duration::from_secs(7)));
    assert_eq!(settings.expiry.expiry, crate::expiry::Thresholds::new(vec![9, 1]).unwrap());
}

#[test]
fn an_empty_signing_secret_is_an_error_and_does_not_turn_signing_off() {
    let webhook = "[[notify.sinks]]\nname = \"own\"\nkind = \"webhook\"\nurl = \"https://own.example/x\"\n";
    let error = check(&format!("{webhook}secrets = [\"\"]")).unwrap_err();
    assert_eq!(keys(&error), ["notify.sinks[0].secrets[0]"]);
    let error = check(&format!("{webhook}secrets = \"whsec_hush\"")).unwrap_err();
    assert_eq!(keys(&error), ["notify.sinks[0].secrets"]);
    assert!(!error.to_string().contains("hush"), "{error}");
}

#[test]
fn a_route_may_be_for_leases_that_have_ended() {
    let file = |days: i32| {
        format!(
            "[[notify.sinks]]\nname = \"ops\"\nkind = \"slack\"\nurl = \"https://h.example/x\"\n\
             [[notify.routes]]\nsink = \"ops\"\nmax_days_left = {days}\n"
        )
    };
    assert_eq!(check(&file(-1)).unwrap().notify.routes[0].max_days_left, Some(-1));
    assert_eq!(keys(&check(&file(-36_501)).unwrap_err()), ["notify.routes[0].max_days_left"]);
}

#[test]
fn every_problem_of_file_and_environment_is_reported_at_once() {
    let file = r#"
        [server]
        drain_seconds = "soon"
        grpc_listen = "0.0.0.0:50051"
        [netbox]
        pages = 3
        page_size = 0
        [sync]
        poll_seconds = 0.0
        [unknown]
        key = 1
        [[notify.sinks]]
        name = "ops"
        kind = "slack"
        urll = "https://hooks.example/x"
        [[dnsbl.zones]]
        name = "bl.example"
        queries_per_second = 0
    "#;
    let variables = [
        ("LEASEHOLD_EVENTS__RETENTION_DAYS", "many"),
        ("LEASEHOLD_LEASE__TIME_ZONE", "Mars/Olympus"),
        ("LEASEHOLD_LOG__LEVL", "debug"),
        ("LEASEHOLD_CALENDAR__TOKEN_FILE", "/nowhere/token"),
    ];
    let error = read(file, &variables).check().unwrap_err();
    let mut found = keys(&error);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "calendar.token_file",
            "dnsbl.zones[0].queries_per_second",
            "events.retention_days",
            "lease.time_zone",
            "log.levl",
            "netbox.page_size",
            "netbox.pages",
            "notify.sinks[0].url",
            "notify.sinks[0].urll",
            "server.drain_seconds",
            "server.grpc_listen",
            "sync.poll_seconds",
            "unknown",
        ],
        "{error}"
    );
    let text = error.to_string();
    assert!(text.starts_with("13 settings cannot be used:\n"), "{text}");
    assert!(text.contains("events.retention_days (from LEASEHOLD_EVENTS__RETENTION_DAYS): "), "{text}");
    assert!(text.contains("netbox.pages: there is no such setting; expected one of `url`"), "{text}");
}

#[test]
fn a_file_that_does_not_parse_is_reported_with_the_problems_of_the_environment() {
    let error = read("[server\n", &[("LEASEHOLD_LOG__LEVL", "debug")]).check().unwrap_err();
    assert_eq!(error.problems().len(), 2, "{error}");
    assert!(error.to_string().contains("leasehold.toml"), "{error}");
    let missing = RawSettings::read(Some("/nowhere/x.toml".as_ref()), &Variables(vec![URL, TOKEN]));
    assert_eq!(missing.check().unwrap_err().problems().len(), 1);
}

/// One bad value for every setting with a range, with the key that the error must name.
#[test]
fn a_value_out_of_range_is_an_error_and_is_never_adjusted() {
    let table = [
        ("netbox.read_timeout_seconds", "0"),
        ("netbox.read_timeout_seconds", "3601"),
        ("netbox.write_timeout_seconds", "0"),
        ("netbox.request_limit_seconds", "0"),
        ("ledger.keep_intents_days", "0"),
        ("ledger.keep_intents_days", "36501"),
        ("netbox.request_limit_seconds", "3601"),
        ("netbox.parallel_requests", "0"),
        ("netbox.parallel_requests", "65"),
        ("netbox.page_size", "0"),
        ("server.drain_seconds", "3601"),
        ("server.drain_seconds", "-1"),
        ("server.drain_seconds", "1.5"),
        ("server.allow_remote", "1"),
        ("sync.poll_seconds", "0"),
        ("sync.poll_seconds", "nan"),
        ("sync.poll_seconds", "inf"),
        ("sync.full_pass_seconds", "9"),
        ("sync.full_pass_seconds", "0"),
        ("events.bookmark_seconds", "0"),
        ("events.bookmark_seconds", "3601"),
        ("events.retention_days", "0"),
        ("events.retention_days", "36501"),
        ("events.max_events", "999"),
        ("expiry.thresholds", "[-1]"),
        ("expiry.thresholds", "[4000]"),
        ("expiry.notice_thresholds", "[-1]"),
        ("rpki.guard.min_vrps", "10000001"),
        ("rpki.guard.max_loss_share", "1.1"),
        ("rpki.guard.max_loss_share", "-0.1"),
        ("dnsbl.timeout_seconds", "0"),
        ("dnsbl.timeout_seconds", "61"),
        ("validation.roa_seconds", "0"),
        ("validation.irr_seconds", "0"),
        ("validation.reputation_seconds", "31622401"),
        ("validation.confirmations", "0"),
        ("validation.confirmations", "101"),
        ("validation.confirm_seconds", "-1"),
        ("validation.rewrite_unchanged_hours", "876601"),
        ("validation.reputation.watch_share", "2"),
        ("validation.reputation.max_queries_per_round", "0"),
        ("validation.preflight.min_days_left", "-1"),
        ("validation.preflight.bgp_stale_hours", "876601"),
        ("validation.preflight.reputation_stale_hours", "876601"),
        ("allocation.min_days_left", "-1"),
        ("allocation.quarantine_hours", "876601"),
        ("log.level", "\"a=b=c\""),
        ("log.format", "\"xml\""),
        ("ripestat.url", "\"stat.ripe.net\""),
        ("ripestat.source_app", "\"\""),
        ("bgp.source", "\"looking-glass\""),
        ("calendar.token", "\"short\""),
        ("netbox.url", "\"ftp://netbox.example\""),
        ("netbox.fields.lease_ower", "\"x\""),
        ("server.grpc_listen", "\"127.0.0.1\""),
        ("server.http_listen", "\"0.0.0.0:80\""),
    ];
    for (key, value) in table {
        let (section, name) = key.rsplit_once('.').unwrap();
        let raw = RawSettings::read(
            Some(&write(&format!("[{section}]\n{name} = {value}\n"))),
            &Variables(if key == "netbox.url" { vec![TOKEN] } else { vec![URL, TOKEN] }),
        );
        let error = raw.check().expect_err(&format!("{key} = {value}"));
        assert_eq!(keys(&error), [key], "{key} = {value}: {error}");
    }
}

/// Writes a settings file that outlives the call.
fn write(file: &str) -> std::path::PathBuf {
    let (mut open, path) = tempfile::NamedTempFile::new().unwrap().keep().unwrap();
    std::io::Write::write_all(&mut open, file.as_bytes()).unwrap();
    path
}

#[test]
fn entries_of_lists_are_checked_too() {
    for (file, key, words) in [
        ("[[rpki.sources]]\nkind = \"rtr\"\nserver = \"cache:0\"", "rpki.sources[0].server", "cache:0"),
        (
            "[[rpki.sources]]\nkind = \"rtr\"\nserver = \"c:1\"\nexpire_seconds = 0",
            "rpki.sources[0].expire_seconds",
            "between 1",
        ),
        (
            "[[rpki.sources]]\nkind = \"rtr\"\nserver = \"c:1\"\nread_timeout_seconds = 0",
            "rpki.sources[0].read_timeout_seconds",
            "between 1",
        ),
        ("[[rpki.sources]]\nkind = \"vrps\"", "rpki.sources[0]", "a file or a url"),
        (
            "[[rpki.sources]]\nkind = \"vrps\"\nfile = \"x\"\nexpire_seconds = 0",
            "rpki.sources[0].expire_seconds",
            "0",
        ),
        ("[[rpki.sources]]\nkind = \"ripestat\"\nurl = \"x\"", "rpki.sources[0].url", "no such setting"),
        ("[[rpki.sources]]\nkind = \"bgpmon\"", "rpki.sources[0].kind", "expected one of rtr, vrps"),
        ("[rpki]\nsources = 3", "rpki.sources", "[[rpki.sources]]"),
        (
            "[[irr.servers]]\nserver = \"w:43\"\nconnections = 0",
            "irr.servers[0].connections",
            "between 1 and 64",
        ),
        (
            "[[irr.servers]]\nserver = \"w:43\"\nsources = [\"RIPE\", \"a b\"]",
            "irr.servers[0].sources[1]",
            "a b",
        ),
        ("[[irr.servers]]\nserver = \"w:43\"\nprotocol = \"rdap\"", "irr.servers[0].protocol", "rdap"),
        ("[[dnsbl.zones]]\nname = \"bl.example\"\nipv4 = false", "dnsbl.zones[0]", "never be asked"),
        (
            "[[dnsbl.zones]]\nname = \"bl.example\"\ncodes = [{ codes = \"10.0.0.1\", class = \"abuse\" }]",
            "dnsbl.zones[0].codes[0].codes",
            "127.0.0.0/8",
        ),
        ("[dnsbl]\nresolvers = [\"127.0.0.1:0\"]", "dnsbl.resolvers[0] (port)", "between 1"),
        ("[[expiry.owners]]\nowner = \"ACME-LIR\"\nthresholds = [-3]", "expiry.owners[0].thresholds", "-3"),
        ("[[expiry.owners]]\nthresholds = [3]", "expiry.owners[0].owner", "required"),
        ("[[notify.sinks]]\nname = \"ops\"\nkind = \"slack\"", "notify.sinks[0].url", "url_file"),
        ("[[notify.sinks]]\nname = \"ops\"\nkind = \"pigeon\"", "notify.sinks[0].kind", "pigeon"),
        (
            "[[notify.sinks]]\nname = \"O PS\"\nkind = \"slack\"\nurl = \"https://h/\"",
            "notify.sinks[0].name",
            "O PS",
        ),
        (
            "[[notify.sinks]]\nname = \"own\"\nkind = \"webhook\"\nurl = \"ftp://h/\"",
            "notify.sinks[0].url",
            "ftp://h/",
        ),
        (
            "[[notify.sinks]]\nname = \"mail\"\nkind = \"email\"\nhost = \"m\"\nport = 0\n\
             from = \"a@b.example\"\nto = [\"c@d.example\"]",
            "notify.sinks[0].port",
            "between 1",
        ),
        ("[[notify.routes]]\nsink = \"nobody\"", "notify.routes[0].sink", "nobody"),
        (
            "[validation.preflight]\nrequired = [\"roa\", \"luck\"]",
            "validation.preflight.required[1]",
            "luck",
        ),
        ("[expiry]\nthresholds = [1, \"x\", 2, \"y\"]", "expiry.thresholds[1]", "string"),
    ] {
        let error = check(file).unwrap_err();
        let problem = error.problems().iter().find(|problem| problem.key == key);
        let problem = problem.unwrap_or_else(|| panic!("{file}: {error}"));
        assert!(problem.message.contains(words), "{file}: {error}");
    }
    let error = check("[expiry]\nthresholds = [1, \"x\", 2, \"y\"]").unwrap_err();
    assert_eq!(keys(&error), ["expiry.thresholds[1]", "expiry.thresholds[3]"]);
}

#[test]
fn old_names_still_work_and_give_a_warning() {
    let file = r#"
        [netbox]
        parallel = 3
        [events]
        keep_days = 5
        keep_at_most = 2000
        [rpki.guard]
        at_least = 7
        may_lose = 0.5
        [[rpki.sources]]
        kind = "rtr"
        server = "cache:323"
        silence_seconds = 9
        [validation]
        redate_hours = 2
        [validation.reputation]
        budget = 11
        [allocation]
        in_force = false
    "#;
    let raw = read(file, &[]);
    let settings = raw.check().unwrap();
    assert_eq!(settings.netbox.parallel.get(), 3);
    assert_eq!(settings.events.retention, Duration::from_hours(5 * 24));
    assert_eq!(settings.events.max_events, 2000);
    assert_eq!(settings.checks.rpki.guard.min_vrps, 7);
    assert!((settings.checks.rpki.guard.max_loss_share - 0.5).abs() < f64::EPSILON);
    let crate::rpki::RpkiSource::Rtr(rtr) = &settings.checks.rpki.sources[0] else { panic!() };
    assert_eq!(rtr.read_timeout, Duration::from_secs(9));
    assert!(!settings.allocation.in_force);
    assert_eq!(raw.warnings().len(), 9, "{:?}", raw.warnings());
    assert!(raw.warnings()[5].contains("rpki.sources[0].read_timeout_seconds"), "{:?}", raw.warnings());
    // From the environment, too.
    let raw = read("", &[("LEASEHOLD_EVENTS__KEEP_DAYS", "6")]);
    assert_eq!(raw.check().unwrap().events.retention, Duration::from_hours(6 * 24));
    assert_eq!(raw.warnings().len(), 1);
}

#[test]
fn an_old_name_beside_the_new_one_is_an_error() {
    let error =
        read("[netbox]\nparallel = 3", &[("LEASEHOLD_NETBOX__PARALLEL_REQUESTS", "4")]).check().unwrap_err();
    assert_eq!(keys(&error), ["netbox.parallel"]);
    assert!(error.to_string().contains("netbox.parallel_requests"), "{error}");
}

#[test]
fn listening_on_other_addresses_needs_consent() {
    // Both ports take writes.
    for (variable, key) in [
        ("LEASEHOLD_SERVER__GRPC_LISTEN", "server.grpc_listen"),
        ("LEASEHOLD_SERVER__HTTP_LISTEN", "server.http_listen"),
    ] {
        for address in ["0.0.0.0:50090", "192.0.2.1:50090", "[::]:50090"] {
            let remote = (variable, address);
            let error = read("", &[remote]).check().unwrap_err();
            assert_eq!(keys(&error), [key], "{address}");
            assert!(error.to_string().contains("server.allow_remote"), "{error}");
            assert!(read("", &[remote, ("LEASEHOLD_SERVER__ALLOW_REMOTE", "true")]).check().is_ok());
        }
    }
}

#[test]
fn setup_needs_only_netbox() {
    let raw = read("[sync]\npoll_seconds = 0", &[]);
    assert!(raw.netbox().is_ok());
    let raw = RawSettings::read(Some(&write("")), &Variables(vec![]));
    assert_eq!(keys(&raw.netbox().unwrap_err()), ["netbox.url", "netbox.token"]);
}

#[test]
fn secrets_are_never_printed() {
    let file = "[[notify.sinks]]\nname = \"ops\"\nkind = \"slack\"\nurl = \"https://h/hush\"\n[calendar]\ntoken = 31337";
    let raw = read(file, &[("LEASEHOLD_LEDGER__POSTGRES_URL", "postgres://u:hush@h/db")]);
    let toml = raw.to_toml();
    assert!(toml.contains("token = \"(set)\"") && toml.contains("postgres_url = \"(set)\""), "{toml}");
    let error = raw.check().unwrap_err();
    for text in [toml, format!("{raw:?}"), error.to_string()] {
        assert!(!text.contains("hush") && !text.contains("12e4") && !text.contains("31337"), "{text}");
    }
}

#[test]
fn a_secret_may_be_in_a_file() {
    let token = write("0123456789abcdef\n");
    let file = format!("[calendar]\ntoken_file = {:?}", token.display().to_string());
    assert_eq!(check(&file).unwrap().calendar_token.unwrap().expose_secret(), "0123456789abcdef");
    let empty = write("\n");
    let file = format!("[calendar]\ntoken_file = {:?}", empty.display().to_string());
    assert_eq!(keys(&check(&file).unwrap_err()), ["calendar.token_file"]);
}

#[test]
fn every_kind_of_sink_is_read() {
    let raw = read(
        r#"
        [[rpki.sources]]
        kind = "ripestat"
        [[rpki.sources]]
        kind = "vrps"
        file = "/var/lib/vrps.json"
        [[notify.sinks]]
        name = "ops"
        kind = "slack"
        url = "https://hooks.slack.example/services/T/B/x"
        [[notify.sinks]]
        name = "own"
        kind = "webhook"
        url = "http://127.0.0.1:9/x"
        allow_private = true
        secrets = ["whsec_AAAA"]
        [[notify.sinks]]
        name = "mail"
        kind = "email"
        host = "mail.example.net"
        tls = "starttls"
        from = "leasehold@example.net"
        to = ["noc@example.net"]
        [[notify.sinks]]
        name = "pager"
        kind = "alertmanager"
        url = "https://alerts.example.net"
        [[notify.sinks]]
        name = "jira"
        kind = "jira"
        url = "https://jira.example.net"
        project = "NET"
        done_transition = "31"
        user = "bot@example.net"
        token = "t"
        [[notify.sinks]]
        name = "hub"
        kind = "github"
        repository = "example/network"
        token = "t"
        [[notify.sinks]]
        name = "lab"
        kind = "gitlab"
        project = "example/network"
        token = "t"
        [[notify.sinks]]
        name = "other"
        kind = "ticket"
        reference = "/id"
        [notify.sinks.open]
        method = "POST"
        url = "https://tickets.example.net/new"
        body = '{"Title": "{{title}}"}'
        [[notify.routes]]
        sink = "pager"
        types = ["lease_expired"]
        min_severity = "critical"
        max_days_left = 7
        owners = ["ACME-LIR"]
        "#,
        &[],
    );
    let toml = raw.to_toml();
    for kind in ["ripestat", "vrps", "slack", "webhook", "email", "alertmanager", "jira", "github", "ticket"]
    {
        assert!(toml.contains(&format!("kind = \"{kind}\"")), "{toml}");
    }
    let settings = raw.check().unwrap();
    assert_eq!(settings.checks.rpki.sources.len(), 2);
    let settings = settings.notify;
    let names: Vec<&str> = settings.sinks.iter().map(|sink| sink.name.as_str()).collect();
    assert_eq!(names, ["ops", "own", "mail", "pager", "jira", "hub", "lab", "other"]);
    assert_eq!(settings.sinks.iter().filter(|sink| sink.allow_private).count(), 1);
    assert_eq!(settings.routes.len(), 1);
    let SinkTarget::Ticket(ticket) = &settings.sinks.last().unwrap().target else { panic!() };
    assert_eq!(ticket.open.body, Some(serde_json::json!({ "Title": "{{title}}" })));
}
