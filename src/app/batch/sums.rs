//! Sums by which files and settings are known again.

use std::{fs::File, io::Read, path::Path};

use serde::Serialize;
use sha2::{Digest, Sha256};

/// SHA-256 of a file in hexadecimal digits.
///
/// # Errors
/// If it cannot be read.
pub fn content_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut part = vec![0; 1 << 16];
    loop {
        match file.read(&mut part)? {
            0 => break,
            count => digest.update(&part[..count]),
        }
    }
    Ok(hexadecimal(&digest.finalize()))
}

/// A short name of settings, from all that they say.
pub fn settings_of(settings: &impl Serialize) -> String {
    fingerprint(&serde_json::to_vec(settings).unwrap_or_default())
}

/// A short name of bytes.
pub fn fingerprint(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes)[..8])
}

/// The digits of bytes.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn content_is_known_by_its_sum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, b"abc").unwrap();
        assert!(content_of(&path).unwrap().starts_with("ba7816bf8f01cfea"));
        assert_ne!(settings_of(&("x2", 95)), settings_of(&("x2", 94)));
    }
}
