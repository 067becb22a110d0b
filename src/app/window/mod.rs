//! The window: drop pictures on it, get larger ones, and see where they keep to the original.
//!
//! One worker thread owns every tensor ([`worker`]), one loader thread reads files, and the window drains what they
//! say once a frame and draws. Views read the state, change choices and push actions.

mod actions;
mod adapt_tasks;
mod adapting;
mod app;
mod candidates;
pub mod canvas;
mod closing;
mod comparison;
mod completing;
pub mod compress;
mod cost;
mod desktop;
mod device;
mod dialogs;
pub mod document;
mod events;
mod forecast;
mod frame;
mod gain;
mod handle;
mod helper;
mod helpers;
mod item;
mod leaving;
mod library_news;
mod library_tasks;
mod live;
mod loader;
mod machine;
mod memo;
mod models_tab;
mod new_device;
mod open_documents;
mod outbox;
mod previewed;
pub mod proof;
pub mod pyramid;
pub mod queue;
mod queue_control;
mod refinement;
mod remembering;
mod runs;
mod saving;
mod screen;
mod services;
pub mod settings;
mod sheet;
mod shell;
mod sorting;
mod speech;
mod stored;
mod tally;
mod theme;
mod title;
mod toasts;
mod trial;
mod upscale_tab;
mod views;
pub mod worker;

use std::path::PathBuf;

use anyhow::anyhow;
use eframe::{
    egui::{IconData, ViewportBuilder},
    egui_wgpu::{WgpuConfiguration, WgpuSetup, wgpu},
};

pub use app::{Setup, Window};

use crate::paths::Paths;

static ICON: &[u8] = include_bytes!("../../../assets/icon.png");

/// Opens the window with files and stays until it is closed.
///
/// # Errors
/// If there is no desktop to open it on, or no graphics driver to draw with.
pub fn open(paths: Paths, files: Vec<PathBuf>) -> anyhow::Result<()> {
    // Only for the place of the window; what is wrong with the file is told in the window.
    let remembered: settings::Settings = std::fs::read_to_string(app::settings_file(&paths))
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let files = files.into_iter().map(|path| std::path::absolute(&path).unwrap_or(path)).collect();
    let mut viewport = ViewportBuilder::default()
        .with_title("Dualres")
        .with_app_id("dualres")
        .with_inner_size(settings::USUAL_SIZE)
        .with_min_inner_size(screen::MIN_SIZE)
        .with_drag_and_drop(true);
    viewport = remembered.screens.open(viewport);
    if let Some(icon) = icon() {
        viewport = viewport.with_icon(icon);
    }
    let options = eframe::NativeOptions { viewport, wgpu_options: graphics(), ..Default::default() };
    let setup = Setup { follows_system: true, ..Setup::of_program(paths, files) };
    eframe::run_native("dualres", options, Box::new(|cc| Ok(Box::new(Window::new(cc, setup)?)))).map_err(|error| {
        let text = format!(
            "cannot open the window ({}); it needs a desktop and a Vulkan, Metal or DirectX driver, such as the package \
             mesa-vulkan-drivers; `dualres upscale` works without one",
            without_places(&error.to_string())
        );
        // Whoever started it from a menu sees no terminal.
        desktop::say_last(&text);
        anyhow!(text)
    })
}

/// A message of a library without the place in its source that it begins with.
fn without_places(message: &str) -> &str {
    let reason =
        message.rsplit_once(".rs:").and_then(|(_, rest)| rest.split_once(": ")).map_or(message, |(_, reason)| reason);
    // A list of nothing.
    reason.strip_suffix(": {}").unwrap_or(reason)
}

fn icon() -> Option<IconData> {
    let image = dualres_imaging::decode(ICON, "icon").ok()?;
    let area = dualres_engine::Area { x: 0, y: 0, width: image.width(), height: image.height() };
    let mut rgba = document::Patch::of(&image, area).rgba;
    for pixel in rgba.chunks_exact_mut(4) {
        pixel[3] = (u32::from(pixel[3].saturating_sub(8)) * 255 / 247) as u8;
    }
    Some(IconData { rgba, width: image.width() as u32, height: image.height() as u32 })
}

/// Leaves the fast device to the networks where there are two: the window needs little.
fn graphics() -> WgpuConfiguration {
    let mut configuration = WgpuConfiguration::default();
    if let WgpuSetup::CreateNew(setup) = &mut configuration.wgpu_setup {
        setup.power_preference = wgpu::PowerPreference::LowPower;
    }
    configuration
}

/// Width of the window below which the side panel gives way to the picture, in points.
const NARROW: f32 = 1100.0;

/// Width of the side panel in a window of a width, in points.
pub(crate) fn side_width(available: f32) -> f32 {
    if available < NARROW { 260.0 } else { 300.0 }
}
