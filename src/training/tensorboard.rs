//! Curves as TensorBoard reads them: an event file of scalars, which is a sequence of framed protocol buffers.
//!
//! No kept crate writes this format. The file of a run is written whole, or whole and then appended to, from the rows of its CSV
//! file: where the two differ, that one is right.

use prost::Message;

/// Name of the file in a run folder. TensorBoard looks for `tfevents` in it.
pub const TENSORBOARD_FILE: &str = "events.out.tfevents.dualres";

/// Fields of TensorFlow's `Event` that scalars need.
#[derive(Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// The beginning of an event file that is written at `time`, in seconds since 1970.
pub fn header(time: f64) -> Vec<u8> {
    framed(&Event { wall_time: time, step: 0, file_version: Some("brain.Event:2".into()), summary: None })
}

/// The scalars of a step that was done at `time`, in seconds since 1970. Names with a slash are shown in groups.
pub fn scalars<'a>(time: f64, step: usize, values: impl IntoIterator<Item = (&'a str, f64)>) -> Vec<u8> {
    let value = |(tag, value): (&str, f64)| Value { tag: tag.to_owned(), simple_value: value as f32 };
    let summary = Summary { value: values.into_iter().map(value).collect() };
    framed(&Event { wall_time: time, step: step as i64, file_version: None, summary: Some(summary) })
}

/// Seconds since 1970 of what began `seconds` ago.
pub fn time_before(seconds: f64) -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.as_secs_f64() - seconds
}

/// A record: its length, the length's checksum, the bytes, their checksum.
fn framed(event: &Event) -> Vec<u8> {
    let bytes = event.encode_to_vec();
    let length = (bytes.len() as u64).to_le_bytes();
    [&length[..], &checksum(&length), &bytes, &checksum(&bytes)].concat()
}

/// The checksum of records, which is not that of its own bytes should it be stored among them.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// Bytes of `tensorboard.summary.writer` of TensorBoard 2.21 for the same records.
    #[test]
    fn records_are_those_of_tensorboard() {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(&header(1.0)), include_str!("tests/tensorboard_header.hex").trim());
        let there = scalars(2.0, 3, [("search/dual", 0.5), ("search/psnr_y", 31.25)]);
        assert_eq!(hex(&there), include_str!("tests/tensorboard_scalars.hex").trim());
    }
}
