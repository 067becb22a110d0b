//! The written graphs, run operator by operator as ONNX defines them, against the networks they were made of.

use std::collections::HashMap;

use burn::tensor::{
    Device, Distribution, Tensor, TensorData, activation,
    module::{avg_pool2d, conv2d, interpolate},
    ops::{AvgPoolOptions, ConvOptions, InterpolateMode, InterpolateOptions},
};
use prost::Message;

use super::{
    Exported, onnx,
    proto::{FLOAT, ModelProto, NodeProto},
};
use crate::{Architecture, Description, Model, Pooling, Weight};

#[expect(clippy::large_enum_variant, reason = "a test has few of them")]
enum Value {
    Floats(Tensor<4>),
    Integers(Vec<i64>),
    /// A constant of other than four axes.
    List(Vec<f32>),
}

struct Interpreter(HashMap<String, Value>);

impl Interpreter {
    fn tensor(&self, name: &str) -> Tensor<4> {
        match &self.0[name] {
            Value::Floats(tensor) => tensor.clone(),
            _ => panic!("{name} is no tensor"),
        }
    }

    fn integers(&self, name: &str) -> &[i64] {
        match &self.0[name] {
            Value::Integers(values) => values,
            _ => panic!("{name} is no list of integers"),
        }
    }

    fn list(&self, name: &str) -> &[f32] {
        match &self.0[name] {
            Value::List(values) => values,
            _ => panic!("{name} is no list of floats"),
        }
    }

    fn node(&self, node: &NodeProto) -> Value {
        let input = |index: usize| node.input[index].as_str();
        let x = || self.tensor(input(0));
        let attribute = |name: &str| node.attribute.iter().find(|attribute| attribute.name == name).unwrap();
        let integer = |name: &str| attribute(name).i.unwrap();
        let text = |name: &str| String::from_utf8(attribute(name).s.clone().unwrap()).unwrap();
        let sides = |name: &str| -> Vec<usize> { attribute(name).ints.iter().map(|&side| side as usize).collect() };
        let pairs = |f: fn(i64, i64) -> i64| {
            let (a, b) = (self.integers(input(0)), self.integers(input(1)));
            // A list of one goes with every element of the other.
            let longer = a.len().max(b.len());
            Value::Integers((0..longer).map(|i| f(a[i % a.len()], b[i % b.len()])).collect())
        };
        let is_integer = matches!(self.0[input(0)], Value::Integers(_));
        let out = match node.op_type.as_str() {
            "Identity" => x(),
            "Conv" => {
                let (stride, pad) = (sides("strides")[0], sides("pads")[0]);
                let bias = node.input.get(2).map(|name| self.list(name).to_vec());
                let bias = bias.map(|bias| Tensor::<1>::from_data(bias.as_slice(), &Device::flex()));
                conv2d(x(), self.tensor(input(1)), bias, ConvOptions::new([stride; 2], [pad; 2], [1; 2], 1))
            }
            "Relu" => activation::relu(x()),
            "LeakyRelu" => activation::leaky_relu(x(), f64::from(attribute("alpha").f.unwrap())),
            "Sigmoid" => activation::sigmoid(x()),
            "Add" if is_integer => return pairs(|a, b| a + b),
            "Add" => x() + self.tensor(input(1)),
            "Mul" if is_integer => return pairs(|a, b| a * b),
            "Mul" => x() * self.tensor(input(1)),
            "Clip" => x().clamp(self.list(input(1))[0], self.list(input(2))[0]),
            "Sub" => return pairs(|a, b| a - b),
            "Mod" => return pairs(|a, b| a % b),
            "Div" => return pairs(|a, b| a / b),
            "Concat" if is_integer => {
                return Value::Integers(node.input.iter().flat_map(|name| self.integers(name).to_vec()).collect());
            }
            "Concat" => {
                let parts = node.input.iter().map(|name| self.tensor(name)).collect();
                Tensor::cat(parts, integer("axis") as usize)
            }
            "Shape" => {
                let axes = integer("start") as usize..integer("end") as usize;
                return Value::Integers(x().dims()[axes].iter().map(|&side| side as i64).collect());
            }
            "Pad" => {
                assert_eq!(text("mode"), "edge");
                let pads: Vec<usize> = self.integers(input(1)).iter().map(|&count| count as usize).collect();
                (0..4).fold(x(), |x, axis| repeat_border(x, axis, pads[axis], pads[axis + 4]))
            }
            "Slice" => {
                let [starts, ends, axes] = [1, 2, 3].map(|index| self.integers(input(index)));
                axes.iter().zip(starts.iter().zip(ends)).fold(x(), |x, (&axis, (&start, &end))| {
                    x.narrow(axis as usize, start as usize, (end - start) as usize)
                })
            }
            "GlobalAveragePool" => x().mean_dim(3).mean_dim(2),
            "AveragePool" => {
                let (kernel, strides) = (sides("kernel_shape"), sides("strides"));
                let pad = node.attribute.iter().find(|a| a.name == "pads").map_or(0, |pads| pads.ints[0] as usize);
                let options = AvgPoolOptions::new([kernel[0], kernel[1]]).with_stride([strides[0], strides[1]]);
                // ONNX leaves the padding out unless it is told otherwise.
                let counted = node.attribute.iter().any(|a| a.name == "count_include_pad" && a.i == Some(1));
                avg_pool2d(x(), options.with_padding([pad; 2]).with_count_include_pad(counted))
            }
            "DepthToSpace" => {
                assert_eq!((text("mode").as_str(), integer("blocksize")), ("CRD", 2));
                let [n, c, h, w] = x().dims();
                x().reshape([n, c / 4, 2, 2, h, w]).permute([0, 1, 4, 2, 5, 3]).reshape([n, c / 4, 2 * h, 2 * w])
            }
            "Resize" => {
                let [_, _, h, w] = x().dims();
                let factor = self.list(input(2))[3] as usize;
                assert_eq!(text("coordinate_transformation_mode"), "half_pixel");
                let mode = match text("mode").as_str() {
                    "cubic" => {
                        assert_eq!(attribute("cubic_coeff_a").f, Some(-0.75));
                        InterpolateMode::Bicubic
                    }
                    "linear" => InterpolateMode::Bilinear,
                    other => panic!("mode {other}"),
                };
                let options = InterpolateOptions::new(mode).with_align_corners(false);
                interpolate(x(), options.with_output_size([h * factor, w * factor]))
            }
            other => panic!("operator {other}"),
        };
        Value::Floats(out)
    }
}

fn repeat_border(x: Tensor<4>, axis: usize, before: usize, after: usize) -> Tensor<4> {
    let (first, last) = (x.clone().narrow(axis, 0, 1), x.clone().narrow(axis, x.dims()[axis] - 1, 1));
    let parts = std::iter::repeat_n(first, before).chain([x]).chain(std::iter::repeat_n(last, after));
    Tensor::cat(parts.collect(), axis)
}

fn run(file: &[u8], x: Tensor<4>) -> Tensor<4> {
    let graph = ModelProto::decode(file).unwrap().graph.unwrap();
    let mut run = Interpreter(HashMap::from([(graph.input[0].name.clone(), Value::Floats(x))]));
    for constant in graph.initializer {
        let dims: Vec<usize> = constant.dims.iter().map(|&side| side as usize).collect();
        let value = if constant.data_type == FLOAT {
            let floats = constant.raw_data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            match <[usize; 4]>::try_from(dims) {
                Ok(dims) => Value::Floats(Tensor::from_data(TensorData::new(floats, dims), &Device::flex())),
                Err(_) => Value::List(floats),
            }
        } else {
            let integers = constant.raw_data.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()));
            Value::Integers(integers.collect())
        };
        run.0.insert(constant.name, value);
    }
    for node in &graph.node {
        let value = run.node(node);
        run.0.insert(node.output[0].clone(), value);
    }
    run.tensor(&graph.output[0].name)
}

fn model(scale: usize, prune: bool) -> Model {
    let mut architecture = Architecture::new(scale, 4, 2).unwrap();
    if prune {
        // The convolutions around a shuffle of few channels are not joined.
        architecture.widths.iter_mut().for_each(|width| *width = (*width / 3).max(1));
    }
    Model::init(Description::drn("exported", &architecture).unwrap(), 7, &Device::flex()).unwrap()
}

fn gap(a: Tensor<4>, b: Tensor<4>) -> f32 {
    assert_eq!(a.dims(), b.dims());
    (a - b).abs().max().into_scalar::<f32>()
}

fn picture(height: usize, width: usize) -> Tensor<4> {
    Tensor::random([1, 3, height, width], Distribution::Uniform(0.0, 255.0), &Device::flex())
}

#[test]
fn the_graph_computes_what_the_network_computes() {
    for (scale, prune) in [(2, false), (4, false), (4, true), (8, false)] {
        let model = model(scale, prune);
        let x = picture(13, 22).repeat_dim(0, 2);
        let file = onnx(&model, Exported::Primal(Pooling::Global)).unwrap();
        assert!(gap(run(&file, x.clone()), model.primal.upscale(x, Pooling::Global)) < 0.01, "x{scale} {prune}");
    }
}

#[test]
fn trained_shifts_of_the_mean_colour_come_along() {
    let plain = model(2, false);
    let mut weights = plain.weights();
    for name in ["model.sub_mean", "model.add_mean"] {
        let matrix = [0.9, 0.1, 0.0, 0.0, 1.0, 0.0, 0.05, 0.0, 0.95].to_vec();
        weights.0.insert(format!("{name}.weight"), Weight { shape: vec![3, 3, 1, 1], values: matrix });
        weights.0.insert(format!("{name}.bias"), Weight { shape: vec![3], values: vec![5.0, -7.0, 11.0] });
    }
    let found = crate::families::recognise(&weights.under("model."), None).unwrap();
    let mut weights = crate::Weights::default();
    weights.extend_under("model.", found.weights);
    let description = Description::new("shifted", "DRN", found.graph);
    let model = Model::from_weights(description, &weights, &Device::flex()).unwrap();
    let x = picture(9, 10);
    let file = onnx(&model, Exported::Primal(Pooling::Global)).unwrap();
    let expected = model.primal.upscale(x.clone(), Pooling::Global);
    assert!(gap(expected.clone(), plain.primal.upscale(x.clone(), Pooling::Global)) > 1.0, "the shift does something");
    assert!(gap(run(&file, x), expected) < 0.01);
}

#[test]
fn local_pooling_fills_up_to_whole_cells() {
    let model = model(4, false);
    let pooling = Pooling::local(24);
    let file = onnx(&model, Exported::Primal(pooling)).unwrap();
    let x = picture(24, 40);
    assert!(gap(run(&file, x.clone()), model.primal.upscale(x.clone(), pooling)) < 0.01);
    // Columns 0 to 36, the border repeated to 40.
    let cut = x.narrow(3, 0, 37);
    let expected = model.primal.upscale(repeat_border(cut.clone(), 3, 0, 3), pooling).narrow(3, 0, 148);
    assert!(gap(run(&file, cut), expected) < 0.01);
}

#[test]
fn the_way_back_is_all_dual_models() {
    let mut model = model(4, false);
    let file = onnx(&model, Exported::Reconstruction).unwrap();
    let x = picture(17, 20) * 1.4 - 50.0;
    let mut expected = x.clone();
    for (dual, [height, width]) in model.duals.iter().rev().zip([[9, 10], [5, 5]]) {
        let wide = repeat_border(repeat_border(expected.clamp(0.0, 255.0), 2, 8, 8), 3, 8, 8);
        expected = dual.forward(wide).narrow(2, 4, height).narrow(3, 4, width);
    }
    assert!(gap(run(&file, x), expected) < 0.01);
    model = model.without_duals();
    assert!(onnx(&model, Exported::Reconstruction).unwrap_err().to_string().contains("no dual models"));
}
