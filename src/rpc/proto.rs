//! The types that proto/build.rs generates from proto/, and their descriptors for reflection.

/// The packages of Google's common types.
pub mod google {
    /// The package google.rpc, of which the API uses Status.
    #[allow(missing_docs, clippy::pedantic, unreachable_pub)]
    pub mod rpc {
        include!(concat!(env!("OUT_DIR"), "/google.rpc.rs"));
    }

    /// The package google.type, of which the API uses Date.
    #[allow(missing_docs, clippy::pedantic, unreachable_pub)]
    pub mod r#type {
        include!(concat!(env!("OUT_DIR"), "/google.r#type.rs"));
    }
}

/// The packages of Leasehold's API, one a version.
pub mod leasehold {
    /// The package leasehold.v1: messages, clients and server traits.
    #[allow(
        missing_docs,
        unreachable_pub,
        clippy::pedantic,
        clippy::allow_attributes,
        clippy::large_enum_variant
    )]
    pub mod v1 {
        tonic::include_proto!("leasehold.v1");
        include!(concat!(env!("OUT_DIR"), "/servers/leasehold.v1.rs"));
    }
}

pub use google::r#type::Date;
pub use leasehold::v1;

/// Every descriptor of the API, encoded as a FileDescriptorSet.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/leasehold_descriptor.bin"));
