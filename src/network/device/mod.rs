//! What networks run on: every GPU by name, then the CPU, then devices of other machines.

mod adapters;
mod fault;
mod remote;
mod tuning;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use burn::tensor::Device;

pub use dualres_kernels::{GpuKernels, use_gpu_kernels};

pub use adapters::{Adapter, check_graphics_interface, graphics_interfaces};
pub use fault::{FAULT_VARIABLE, Fault, FaultKind};
pub use remote::{RemoteAddress, know};
pub use tuning::keep_tuning_in;

pub use crate::fault::RemoteFault;
use crate::{NetworkError, Result};

/// What a device is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceClass {
    /// A graphics card of its own.
    DiscreteGpu,
    /// Graphics in the processor.
    IntegratedGpu,
    /// A share of a GPU in a virtual machine.
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
    /// Bytes of its memory that may be used at a time, if there is a limit; see [`limit_memory`].
    pub memory_limit: Option<u64>,
    /// Whether it computes with numbers of 16 bits.
    pub has_half: bool,
    /// What pictures are to be run in on it.
    pub precision: Precision,
    /// What it is made to do wrong, in tests.
    pub fault: Option<Fault>,
    origin: Origin,
}

/// The numbers that convolutions are made in when pictures are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits.
    #[default]
    Single,
    /// Stored in 16 bits, added in 32: see [`Model::in_half_precision`](crate::Model::in_half_precision).
    Half,
}

/// Where a device is.
#[derive(Clone, Debug, PartialEq)]
enum Origin {
    Cpu,
    Gpu(Adapter),
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
            memory_limit: None,
            has_half: false,
            precision: Precision::Single,
            fault: None,
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
            memory_limit: None,
            has_half: false,
            precision: Precision::Single,
            fault: None,
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

    /// What tells it from any other, and its driver from other versions of it: nothing that was found out about a device holds
    /// for one that answers differently here.
    pub fn identity(&self) -> String {
        match &self.origin {
            Origin::Cpu => format!("cpu {}", self.detail),
            Origin::Gpu(adapter) => adapter.identity().to_owned(),
            Origin::Remote(address) => format!("remote {address}"),
        }
    }

    /// Starts the device for tensors. One that was lost is started anew.
    ///
    /// # Errors
    /// If the graphics driver fails or another adapter answers, or another machine does not answer or refuses.
    pub fn open(&self) -> Result<Device> {
        match &self.origin {
            Origin::Cpu => Ok(Device::flex()),
            Origin::Remote(address) => remote::open(address),
            Origin::Gpu(adapter) => {
                adapter.open().map_err(|reason| NetworkError::DeviceStart { name: self.name.clone(), reason })
            }
        }
    }

    /// Says that the device does nothing any more, so that [`ComputeDevice::open`] starts it anew. Tensors that lie on it are
    /// lost.
    pub fn give_up(&self) {
        if let Origin::Gpu(adapter) = &self.origin {
            adapter.give_up();
        }
    }

    /// Takes the device away from the program, as a driver that is reset does. For tests.
    pub fn lose(&self) {
        if let Origin::Gpu(adapter) = &self.origin {
            adapter.lose();
        }
    }
}

/// The file that is kept of what GPUs run fastest, for the adapters that are there now; see [`keep_tuning_in`].
pub fn tuning_file() -> Option<PathBuf> {
    tuning::file(&adapters::all())
}

/// Lets GPUs that are listed from now on use so many bytes of their memory at a time, or as many as have proven enough.
pub fn limit_memory(bytes: Option<u64>) {
    MEMORY_LIMIT.store(bytes.unwrap_or(0), Ordering::Relaxed);
}

/// Bytes; 0 for no limit.
static MEMORY_LIMIT: AtomicU64 = AtomicU64::new(0);

/// All devices: real GPUs (discrete first), the CPU, software adapters, and the devices of other machines that are known.
pub fn list() -> Vec<ComputeDevice> {
    let mut devices = adapters::all();
    devices.push(ComputeDevice::cpu());
    devices.extend(remote::known().into_iter().map(ComputeDevice::remote));
    devices.sort_by_key(rank);
    tell_apart(&mut devices);
    devices
}

/// Which device comes first: what is likely to be fastest.
fn rank(device: &ComputeDevice) -> usize {
    match device.class {
        DeviceClass::DiscreteGpu => 0,
        DeviceClass::IntegratedGpu => 1,
        DeviceClass::OtherGpu => 2,
        DeviceClass::Cpu => 3,
        DeviceClass::SoftwareGpu => 4,
        DeviceClass::Remote => 5,
    }
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

/// Chooses a device: `auto` (a real GPU if there is one, else the CPU), `cpu`, `gpu` (a real GPU), `software` (a graphics
/// driver that computes on the CPU), `remote:` with the address of a device of another machine, or a part of a device's name.
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
        "gpu" => real.cloned().ok_or(NetworkError::NoGpu),
        "software" => {
            let software = devices.iter().find(|device| device.class == DeviceClass::SoftwareGpu);
            software.cloned().ok_or(NetworkError::NoSoftwareDriver)
        }
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
    fn software_drivers_come_after_the_processor_and_all_gpus_before_it() {
        use DeviceClass::{Cpu, DiscreteGpu, IntegratedGpu, OtherGpu, Remote, SoftwareGpu};
        let device = |class| ComputeDevice { class, ..ComputeDevice::cpu() };
        let mut devices = [Remote, SoftwareGpu, Cpu, OtherGpu, IntegratedGpu, DiscreteGpu].map(device);
        devices.sort_by_key(rank);
        let classes = devices.map(|device| device.class);
        assert_eq!(classes, [DiscreteGpu, IntegratedGpu, OtherGpu, Cpu, SoftwareGpu, Remote]);
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
