//! Compression of dual regression networks, driven by the dual regression loss.
//!
//! A network has more channels than it needs, but not in every layer and not all channels alike. Dual regression
//! compression (section 4 of the TPAMI paper) asks the closed loop: a *channel-number search* finds how many channels
//! each prunable layer needs, a *channel selection* which ones, both by what they do to the dual regression loss. The network is
//! then cut for real and fine-tuned. [`compress`] runs the whole of it in a folder that survives being killed;
//! the usual baselines run under the same budget and with the same fine-tuning, and a [`Profile`] answers at once what
//! a network of any size would lose.
//!
//! A *prunable layer* is an inner width between two convolutions ([`dualres_network::Group`]). Everything reports and is stopped
//! through one closure over [`Event`].

#![warn(clippy::print_stderr, clippy::print_stdout)]

mod allocate;
mod alpha;
mod candidates;
mod config;
mod data;
mod error;
mod events;
mod files;
mod finetune;
mod history;
mod layers;
mod method;
mod mixture;
mod objective;
mod overrides;
mod parameters;
mod profile;
mod report;
mod row;
mod run;
mod search;
mod selection;
mod summary;
mod surgery;
mod times;
mod widths;

pub use alpha::Alpha;
pub use candidates::{paper_candidates, uniform_widths};
pub use config::{CompressConfig, FinetuneConfig, Mode, ProfileConfig, SearchConfig, SelectionConfig};
pub use error::{CompressionError, Result};
pub use events::{Event, Observer, Row, Stage, StageProgress};
pub use files::{
    CONFIG_FILE, CUT_FILE, EVENTS_FILE, FINETUNE_FOLDER, ORIGINAL_FILE, PROFILE_FILE, REPORT_FILE, RESULT_FILE,
    SEARCH_FILE, SELECTION_FILE, SUMMARY_FILE, WIDTHS_FILE, remove_run,
};
pub use history::History;
pub use layers::{Block, Layers, MAC_INPUT};
pub use method::{About, Channels, Method, Widths};
pub use objective::Losses;
pub use overrides::Overrides;
pub use profile::{BlockProfile, Constraints, Estimate, LayerProfile, Profile};
pub use report::{Report, Times, WidthRow};
pub use row::flat_row;
pub use run::{compress, measure_profile, resume};
pub use summary::{Summary, run_folders};
pub use surgery::{cut, largest_difference, masked};
pub use times::TimeTable;
pub use widths::{parse_widths, widths_text};
