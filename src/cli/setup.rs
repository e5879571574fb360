//! `leasehold setup`: the custom fields in NetBox, and what the token may do.

use std::collections::BTreeMap;
use std::process::ExitCode;

use super::args::SetupArgs;
use super::{Failure, Outcome, SAID_NO};
use crate::config::{Draft, ProcessEnvironment};
use crate::netbox::schema::{self, Step};
use crate::netbox::{Client, permissions};

pub(crate) async fn run(args: SetupArgs) -> Outcome {
    if args.print_permissions {
        print_needs();
        return Ok(ExitCode::SUCCESS);
    }
    let draft =
        Draft::read(args.settings.config.as_deref(), &ProcessEnvironment)?.with_flags(args.settings.flags());
    let client = Client::new(&draft.netbox()?)?;
    let version = client.connect().await?;
    say!("NetBox {version} at {}", client.url());

    let missing = missing_rights(&client).await?;
    let steps = schema::plan(&client).await?;
    for step in &steps {
        say!("  {step}");
    }
    let conflicts = steps.iter().filter(|step| matches!(step, Step::Conflict { .. })).count();
    if conflicts > 0 {
        return Err(Failure::new(format!(
            "{conflicts} fields cannot be used as they are; nothing was changed"
        )));
    }
    let changes: Vec<&Step> = steps.iter().filter(|step| step.is_change()).collect();
    if changes.is_empty() {
        say!("Nothing to do: every field is there.");
    } else if args.dry_run {
        say!("{} changes to make; nothing was changed (--dry-run).", changes.len());
    } else {
        for step in &changes {
            schema::apply(&client, step).await?;
        }
        say!("{} changes made.", changes.len());
    }
    if missing.is_empty() {
        say!("The token may do all that Leasehold needs.");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("The token lacks permissions that `leasehold serve` needs:");
    for line in missing {
        eprintln!("  {line}");
    }
    Ok(ExitCode::from(SAID_NO))
}

/// What the token lacks. What only setup needs is no lack once setup has run.
async fn missing_rights(client: &Client) -> Result<Vec<String>, Failure> {
    let mut missing: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for finding in permissions::check(client).await? {
        if !finding.granted && !finding.need.setup_only {
            missing.entry(finding.need.object_type).or_default().push(finding.right.to_string());
        }
    }
    Ok(missing.into_iter().map(|(kind, rights)| format!("{kind}: {}", rights.join(", "))).collect())
}

fn print_needs() {
    say!("The token's user needs these object permissions in NetBox:");
    for need in permissions::NEEDS {
        let rights: Vec<String> = need.rights.iter().map(ToString::to_string).collect();
        let note = if need.setup_only { "   (for `leasehold setup` only)" } else { "" };
        say!("  {:32} {}{note}", need.object_type, rights.join(", "));
    }
    say!("The token itself must have writing enabled.");
}
