//! Short digests of text, for entity tags and for telling two states of a record apart.

use sha2::{Digest as _, Sha256};

/// The first `bytes` bytes of the SHA-256 of a text, in hexadecimal: two digits for each byte. This is not the fingerprint of
/// a request body, which the ledger defines.
pub fn digest(text: impl AsRef<[u8]>, bytes: usize) -> String {
    let mut digits = hex::encode(Sha256::digest(text));
    digits.truncate(bytes * 2);
    digits
}
