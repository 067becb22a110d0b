//! The Compress tab: compression runs that can be watched and steered, and networks of any size on a picture at once.
//!
//! Two threads work for it, each owning its tensors: the [`runner`] does the runs, one after the other; the [`preview_worker`]
//! answers questions that a user waits for: what a network of these widths would make of this part of a picture, how two
//! networks differ, how fast they are. Both tell the window by channels that it drains once a frame; curves are drawn
//! from what the runs report, never from tensors.

pub(crate) mod actions;
mod begin;
pub mod choices;
pub(crate) mod curves;
pub(crate) mod estimate;
mod events;
pub(crate) mod export;
mod folders;
pub(crate) mod grouped;
mod grouping;
pub(crate) mod handle;
pub(crate) mod judge;
pub mod latency;
pub(crate) mod preview_worker;
mod previewing;
pub(crate) mod profiles;
pub(crate) mod questions;
pub(crate) mod remember;
mod requests;
pub(crate) mod runner;
pub mod runs;
pub(crate) mod state;
mod watch;
pub(crate) mod watching;
pub(crate) mod width_editor;

pub use state::Compress;
