//! Upscaling one picture of any size, with the proof.
//!
//! A picture is run through the network in tiles chosen from the memory there is, and the result goes back through
//! the dual models to the input's size. Where the reconstruction differs from the input, the network has changed the
//! picture: the consistency map says where, the consistency PSNR how much. What error a result has without a truth to compare it
//! with is expected from more than that, by weights that come with the model.
//!
//! The library reports and is cancelled through one closure; it prints nothing and starts no threads of its own.

#![warn(clippy::print_stderr, clippy::print_stdout)]

mod consistency;
mod dual;
mod error;
mod examine;
mod expected;
mod memory;
mod passes;
mod place;
mod planes;
mod self_check;
mod tiles;
mod upscale;

pub use consistency::{
    HOTTEST, LOOP_RULE, heat_colour, heat_map, luma_difference, psnr_of_difference, structural_difference,
};
pub use error::{EngineError, Result};
pub use examine::{Examination, examine, glance, measure_seam, shows};
pub use expected::{ERROR_FEATURES, error_features, error_target, expected_error, expected_psnr, true_error};
pub use memory::{check_reading, has_room_for};
pub use passes::{MAX_PASSES, passes_to};
pub use place::MAX_DIFFERENCE;
pub use self_check::{Finding, self_check};
pub use upscale::{Area, Event, Observer, Options, PoolingChoice, Unfinished, Upscaled, Upscaler};
