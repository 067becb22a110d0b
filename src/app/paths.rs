//! Where the program keeps what it remembers.

use std::path::{Path, PathBuf};

/// Folders of the program. The environment variable `DUALRES_HOME` puts them all into one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Settings and queue.
    pub config: PathBuf,
    /// Models that were imported, pictures that were pasted.
    pub data: PathBuf,
    /// What can be found out again: checks of devices, and what GPUs run fastest.
    pub cache: PathBuf,
    /// Where results go whose original has no folder of its own.
    pub pictures: PathBuf,
}

impl Paths {
    /// The folders of this user.
    pub fn of_user() -> Self {
        // Empty is as good as not given.
        match std::env::var_os("DUALRES_HOME").filter(|home| !home.is_empty()) {
            Some(home) => Self::under(Path::new(&home)),
            None => Self {
                config: dirs::config_dir().unwrap_or_else(here).join("dualres"),
                data: dirs::data_dir().unwrap_or_else(here).join("dualres"),
                cache: dirs::cache_dir().unwrap_or_else(here).join("dualres"),
                pictures: dirs::picture_dir().or_else(dirs::home_dir).unwrap_or_else(here),
            },
        }
    }

    /// All folders in one place.
    pub fn under(home: &Path) -> Self {
        let [config, data, cache, pictures] = ["config", "data", "cache", "pictures"].map(|name| home.join(name));
        Self { config, data, cache, pictures }
    }

    /// Folder of imported models.
    pub fn models(&self) -> PathBuf {
        self.data.join("models")
    }

    /// Folder of what GPUs run fastest.
    pub fn tuning(&self) -> PathBuf {
        self.cache.join("gpu")
    }

    /// Folder of tiles of pictures that are not done.
    pub fn unfinished(&self) -> PathBuf {
        self.cache.join("unfinished")
    }

    /// Folder of pictures that came without a file: pasted ones and samples.
    pub fn arrivals(&self) -> PathBuf {
        self.data.join("pictures")
    }
}

fn here() -> PathBuf {
    PathBuf::from(".")
}
