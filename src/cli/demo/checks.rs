//! The chapter about the checks before a block is announced.

use super::narrator::{BLOCK, Narrator, ensure};
use crate::cli::connect::refusal;
use crate::cli::exit::CliFailure;
use crate::cli::terminal::outln;
use crate::rpc::proto::v1;

pub(super) async fn check_before_announcing(story: &mut Narrator) -> Result<(), CliFailure> {
    story.step(
        "Before it is announced: does the RPKI authorise it, is the lease in force, is there an LOA?",
        "ValidationService/Preflight",
        &format!(r#"{{"prefix":"{BLOCK}"}}"#),
    );
    let ready = preflight(story, BLOCK).await?;
    for finding in ready.findings.iter().filter(|finding| finding.severity() == v1::FindingSeverity::Pass) {
        outln!("   ok: {}", finding.message);
    }
    ensure(ready.state() == v1::PreflightState::Ready, "READY")?;

    story.step(
        "Another block has no ROA, and only its holder can make one",
        "ValidationService/Preflight",
        r#"{"prefix":"198.51.100.0/24"}"#,
    );
    let blocked = preflight(story, "198.51.100.0/24").await?;
    let missing = blocked.findings.iter().find(|finding| finding.reason == "ROA_MISSING");
    let missing =
        missing.ok_or_else(|| CliFailure::new("this step should have found that a ROA is missing"))?;
    outln!("   BLOCKED: {}", missing.message);
    outln!("   {}", missing.action);
    ensure(blocked.state() == v1::PreflightState::Blocked, "BLOCKED")
}

async fn preflight(story: &mut Narrator, prefix: &str) -> Result<v1::PreflightResponse, CliFailure> {
    let request = v1::PreflightRequest { prefix: prefix.to_owned(), ..v1::PreflightRequest::default() };
    let answer = story.validations.preflight(request).await.map_err(|status| refusal(&status))?;
    Ok(answer.into_inner())
}
