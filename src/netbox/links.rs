//! Links to pages of NetBox's user interface.

use url::Url;

use crate::model::PrefixId;

/// The page of a prefix in the user interface. `base` is NetBox's base URL with a trailing slash, as
/// [`super::Client::url`] returns it. `None` if no path can be joined to it.
pub fn prefix_page(base: &Url, id: PrefixId) -> Option<Url> {
    base.join(&format!("ipam/prefixes/{id}/")).ok()
}
