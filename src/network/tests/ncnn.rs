//! Networks of ncnn against what ncnn makes of them: tiny ones with random weights (`scripts/ncnn_fixtures.py`).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use burn::tensor::Device;
use common::foreign::{compare, refused};
use dualres_network::import::{self, ImportOptions};

/// Every operator of ncnn that is read, alone and as its optimiser writes it into a convolution (`scripts/ncnn_fixtures.py`).
#[test]
fn operators_of_ncnn_agree_with_ncnn() {
    for name in ["functions", "fused", "per_channel", "sums", "pooled", "transposed", "grouped", "enlarged"] {
        let options = ImportOptions { range: Some([0.0, 1.0]), ..ImportOptions::default() };
        let model = compare(&format!("ncnn_{name}.param"), 1.0, &options);
        assert_eq!((model.description.family.as_str(), model.description.scale()), ("ncnn", 2), "{name}");
    }
}

/// A pair of files of ncnn as published upscalers are.
#[test]
fn ncnn_pairs_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (param, bin) = (folder.path().join("net.param"), folder.path().join("net.bin"));
    let text = "7767517\n10 12\n\
        Input data 0 1 data\n\
        Split s 1 2 data a b\n\
        Convolution c1 1 1 a c 0=8 1=3 4=1 5=1 6=216 9=2 -23310=1,2.000000e-01\n\
        PReLU p 1 1 c d 0=8\n\
        ConvolutionDepthWise dw 1 1 d e 0=8 1=3 4=1 5=1 6=72 7=8\n\
        BinaryOp add 2 1 d e f 0=0\n\
        Convolution c2 1 1 f g 0=12 1=3 4=1 5=1 6=864\n\
        PixelShuffle ps 1 1 g h 0=2\n\
        Interp up 1 1 b i 0=1 1=2.000000e+00 2=2.000000e+00\n\
        BinaryOp sum 2 1 h i out 0=0\n";
    let text = text.replace("BinaryOp add 2 1 d e f", "BinaryOp add 2 1 e d f").replace("10 12", "10 11");
    let mut random = 1_u32;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as f32 / (1 << 24) as f32 * 0.4 - 0.2
    };
    let mut bytes = Vec::new();
    let mut half = |bytes: &mut Vec<u8>, count: usize| {
        bytes.extend(0x0130_6B47_u32.to_le_bytes());
        for _ in 0..count {
            bytes.extend(half::f16::from_f32(next()).to_le_bytes());
        }
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    };
    for (count, outputs) in [(216, 8), (0, 8), (72, 8), (864, 12)] {
        if count > 0 {
            half(&mut bytes, count);
        }
        bytes.extend((0..outputs).flat_map(|i| (0.01 * i as f32).to_le_bytes()));
    }
    std::fs::write(&param, &text).unwrap();
    std::fs::write(&bin, &bytes).unwrap();
    let model = import::read(&param, &ImportOptions::default(), &Device::flex()).unwrap();
    assert_eq!((model.description.family.as_str(), model.description.scale()), ("ncnn", 2));
    assert_eq!(model.primal.graph().cost(1, 1).parameters(), 216 + 8 + 8 + 72 + 8 + 864 + 12);
    let same = import::read(&bin, &ImportOptions::default(), &Device::flex()).unwrap();
    assert_eq!(same.weights(), model.weights(), "either file of the pair may be given");

    std::fs::write(&bin, &bytes[..bytes.len() - 4]).unwrap();
    assert!(refused(&param).contains("cut short"));
    std::fs::write(&bin, [bytes.as_slice(), &[0; 8]].concat()).unwrap();
    assert!(refused(&param).contains("another .param"));
    std::fs::write(&bin, &bytes).unwrap();
    std::fs::write(&param, text.replace("PReLU", "Quake")).unwrap();
    assert!(refused(&param).contains("Quake"));
    std::fs::write(&param, text.replace("10 11", "1000000000 1")).unwrap();
    refused(&param);
    std::fs::write(&param, text.replace("Split s 1 2 data a b", "Split s 1 2 out a b")).unwrap();
    assert!(refused(&param).contains("before it is computed"), "a cycle");
}

/// A network of squares of four pixels, whose file does not say that the picture has three colours; and padding that depends on sides.
#[test]
fn what_ncnn_leaves_unsaid_is_found_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (param, bin) = (folder.path().join("net.param"), folder.path().join("net.bin"));
    let text = "7767517\n4 4\n\
        Input data 0 1 data\n\
        Reorg r 1 1 data a 0=2\n\
        Convolution c 1 1 a b 0=48 1=3 4=1 5=1 6=5184\n\
        PixelShuffle ps 1 1 b out 0=4\n";
    let mut bytes = 0_u32.to_le_bytes().to_vec();
    bytes.extend((0..5184 + 48).flat_map(|i| (1e-4 * (i % 97) as f32).to_le_bytes()));
    std::fs::write(&param, text).unwrap();
    std::fs::write(&bin, &bytes).unwrap();
    let model = import::read(&param, &ImportOptions::default(), &Device::flex()).unwrap();
    let graph = model.primal.graph();
    assert_eq!((model.description.scale(), graph.alignment()), (2, 2));
    assert_eq!((graph.patch_from(24), graph.patch_from(25)), (24, 26));
    for (was, is) in [("4=1 5=1", "4=-233 3=2 5=1"), ("4=1 5=1", "4=-234 3=2 5=1")] {
        std::fs::write(&param, text.replace(was, is)).unwrap();
        assert!(refused(&param).contains("steps of more than one"), "{is}");
    }
}
