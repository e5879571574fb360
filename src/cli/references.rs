//! How VRFs and tenants are named on the command line.
//!
//! A VRF is named by NetBox's id (`7`; `0` is the global table), by its route distinguisher (`64500:7`, the text has a colon)
//! or by its name (`customers`, any other text). A tenant is named by its slug. A text with the prefix `id:`, `name:`, `rd:` or
//! `slug:` is taken as just that, so that a VRF with the name `123` can be named as `name:123`.

use crate::rpc::proto::v1;
use crate::rpc::proto::v1::{tenant_ref, vrf_ref};

/// Reads the name of a VRF.
pub(crate) fn parse_vrf(text: &str) -> Result<v1::VrfRef, String> {
    use vrf_ref::Ref;
    let named = match text.split_once(':') {
        Some(("id", id)) => Ref::Id(parse_id(id)?),
        Some(("name", name)) => Ref::Name(not_empty(name)?),
        Some(("rd", rd)) => Ref::Rd(not_empty(rd)?),
        Some(_) => Ref::Rd(text.to_owned()),
        None if is_digits(text) => Ref::Id(parse_id(text)?),
        None => Ref::Name(not_empty(text)?),
    };
    Ok(v1::VrfRef { r#ref: Some(named) })
}

/// Reads the name of a tenant.
pub(crate) fn parse_tenant(text: &str) -> Result<v1::TenantRef, String> {
    use tenant_ref::Ref;
    let named = match text.split_once(':') {
        Some(("id", id)) => Ref::Id(parse_id(id)?),
        Some(("name", name)) => Ref::Name(not_empty(name)?),
        Some(("slug", slug)) => Ref::Slug(not_empty(slug)?),
        Some(_) => return Err("is no slug: write id:12, name:…, or a slug, which has no colon".to_owned()),
        None => Ref::Slug(not_empty(text)?),
    };
    Ok(v1::TenantRef { r#ref: Some(named) })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_id(text: &str) -> Result<u64, String> {
    if is_digits(text) { text.parse().ok() } else { None }
        .ok_or_else(|| format!("{text:?} is not an id of NetBox, which is a number"))
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("names nothing".to_owned()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vrf(text: &str) -> Option<vrf_ref::Ref> {
        parse_vrf(text).unwrap().r#ref
    }

    fn tenant(text: &str) -> Option<tenant_ref::Ref> {
        parse_tenant(text).unwrap().r#ref
    }

    #[test]
    fn a_vrf_is_named_by_id_name_or_rd() {
        use vrf_ref::Ref;
        assert_eq!(vrf("7"), Some(Ref::Id(7)));
        assert_eq!(vrf("0"), Some(Ref::Id(0)));
        assert_eq!(vrf("customers"), Some(Ref::Name("customers".to_owned())));
        assert_eq!(vrf("64500:7"), Some(Ref::Rd("64500:7".to_owned())));
        assert_eq!(vrf("192.0.2.1:7"), Some(Ref::Rd("192.0.2.1:7".to_owned())));
    }

    #[test]
    fn an_odd_name_of_a_vrf_is_written_with_what_it_is() {
        use vrf_ref::Ref;
        assert_eq!(vrf("name:123"), Some(Ref::Name("123".to_owned())));
        assert_eq!(vrf("name:a:b"), Some(Ref::Name("a:b".to_owned())));
        assert_eq!(vrf("rd:123"), Some(Ref::Rd("123".to_owned())));
        assert_eq!(vrf("id:7"), Some(Ref::Id(7)));
    }

    #[test]
    fn a_tenant_is_named_by_slug_id_or_name() {
        use tenant_ref::Ref;
        assert_eq!(tenant("example-hosting"), Some(Ref::Slug("example-hosting".to_owned())));
        assert_eq!(tenant("12"), Some(Ref::Slug("12".to_owned())));
        assert_eq!(tenant("slug:id"), Some(Ref::Slug("id".to_owned())));
        assert_eq!(tenant("id:12"), Some(Ref::Id(12)));
        assert_eq!(tenant("name:Example: Hosting"), Some(Ref::Name("Example: Hosting".to_owned())));
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for wrong in ["", "id:", "id:x", "id:+7", "name:", "rd:", "99999999999999999999"] {
            assert!(parse_vrf(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "id:", "id:x", "name:", "slug:", "Example: Hosting"] {
            assert!(parse_tenant(wrong).is_err(), "{wrong}");
        }
    }
}
