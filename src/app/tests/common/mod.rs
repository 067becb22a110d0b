//! What tests of the window share.
#![allow(dead_code, reason = "each test uses its part")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use dualres_app::{
    paths::Paths,
    window::{Setup, Window, settings::Settings, worker},
};
use dualres_imaging::{Picture, Plane};
use dualres_network::{Architecture, Description, Device, Model};
use eframe::{
    egui::{self, DroppedFile, Key, Modifiers},
    egui_wgpu::wgpu,
};
use egui_kittest::{Harness, kittest::Queryable};

pub(crate) fn project(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A picture with something to see in it.
pub(crate) fn picture(width: usize, height: usize) -> Picture {
    let plane = |c: usize| {
        let value = |i: usize| (((i % width) * (5 + c) + (i / width) * 3) % 256) as f32;
        Plane::new(width, height, (0..width * height).map(value).collect())
    };
    Picture::from_planes((0..3).map(plane).collect())
}

pub(crate) fn write_picture(path: &Path, width: usize, height: usize) {
    dualres_imaging::write(path, &picture(width, height), Default::default()).unwrap();
}

/// A model of twice the size with random weights, small enough to be quick.
pub(crate) fn tiny() -> Model {
    tiny_of_seed(5)
}

/// [`tiny`] with other weights.
pub(crate) fn tiny_of_seed(seed: u64) -> Model {
    Model::init(Description::drn("tiny", &Architecture::new(2, 8, 4).unwrap()).unwrap(), seed, &Device::flex()).unwrap()
}

/// A home with the tiny model in its library, chosen.
pub(crate) fn home_with_tiny_model(home: &Path) -> Paths {
    let paths = Paths::under(home);
    std::fs::create_dir_all(paths.models()).unwrap();
    std::fs::create_dir_all(&paths.config).unwrap();
    std::fs::write(paths.models().join("tiny.safetensors"), tiny().to_bytes()).unwrap();
    let mut settings = Settings::default();
    settings.live_preview = false;
    settings.details = true;
    settings.view = dualres_app::window::settings::ViewMode::Panes;
    (settings.choices.automatic, settings.choices.model) = (false, "tiny".into());
    settings.choices.device = "CPU".into();
    settings.compress.model = "tiny".into();
    let text = serde_json::to_string(&settings).unwrap();
    std::fs::write(paths.config.join("settings.json"), text).unwrap();
    paths
}

#[derive(Debug)]
struct Dropped(PathBuf);

impl DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

/// A window without a graphics device, with the program's own worker.
pub(crate) fn window(paths: &Paths) -> Harness<'static, Window> {
    with_setup(Setup::of_program(paths.clone(), Vec::new()))
}

pub(crate) fn with_setup(setup: Setup) -> Harness<'static, Window> {
    with_size(setup, [1280.0, 800.0])
}

/// The same of a size in points: what is scrolled away cannot be clicked.
pub(crate) fn with_size(setup: Setup, size: [f32; 2]) -> Harness<'static, Window> {
    let mut harness =
        Harness::builder().with_size(size).with_max_steps(3).build_eframe(|cc| Window::new(cc, setup).unwrap());
    harness.step();
    harness
}

/// A window whose worker is the test: each start of an engine gives another far end.
pub(crate) fn with_played_worker(
    paths: &Paths,
) -> (Harness<'static, Window>, std::sync::mpsc::Receiver<worker::FarEnd>) {
    let (setup, ends) = played(paths);
    (with_setup(setup), ends)
}

/// What such a window is made from.
pub(crate) fn played(paths: &Paths) -> (Setup, std::sync::mpsc::Receiver<worker::FarEnd>) {
    let (sender, ends) = std::sync::mpsc::channel();
    let start_worker = move |_| {
        let (link, far) = worker::link();
        sender.send(far).unwrap();
        Ok(link)
    };
    let setup =
        Setup { paths: paths.clone(), files: Vec::new(), follows_system: false, start_worker: Box::new(start_worker) };
    (setup, ends)
}

/// What a person does, in a word.
pub(crate) trait Deeds {
    fn drop_files(&mut self, paths: &[&Path]);
    fn press(&mut self, label: &str);
    fn key(&mut self, modifiers: Modifiers, key: Key);
    fn sees(&self, part: &str) -> bool;
    /// Steps until something is seen; fails after a while.
    fn await_sight(&mut self, part: &str);
    fn await_that(&mut self, what: &str, reached: impl FnMut(&mut Self) -> bool);
}

impl Deeds for Harness<'static, Window> {
    fn drop_files(&mut self, paths: &[&Path]) {
        for path in paths {
            self.input_mut().dropped_files.push(Arc::new(Dropped(path.to_path_buf())));
        }
        self.step();
    }

    fn press(&mut self, label: &str) {
        self.get_by_role_and_label(egui::accesskit::Role::Button, label).click();
        self.run_steps(3);
    }

    fn key(&mut self, modifiers: Modifiers, key: Key) {
        self.key_press_modifiers(modifiers, key);
        self.run_steps(3);
    }

    fn sees(&self, part: &str) -> bool {
        self.query_all_by(|node| {
            let says = |text: Option<String>| text.is_some_and(|text| text.contains(part));
            says(node.label()) || says(node.value())
        })
        .next()
        .is_some()
    }

    fn await_sight(&mut self, part: &str) {
        self.await_that(&format!("\"{part}\" in sight"), |harness| harness.sees(part));
    }

    fn await_that(&mut self, what: &str, mut reached: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        loop {
            self.step();
            if reached(self) {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "waited for {what} in vain");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The field of a slider.
pub(crate) fn slider<'h>(harness: &'h Harness<'static, Window>, label: &'h str) -> egui_kittest::Node<'h> {
    harness.get_by_role_and_label(egui::accesskit::Role::SpinButton, label)
}

/// The fidelity slider's field.
pub(crate) fn fidelity<'h>(harness: &'h Harness<'static, Window>) -> egui_kittest::Node<'h> {
    harness.get_by_role_and_label(egui::accesskit::Role::SpinButton, "Fidelity")
}

/// A graphics device, the software one included.
pub(crate) fn device() -> Option<(wgpu::Device, wgpu::Queue)> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).ok()?;
    let limits = wgpu::Limits { max_texture_dimension_2d: 8192, ..wgpu::Limits::default() };
    let descriptor = wgpu::DeviceDescriptor { required_limits: limits, ..Default::default() };
    pollster::block_on(adapter.request_device(&descriptor)).ok()
}

/// Whether a test that needs a graphics adapter may go on without one.
pub(crate) fn may_skip(reason: &str) -> bool {
    assert!(std::env::var_os("DUALRES_REQUIRE_GPU").is_none_or(|v| v != "1"), "DUALRES_REQUIRE_GPU=1, but {reason}");
    eprintln!("not tested: {reason}");
    true
}

pub(crate) const NO_KEYS: Modifiers = Modifiers::NONE;
pub(crate) const COMMAND: Modifiers = Modifiers::COMMAND;

/// The folder of a run of the tiny model that was stopped in fine-tuning, with made-up curves.
pub(crate) fn run_with_curves(folder: &Path, steps: usize) {
    let mut config = dualres_compression::CompressConfig::new("drawn", 0.5);
    config.data = vec![folder.to_owned()];
    (config.search.steps, config.finetune.steps) = (steps, 2 * steps);
    std::fs::create_dir_all(folder).unwrap();
    let begun = serde_json::json!({"config": config, "data_hash": ""});
    std::fs::write(folder.join(dualres_compression::CONFIG_FILE), begun.to_string()).unwrap();
    std::fs::write(folder.join(dualres_compression::ORIGINAL_FILE), tiny().to_bytes()).unwrap();
    let mut rows = "stage,step,primal,dual,total,psnr_y,kept_macs,kept_parameters,entropy,seconds\n".to_owned();
    let mut row = |stage: &str, step: usize, psnr: &str, kept: f64, entropy: &str| {
        let primal = 4.0 + 12.0 / (step as f64).sqrt() + 0.5 * (step as f64 * 0.7).sin();
        let total = primal + 0.1;
        rows += &format!("{stage},{step},{primal},1.0,{total},{psnr},{kept},{kept},{entropy},{step}\n");
    };
    for step in 1..=steps {
        let psnr = if step % 20 == 0 { format!("{}", 30.0 + 0.01 * step as f64) } else { String::new() };
        row("search", step, &psnr, 0.5, &format!("{}", 1.0 - 0.01 * step as f64));
    }
    for unit in 1..=3 {
        row("select", unit, "", 1.0 - 0.16 * unit as f64, "");
    }
    for step in 1..=steps {
        let psnr = if step % 20 == 0 { format!("{}", 29.0 + 0.01 * step as f64) } else { String::new() };
        row("finetune", step, &psnr, 0.5, "");
    }
    std::fs::write(folder.join(dualres_compression::EVENTS_FILE), rows).unwrap();
}
