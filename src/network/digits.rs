//! Numbers of 64 bits in model files: with 15 digits, which every reader of JSON gives back as they are. The 17 that some numbers have are
//! read a last bit off by readers that are fast, and a model that was read and written again would be another file.

use serde::{Serialize, Serializer};
use serde_json::Value;

/// A number of 15 digits, or of as many as a fast reader gives back exactly: it divides by powers of ten, of which those up to 22 are exact.
fn settled(value: f64) -> f64 {
    let power = value.abs().log10().floor();
    let digits = if power.is_finite() { (23.0 + power).clamp(1.0, 15.0) as usize } else { 15 };
    format!("{value:.*e}", digits - 1).parse().unwrap_or(value)
}

/// Writes a number with 15 digits.
///
/// # Errors
/// Those of the serializer.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references on")]
pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(settled(*value))
}

/// Writes what was noted of a training, its numbers likewise.
///
/// # Errors
/// Those of the serializer.
pub(crate) fn serialize_notes<S: Serializer>(notes: &Value, serializer: S) -> Result<S::Ok, S::Error> {
    fn settle(notes: &Value) -> Value {
        match notes {
            Value::Number(number) if number.is_f64() => number.as_f64().map_or(Value::Null, |n| settled(n).into()),
            Value::Array(parts) => parts.iter().map(settle).collect(),
            Value::Object(parts) => parts.iter().map(|(name, part)| (name.clone(), settle(part))).collect(),
            other => other.clone(),
        }
    }
    settle(notes).serialize(serializer)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    #[derive(Serialize, Deserialize)]
    struct Number(#[serde(serialize_with = "super::serialize")] f64);

    #[test]
    fn what_is_read_and_written_again_stays_what_it_was() {
        for start in [
            8.717_613_205_893_117e-9,
            1.195_494_488_963_583_5,
            32.524_899_744_383_205,
            1.0 / 3.0,
            2e-7 / 3.0,
            -0.0,
            50.0,
        ] {
            let written = serde_json::to_string(&Number(start)).unwrap();
            let read: Number = serde_json::from_str(&written).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), written);
            assert!((read.0 - start).abs() <= 1e-13 * start.abs());
        }
    }

    #[derive(Serialize, Deserialize)]
    struct Notes(#[serde(serialize_with = "super::serialize_notes")] Value);

    #[test]
    fn notes_are_read_and_written_again_as_they_were() {
        for index in 1..2000 {
            let number = 1.0 / f64::from(index) * 10.0_f64.powi(index % 38 - 18);
            let notes = Notes(json!({"a": [number, {"b": number}], "c": index, "d": "text", "e": null}));
            let written = serde_json::to_string(&notes).unwrap();
            let read: Notes = serde_json::from_str(&written).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), written, "{number}");
        }
    }
}
