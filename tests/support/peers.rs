//! The real peers that tests/run starts and names in the environment.
//!
//! A test whose peer is missing returns early. It reports that as a line in the file LEASEHOLD_TEST_SKIPS, which tests/run
//! prints and counts, and on standard error. If LEASEHOLD_TEST_REQUIRE_PEERS is set, the test fails instead.

use std::io::Write as _;

pub struct RealNetBox {
    pub url: String,
    pub token: String,
}

pub fn netbox(test: &str) -> Option<RealNetBox> {
    let url = variable(test, "LEASEHOLD_TEST_NETBOX_URL", "a real NetBox")?;
    let token = variable(test, "LEASEHOLD_TEST_NETBOX_TOKEN", "a real NetBox")?;
    Some(RealNetBox { url, token })
}

/// The NetBox whose administrator has rules of his own (HOUSE_RULES in tests/peers/netbox.py).
pub fn house(test: &str) -> Option<RealNetBox> {
    let url = variable(test, "LEASEHOLD_TEST_HOUSE_URL", "a real NetBox with rules of its house")?;
    let token = variable(test, "LEASEHOLD_TEST_HOUSE_TOKEN", "a real NetBox with rules of its house")?;
    Some(RealNetBox { url, token })
}

pub fn variable(test: &str, name: &str, what: &str) -> Option<String> {
    must_be_named_real();
    match environment(name) {
        Some(value) if !value.is_empty() => Some(value),
        _ => {
            assert!(
                environment("LEASEHOLD_TEST_REQUIRE_PEERS").is_none(),
                "{test} needs {what} ({name} is not set)"
            );
            skip(test, &format!("needs {what}; tests/run starts one"));
            None
        }
    }
}

/// Only tests with `real` in their name or module path may be run once more when they fail (.config/nextest.toml), so each
/// test that uses a real peer has to have it. The test's own thread is named after it.
fn must_be_named_real() {
    let thread = std::thread::current();
    let Some(name) = thread.name().filter(|name| name.contains("::")) else { return };
    let mut words = name.split("::").flat_map(|part| part.split('_'));
    assert!(
        name.starts_with("reputation::") || words.any(|word| word == "real"),
        "{name} uses a real peer, so its name needs the word `real`"
    );
}

/// A variable of the environment, by which tests/run tells a test what it has started. The one place where tests read it.
#[allow(clippy::disallowed_methods)]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn skip(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
    if let Some(path) = environment("LEASEHOLD_TEST_SKIPS") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{test}: {why}").unwrap();
    }
}

/// A setting of a test, such as how many seeds it plays.
pub fn optional(name: &str) -> Option<String> {
    environment(name).filter(|value| !value.is_empty())
}
