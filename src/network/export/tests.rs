//! The written graphs, run operator by operator as ONNX defines them, against the networks they were made of.

use std::collections::HashMap;

use burn::tensor::{
    Device, Distribution, Tensor, TensorData, activation,
    module::{avg_pool2d, conv2d, interpolate},
    ops::{AvgPoolOptions, ConvOptions, InterpolateMode, InterpolateOptions},
};
use prost::Message;

use super::{
    Part, onnx,
    proto::{FLOAT, ModelProto, NodeProto},
};
use crate::{Architecture, Description, Model, Pooling};

#[expect(clippy::large_enum_variant, reason = "a test has few of them")]
enum Value {
    Floats(Tensor<4>),
    Integers(Vec<i64>),
    /// A constant of other than four axes.
    List(Vec<f32>),
}

struct Run(HashMap<String, Value>);

impl Run {
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
            "Add" => x() + self.tensor(input(1)),
            "Mul" if is_integer => return pairs(|a, b| a * b),
            "Mul" => x() * self.tensor(input(1)),
            "Sub" => return pairs(|a, b| a - b),
            "Mod" => return pairs(|a, b| a % b),
            "Concat" if is_integer => {
                return Value::Integers(node.input.iter().flat_map(|name| self.integers(name).to_vec()).collect());
            }
            "Concat" => Tensor::cat(node.input.iter().map(|name| self.tensor(name)).collect(), 1),
            "Shape" => return Value::Integers(x().dims()[2..4].iter().map(|&side| side as i64).collect()),
            "Pad" => {
                let pads = self.integers(input(1));
                let mut x = x();
                for (axis, &count) in [(2, &pads[6]), (3, &pads[7])] {
                    let last = x.clone().narrow(axis, x.dims()[axis] - 1, 1);
                    let parts = std::iter::once(x).chain(std::iter::repeat_n(last, count as usize));
                    x = Tensor::cat(parts.collect(), axis);
                }
                x
            }
            "Slice" => {
                let ends = self.integers(input(2));
                x().narrow(2, 0, ends[0] as usize).narrow(3, 0, ends[1] as usize)
            }
            "GlobalAveragePool" => x().mean_dim(3).mean_dim(2),
            "AveragePool" => {
                let (kernel, strides) = (sides("kernel_shape"), sides("strides"));
                let pad = node.attribute.iter().find(|a| a.name == "pads").map_or(0, |pads| pads.ints[0] as usize);
                let options = AvgPoolOptions::new([kernel[0], kernel[1]]).with_stride([strides[0], strides[1]]);
                avg_pool2d(x(), options.with_padding([pad; 2]).with_count_include_pad(false))
            }
            "DepthToSpace" => {
                let [n, c, h, w] = x().dims();
                x().reshape([n, c / 4, 2, 2, h, w]).permute([0, 1, 4, 2, 5, 3]).reshape([n, c / 4, 2 * h, 2 * w])
            }
            "Resize" => {
                let [_, _, h, w] = x().dims();
                let factor = self.list(input(2))[3] as usize;
                let mode = match attribute("mode").s.as_deref().unwrap() {
                    b"cubic" => InterpolateMode::Bicubic,
                    b"linear" => InterpolateMode::Bilinear,
                    other => panic!("mode {other:?}"),
                };
                let options = InterpolateOptions::new(mode).with_align_corners(false);
                interpolate(x(), options.with_output_size([h * factor, w * factor]))
            }
            other => panic!("operator {other}"),
        };
        Value::Floats(out)
    }
}

fn run(file: &[u8], x: Tensor<4>) -> Tensor<4> {
    let graph = ModelProto::decode(file).unwrap().graph.unwrap();
    let mut run = Run(HashMap::from([(graph.input[0].name.clone(), Value::Floats(x))]));
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
    Model::init(Description::new("exported", architecture), 7, &Device::flex()).unwrap()
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
    for (scale, prune) in [(2, false), (4, false), (4, true)] {
        let model = model(scale, prune);
        let x = picture(13, 22);
        let file = onnx(&model, Part::Primal(Pooling::Global)).unwrap();
        assert!(gap(run(&file, x.clone()), model.primal.upscale(x, Pooling::Global)) < 0.01, "x{scale} {prune}");
    }
}

#[test]
fn local_pooling_fills_up_to_whole_cells() {
    let model = model(2, false);
    let pooling = Pooling::local(24);
    let file = onnx(&model, Part::Primal(pooling)).unwrap();
    let x = picture(24, 40);
    assert!(gap(run(&file, x.clone()), model.primal.upscale(x.clone(), pooling)) < 0.01);
    // Columns 0 to 36, the border repeated to 40.
    let cut = x.narrow(3, 0, 37);
    let filled = Tensor::cat(vec![cut.clone(), cut.clone().narrow(3, 36, 1).repeat_dim(3, 3)], 3);
    let expected = model.primal.upscale(filled, pooling).narrow(3, 0, 74);
    assert!(gap(run(&file, cut), expected) < 0.01);
}

#[test]
fn the_way_back_is_all_dual_models() {
    let mut model = model(4, false);
    let file = onnx(&model, Part::WayBack).unwrap();
    let x = picture(17, 20);
    let expected = model.duals[0].forward(model.duals[1].forward(x.clone()));
    assert!(gap(run(&file, x), expected) < 0.01);
    model.duals.clear();
    assert!(onnx(&model, Part::WayBack).unwrap_err().to_string().contains("no dual models"));
}
