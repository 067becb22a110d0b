//! Model files that are broken in every way there is: refused with a sentence, or read; never a panic.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use burn::tensor::Device;
use dualres_network::{Architecture, Description, Model};
use proptest::prelude::*;

/// A small model as a file, and where its header ends.
fn file() -> (Vec<u8>, usize) {
    let model =
        Model::init(Description::drn("t", &Architecture::new(2, 8, 1).unwrap()).unwrap(), 1, &Device::flex()).unwrap();
    let bytes = model.to_bytes();
    let header = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize + 8;
    (bytes, header)
}

/// One fault.
#[derive(Clone, Debug)]
enum Fault {
    Cut(prop::sample::Index),
    Header(prop::sample::Index, u8),
    Anywhere(prop::sample::Index, u8),
    Digit(prop::sample::Index, u8),
    Doubled(prop::sample::Index, prop::sample::Index),
}

fn fault() -> impl Strategy<Value = Fault> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        at().prop_map(Fault::Cut),
        (at(), any::<u8>()).prop_map(|(at, value)| Fault::Header(at, value)),
        (at(), any::<u8>()).prop_map(|(at, value)| Fault::Anywhere(at, value)),
        (at(), b'0'..=b'9').prop_map(|(at, value)| Fault::Digit(at, value)),
        (at(), at()).prop_map(|(from, to)| Fault::Doubled(from, to)),
    ]
}

fn apply(fault: &Fault, bytes: &mut Vec<u8>, header: usize) {
    if bytes.is_empty() {
        return;
    }
    let header = header.min(bytes.len());
    match fault {
        Fault::Cut(at) => bytes.truncate(at.index(bytes.len())),
        Fault::Header(at, value) => bytes[at.index(header)] = *value,
        Fault::Anywhere(at, value) => {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        Fault::Digit(at, value) => {
            // Numbers in the header: shapes, offsets, sizes of the network.
            let digits: Vec<usize> = (8..header).filter(|&at| bytes[at].is_ascii_digit()).collect();
            if !digits.is_empty() {
                bytes[digits[at.index(digits.len())]] = *value;
            }
        }
        Fault::Doubled(from, to) => {
            let (a, b) = (from.index(header), to.index(header));
            let part = bytes[a.min(b)..a.max(b)].to_vec();
            bytes.splice(a.max(b)..a.max(b), part);
        }
    }
}

proptest! {
    // More for a longer search: PROPTEST_CASES=100000.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1500), ..ProptestConfig::default() })]

    #[test]
    fn broken_model_files_are_refused_and_never_panic(faults in prop::collection::vec(fault(), 1..4)) {
        static FILE: std::sync::OnceLock<(Vec<u8>, usize)> = std::sync::OnceLock::new();
        let (bytes, header) = FILE.get_or_init(file);
        let mut bytes = bytes.clone();
        for fault in &faults {
            apply(fault, &mut bytes, *header);
        }
        let described = Model::describe(&bytes, "broken");
        match Model::from_bytes(&bytes, "broken.safetensors", &Device::flex()) {
            Ok(_) => prop_assert!(described.is_ok()),
            Err(error) => prop_assert!(error.to_string().contains("broken.safetensors"), "names the file: {error}"),
        }
    }
}

#[test]
fn what_is_no_model_at_all_is_refused() {
    for bytes in [&b""[..], b"\0", b"hello, this is text", &[0xFF; 64], &[0; 64]] {
        assert!(Model::from_bytes(bytes, "none", &Device::flex()).is_err());
    }
    let picture = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/samples/rocket.jpg")).unwrap();
    assert!(Model::from_bytes(&picture, "rocket.jpg", &Device::flex()).is_err());
}
