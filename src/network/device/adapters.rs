//! Graphics adapters: which there are, and the one that was chosen, opened, and no other in its place.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, OnceLock, PoisonError, atomic::Ordering},
};

use burn::tensor::{
    Device, DeviceKind, read_sync,
    wgpu::{WgpuBackend, WgpuSetup},
};

use super::{ComputeDevice, DeviceClass, Fault, MEMORY_LIMIT, Origin, Precision, tuning};
use crate::NetworkError;

/// A graphics adapter of this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// What the tensor library calls it.
    kind: DeviceKind,
    identity: String,
}

/// An adapter that runs networks.
struct Opened {
    kind: DeviceKind,
    /// Of the one that answered.
    identity: String,
    device: Device,
    setup: WgpuSetup,
    is_lost: bool,
}

/// A device can be registered once in a process; later calls share it.
static OPEN: Mutex<Vec<Opened>> = Mutex::new(Vec::new());

impl Adapter {
    /// What tells the adapter and its driver from all others.
    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// Starts it, or gives the device that was started before, unless that was lost since.
    ///
    /// # Errors
    /// What the driver said, in words.
    pub(super) fn open(&self) -> Result<Device, String> {
        let mut open = lock();
        let before = open.iter().position(|known| known.kind == self.kind);
        if let Some(known) = before.map(|at| &open[at])
            && !known.is_lost
        {
            return self.checked(known);
        }
        tuning::prepare(&all());
        // Drivers are foreign code and the layers above them panic on some failures.
        let guarded = |start: &dyn Fn() -> Result<(Device, WgpuSetup), String>| {
            catch_unwind(AssertUnwindSafe(start)).unwrap_or_else(|_| Err("the graphics driver failed".into()))
        };
        let (device, setup) = match before {
            None => guarded(&|| {
                let mut options = Device::wgpu_options().device_kind(self.kind.clone());
                if let Some((_, _, interface)) = wanted_interface() {
                    options = options.graphics_api(interface);
                }
                options.init_with_setup().map_err(|error| error.to_string())
            })?,
            Some(at) => guarded(&|| reopened(&open[at].setup))?,
        };
        let identity = identity(&setup.adapter.get_info());
        let opened = Opened { kind: self.kind.clone(), identity, device, setup, is_lost: false };
        let device = self.checked(&opened);
        match before {
            Some(at) => open[at] = opened,
            None => open.push(opened),
        }
        device
    }

    /// The device, if it is this adapter's.
    fn checked(&self, opened: &Opened) -> Result<Device, String> {
        match opened.identity == self.identity {
            true => Ok(opened.device.clone()),
            false => Err(format!("another adapter answered in its place: {}", opened.identity)),
        }
    }

    /// Says that it was lost.
    pub(super) fn give_up(&self) {
        lock().iter_mut().filter(|known| known.kind == self.kind).for_each(|known| known.is_lost = true);
    }

    /// Loses it.
    pub(super) fn lose(&self) {
        lock().iter().filter(|known| known.kind == self.kind).for_each(|known| known.setup.device.destroy());
    }
}

/// A thread that panicked left complete entries.
fn lock() -> std::sync::MutexGuard<'static, Vec<Opened>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Another device of the adapter of a setup whose own was lost, with the features and limits that the tensor library asks for.
fn reopened(lost: &WgpuSetup) -> Result<(Device, WgpuSetup), String> {
    let adapter = &lost.adapter;
    let wanted = wgpu::DeviceDescriptor {
        label: None,
        required_features: adapter.features() - wgpu::Features::MAPPABLE_PRIMARY_BUFFERS - experimental(),
        required_limits: adapter.limits(),
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        ..wgpu::DeviceDescriptor::default()
    };
    let (device, queue) = read_sync(adapter.request_device(&wanted)).map_err(|error| error.to_string())?;
    let setup = WgpuSetup { device, queue, ..lost.clone() };
    let device = Device::wgpu_options().setup(setup.clone()).init().map_err(|error| error.to_string())?;
    Ok((device, setup))
}

/// Features that nothing here uses and that a device is not given without saying that it may be unsafe.
fn experimental() -> wgpu::Features {
    wgpu::Features::all_experimental_mask()
}

fn identity(info: &wgpu::AdapterInfo) -> String {
    let wgpu::AdapterInfo { name, vendor, device, device_pci_bus_id, driver, driver_info, backend, .. } = info;
    format!("{name} {vendor:04x}:{device:04x} at \"{device_pci_bus_id}\", {backend:?} {driver} {driver_info}")
}

/// Environment variable that names the graphics interface to use.
const INTERFACE_VARIABLE: &str = "DUALRES_GRAPHICS";

type Interface = (&'static str, wgpu::Backend, WgpuBackend);

/// Graphics interfaces in the order in which the tensor library tries them.
const INTERFACES: [Interface; 4] = [
    ("vulkan", wgpu::Backend::Vulkan, WgpuBackend::Vulkan),
    ("metal", wgpu::Backend::Metal, WgpuBackend::Metal),
    ("dx12", wgpu::Backend::Dx12, WgpuBackend::Dx12),
    ("gl", wgpu::Backend::Gl, WgpuBackend::Gl),
];

/// Those that this program was built with.
fn built_in() -> impl Iterator<Item = Interface> {
    let built = wgpu::Instance::enabled_backend_features();
    INTERFACES.into_iter().filter(move |(_, backend, _)| built.contains((*backend).into()))
}

/// Names of the graphics interfaces that there are, as the environment variable `DUALRES_GRAPHICS` takes them.
pub fn graphics_interfaces() -> Vec<&'static str> {
    built_in().map(|(name, ..)| name).collect()
}

fn wanted_interface() -> Option<Interface> {
    let wanted = std::env::var(INTERFACE_VARIABLE).ok()?;
    built_in().find(|(name, ..)| wanted.eq_ignore_ascii_case(name))
}

/// Finds out whether the environment names a graphics interface that there is, if it names one.
///
/// # Errors
/// If it names another.
pub fn check_graphics_interface() -> crate::Result<()> {
    match std::env::var(INTERFACE_VARIABLE) {
        Ok(wanted) if !wanted.is_empty() && wanted_interface().is_none() => {
            Err(NetworkError::UnknownInterface { wanted, available: graphics_interfaces().join(", ") })
        }
        _ => Ok(()),
    }
}

/// The adapters of the graphics interface that the environment names, else of the one that the tensor library would settle
/// on: the first with a real GPU, else the first with any adapter.
pub(super) fn all() -> Vec<ComputeDevice> {
    // Looked for once: drivers crash where several threads look at a time.
    static FOUND: OnceLock<Vec<ComputeDevice>> = OnceLock::new();
    let mut devices = FOUND.get_or_init(find).clone();
    let memory_limit = Some(MEMORY_LIMIT.load(Ordering::Relaxed)).filter(|&bytes| bytes > 0);
    devices.iter_mut().for_each(|device| device.memory_limit = memory_limit);
    devices
}

fn find() -> Vec<ComputeDevice> {
    let mut fallback = Vec::new();
    let wanted = wanted_interface();
    for (_, backend, _) in built_in().filter(|known| wanted.is_none_or(|wanted| wanted.0 == known.0)) {
        let found = catch_unwind(|| of_backend(backend)).unwrap_or_default();
        if found.iter().any(ComputeDevice::is_real_gpu) {
            return found;
        }
        if fallback.is_empty() {
            fallback = found;
        }
    }
    fallback
}

fn of_backend(backend: wgpu::Backend) -> Vec<ComputeDevice> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: backend.into(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let mut counts = [0; 3];
    let mut number = |slot: usize| {
        counts[slot] += 1;
        counts[slot] - 1
    };
    read_sync(instance.enumerate_adapters(backend.into()))
        .iter()
        .map(|adapter| {
            let info = adapter.get_info();
            // Each kind counts from zero on its own, in enumeration order.
            let (class, kind) = match info.device_type {
                wgpu::DeviceType::DiscreteGpu => (DeviceClass::DiscreteGpu, DeviceKind::DiscreteGpu(number(0))),
                wgpu::DeviceType::IntegratedGpu => (DeviceClass::IntegratedGpu, DeviceKind::IntegratedGpu(number(1))),
                wgpu::DeviceType::VirtualGpu => (DeviceClass::OtherGpu, DeviceKind::VirtualGpu(number(2))),
                wgpu::DeviceType::Cpu => (DeviceClass::SoftwareGpu, DeviceKind::Cpu),
                // There is no name for it; that it is the one which answers is checked when it is opened.
                wgpu::DeviceType::Other => (DeviceClass::OtherGpu, DeviceKind::DefaultDevice),
            };
            let limits = adapter.limits();
            ComputeDevice {
                name: info.name.clone(),
                class,
                detail: format!("{:?} {} {}", info.backend, info.driver, info.driver_info).trim().to_owned(),
                max_buffer_bytes: Some(limits.max_buffer_size.min(limits.max_storage_buffer_binding_size)),
                memory_limit: None,
                has_half: adapter.features().contains(wgpu::Features::SHADER_F16),
                precision: Precision::Single,
                fault: Fault::of_environment(),
                origin: Origin::Gpu(Adapter { kind, identity: identity(&info) }),
            }
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and says what it left out")]
mod tests {
    use super::*;

    #[test]
    fn the_adapter_that_was_chosen_is_the_one_that_is_opened() {
        let Some(device) = all().into_iter().next() else {
            assert!(std::env::var_os("DUALRES_REQUIRE_GPU").is_none(), "no adapter");
            eprintln!("not run: no adapter");
            return;
        };
        let Origin::Gpu(adapter) = device.origin else { unreachable!("an adapter") };
        let other = Adapter { identity: "another card".into(), ..adapter.clone() };
        let said = other.open().unwrap_err();
        assert!(said.contains("another adapter answered in its place") && said.contains(adapter.identity()), "{said}");
        assert!(adapter.open().is_ok(), "the one that is there can still be used");
    }
}
