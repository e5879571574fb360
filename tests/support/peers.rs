//! The real peers that tests/run starts and names in the environment.
//!
//! Where one is missing, a test that needs it returns early and says so: a line in the file LEASEHOLD_TEST_SKIPS, which
//! tests/run prints and counts, and a line on standard error. With LEASEHOLD_TEST_REQUIRE_PEERS set it fails instead.

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

pub fn variable(test: &str, name: &str, what: &str) -> Option<String> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Some(value),
        _ => {
            assert!(
                std::env::var_os("LEASEHOLD_TEST_REQUIRE_PEERS").is_none(),
                "{test} needs {what} ({name} is not set)"
            );
            skip(test, &format!("needs {what}; tests/run starts one"));
            None
        }
    }
}

fn skip(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
    if let Some(path) = std::env::var_os("LEASEHOLD_TEST_SKIPS") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{test}: {why}").unwrap();
    }
}
