//! What a GPU was found to run fastest, kept for the next start: without it every start would tune each layer anew.
//!
//! The tensor library keeps it in a database by the number of the adapter, which says neither which adapter that is nor by
//! which driver. So each set of adapters has a file of its own.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, Once, PoisonError},
};

use cubecl::config::CubeClRuntimeConfig;
use cubecl_environment::{
    config::RuntimeConfig,
    environment::file_name,
    persistence::{Access, CacheConfig, Database},
};

use super::ComputeDevice;

static FOLDER: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Keeps what is found out about GPUs in a folder. Has to be called before the first of them is opened.
pub fn keep_tuning_in(folder: &Path) {
    *FOLDER.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder.to_owned());
}

/// The file that tuning is kept in for adapters.
pub(super) fn file(adapters: &[ComputeDevice]) -> Option<PathBuf> {
    let folder = FOLDER.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
    Some(folder.join(file_name(&name(adapters))))
}

/// A name for a set of adapters.
fn name(adapters: &[ComputeDevice]) -> String {
    let mut hasher = DefaultHasher::new();
    adapters.iter().for_each(|adapter| adapter.identity().hash(&mut hasher));
    format!("tuning-{}-{:016x}", env!("CARGO_PKG_VERSION"), hasher.finish())
}

/// Tells the tensor library where to keep it, once, and throws away what cannot be read.
pub(super) fn prepare(adapters: &[ComputeDevice]) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Some(folder) = FOLDER.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return };
        // Where it cannot be kept, each start tunes anew.
        let _ = fs::create_dir_all(&folder);
        let name = name(adapters);
        throw_away_if_broken(&folder.join(file_name(&name)));
        let mut config = CubeClRuntimeConfig::default().override_from_env();
        config.environment.name = name;
        config.environment.path = CacheConfig::Directory(folder);
        CubeClRuntimeConfig::try_set(config);
    });
}

/// Deletes a database that cannot be read: it holds nothing that is not found out again. One that another process has open is
/// left alone.
fn throw_away_if_broken(file: &Path) {
    if !file.exists() {
        return;
    }
    let read = || Database::open_at(file, Access::ReadWrite).map(|database| drop(database.summary()));
    let is_broken = match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(())) => false,
        Ok(Err(reason)) => !reason.to_lowercase().contains("locking"),
        Err(_) => true,
    };
    if is_broken {
        for end in ["", "-wal", "-tshm"] {
            let mut path = file.as_os_str().to_owned();
            path.push(end);
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_broken_file_is_thrown_away_and_a_sound_one_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tuning.db");
        throw_away_if_broken(&file);
        let read = |file: &Path| Database::open_at(file, Access::ReadWrite).map(|database| database.summary().len());
        assert_eq!(read(&file), Ok(0));
        throw_away_if_broken(&file);
        assert!(file.exists(), "a sound file is kept");

        for broken in [&b"not a database"[..], &[0xff; 8192]] {
            fs::write(&file, broken).unwrap();
            throw_away_if_broken(&file);
            assert!(!file.exists(), "{} bytes of rubbish are kept", broken.len());
            assert_eq!(read(&file), Ok(0));
        }
    }

    #[test]
    fn every_set_of_adapters_has_a_file_of_its_own() {
        let device = |detail: &str| ComputeDevice { detail: detail.into(), ..ComputeDevice::cpu() };
        assert_eq!(name(&[device("a")]), name(&[device("a")]));
        assert_ne!(name(&[device("a")]), name(&[device("b")]));
        assert_ne!(name(&[device("a")]), name(&[device("a"), device("a")]));
    }
}
