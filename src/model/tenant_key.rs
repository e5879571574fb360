//! How a request names a tenant.

use std::fmt;

use super::named_ref::NamedRef;

/// The name of a tenant in a request: by id, slug or name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TenantKey {
    /// NetBox's id, not 0.
    Id(u64),
    /// The slug, which NetBox keeps unique.
    Slug(String),
    /// The name that people read.
    Name(String),
}

impl TenantKey {
    /// Whether this names the tenant of a record.
    pub fn names(&self, tenant: &NamedRef) -> bool {
        match self {
            Self::Id(id) => tenant.id == *id,
            Self::Slug(slug) => *tenant.slug == **slug,
            Self::Name(name) => *tenant.name == **name,
        }
    }
}

/// The slug as it is, `id:12` or `name:Example Hosting`. A slug holds no colon, so the three never read alike. Fingerprints and
/// page tokens are made of this text, so it never changes.
impl fmt::Display for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "id:{id}"),
            Self::Slug(slug) => f.write_str(slug),
            Self::Name(name) => write!(f, "name:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_names_the_same_tenant_and_no_other() {
        let tenant = NamedRef { id: 12, name: "Example Hosting".into(), slug: "example-hosting".into() };
        let keys = |id, slug: &str, name: &str| {
            [TenantKey::Id(id), TenantKey::Slug(slug.to_owned()), TenantKey::Name(name.to_owned())]
        };
        for key in keys(12, "example-hosting", "Example Hosting") {
            assert!(key.names(&tenant), "{key}");
        }
        for key in keys(13, "Example Hosting", "example-hosting") {
            assert!(!key.names(&tenant), "{key}");
        }
    }

    #[test]
    fn the_text_of_a_slug_is_that_of_version_0_1() {
        assert_eq!(TenantKey::Slug("acme".to_owned()).to_string(), "acme");
        assert_eq!(TenantKey::Id(12).to_string(), "id:12");
        assert_eq!(TenantKey::Name("12".to_owned()).to_string(), "name:12");
    }
}
