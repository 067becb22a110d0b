//! Many pictures, or one, to results that can be trusted: the one way from file to file, which the command line and the window
//! watch. [`plan`] reads a picture and finds its model, size and name, [`make`] runs it, [`saving`] writes and records it, all by one
//! [`recipe`].

pub mod choice;
pub mod disk;
pub mod inputs;
pub mod journal;
pub(crate) mod location;
pub mod make;
pub mod outcome;
pub mod plan;
pub mod recipe;
pub mod record;
pub mod records;
pub mod result;
pub mod saving;
pub mod shard;
pub mod sizes;
pub mod status;
pub mod sums;
pub mod unfinished;
