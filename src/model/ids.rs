//! NetBox's numeric ids, one type for each kind of record, so that an address id is never taken for a prefix id.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! netbox_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

netbox_id!(
    /// NetBox's id of a prefix. NetBox never uses it again for another prefix.
    PrefixId
);
netbox_id!(
    /// NetBox's id of an IP address record.
    AddressId
);
netbox_id!(
    /// NetBox's id of an IP range.
    RangeId
);
netbox_id!(
    /// NetBox's id of a VRF.
    VrfId
);
