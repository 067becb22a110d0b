//! Numbers of 64 bits in model files: with 15 digits, which every reader of JSON gives back as they are. The 17 that some numbers have are
//! read a last bit off by readers that are fast, and a model that was read and written again would be another file.

use serde::Serializer;

/// Writes a number with 15 digits.
///
/// # Errors
/// Those of the serializer.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references on")]
pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(format!("{value:.14e}").parse().unwrap_or(*value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Number(#[serde(serialize_with = "super::serialize")] f64);

    #[test]
    fn what_is_read_and_written_again_stays_what_it_was() {
        for start in [1.195_494_488_963_583_5, 32.524_899_744_383_205, 1.0 / 3.0, 2e-7 / 3.0, -0.0, 50.0] {
            let written = serde_json::to_string(&Number(start)).unwrap();
            let read: Number = serde_json::from_str(&written).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), written);
            assert!((read.0 - start).abs() <= 1e-14 * start.abs());
        }
    }
}
