//! What can go wrong while upscaling.

/// Result of the engine room.
pub type Result<T> = std::result::Result<T, EngineError>;

/// An upscaling that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The observer said stop.
    #[error("cancelled")]
    Cancelled,
    /// The network gave something that is no number, on the device and on the CPU alike.
    #[error("the network produced NaN or infinite values for this image; its weights may be damaged")]
    NotFinite,
    /// The picture and its result do not fit into memory.
    #[error(
        "not enough memory: a result of {width}x{height} pixels needs about {needed_gb:.1} GB, and {available_gb:.1} GB are free"
    )]
    Memory {
        /// Width of the result in pixels.
        width: usize,
        /// Height of the result in pixels.
        height: usize,
        /// Memory that the run would take, in GB.
        needed_gb: f64,
        /// Memory that is free, in GB.
        available_gb: f64,
    },
    /// The picture itself does not fit into memory.
    #[error(
        "not enough memory to read a picture of {width}x{height} pixels: it takes about {needed_gb:.1} GB and \
         {available_gb:.1} GB are free; close other programs, or cut it into parts"
    )]
    Reading {
        /// Width of the picture in pixels.
        width: usize,
        /// Height of the picture in pixels.
        height: usize,
        /// Memory that reading takes, in GB.
        needed_gb: f64,
        /// Memory that is free, in GB.
        available_gb: f64,
    },
    /// The device failed in the middle, and the CPU as well.
    #[error("upscaling failed ({0}); close other programs, or use smaller tiles")]
    Device(String),
    /// The network could not be brought to the device.
    #[error(transparent)]
    Network(#[from] dualres_network::NetworkError),
    /// No number of passes that makes sense reaches the size.
    #[error("{width}x{height} is out of reach of this model; the maximum is {most} times the input size")]
    OutOfReach {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// How many times as large is possible.
        most: usize,
    },
}
