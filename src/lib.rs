//! stub
pub mod allocation;
pub mod cache;
pub mod cli;
pub mod clock;
pub mod config;
pub mod emulator;
pub mod http;
pub mod jobs;
pub mod lease;
pub mod ledger;
pub mod model;
pub mod netbox;
pub mod rpc;
pub mod server;
pub mod sync;
pub mod telemetry;
#[allow(missing_docs, clippy::pedantic, unreachable_pub)]
pub mod proto {
    pub mod google {
        pub mod r#type {
            include!(concat!(env!("OUT_DIR"), "/google.r#type.rs"));
        }
    }
    pub mod leasehold {
        pub mod v1 {
            tonic::include_proto!("leasehold.v1");
        }
    }
}
