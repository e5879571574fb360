//! `leasehold lease update`: changes agreed values of a lease, apart from its expiry.

use std::process::ExitCode;

use clap::{ArgGroup, Args, ValueEnum};
use jiff::civil::Date;

use crate::cli::connect::{leases, refusal};
use crate::cli::exit::{CliFailure, CommandResult};
use crate::cli::options::{ClientArgs, ScopeArgs, WriteArgs};
use crate::cli::prefix_arg::PrefixArg;
use crate::cli::records::{lease_name, print_lease, print_write_note};
use crate::cli::references::parse_tenant;
use crate::cli::values;
use crate::model::Asn;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true))]
pub(crate) struct UpdateLeaseArgs {
    /// Prefix, or NetBox's id of it
    #[arg(value_name = "PREFIX|ID")]
    key: String,
    /// New holder of the resource
    #[arg(long, group = "change")]
    owner: Option<String>,
    /// New first day of the term
    #[arg(long, value_name = "DATE", group = "change")]
    start: Option<Date>,
    /// New last day to renew or give notice
    #[arg(long = "notice-date", alias = "notice", value_name = "DATE", group = "change")]
    notice_date: Option<Date>,
    /// New reference of the Letter of Authorisation
    #[arg(long, value_name = "REFERENCE", group = "change")]
    loa: Option<String>,
    /// New AS number that may originate the block
    #[arg(long, alias = "origin-asn", value_name = "ASN", group = "change")]
    origin: Option<Asn>,
    /// New description of the prefix
    #[arg(long, group = "change")]
    description: Option<String>,
    /// New tenant of the prefix: its slug, id:12 or name:…
    #[arg(long, value_name = "TENANT", value_parser = parse_tenant, group = "change")]
    tenant: Option<v1::TenantRef>,
    /// Clear this value; may be repeated
    #[arg(long, value_enum, value_name = "FIELD", group = "change")]
    clear: Vec<ClearableField>,
    /// Refuse if the prefix has changed since it had this etag (`lease show -o json` prints it)
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// A value that a lease need not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ClearableField {
    Start,
    NoticeDate,
    Loa,
    Origin,
    Description,
    Tenant,
}

impl ClearableField {
    /// The name of the field in the API.
    fn path(self) -> &'static str {
        match self {
            Self::Start => "start_date",
            Self::NoticeDate => "notice_date",
            Self::Loa => "loa_reference",
            Self::Origin => "origin_asn",
            Self::Description => "description",
            Self::Tenant => "tenant",
        }
    }
}

pub(crate) async fn run(args: UpdateLeaseArgs) -> CommandResult {
    let (key, paths) = (PrefixArg::parse(&args.key)?, args.paths()?);
    let (client, validate_only) = (&args.client, args.write.validate_only);
    let mut leases = leases(client).await?;
    let prefix_id = match key {
        PrefixArg::Id(id) => id,
        PrefixArg::Prefix(prefix) => {
            // The message Lease names a VRF by its id only, so the server resolves the prefix and its VRF first.
            let key = Some(v1::get_lease_request::Key::Prefix(prefix));
            let request = v1::GetLeaseRequest { key, vrf: args.scope.vrf.clone() };
            let found = leases.get_lease(request).await.map_err(|status| refusal(&status))?;
            found.into_inner().lease.unwrap_or_default().prefix_id
        }
    };
    let request = v1::UpdateLeaseRequest {
        request_id: args.write.id(),
        validate_only,
        update_mask: Some(prost_types::FieldMask { paths }),
        lease: Some(args.lease(prefix_id)),
    };
    let answer = leases.update_lease(request).await.map_err(|status| refusal(&status))?.into_inner();
    print_write_note(validate_only, false);
    client.output.print("UpdateLeaseResponse", &answer, lease_name(answer.lease.as_ref()), |_| {
        print_lease(&answer.lease.clone().unwrap_or_default());
    })?;
    Ok(ExitCode::SUCCESS)
}

impl UpdateLeaseArgs {
    /// The fields to change: those that have a new value and those to clear.
    fn paths(&self) -> Result<Vec<String>, CliFailure> {
        let new = [
            ("owner", self.owner.is_some()),
            ("start_date", self.start.is_some()),
            ("notice_date", self.notice_date.is_some()),
            ("loa_reference", self.loa.is_some()),
            ("origin_asn", self.origin.is_some()),
            ("description", self.description.is_some()),
            ("tenant", self.tenant.is_some()),
        ];
        let mut paths: Vec<String> =
            new.into_iter().filter(|(_, given)| *given).map(|(path, _)| path.to_owned()).collect();
        for field in &self.clear {
            if new.contains(&(field.path(), true)) {
                let message = format!("{} cannot have a new value and be cleared", field.path());
                return Err(CliFailure::usage(message));
            }
            if !paths.iter().any(|path| path == field.path()) {
                paths.push(field.path().to_owned());
            }
        }
        Ok(paths)
    }

    /// The lease with its new values. What is cleared is absent.
    fn lease(&self, prefix_id: u64) -> v1::Lease {
        v1::Lease {
            prefix_id,
            owner: self.owner.clone().unwrap_or_default(),
            start_date: self.start.map(values::to_proto_date),
            notice_date: self.notice_date.map(values::to_proto_date),
            loa_reference: self.loa.clone().unwrap_or_default(),
            origin_asn: self.origin.map_or(0, Asn::number),
            description: self.description.clone().unwrap_or_default(),
            tenant: self.tenant.clone().and_then(|tenant| tenant.r#ref).map(named_ref),
            etag: self.etag.clone(),
            ..v1::Lease::default()
        }
    }
}

/// The tenant as a lease names it.
fn named_ref(tenant: v1::tenant_ref::Ref) -> v1::NamedRef {
    use v1::tenant_ref::Ref;
    match tenant {
        Ref::Id(id) => v1::NamedRef { id, ..v1::NamedRef::default() },
        Ref::Slug(slug) => v1::NamedRef { slug, ..v1::NamedRef::default() },
        Ref::Name(name) => v1::NamedRef { name, ..v1::NamedRef::default() },
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: UpdateLeaseArgs,
    }

    fn paths(options: &[&str]) -> Result<Vec<String>, CliFailure> {
        let words = ["update", "203.0.113.0/24"].iter().chain(options);
        Line::try_parse_from(words).unwrap().args.paths()
    }

    #[test]
    fn only_what_is_given_is_changed() {
        assert_eq!(paths(&["--origin", "64501", "--loa", "LOA-2"]).unwrap(), ["loa_reference", "origin_asn"]);
        assert_eq!(
            paths(&["--owner", "ACME-LIR", "--clear", "notice-date"]).unwrap(),
            ["owner", "notice_date"]
        );
        assert_eq!(paths(&["--clear", "loa", "--clear", "loa"]).unwrap(), ["loa_reference"]);
    }

    #[test]
    fn a_new_value_and_its_removal_exclude_each_other() {
        assert!(paths(&["--loa", "LOA-2", "--clear", "loa"]).is_err());
    }

    #[test]
    fn an_update_without_a_change_is_wrong_usage() {
        assert!(Line::try_parse_from(["update", "203.0.113.0/24"]).is_err());
        assert!(Line::try_parse_from(["update", "203.0.113.0/24", "--clear", "owner"]).is_err());
    }
}
