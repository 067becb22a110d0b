//! Networks of others against what PyTorch and ONNX Runtime make of them: tiny ones with random weights, made for this
//! test (`tests/data/foreign`), and published ones where they are at hand.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use common::foreign::{TOLERANCE, compare, foreign, gap, refused};
use dualres_network::{
    Model, Pooling, Weight,
    export::{Exported, onnx},
    import::{self, ImportOptions},
};

#[test]
fn checkpoints_of_every_family_agree_with_pytorch() {
    let cases = [
        ("edsr_x2", "EDSR", 2, 255.0),
        ("edsr_x3", "EDSR", 3, 255.0),
        ("edsr_x4_params", "EDSR", 4, 255.0),
        ("esrgan_new_x4", "ESRGAN", 4, 1.0),
        ("esrgan_new_x2_unshuffle", "ESRGAN", 2, 1.0),
        ("esrgan_old_x2", "ESRGAN", 2, 1.0),
        ("esrgan_old_x8", "ESRGAN", 8, 1.0),
        ("bsrgan_x4", "ESRGAN", 4, 1.0),
        ("esrganplus_x4", "ESRGAN", 4, 1.0),
        ("compact_x1", "Compact", 1, 1.0),
        ("compact_x2", "Compact", 2, 1.0),
        ("compact_x4", "Compact", 4, 1.0),
        ("span_x2", "SPAN", 2, 1.0),
        ("span_x4_nonorm", "SPAN", 4, 1.0),
        ("span_evalonly_x4", "SPAN", 4, 1.0),
        ("realplksr_x4", "RealPLKSR", 4, 1.0),
        ("realplksr_x2_dysample", "RealPLKSR", 2, 1.0),
        ("realplksr_x3_dysample", "RealPLKSR", 3, 1.0),
        ("realplksr_x2_layernorm", "RealPLKSR", 2, 1.0),
        ("realplksr_x4_noea", "RealPLKSR", 4, 1.0),
        ("carn_x3", "CARN", 3, 1.0),
        ("carn_m_x4", "CARN", 4, 1.0),
        ("rfdn_x4", "RFDN", 4, 255.0),
        ("rlfn_x4", "RLFN", 4, 255.0),
        ("bsrn_x4", "BSRN", 4, 1.0),
    ];
    for (name, family, scale, high) in cases {
        let model = compare(&format!("{name}.pth"), high, &ImportOptions::default());
        assert_eq!((model.description.family.as_str(), model.description.scale()), (family, scale), "{name}");
        let back = Model::from_bytes(&model.to_bytes(), name, &Device::flex()).unwrap();
        assert_eq!(back.weights(), model.weights(), "{name}: its model file");
        assert_eq!(back.description, model.description, "{name}");
    }
}

/// The same weights in other numbers, packed and named as trainers do.
#[test]
fn weights_are_found_however_they_are_stored() {
    let read = |path: &Path| import::read(path, &ImportOptions::default(), &Device::flex()).unwrap();
    let whole = read(&foreign("compact_x2.pth"));
    let x: Tensor<4> = Tensor::random([1, 3, 9, 8], burn::tensor::Distribution::Uniform(0.0, 255.0), &Device::flex());
    let expected = whole.primal.upscale(x.clone(), Pooling::Global);
    let near = |model: &Model, tolerance: f32, what: &str| {
        let gap = gap(model.primal.upscale(x.clone(), Pooling::Global), expected.clone());
        assert!(gap < tolerance, "{what}: {gap} levels");
    };
    for (name, tolerance) in [("half", 1.0), ("bfloat16", 8.0), ("double", TOLERANCE), ("compiled", TOLERANCE)] {
        near(&read(&foreign(&format!("compact_{name}.pth"))), tolerance, name);
    }
    // Tensors alone, in each kind of number.
    let folder = tempfile::tempdir().unwrap();
    type Stored = fn(f32) -> Vec<u8>;
    let kinds: [(&str, Stored, f32); 4] = [
        ("F64", |value| f64::from(value).to_le_bytes().to_vec(), TOLERANCE),
        ("F32", |value| value.to_le_bytes().to_vec(), TOLERANCE),
        ("F16", |value| half::f16::from_f32(value).to_le_bytes().to_vec(), 1.0),
        ("BF16", |value| half::bf16::from_f32(value).to_le_bytes().to_vec(), 8.0),
    ];
    for (kind, stored, tolerance) in kinds {
        let (mut head, mut data) = (serde_json::Map::new(), Vec::new());
        for (name, weight) in &whole.primal.weights().0 {
            let start = data.len();
            weight.values.iter().for_each(|&value| data.extend(stored(value)));
            let entry = serde_json::json!({"dtype": kind, "shape": weight.shape, "data_offsets": [start, data.len()]});
            head.insert(name.clone(), entry);
        }
        let head = serde_json::to_vec(&head).unwrap();
        let path = folder.path().join(format!("{kind}.safetensors"));
        std::fs::write(&path, [&(head.len() as u64).to_le_bytes()[..], &head, &data].concat()).unwrap();
        near(&read(&path), tolerance, kind);
    }
}

#[test]
fn what_a_file_does_not_say_can_be_given() {
    let unit = ImportOptions { range: Some([0.0, 1.0]), ..ImportOptions::default() };
    compare("slimrlfn_x4.pth", 1.0, &unit);
    let twice = ImportOptions { scale: Some(2), ..ImportOptions::default() };
    assert_eq!(compare("carn_m_multi_as_x2.pth", 1.0, &twice).description.scale(), 2);
    let wrong = ImportOptions { scale: Some(7), ..ImportOptions::default() };
    let error = import::read(&foreign("carn_m_multi_as_x2.pth"), &wrong, &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("[2, 3, 4]"), "{error}");
    let residual = import::read(&foreign("edsr_x2.pth"), &ImportOptions::default(), &Device::flex()).unwrap();
    assert!(residual.description.import.iter().any(|note| note.contains("does not say")), "assumptions are told");
    // Colours in the other order: the picture's red is the network's blue.
    let bgr = ImportOptions { order: import::ColourOrder::Bgr, ..ImportOptions::default() };
    let (a, b) = (
        import::read(&foreign("compact_x2.pth"), &ImportOptions::default(), &Device::flex()).unwrap(),
        import::read(&foreign("compact_x2.pth"), &bgr, &Device::flex()).unwrap(),
    );
    let x: Tensor<4> = Tensor::random([1, 3, 9, 8], burn::tensor::Distribution::Uniform(0.0, 255.0), &Device::flex());
    let flipped = |x: Tensor<4>| x.flip([1]);
    let (a, b) = (a.primal.upscale(flipped(x.clone()), Pooling::Global), b.primal.upscale(x, Pooling::Global));
    assert!(gap(flipped(a), b) < TOLERANCE);
}

#[test]
fn onnx_files_agree_with_onnx_runtime() {
    let cases = [
        ("edsr_x2_op11", 2, 255.0),
        ("compact_x2_op17", 2, 1.0),
        ("compact_x2_dynamo", 2, 1.0),
        ("rrdb_x4_op11", 4, 1.0),
        ("span_x2_op17", 2, 1.0),
        ("span_x2_dynamo", 2, 1.0),
        ("luma", 3, 1.0),
        ("scale1", 1, 1.0),
        ("unshuffle_x2", 2, 1.0),
        ("unshuffle_fixed_x2", 2, 1.0),
        ("unshuffle_view_x2", 2, 1.0),
        ("groupnorm_x2", 2, 1.0),
    ];
    for (name, scale, high) in cases {
        let options = ImportOptions { range: Some([0.0, high]), ..ImportOptions::default() };
        let model = compare(&format!("{name}.onnx"), high, &options);
        assert_eq!((model.description.family.as_str(), model.description.scale()), ("ONNX", scale), "{name}");
    }
}

/// In half precision, as converters write it: casts around operators and around constants.
#[test]
fn onnx_files_in_half_precision_are_read() {
    let options = ImportOptions { range: Some([0.0, 1.0]), ..ImportOptions::default() };
    let whole = import::read(&foreign("compact_x2_op17.onnx"), &options, &Device::flex()).unwrap();
    let x: Tensor<4> = Tensor::random([1, 3, 12, 10], burn::tensor::Distribution::Uniform(0.0, 255.0), &Device::flex());
    let expected = whole.primal.upscale(x.clone(), Pooling::Global);
    for name in ["compact_x2_half.onnx", "compact_x2_half_io.onnx"] {
        let half = import::read(&foreign(name), &options, &Device::flex()).unwrap();
        assert_eq!(half.description.scale(), 2, "{name}");
        let gap = gap(half.primal.upscale(x.clone(), Pooling::Global), expected.clone());
        assert!(gap < 1.0, "{name}: {gap} levels");
    }
}

/// Convolutions in 16 bits, with all that is done on the way through them, stay near those in 32.
#[test]
fn half_precision_stays_near() {
    // The same each time: random weights lose more on some pictures than on others.
    let values: Vec<f32> =
        (0..3 * 24 * 22).map(|at| ((37 * (at / 528) + 5 * (at % 22) + 3 * (at / 22)) % 256) as f32).collect();
    let x: Tensor<4> = Tensor::from_data(TensorData::new(values, [1, 3, 24, 22]), &Device::flex());
    for name in ["compact_x2.pth", "span_x2.pth", "rlfn_x4.pth", "esrgan_new_x4.pth"] {
        let model = import::read(&foreign(name), &ImportOptions::default(), &Device::flex()).unwrap();
        let expected = model.primal.upscale(x.clone(), Pooling::Global);
        let half = model.in_half_precision().primal.upscale(x.clone(), Pooling::Global);
        let peak = expected.clone().abs().max().into_scalar::<f32>();
        let gap = gap(half.cast(burn::tensor::FloatDType::F32), expected);
        assert!(gap < 0.1 * peak, "{name}: {gap} of {peak}");
    }
}

/// Written as ONNX and read again, every family computes the same.
#[test]
fn families_survive_the_way_through_onnx() {
    let folder = tempfile::tempdir().unwrap();
    let x: Tensor<4> = Tensor::random([1, 3, 22, 24], burn::tensor::Distribution::Uniform(0.0, 255.0), &Device::flex());
    for name in [
        "edsr_x3",
        "esrgan_new_x4",
        "esrgan_new_x2_unshuffle",
        "compact_x4",
        "span_x2",
        "carn_m_x4",
        "rlfn_x4",
        "bsrn_x4",
    ] {
        let model = import::read(&foreign(&format!("{name}.pth")), &ImportOptions::default(), &Device::flex()).unwrap();
        let path = folder.path().join(format!("{name}.onnx"));
        std::fs::write(&path, onnx(&model, Exported::Primal(Pooling::Global)).unwrap()).unwrap();
        let options = ImportOptions { range: Some([0.0, 255.0]), ..ImportOptions::default() };
        let again = import::read(&path, &options, &Device::flex()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let gap =
            gap(model.primal.upscale(x.clone(), Pooling::Global), again.primal.upscale(x.clone(), Pooling::Global));
        assert!(gap < TOLERANCE, "{name}: {gap}");
    }
}

/// The same of each operator by itself, between two convolutions.
#[test]
fn operators_survive_the_way_through_onnx() {
    use dualres_kernels::Function;
    use dualres_network::graph::{BinaryOp, Builder, ConvOp, Enlargement, Op, PoolOp, ResizeOp, ResizeTo};

    let folder = tempfile::tempdir().unwrap();
    let functions = [
        Function::Gelu,
        Function::GeluTanh,
        Function::Mish,
        Function::Silu,
        Function::Sigmoid,
        Function::Tanh,
        Function::Abs,
        Function::HardSwish,
        Function::HardSigmoid(0.2, 0.5),
        Function::Clip(-0.5, 0.4),
        Function::LeakyRelu(0.1),
    ];
    let mut ops: Vec<Op> = functions.into_iter().map(Op::Activation).collect();
    ops.push(Op::Conv(ConvOp { groups: 8, ..ConvOp::new(8, 5) }));
    ops.push(Op::Conv(ConvOp { groups: 2, ..ConvOp::new(8, 3) }));
    ops.push(Op::Conv(ConvOp::new(8, 3).padded(2).strided(1)));
    ops.extend([Op::Prelu, Op::Affine, Op::Shift(vec![0.1; 8]), Op::Linear { factor: 0.3, offset: 0.2 }]);
    ops.extend([
        Op::LayerNorm { epsilon: 1e-5 },
        Op::Slice { start: 1, length: 5 },
        Op::ChannelMean,
        Op::GlobalDeviation,
    ]);
    ops.push(Op::Pool(PoolOp { max: false, kernel: [3; 2], stride: [1; 2], padding: [1; 2], count_padding: false }));
    let x: Tensor<4> = Tensor::random([1, 3, 20, 24], burn::tensor::Distribution::Uniform(0.0, 255.0), &Device::flex());
    for op in ops {
        let name = format!("{op:?}");
        let mut graph = Builder::new(3);
        let scaled = graph.unary(Op::Linear { factor: 1.0 / 128.0, offset: -1.0 }, 0);
        let first = graph.conv("first", scaled, 8, 3);
        let mut y = graph.add("middle", op.clone(), &[first]);
        match op {
            Op::ChannelMean | Op::GlobalDeviation => y = graph.product(first, y),
            Op::Conv(conv) if conv.padding == [2; 4] && conv.groups == 1 => {
                y = graph.unary(Op::Crop([1; 4]), y);
            }
            _ => {}
        }
        let last = graph.conv("last", y, 12, 3);
        let picture = graph.unary(Op::PixelShuffle(2), last);
        let nearest = ResizeOp { mode: Enlargement::Nearest, to: ResizeTo::Times(2) };
        let enlarged = graph.unary(Op::Resize(nearest), 0);
        let sum = graph.add("", Op::Binary(BinaryOp::Add), &[picture, enlarged]);
        let graph = graph.finish_single(sum).unwrap();
        let description = dualres_network::Description::new("one", "test", graph);
        let model = Model::init(description, 3, &Device::flex()).unwrap();
        let path = folder.path().join("one.onnx");
        std::fs::write(&path, onnx(&model, Exported::Primal(Pooling::Global)).unwrap()).unwrap();
        let options = ImportOptions { range: Some([0.0, 255.0]), ..ImportOptions::default() };
        let again = import::read(&path, &options, &Device::flex()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (a, b) =
            (model.primal.upscale(x.clone(), Pooling::Global), again.primal.upscale(x.clone(), Pooling::Global));
        let gap = gap(a, b);
        assert!(gap < 1e-3, "{name}: {gap}");
    }
}

/// A network of one picture with the dual models of a DRN, level by level: they are led through one after the other.
#[test]
fn borrowed_dual_models_are_composed() {
    use dualres_network::{Architecture, Description, dual_regression_loss};

    let device = Device::flex();
    let drn = Model::init(Description::drn("x4", &Architecture::new(4, 4, 1).unwrap()).unwrap(), 2, &device).unwrap();
    let model = import::read(&foreign("compact_x4.pth"), &ImportOptions::default(), &device).unwrap();
    let model = model.with_duals_of(&drn).unwrap();
    let x: Tensor<4> = Tensor::random([1, 3, 8, 12], burn::tensor::Distribution::Uniform(0.0, 255.0), &device);
    let pictures = model.primal.forward(x.clone(), Pooling::Global);
    let targets = [x.clone(), pictures[0].clone()];
    let loss = dual_regression_loss(&pictures, &targets, &model, 1.0);
    let back = model.duals[0].forward(model.duals[1].forward(pictures[0].clone()));
    let expected = (back - x).abs().mean().into_scalar::<f32>();
    let found = loss.total.into_scalar::<f32>();
    assert!((found - expected).abs() < 1e-3 * expected && loss.dual.len() == 1, "{found} {expected}");
    // Of another scale they are refused.
    let twice = import::read(&foreign("compact_x2.pth"), &ImportOptions::default(), &device).unwrap();
    assert!(twice.with_duals_of(&drn).unwrap_err().to_string().contains("scale 2"));
}

/// Where there is no dual model for a scale, those of two others lead back one after the other.
#[test]
fn dual_models_of_two_scales_lead_through_eight() {
    use dualres_network::{Architecture, Description};

    let device = Device::flex();
    let of = |scale: usize, seed| {
        let description = Description::drn("t", &Architecture::new(scale, 4, 1).unwrap()).unwrap().with_single_dual();
        let mut model = Model::init(description, seed, &device).unwrap();
        model.init_duals(seed, &device);
        model
    };
    let others = [of(4, 1), of(2, 2)];
    let model = import::read(&foreign("esrgan_old_x8.pth"), &ImportOptions::default(), &device).unwrap();
    let model = model.with_duals_through(&others).unwrap();
    assert_eq!(model.duals.iter().map(|dual| (dual.from, dual.to)).collect::<Vec<_>>(), [(4, 1), (8, 4)]);
    let model = Model::from_bytes(&model.to_bytes(), "x8", &device).unwrap();
    let x: Tensor<4> = Tensor::random([1, 3, 6, 5], burn::tensor::Distribution::Uniform(0.0, 255.0), &device);
    let large = model.primal.upscale(x, Pooling::Global);
    let back = model.duals[0].forward(model.duals[1].forward(large.clone()));
    let expected = others[0].duals[0].forward(others[1].duals[0].forward(large));
    assert_eq!(back.dims(), [1, 3, 6, 5]);
    assert!(gap(back, expected) < 1e-4);
    assert!(model.clone().with_duals_through(&others[..1]).is_err() && model.with_duals_through(&[]).is_err());
}

#[test]
fn what_is_no_network_of_pictures_is_refused_by_what_it_seems_to_be() {
    assert!(refused(&foreign("classifier.onnx")).contains("not in a picture"));
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let tensors = |names: &[&str]| {
        let one = Weight { shape: vec![1, 1, 1, 1], values: vec![0.5] };
        let weights = dualres_network::Weights(names.iter().map(|&name| (name.to_owned(), one.clone())).collect());
        dualres_network::tensors_to_bytes(&weights, Default::default())
    };
    let swin = write("swin.safetensors", &tensors(&["layers.0.attn.relative_position_index", "conv_first.weight"]));
    assert!(refused(&swin).contains("window attention"));
    let unknown = write("unknown.safetensors", &tensors(&["encoder.weight", "decoder.weight"]));
    assert!(refused(&unknown).contains("encoder.weight") && refused(&unknown).contains("ONNX"));
    refused(&write("empty.pth", b""));
    refused(&write("text.pth", b"hello"));
    let lonely = write("lonely.param", b"7767517\n1 1\nInput data 0 1 data\n");
    assert!(refused(&lonely).contains("lonely.bin"));
    // A family with something more in it computes something else.
    let whole = import::read(&foreign("compact_x2.pth"), &ImportOptions::default(), &Device::flex()).unwrap();
    let mut weights = whole.primal.weights();
    weights.0.insert("body.99.weight".into(), Weight { shape: vec![1], values: vec![0.0] });
    let extra = write("extra.safetensors", &dualres_network::tensors_to_bytes(&weights, Default::default()));
    assert!(refused(&extra).contains("variant"));
    // Cut short anywhere: an error, or a network, never a panic.
    for name in ["compact_x2_op17.onnx", "rlfn_x4.pth", "luma.onnx"] {
        let bytes = std::fs::read(foreign(name)).unwrap();
        for length in (0..bytes.len()).step_by(bytes.len() / 37) {
            let _ = import::read(&write(name, &bytes[..length]), &ImportOptions::default(), &Device::flex());
        }
    }
}

/// Published networks on a formula's picture: mean, deviation and three samples that an implementation of its own gave.
#[test]
fn published_networks_agree_where_they_are_at_hand() {
    let Some(benchmarks) = std::env::var_os("DUALRES_BENCHMARKS") else {
        eprintln!("not run: DUALRES_BENCHMARKS names no folder of pictures with published weights beside it");
        return;
    };
    let peers = Path::new(&benchmarks).with_file_name("peers_weights");
    let values: Vec<f32> =
        (0..3 * 20 * 24).map(|i| ((37 * (i / 480) + 11 * (i / 24 % 20) + 5 * (i % 24)) % 256) as f32).collect();
    let x: Tensor<4> = Tensor::from_data(TensorData::new(values, [1, 3, 20, 24]), &Device::flex());
    // Mean, deviation, and the samples at the first place, in the middle and at the last.
    let cases = [
        (
            "ntire2022_esr/rfdn_baseline.safetensors",
            None,
            255.0,
            [133.898_39, 77.756_34, -0.850_66, 203.816_44, 143.824_54],
        ),
        (
            "ntire2022_esr/team04_rlfn.safetensors",
            None,
            255.0,
            [133.689_74, 78.113_34, -1.671_14, 198.566_79, 141.884_06],
        ),
        ("ntire2022_esr/team18_bsrn.safetensors", None, 1.0, [0.524_23, 0.303_86, 0.027_14, 0.800_51, 0.559_01]),
        (
            "ntire2024_esr/team21_slimrlfn_prune.safetensors",
            None,
            255.0,
            [133.643_94, 77.592_23, 3.428_34, 203.293_35, 138.103_94],
        ),
        (
            "ntire2024_esr/team38_span_ch28_slim.safetensors",
            None,
            1.0,
            [0.524_06, 0.304_93, 0.001_89, 0.718_43, 0.551_14],
        ),
        ("carn_m/carn_m.safetensors", Some(2), 1.0, [0.523_56, 0.301_96, 0.019_04, 0.805_89, 0.553_10]),
        ("carn_m/carn_m.safetensors", Some(3), 1.0, [0.524_40, 0.301_81, 0.029_88, 0.798_92, 0.553_54]),
        ("carn_m/carn_m.safetensors", Some(4), 1.0, [0.524_31, 0.302_11, 0.011_42, 0.810_17, 0.565_14]),
        (
            "realesrgan_ncnn/realesr-animevideov3-x4.param",
            None,
            1.0,
            [0.522_99, 0.319_07, 0.039_07, 0.843_13, 0.539_11],
        ),
    ];
    for (file, scale, high, expected) in cases {
        let options = ImportOptions { scale, ..ImportOptions::default() };
        let model = import::read(&peers.join(file), &options, &Device::flex()).unwrap();
        let y = model.primal.upscale(x.clone(), Pooling::Global);
        let [_, c, h, w] = y.dims();
        let y = y.into_data().try_into_vec::<f32>().unwrap();
        let at = |c: usize, row: usize, column: usize| y[(c * h + row) * w + column];
        let mean = y.iter().map(|&v| f64::from(v)).sum::<f64>() / y.len() as f64;
        let deviation = (y.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / y.len() as f64).sqrt();
        let found = [mean as f32, deviation as f32, at(0, 0, 0), at(c / 2, h / 2, w / 2), at(c - 1, h - 1, w - 1)];
        for (found, expected) in found.iter().zip(expected) {
            let gap = (found - expected * 255.0 / high).abs();
            assert!(gap < 0.05, "{file} x{scale:?}: {found} and {}", expected * 255.0 / high);
        }
    }
}
