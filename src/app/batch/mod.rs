//! Many pictures, or one, to results that can be trusted: what the command line and the window do alike.

pub mod choice;
pub mod disk;
pub mod inputs;
pub mod journal;
pub mod made_with;
pub mod outcome;
pub(crate) mod place;
pub mod record;
pub mod result;
pub mod shard;
pub mod sizes;
pub mod status;
pub mod sums;
