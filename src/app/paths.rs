//! Where the program keeps what it remembers.

use std::path::{Path, PathBuf};

/// Folders of the program. The environment variable `DUALRES_HOME` puts them all into one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Settings and queue.
    pub config: PathBuf,
    /// Models that were imported, pictures that were pasted.
    pub data: PathBuf,
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
                pictures: dirs::picture_dir().or_else(dirs::home_dir).unwrap_or_else(here),
            },
        }
    }

    /// All folders in one place.
    pub fn under(home: &Path) -> Self {
        Self { config: home.join("config"), data: home.join("data"), pictures: home.join("pictures") }
    }

    /// Folder of imported models.
    pub fn models(&self) -> PathBuf {
        self.data.join("models")
    }

    /// Folder of pictures that came without a file: pasted ones and samples.
    pub fn arrivals(&self) -> PathBuf {
        self.data.join("pictures")
    }
}

fn here() -> PathBuf {
    PathBuf::from(".")
}
