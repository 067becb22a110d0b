//! What networks run on: every GPU by name, then the CPU, then devices of other machines.

mod remote;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError},
};

use burn::tensor::{Device, DeviceKind, read_sync};

pub use remote::{RemoteAddress, know};

pub use crate::fault::RemoteFault;
use crate::{NetworkError, Result};

/// What a device is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceClass {
    /// A graphics card of its own.
    DiscreteGpu,
    /// Graphics in the processor.
    IntegratedGpu,
    /// A share of a GPU in a virtual machine, or one that does not say what it is.
    OtherGpu,
    /// A graphics driver that computes on the CPU. Correct and very slow: never chosen by itself.
    SoftwareGpu,
    /// The processor, with this program's own kernels.
    Cpu,
    /// A device of another machine: see [`RemoteAddress`].
    Remote,
}

impl std::fmt::Display for DeviceClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::DiscreteGpu => "discrete GPU",
            Self::IntegratedGpu => "integrated GPU",
            Self::OtherGpu => "GPU",
            Self::SoftwareGpu => "software GPU (slow)",
            Self::Cpu => "CPU",
            Self::Remote => "remote device",
        })
    }
}

/// A device that networks can run on.
#[derive(Clone, Debug)]
pub struct ComputeDevice {
    /// Name to show and to choose by.
    pub name: String,
    /// What it is.
    pub class: DeviceClass,
    /// Graphics interface and driver; for the CPU its instruction set.
    pub detail: String,
    /// Largest single buffer in bytes; `None` where memory is the limit.
    pub max_buffer_bytes: Option<u64>,
    origin: Origin,
}

/// Where a device is.
#[derive(Clone, Debug, PartialEq)]
enum Origin {
    Cpu,
    Gpu(DeviceKind),
    Remote(RemoteAddress),
}

impl ComputeDevice {
    /// The processor.
    pub fn cpu() -> Self {
        Self {
            name: "CPU".into(),
            class: DeviceClass::Cpu,
            detail: format!("{} kernels", dualres_kernels::slices::instruction_set()),
            max_buffer_bytes: None,
            origin: Origin::Cpu,
        }
    }

    /// A device of another machine. Nothing is connected yet.
    pub fn remote(address: RemoteAddress) -> Self {
        Self {
            name: address.name.clone(),
            class: DeviceClass::Remote,
            detail: address.to_string(),
            max_buffer_bytes: None,
            origin: Origin::Remote(address),
        }
    }

    /// Whether this is a graphics adapter that computes on hardware of its own.
    pub fn is_real_gpu(&self) -> bool {
        !matches!(self.class, DeviceClass::SoftwareGpu | DeviceClass::Cpu | DeviceClass::Remote)
    }

    /// Whether it is another machine's.
    pub fn is_remote(&self) -> bool {
        self.class == DeviceClass::Remote
    }

    /// The failure of this device in the middle of work, of which it `said` something.
    pub fn failure(&self, said: &str) -> NetworkError {
        let (name, reason) = (self.name.clone(), said.lines().next().unwrap_or_default().to_owned());
        match self.is_remote() {
            // The reason is that nothing can be read any more, in the words of the library.
            true => NetworkError::Remote { name, fault: RemoteFault::Lost },
            false => NetworkError::DeviceFailed { name, reason },
        }
    }

    /// Starts the device for tensors.
    ///
    /// # Errors
    /// If the graphics driver fails, or another machine does not answer or refuses.
    pub fn open(&self) -> Result<Device> {
        let kind = match &self.origin {
            Origin::Cpu => return Ok(Device::flex()),
            Origin::Remote(address) => return remote::open(address),
            Origin::Gpu(kind) => kind.clone(),
        };
        // A device can be registered once in a process; later calls share it.
        static OPEN: Mutex<Vec<(DeviceKind, Device)>> = Mutex::new(Vec::new());
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, device)) = open.iter().find(|(known, _)| *known == kind) {
            return Ok(device.clone());
        }
        let failed = |reason: String| NetworkError::DeviceStart { name: self.name.clone(), reason };
        let start = || Device::wgpu_options().device_kind(kind.clone()).init();
        // Drivers are foreign code and the layers above them panic on some failures.
        let device = catch_unwind(AssertUnwindSafe(start))
            .map_err(|_| failed("the graphics driver failed".into()))?
            .map_err(|error| failed(error.to_string()))?;
        open.push((kind, device.clone()));
        Ok(device)
    }
}

/// All devices: real GPUs (discrete first), software adapters, the CPU, and the devices of other machines that are known.
pub fn list() -> Vec<ComputeDevice> {
    let mut devices = gpus();
    devices.sort_by_key(|device| match device.class {
        DeviceClass::DiscreteGpu => 0,
        DeviceClass::IntegratedGpu => 1,
        DeviceClass::OtherGpu => 2,
        DeviceClass::SoftwareGpu => 3,
        DeviceClass::Cpu | DeviceClass::Remote => 4,
    });
    devices.push(ComputeDevice::cpu());
    devices.extend(remote::known().into_iter().map(ComputeDevice::remote));
    tell_apart(&mut devices);
    devices
}

/// Numbers devices of the same name, so that each can be chosen.
fn tell_apart(devices: &mut [ComputeDevice]) {
    let names: Vec<String> = devices.iter().map(|device| device.name.clone()).collect();
    for (index, device) in devices.iter_mut().enumerate() {
        let same = |name: &&String| **name == names[index];
        if names.iter().filter(same).count() > 1 {
            device.name = format!("{} #{}", names[index], names[..=index].iter().filter(same).count());
        }
    }
}

/// Chooses a device: `auto` (a real GPU if there is one, else the CPU), `cpu`, `gpu` (a real GPU, else a software
/// adapter), `remote:` with the address of a device of another machine, or a part of a device's name.
///
/// # Errors
/// If there is no such device.
pub fn choose(wanted: &str) -> Result<ComputeDevice> {
    let wanted = wanted.trim();
    if wanted.is_empty() {
        return Err(NetworkError::UnknownDevice { wanted: String::new(), available: "auto, cpu, gpu".into() });
    }
    if wanted.eq_ignore_ascii_case("cpu") {
        return Ok(ComputeDevice::cpu());
    }
    if let Some(address) = wanted.strip_prefix("remote:") {
        return RemoteAddress::parse(address).map(ComputeDevice::remote);
    }
    let devices = list();
    let real = devices.iter().find(|device| device.is_real_gpu());
    match wanted.to_lowercase().as_str() {
        "auto" => Ok(real.cloned().unwrap_or_else(ComputeDevice::cpu)),
        "gpu" => real
            .or_else(|| devices.iter().find(|device| device.class == DeviceClass::SoftwareGpu))
            .cloned()
            .ok_or(NetworkError::NoGpu),
        // A whole name before a part of one.
        name => devices
            .iter()
            .find(|device| device.name == wanted)
            .or_else(|| devices.iter().find(|device| device.name.to_lowercase() == name))
            .or_else(|| devices.iter().find(|device| device.name.to_lowercase().contains(name)))
            .cloned()
            .ok_or_else(|| {
                let names: Vec<_> = devices.iter().map(|device| device.name.as_str()).collect();
                NetworkError::UnknownDevice { wanted: wanted.to_owned(), available: names.join(", ") }
            }),
    }
}

/// Chooses devices that share work: `all` (every real GPU, else the CPU), or names as [`choose`] takes them, separated by commas.
/// No device is taken twice.
///
/// # Errors
/// If there is none of a name.
pub fn choose_several(wanted: &str) -> Result<Vec<ComputeDevice>> {
    let mut chosen: Vec<ComputeDevice> = Vec::new();
    for name in wanted.split(',') {
        let found = if name.trim().eq_ignore_ascii_case("all") {
            let gpus: Vec<ComputeDevice> = list().into_iter().filter(ComputeDevice::is_real_gpu).collect();
            if gpus.is_empty() { vec![ComputeDevice::cpu()] } else { gpus }
        } else {
            vec![choose(name)?]
        };
        for device in found {
            if !chosen.iter().any(|there| there.name == device.name && there.origin == device.origin) {
                chosen.push(device);
            }
        }
    }
    Ok(chosen)
}

/// The adapters of the graphics interface that the tensor library would settle on: the first with a real GPU, else
/// the first with any adapter.
fn gpus() -> Vec<ComputeDevice> {
    let mut fallback = Vec::new();
    for backend in [wgpu::Backend::Vulkan, wgpu::Backend::Metal, wgpu::Backend::Dx12, wgpu::Backend::Gl] {
        if !wgpu::Instance::enabled_backend_features().contains(backend.into()) {
            continue;
        }
        let found = catch_unwind(|| adapters(backend)).unwrap_or_default();
        if found.iter().any(ComputeDevice::is_real_gpu) {
            return found;
        }
        if fallback.is_empty() {
            fallback = found;
        }
    }
    fallback
}

fn adapters(backend: wgpu::Backend) -> Vec<ComputeDevice> {
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
        .filter_map(|adapter| {
            let info = adapter.get_info();
            // Each kind counts from zero on its own, in enumeration order.
            let (class, kind) = match info.device_type {
                wgpu::DeviceType::DiscreteGpu => (DeviceClass::DiscreteGpu, DeviceKind::DiscreteGpu(number(0))),
                wgpu::DeviceType::IntegratedGpu => (DeviceClass::IntegratedGpu, DeviceKind::IntegratedGpu(number(1))),
                wgpu::DeviceType::VirtualGpu => (DeviceClass::OtherGpu, DeviceKind::VirtualGpu(number(2))),
                wgpu::DeviceType::Cpu => (DeviceClass::SoftwareGpu, DeviceKind::Cpu),
                wgpu::DeviceType::Other => return None,
            };
            let limits = adapter.limits();
            Some(ComputeDevice {
                name: info.name.clone(),
                class,
                detail: format!("{:?} {} {}", info.backend, info.driver, info.driver_info).trim().to_owned(),
                max_buffer_bytes: Some(limits.max_buffer_size.min(limits.max_storage_buffer_binding_size)),
                origin: Origin::Gpu(kind),
            })
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn devices_of_one_name_are_told_apart() {
        let device = |name: &str| ComputeDevice { name: name.into(), ..ComputeDevice::cpu() };
        let mut devices = ["card", "other", "card"].map(device);
        tell_apart(&mut devices);
        assert_eq!(devices.map(|device| device.name), ["card #1", "other", "card #2"]);
    }

    #[test]
    fn several_devices_are_named_by_commas_and_none_is_taken_twice() {
        let names = |wanted: &str| -> Vec<String> {
            choose_several(wanted).unwrap().into_iter().map(|device| device.name).collect()
        };
        assert_eq!(names("cpu"), ["CPU"]);
        assert_eq!(names("CPU, cpu,auto,cpu").iter().filter(|name| *name == "CPU").count(), 1);
        assert!(!names("all").is_empty());
        assert!(choose_several("cpu,abacus").is_err() && choose_several("cpu,").is_err());
    }
}
