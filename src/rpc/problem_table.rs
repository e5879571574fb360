//! The table of every problem: each error of the rooms below as a client sees it, and no reason that is missing from it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::date;
use tonic::Status;
use tonic_types::StatusExt as _;

use super::page::check_size;
use super::problem::Problem;
use super::proto::v1;
use super::status::{sink_failed, watch_closed};
use crate::events::{self, ResumeToken, ResumeTokenError, WatchClosed};
use crate::model::{Network, RequestId, TermError, VrfId, VrfScope};
use crate::netbox::FieldProblem;
use crate::notify::{self, DeliveryFailure};
use crate::{allocation, cache, lease, ledger, netbox, rpki, sync, validation};

fn block() -> Network {
    "203.0.113.0/24".parse().unwrap()
}

fn request() -> RequestId {
    "order-4711".parse().unwrap()
}

fn token() -> ResumeToken {
    ResumeToken { epoch: "0123456789abcdef".to_owned(), sequence: 7 }
}

fn unreadable() -> ledger::Error {
    ledger::Error::Unreadable("a text of the database".to_owned())
}

fn problems() -> Vec<FieldProblem> {
    vec![FieldProblem { field: "tenant".to_owned(), message: "Related object not found".to_owned() }]
}

fn of_netbox() -> Vec<Problem> {
    use netbox::Error as E;
    let (url, detail) = ("http://netbox.internal/".to_owned(), String::new());
    let second = Duration::from_secs(1);
    let all = vec![
        E::Unreachable { url: url.clone(), cause: "the connection was refused".to_owned() },
        E::Interrupted { cause: "the connection broke".to_owned() },
        E::TimedOut { after: second },
        E::Failing { status: 503, retry_after: Some(second) },
        E::Throttled { retry_after: Some(second) },
        E::NotNetBox { url, found: "404".to_owned() },
        E::Unauthenticated { detail: "Invalid v1 token".to_owned() },
        E::Forbidden { attempt: "POST ipam/prefixes/".to_owned(), detail: "no permission".to_owned() },
        E::NotFound { path: "ipam/prefixes/7/".to_owned() },
        E::InsufficientSpace { detail: detail.clone() },
        E::HasDependents { detail },
        E::PartlyDeleted { left: vec![5, 6] },
        E::Changed,
        E::DuplicateAddress { problems: problems() },
        E::DuplicatePrefix { problems: problems() },
        E::AddressInRange { problems: problems() },
        E::AllocationIdTaken { problems: problems() },
        E::Aborted { detail: "Tag x cannot be assigned to ipaddress objects.".to_owned() },
        E::Maintenance { detail: "NetBox is currently operating in maintenance mode".to_owned() },
        E::Crashed { exception: "DataError".to_owned(), detail: "a value cannot be stored".to_owned() },
        E::UnknownCustomField { problems: problems() },
        E::Invalid { problems: problems() },
        E::UnsupportedVersion { found: "4.1.0".to_owned(), supported: "4.2 to 4.7".to_owned() },
        E::Malformed { attempt: "GET status/".to_owned(), cause: "a text of a library".to_owned() },
    ];
    all.into_iter().map(Problem::from).collect()
}

fn of_cache() -> Vec<Problem> {
    use cache::{ResolveError as R, VrfError as V};
    let (network, scope) = (block(), VrfScope::Global);
    let not_ready = |text: &str| cache::NotReady { last_error: text.to_owned() };
    vec![
        not_ready("").into(),
        not_ready("NetBox does not accept the token").into(),
        R::IdNotFound { id: crate::model::PrefixId(7) }.into(),
        R::NotFound { network, scope, elsewhere: vec![VrfScope::Vrf(VrfId(7))] }.into(),
        R::Ambiguous { network, scope, ids: vec![crate::model::PrefixId(7), crate::model::PrefixId(8)] }
            .into(),
        V::IdNotFound { scope: VrfScope::Vrf(VrfId(7)) }.into(),
        V::NameNotFound { name: "customers".to_owned() }.into(),
        V::RdNotFound { rd: "64500:7".to_owned() }.into(),
        V::Ambiguous { name: "customers".to_owned(), ids: vec![VrfId(7), VrfId(8)] }.into(),
        (&cache::Error::CommitHook("a text of the database".to_owned())).into(),
        (&cache::Error::Database(sqlx::Error::PoolClosed)).into(),
    ]
}

fn of_allocation() -> Vec<Problem> {
    use allocation::Error as E;
    let (network, scope, address) = (block(), VrfScope::Global, "203.0.113.5".parse().unwrap());
    let all = vec![
        E::IdsNotUnique { found: allocation::ports::UniqueIds::NotEnforced },
        E::IdsNotUnique { found: allocation::ports::UniqueIds::Missing },
        E::Busy,
        E::UnderWay { request: request() },
        E::Unsettled { request: request() },
        E::TaskLost,
        E::Contended,
        E::RequestIdReused { request: request() },
        E::FingerprintVersion { request: request(), version: 9 },
        E::ReleasedSince { request: request() },
        E::Refused { network, refused: Vec::new() },
        E::Full { network, wanted: 7, free: 6, quarantined: 1 },
        E::NoBlock { network, length: 28, largest: Some(29) },
        E::Length { network, length: 8 },
        E::NothingFits { why: "there is none".to_owned() },
        E::AddressTaken { address, scope },
        E::NoContainingPrefix { address, scope },
        E::NotAssignable { address, network },
        E::AddressesNotFound { addresses: vec![address], scope },
        E::NotAllocatedHere { addresses: vec![address] },
        E::SharedAddresses { records: [(address, vec![7, 8])].into() },
        E::AllocationNotFound { request: request() },
    ];
    all.into_iter().map(Problem::from).collect()
}

fn of_leases() -> Vec<Problem> {
    use lease::Error as E;
    let (network, scope) = (block(), VrfScope::Global);
    let (first, second) = (date(2026, 6, 1), date(2027, 6, 1));
    let all = vec![
        E::Term(TermError::EndsBeforeItStarts { start: second, expiry: first }),
        E::Term(TermError::NoticeAfterExpiry { notice: second, expiry: first }),
        E::NoLease { network, scope },
        E::NotCovered { network, scope },
        E::Exists { network, differs: "owner ACME-LIR".to_owned() },
        E::EarlierExpiry { recorded: second, requested: first },
        E::InUse { network, count: 3 },
        E::HasChildren { network, count: 3 },
        E::Changed { network },
    ];
    all.into_iter().map(Problem::from).collect()
}

fn of_checks_and_events() -> Vec<Problem> {
    let network = block();
    let stream = |error| Problem::from(events::Error::from(error));
    let known_since = Timestamp::from_second(1_790_000_000).unwrap();
    let at = Timestamp::UNIX_EPOCH;
    vec![
        validation::Error::NoOrigin { network }.into(),
        validation::Error::Busy.into(),
        validation::Error::TooLarge { network, shortest: 16 }.into(),
        validation::RoundError::Unchecked { failed: 1, blocks: 2, first: format!("{network}: no answer") }
            .into(),
        rpki::RefreshError(vec![rpki::vrp_feed::Error::Stale(at)]).into(),
        (&sync::Error::TaskLost).into(),
        stream(ResumeTokenError::Malformed),
        stream(ResumeTokenError::Foreign { oldest: token() }),
        stream(ResumeTokenError::Compacted { oldest: token() }),
        events::HistoryError::Future { at }.into(),
        events::HistoryError::NotKept { at, known_since }.into(),
        watch_closed(WatchClosed::TooSlow, &token()),
        watch_closed(WatchClosed::Stopping, &token()),
        watch_closed(WatchClosed::Compacted, &token()),
        watch_closed(WatchClosed::Ledger(unreadable()), &token()),
        notify::Error::SinkFailing {
            sink: "hook".to_owned(),
            reason: "the connection was refused".to_owned(),
        }
        .into(),
        notify::Error::NoSuchSink("hook".to_owned()).into(),
        sink_failed("hook", &DeliveryFailure::transient("the connection was refused")),
        sink_failed("hook", &DeliveryFailure::permanent("it answered 404")),
        unreadable().into(),
        Problem::internal("a text for the log"),
        check_size(&v1::Listing { text: "x".repeat(5 << 20), ..v1::Listing::default() }, "ask for less")
            .unwrap_err(),
    ]
}

fn shown(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    let mut text = format!("{} {:?}\n  {}\n", info.reason, status.code(), status.message());
    let metadata: std::collections::BTreeMap<_, _> = info.metadata.iter().collect();
    for (key, value) in metadata {
        writeln!(text, "  {key} = {value}").unwrap();
    }
    for violation in details.bad_request().iter().flat_map(|bad| &bad.field_violations) {
        writeln!(text, "  field {}", violation.field).unwrap();
    }
    for unmet in details.precondition_failure().iter().flat_map(|failure| &failure.violations) {
        writeln!(text, "  precondition {} of {}", unmet.r#type, unmet.subject).unwrap();
    }
    if let Some(wait) = details.retry_info().and_then(|retry| retry.retry_delay) {
        writeln!(text, "  retry in {} s", wait.as_secs()).unwrap();
    }
    text
}

fn table() -> String {
    let rooms = [of_netbox(), of_cache(), of_allocation(), of_leases(), of_checks_and_events()];
    rooms.into_iter().flatten().map(|problem| shown(&problem.into())).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_error_of_the_rooms_is_the_problem_that_the_table_says() {
    let table = table();
    assert!(!table.contains("a text of"), "a text of a library reaches a client:\n{table}");
    insta::with_settings!({ snapshot_path => "../../tests/snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("problems", table);
    });
}

/// The words in quotation marks that look like a reason.
fn quoted_reasons(source: &str) -> BTreeSet<&str> {
    let is_reason = |word: &&str| {
        word.len() > 5 && word.contains('_') && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    };
    source.split('"').skip(1).step_by(2).filter(is_reason).collect()
}

#[test]
fn no_reason_is_given_that_is_not_in_a_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let of_a_server = read(&root.join("tests/snapshots/leasehold__errors__errors.snap"));
    // What only JSON by HTTP can refuse is asserted there, call by call.
    let of_json = read(&root.join("tests/json.rs"));
    let known = [table(), of_a_server, of_json].join("\n");
    let mut missing = BTreeSet::new();
    for room in ["src/rpc", "src/http/connect"] {
        for entry in std::fs::read_dir(root.join(room)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rs")
                || path.ends_with("problem_table.rs")
            {
                continue;
            }
            let source = read(&path);
            let (code, _) = source.split_once("#[cfg(test)]").unwrap_or((&source, ""));
            let unknown = quoted_reasons(code).into_iter().filter(|reason| !known.contains(*reason));
            missing.extend(
                unknown.filter(|word| !["OUT_DIR", "CARGO_PKG_VERSION"].contains(word)).map(str::to_owned),
            );
        }
    }
    assert_eq!(missing, BTreeSet::new(), "reasons without a line in a table");
    assert!(quoted_reasons(r#"Self::new(Code::NotFound, "NO_SUCH_THING", "x")"#).contains("NO_SUCH_THING"));
}
