//! `leasehold prefix …`: the prefixes of NetBox.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::connect::{prefixes, refusal};
use super::exit::CommandResult;
use super::options::{ClientArgs, ScopeArgs};
use super::pages::{Limit, read_pages};
use super::prefix_arg::PrefixArg;
use super::records::{print_cache_note, print_prefixes};
use super::references::{parse_tenant, parse_vrf};
use super::terminal::print_facts;
use super::utilization::print_utilizations;
use super::values;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct PrefixArgs {
    #[command(subcommand)]
    command: PrefixCommand,
}

#[derive(Debug, Subcommand)]
enum PrefixCommand {
    /// Show one prefix (exit 1 if it is not recorded)
    Show(ShowPrefixArgs),
    /// List prefixes, or those that match every filter
    List(ListPrefixesArgs),
}

#[derive(Debug, Args)]
struct ShowPrefixArgs {
    /// Prefix, or NetBox's id of it
    #[arg(value_name = "PREFIX|ID")]
    key: String,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
struct ListPrefixesArgs {
    /// Only this prefix and those inside it
    #[arg(long, default_value = "", hide_default_value = true, value_name = "PREFIX")]
    within: String,
    /// Only of this VRF: its id, name or RD; 0 for the global table
    #[arg(long, value_name = "VRF", value_parser = parse_vrf)]
    vrf: Option<v1::VrfRef>,
    /// Only of this tenant: its slug, id:12 or name:…
    #[arg(long, value_name = "TENANT", value_parser = parse_tenant)]
    tenant: Option<v1::TenantRef>,
    /// Only with this role, by slug
    #[arg(long, default_value = "", hide_default_value = true, value_name = "SLUG")]
    role: String,
    /// Only with this tag, by slug
    #[arg(long, default_value = "", hide_default_value = true, value_name = "SLUG")]
    tag: String,
    /// Only with this status, as NetBox names it
    #[arg(long, default_value = "", hide_default_value = true)]
    status: String,
    /// Only those that carry a lease
    #[arg(long)]
    leased: bool,
    /// Count how the addresses of each prefix are used
    #[arg(long)]
    utilization: bool,
    /// The most prefixes to list [default: all]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    #[command(flatten)]
    client: ClientArgs,
}

impl PrefixArgs {
    pub(crate) fn client(&self) -> &ClientArgs {
        match &self.command {
            PrefixCommand::Show(args) => &args.client,
            PrefixCommand::List(args) => &args.client,
        }
    }
}

pub(crate) async fn run(args: PrefixArgs) -> CommandResult {
    match args.command {
        PrefixCommand::Show(args) => show(args).await,
        PrefixCommand::List(args) => list(args).await,
    }
}

async fn show(args: ShowPrefixArgs) -> CommandResult {
    use v1::get_prefix_request::Key;
    let request = v1::GetPrefixRequest {
        key: Some(match PrefixArg::parse(&args.key)? {
            PrefixArg::Id(id) => Key::PrefixId(id),
            PrefixArg::Prefix(text) => Key::Prefix(text),
        }),
        vrf: args.scope.vrf,
        view: v1::RecordView::Full.into(),
    };
    let mut client = prefixes(&args.client).await?;
    let answer = client.get_prefix(request).await.map_err(|status| refusal(&status))?.into_inner();
    print_cache_note(answer.cache.as_ref());
    let names = answer.prefix.as_ref().map(|prefix| prefix.prefix.clone());
    args.client.output.print("GetPrefixResponse", &answer, names, |_| {
        print(&answer.prefix.clone().unwrap_or_default());
    })?;
    Ok(ExitCode::SUCCESS)
}

fn print(prefix: &v1::Prefix) {
    let lease = prefix.lease.clone().unwrap_or_default();
    let tags: Vec<String> = prefix.tags.iter().map(|tag| tag.slug.clone()).collect();
    print_facts(&[
        ("prefix", prefix.prefix.clone()),
        ("prefix id", values::id(prefix.id)),
        ("vrf", values::vrf(prefix.vrf.as_ref())),
        ("status", prefix.status.clone()),
        ("pool", if prefix.is_pool { "yes" } else { "" }.to_owned()),
        ("role", values::named(prefix.role.as_ref())),
        ("tenant", values::named(prefix.tenant.as_ref())),
        ("tags", tags.join(",")),
        ("description", prefix.description.clone()),
        ("lease owner", lease.owner.clone()),
        ("lease expiry", values::date(lease.expiry_date.as_ref())),
        ("allocation", prefix.allocation_id.clone()),
        ("changed", values::instant(prefix.update_time.as_ref())),
    ]);
}

async fn list(args: ListPrefixesArgs) -> CommandResult {
    let mut client = prefixes(&args.client).await?;
    let limit = Limit::new(args.limit);
    let request = v1::ListPrefixesRequest {
        page_size: limit.page_size(),
        page_token: String::new(),
        within: args.within,
        vrf: args.vrf,
        tenant: args.tenant,
        role: args.role,
        tag: args.tag,
        status: args.status,
        leased_only: args.leased,
        view: v1::RecordView::Basic.into(),
        include_utilization: args.utilization,
    };
    let mut all = v1::ListPrefixesResponse::default();
    read_pages(
        async |page_token| {
            client.list_prefixes(v1::ListPrefixesRequest { page_token, ..request.clone() }).await
        },
        |page| {
            all.cache = page.cache;
            let next = limit.join(&mut all.prefixes, page.prefixes, page.next_page_token);
            all.utilizations.extend(page.utilizations);
            all.utilizations.truncate(all.prefixes.len());
            next
        },
    )
    .await?;
    print_cache_note(all.cache.as_ref());
    args.client.output.print_list(
        "ListPrefixesResponse",
        &all,
        (all.prefixes.as_slice(), "no prefixes match"),
        |prefix| prefix.prefix.clone(),
        |output| {
            if args.utilization {
                let names = all.prefixes.iter().map(|prefix| prefix.prefix.clone());
                print_utilizations(output, names.zip(all.utilizations.iter().copied()));
            } else {
                print_prefixes(output, &all.prefixes);
            }
        },
    )?;
    Ok(ExitCode::SUCCESS)
}
