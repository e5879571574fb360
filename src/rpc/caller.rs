//! Who calls, as far as it is known: for NetBox's change log.

use tonic::Request;

/// The address of the caller, without its port. There is no authentication yet; over a Unix socket there is no address.
pub(super) fn caller<T>(request: &Request<T>) -> String {
    request.remote_addr().map_or_else(|| "local".to_owned(), |address| address.ip().to_string())
}
