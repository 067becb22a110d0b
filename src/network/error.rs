//! What can go wrong with a network, told so that its user knows what to do.

use std::path::PathBuf;

use crate::{fault::RemoteFault, hint::Hint};

/// Result of the network room.
pub type Result<T> = std::result::Result<T, NetworkError>;

/// A network that cannot be described, loaded, saved or placed on a device.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The numbers describe no network.
    #[error("no such network: {0}")]
    Architecture(String),
    /// The file could not be read.
    #[error("cannot read the model ({source}): {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is damaged, cut short, or no model of ours.
    #[error("{reason}: {name}")]
    Format {
        /// File name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is a network of others.
    #[error("{what}: {name}")]
    Foreign {
        /// File name.
        name: String,
        /// What it seems to be.
        what: &'static str,
    },
    /// A file of dual models where that of a network is wanted.
    #[error("this checkpoint holds dual models, not the network itself: {name}")]
    DualsAlone {
        /// File name.
        name: String,
    },
    /// Weights and architecture disagree.
    #[error("the weights do not fit the network: {0}")]
    Weights(String),
    /// No device of that name.
    #[error("no device called \"{wanted}\"; there are: {available}")]
    UnknownDevice {
        /// What was asked for.
        wanted: String,
        /// Names of the devices there are.
        available: String,
    },
    /// A GPU was asked for and there is none.
    #[error("no GPU found that can run networks; use the CPU")]
    NoGpu,
    /// No graphics interface of that name.
    #[error("no graphics interface called \"{wanted}\"; DUALRES_GRAPHICS is one of: {available}")]
    UnknownInterface {
        /// What was asked for.
        wanted: String,
        /// Names of those there are.
        available: String,
    },
    /// A software driver was asked for and there is none.
    #[error("no software graphics driver found; use the CPU, which is faster")]
    NoSoftwareDriver,
    /// A device of another machine cannot be used.
    #[error("the remote device {name} cannot be used: {fault}")]
    Remote {
        /// Name of the device.
        name: String,
        /// Why.
        fault: RemoteFault,
    },
    /// The device failed in the middle of work.
    #[error("the device {name} failed ({reason})")]
    DeviceFailed {
        /// Name of the device.
        name: String,
        /// What the driver said.
        reason: String,
    },
    /// The device did not start.
    #[error("the device {name} does not start ({reason}); update its driver, or use the CPU")]
    DeviceStart {
        /// Name of the device.
        name: String,
        /// What the driver said.
        reason: String,
    },
}

impl NetworkError {
    /// The way out, where it is not plain from the message.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Foreign { .. } => Some(Hint::Import),
            Self::DualsAlone { .. } => Some(Hint::BesideNetwork),
            Self::DeviceFailed { .. } | Self::Remote { fault: RemoteFault::Lost, .. } => Some(Hint::GoOn),
            _ => None,
        }
    }
}
