//! Short digests, by which what is the same is known to be.

use sha2::{Digest as _, Sha256};

/// The first bytes of a text's SHA-256, in hexadecimal: two digits a byte.
pub fn fingerprint(text: impl AsRef<[u8]>, bytes: usize) -> String {
    let mut digits = hex::encode(Sha256::digest(text));
    digits.truncate(bytes * 2);
    digits
}
