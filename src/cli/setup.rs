//! `leasehold setup`: creates the custom fields in NetBox and checks what the token may do.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;

use super::exit::{CHECK_SAID_NO, CliFailure, CommandResult};
use super::options::SettingsArgs;
use super::terminal::{errln, outln};
use crate::config::{ProcessEnvironment, RawSettings};
use crate::netbox::schema::{self, SchemaStep};
use crate::netbox::{Client, permissions};

#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Print the changes and make none
    #[arg(long)]
    dry_run: bool,
    /// Print the permissions that the token needs and end
    #[arg(long)]
    print_permissions: bool,
    /// Measure what NetBox takes to check that an allocation id is unique, say whether it needs an index, and end
    #[arg(long, conflicts_with = "dry_run")]
    check_index: bool,
}

pub(crate) async fn run(args: SetupArgs) -> CommandResult {
    if args.print_permissions {
        print_required_permissions();
        return Ok(ExitCode::SUCCESS);
    }
    let raw = RawSettings::read(args.settings.config.as_deref(), &ProcessEnvironment)
        .with_flags(args.settings.flags());
    for warning in raw.warnings() {
        errln!("warning: {warning}");
    }
    let netbox = raw.netbox().map_err(CliFailure::of_several_lines)?;
    let client = Client::new(&netbox)?;
    let version = client.connect().await?;
    outln!("NetBox {version} at {}", client.url());

    if args.check_index {
        return check_index(&client).await;
    }
    let missing = missing_permissions(&client).await?;
    warn_of_required_fields(&client).await?;
    let steps = schema::plan(&client).await?;
    for step in &steps {
        outln!("  {step}");
    }
    let conflicts = steps.iter().filter(|step| matches!(step, SchemaStep::Conflict { .. })).count();
    if conflicts > 0 {
        return Err(CliFailure::new(format!(
            "{conflicts} fields cannot be used as they are; nothing was changed"
        )));
    }
    let changes: Vec<&SchemaStep> = steps.iter().filter(|step| step.is_change()).collect();
    if changes.is_empty() {
        outln!("Nothing to do: every field exists.");
    } else if args.dry_run {
        outln!("{} changes to make; nothing was changed (--dry-run).", changes.len());
    } else {
        for step in &changes {
            schema::apply(&client, step).await?;
        }
        outln!("{} changes made.", changes.len());
    }
    outln!(
        "NetBox looks through its whole table to check that an allocation id is unique. With many addresses, let its"
    );
    outln!(
        "administrator create an index in PostgreSQL (`leasehold setup --check-index` measures whether it is needed):"
    );
    print_index_statements(&client);
    if missing.is_empty() {
        outln!("The token has all permissions that Leasehold needs.");
        return Ok(ExitCode::SUCCESS);
    }
    errln!("The token lacks permissions that `leasehold serve` needs:");
    for line in missing {
        errln!("  {line}");
    }
    Ok(ExitCode::from(CHECK_SAID_NO))
}

/// Measures the check of allocation ids. Writes nothing.
async fn check_index(client: &Client) -> CommandResult {
    let measured = client.measure_unique_check().await?;
    let millis = measured.per_address.as_secs_f64() * 1000.0;
    let addresses = measured.addresses;
    outln!(
        "To check that an allocation id is unique takes NetBox {millis:.1} ms an address, with {addresses} addresses."
    );
    if !measured.needs_index() {
        outln!("No index is needed: there is one, or the table is small.");
        return Ok(ExitCode::SUCCESS);
    }
    outln!("There is no index, and it grows with the number of addresses. Run this in NetBox's PostgreSQL:");
    print_index_statements(client);
    Ok(ExitCode::from(CHECK_SAID_NO))
}

fn print_index_statements(client: &Client) {
    for statement in client.index_statements() {
        outln!("  {statement}");
    }
}

/// Says which fields of other people make NetBox refuse what Leasehold creates.
async fn warn_of_required_fields(client: &Client) -> Result<(), CliFailure> {
    for field in &client.read_custom_fields().await?.without_value {
        let types = field.object_types.join(" and ");
        errln!(
            "warning: NetBox requires the custom field {:?} of {types} and has no default for it, so it refuses every such \
             record whose request gives no value in custom_fields: give the field a default in NetBox, or make it optional",
            field.name
        );
    }
    Ok(())
}

/// The permissions that the server will lack, one line for each object type. Those that only setup needs are left out.
async fn missing_permissions(client: &Client) -> Result<Vec<String>, CliFailure> {
    let mut missing: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for check in permissions::check(client).await? {
        if !check.granted && !check.required.setup_only {
            missing.entry(check.required.object_type).or_default().push(check.action.to_string());
        }
    }
    Ok(missing.into_iter().map(|(kind, actions)| format!("{kind}: {}", actions.join(", "))).collect())
}

fn print_required_permissions() {
    outln!("The token's user needs these object permissions in NetBox:");
    for required in permissions::REQUIRED_PERMISSIONS {
        let actions: Vec<String> = required.actions.iter().map(ToString::to_string).collect();
        let note = if required.setup_only { "   (for `leasehold setup` only)" } else { "" };
        outln!("  {:32} {}{note}", required.object_type, actions.join(", "));
    }
    outln!("The token itself must have writing enabled.");
}
