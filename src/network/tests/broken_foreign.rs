//! Networks of others that are broken at random: refused with a sentence, or read; never a panic. `PROPTEST_CASES=100000` looks
//! longer.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dualres_network::import;
use proptest::prelude::*;

fn fixture(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/foreign");
    std::fs::read(folder.join(name)).unwrap()
}

const PARAM: &str = "7767517\n6 7\nInput data 0 1 data\nSplit s 1 2 data a b\nConvolution c 1 1 a c 0=12 1=3 4=1 5=1 6=324\n\
    PixelShuffle p 1 1 c d 0=2\nInterp u 1 1 b e 0=1 1=2.0 2=2.0\nBinaryOp o 2 1 d e out 0=0\n";

/// Bytes changed, doubled and cut out.
fn broken(mut bytes: Vec<u8>, faults: &[(prop::sample::Index, prop::sample::Index, u8, u8)]) -> Vec<u8> {
    for (at, to, kind, value) in faults {
        if bytes.is_empty() {
            break;
        }
        let (a, b) = (at.index(bytes.len()), to.index(bytes.len()));
        match kind % 4 {
            0 => bytes[a] = *value,
            1 => bytes[a] ^= 1 << (value % 8),
            2 => bytes.truncate(a),
            _ => {
                let part = bytes[a.min(b)..a.max(b).min(a.min(b) + 400)].to_vec();
                bytes.splice(b..b, part);
            }
        }
    }
    bytes
}

proptest! {
    #[test]
    fn broken_files_of_others_are_refused_or_read(
        faults in prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index, u8, u8)>(), 1..6),
        file in 0..3_usize,
    ) {
        let name = ["compact_x2_op17.onnx", "luma.onnx", "scale1.onnx"][file];
        let _ = import::try_onnx(&broken(fixture(name), &faults));
        let _ = import::try_checkpoint(&broken(fixture("compact_x2.pth"), &faults));
        let text = String::from_utf8_lossy(&broken(PARAM.as_bytes().to_vec(), &faults)).into_owned();
        let _ = import::try_ncnn(&text, &vec![0; 4 + 324 * 4 + 12 * 4]);
        let _ = import::try_ncnn(PARAM, &broken(vec![0; 4 + 324 * 4 + 12 * 4], &faults));
    }
}

/// They may have no end, or nobody at the other side.
#[cfg(unix)]
#[test]
fn devices_and_folders_are_not_read() {
    for (path, what) in [("/dev/zero", "device"), ("/dev/null", "device"), ("/", "folder")] {
        let path = std::path::Path::new(path);
        let error = dualres_network::read_file(path).unwrap_err();
        let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(format!("{error} {why}").contains(what), "{error} {why}");
        assert!(dualres_network::Model::read(path, &burn::tensor::Device::flex()).is_err());
    }
}

/// ESA blocks stride and pool: a picture smaller than their windows is nothing to them.
#[test]
fn a_network_says_how_small_a_picture_it_can_take() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/foreign");
    let least = |name: &str| {
        let model =
            dualres_network::import::read(&folder.join(name), &Default::default(), &burn::tensor::Device::flex());
        let graph = model.unwrap().description.network;
        let side = graph.min_side();
        assert!(
            graph.shapes([side, side]).is_ok() && (side == 1 || graph.shapes([side - 1, side - 1]).is_err()),
            "{name}"
        );
        side
    };
    assert_eq!(least("rlfn_x4.pth"), 15);
    assert_eq!(least("edsr_x3.pth"), 1);
}

/// Found by fuzzing: layers that take nothing, or give nothing.
#[test]
fn layers_that_take_or_give_nothing_are_refused() {
    for kind in [
        "Interp",
        "Convolution",
        "Deconvolution",
        "Slice",
        "BinaryOp",
        "Concat",
        "Crop",
        "Padding",
        "PixelShuffle",
        "ReLU",
    ] {
        for (takes, gives) in [("0 1", "out"), ("1 0", "data")] {
            let param = format!("7767517\n2 2\nInput data 0 1 data\n{kind} l {takes} {gives}\n");
            let error = import::try_ncnn(&param, &[]).unwrap_err().to_string();
            assert!(error.contains("nothing") || error.contains("is damaged"), "{kind}: {error}");
        }
    }
}
