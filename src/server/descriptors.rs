//! The descriptors of the API, as reflection, the metrics of calls and the HTTP side need them.

use prost::Message as _;
use prost_reflect::{DescriptorPool, MethodDescriptor};

use super::error::Error;
use crate::rpc::proto;

/// The descriptors of the API's methods, and of every message that a call can answer: the details of errors too.
pub(super) fn pool() -> Result<DescriptorPool, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Descriptors(error.to_string());
    let mut pool = DescriptorPool::decode(proto::DESCRIPTORS).map_err(|error| failed(&error))?;
    let details = prost_types::FileDescriptorSet::decode(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .map_err(|error| failed(&error))?;
    // The API declares some of Google's files itself, and a message cannot be declared twice.
    let missing: Vec<_> = details
        .file
        .into_iter()
        .filter(|file| {
            let mut names =
                file.message_type.iter().map(|message| format!("{}.{}", file.package(), message.name()));
            pool.get_file_by_name(file.name()).is_none()
                && names.all(|name| pool.get_message_by_name(&name).is_none())
        })
        .collect();
    pool.add_file_descriptor_protos(missing).map_err(|error| failed(&error))?;
    Ok(pool)
}

/// The path of every method in the pool, `/package.Service/Method`.
pub(super) fn methods(pool: &DescriptorPool) -> Vec<String> {
    let path =
        |method: MethodDescriptor| format!("/{}/{}", method.parent_service().full_name(), method.name());
    pool.services().flat_map(|service| service.methods().map(path).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_has_every_method_and_every_detail_of_an_error() {
        let pool = pool().unwrap();
        assert!(methods(&pool).contains(&"/leasehold.v1.PrefixService/LookupAddress".to_owned()));
        for name in ["ErrorInfo", "BadRequest", "PreconditionFailure", "RetryInfo", "Status"] {
            assert!(pool.get_message_by_name(&format!("google.rpc.{name}")).is_some(), "{name}");
        }
    }
}
