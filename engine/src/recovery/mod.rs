//! recovery.
mod error;
mod plan;
mod progress;
mod scan;
pub use error::{Proof, RecoveryError, Refusal};
pub use progress::{Phase, Progress};
