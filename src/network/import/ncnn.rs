//! ncnn: a text that lists layers (`.param`) and their weights one after the other (`.bin`).

use std::collections::HashMap;

use dualres_kernels::Function;

use super::assembler::{Assembler, Value, refuse};
use crate::{
    Result, Weight, Weights,
    file::NCNN_MAGIC,
    graph::{BinaryOp, ConvOp, DeconvOp, Enlargement, Graph, MAX_NODES, Op, Padding, PoolOp, ResizeOp, ResizeTo},
};

/// What weights of half precision begin with.
const HALF: u32 = 0x0130_6B47;
/// Padding "as much as keeps the size".
const SAME: [i64; 2] = [-233, -234];

/// Reads a network from the text of its layers and their weights.
///
/// # Errors
/// If text or weights are damaged or do not belong together, or an operator is not known.
pub(super) fn read(param: &str, bin: &[u8]) -> Result<(Graph, Weights)> {
    let mut lines = param.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines.next() != Some(NCNN_MAGIC) {
        return Err(refuse("the list of layers does not begin as ncnn's do"));
    }
    let counts = lines.next().unwrap_or_default();
    let count: usize = counts.split_whitespace().next().and_then(|count| count.parse().ok()).unwrap_or(0);
    if count == 0 || count > MAX_NODES {
        return Err(refuse(format!("the list of layers says \"{counts}\" where the number of layers should be")));
    }
    let layers = lines.map(Layer::parse).collect::<Result<Vec<_>>>()?;
    if layers.len() != count {
        return Err(refuse(format!("the list of layers is cut short: {} of {count} are there", layers.len())));
    }
    // A layer takes something, but for those that begin, and gives something.
    let begins = |layer: &Layer| matches!(layer.kind.as_str(), "Input" | "MemoryData");
    if let Some(layer) = layers.iter().find(|l| l.outputs.is_empty() || (l.inputs.is_empty() && !begins(l))) {
        return Err(refuse(format!("the layer {} \"{}\" takes or gives nothing", layer.kind, layer.name)));
    }
    let inputs: Vec<&Layer> = layers.iter().filter(|layer| layer.kind == "Input").collect();
    let [input] = inputs[..] else {
        return Err(refuse(format!("a network with {} inputs", inputs.len())));
    };
    let first = layers.iter().find(|layer| layer.kind.starts_with("Convolution"));
    let channels = input.int(2, 0).try_into().ok().filter(|&count: &usize| count > 0);
    // What a convolution takes may be squares of the picture put on top of each other first.
    let before = layers.iter().take_while(|layer| !layer.kind.starts_with("Convolution"));
    let squares = before.filter(|layer| layer.kind == "Reorg").try_fold(1_usize, |all, layer| {
        let side = layer.count(0, 0).ok().filter(|&side| side > 0)?;
        all.checked_mul(side.checked_mul(side)?)
    });
    let taken = || first.and_then(Layer::input_channels).zip(squares);
    let of_picture = || taken().filter(|(all, squares)| all % squares == 0).map(|(all, squares)| all / squares);
    let channels = channels.or_else(of_picture).unwrap_or(3);
    let mut weights = Reader { bytes: bin, at: 0 };
    let mut net = Assembler::new(&input.outputs[0], channels);
    let mut last = None;
    for layer in layers.iter().filter(|layer| layer.kind != "Input") {
        last = layer.add(&mut net, &mut weights)?.or(last);
    }
    if weights.at != bin.len() {
        return Err(refuse(format!(
            "the layers use {} of {} bytes of weights: this .bin belongs to another .param",
            weights.at,
            bin.len()
        )));
    }
    let used: std::collections::HashSet<&String> = layers.iter().flat_map(|layer| &layer.inputs).collect();
    let loose = layers.iter().flat_map(|layer| &layer.outputs).filter(|name| !used.contains(name));
    let ends: Vec<&String> = loose.collect();
    let picture = match ends[..] {
        [one] => net.node(one)?,
        _ => last.ok_or_else(|| refuse("a network without a result"))?,
    };
    Ok((net.graph.finish_single(picture)?, net.weights))
}

struct Layer {
    kind: String,
    name: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    numbers: HashMap<i64, f64>,
    lists: HashMap<i64, Vec<f64>>,
}

impl Layer {
    fn parse(line: &str) -> Result<Self> {
        let damaged = || refuse(format!("the layer \"{line}\" is damaged"));
        let words: Vec<&str> = line.split_whitespace().collect();
        let [kind, name, ins, outs, rest @ ..] = &words[..] else { return Err(damaged()) };
        let (ins, outs) = (ins.parse::<usize>(), outs.parse::<usize>());
        let (Ok(ins), Ok(outs)) = (ins, outs) else { return Err(damaged()) };
        if ins.saturating_add(outs) > rest.len() || outs == 0 {
            return Err(damaged());
        }
        let (mut numbers, mut lists) = (HashMap::new(), HashMap::new());
        for word in &rest[ins + outs..] {
            let (key, value) = word.split_once('=').ok_or_else(damaged)?;
            let key: i64 = key.parse().map_err(|_| damaged())?;
            if key <= -23300 {
                let values: Vec<f64> = value
                    .split(',')
                    .skip(1)
                    .map(|value| value.parse().map_err(|_| damaged()))
                    .collect::<Result<_>>()?;
                lists.insert(-23300 - key, values);
            } else {
                numbers.insert(key, value.parse().map_err(|_| damaged())?);
            }
        }
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Ok(Self {
            kind: (*kind).to_owned(),
            name: (*name).to_owned(),
            inputs: owned(&rest[..ins]),
            outputs: owned(&rest[ins..ins + outs]),
            numbers,
            lists,
        })
    }

    fn number(&self, key: i64, default: f64) -> f64 {
        self.numbers.get(&key).copied().unwrap_or(default)
    }

    fn int(&self, key: i64, default: i64) -> i64 {
        self.number(key, default as f64) as i64
    }

    /// A number that counts something.
    fn count(&self, key: i64, default: i64) -> Result<usize> {
        usize::try_from(self.int(key, default))
            .ok()
            .filter(|&count| count < 1 << 24)
            .ok_or_else(|| refuse(format!("{} \"{}\" with {}={}", self.kind, self.name, key, self.number(key, 0.0))))
    }

    /// Down and across; across comes first in files, down stands ten keys on where it differs.
    fn pair(&self, key: i64, default: i64) -> Result<[usize; 2]> {
        let across = self.count(key, default)?;
        Ok([self.count(key + 10, across as i64)?, across])
    }

    fn input_channels(&self) -> Option<usize> {
        let [rows, columns] = self.pair(1, 0).ok()?;
        let each = self.count(0, 0).ok()?.saturating_mul(rows).saturating_mul(columns);
        (each > 0).then(|| self.count(6, 0).map(|size| size / each).ok()).flatten()
    }

    fn function(&self, kind: i64) -> Result<Option<Function>> {
        let list = |at: usize, default: f64| {
            self.lists.get(&10).and_then(|values| values.get(at)).copied().unwrap_or(default) as f32
        };
        Ok(Some(match kind {
            0 => return Ok(None),
            1 => Function::Relu,
            2 => Function::LeakyRelu(list(0, 0.0)),
            3 => Function::Clip(list(0, f64::from(f32::MIN)), list(1, f64::from(f32::MAX))),
            4 => Function::Sigmoid,
            5 => Function::Mish,
            6 if (list(0, 1.0 / 6.0) * 6.0 - 1.0).abs() < 1e-3 && list(1, 0.5) == 0.5 => Function::HardSwish,
            other => return Err(refuse(format!("activation {other} of {} \"{}\"", self.kind, self.name))),
        }))
    }

    /// Adds the layer; gives its first value's node.
    fn add(&self, net: &mut Assembler, weights: &mut Reader<'_>) -> Result<Option<usize>> {
        let first = || self.inputs.first().map(String::as_str).unwrap_or_default();
        let node = match self.kind.as_str() {
            "Split" | "Dropout" | "Noop" => {
                let value = net.value(first())?.clone();
                self.outputs.iter().for_each(|output| net.set(output, value.clone()));
                return Ok(None);
            }
            "MemoryData" => {
                let sides = [3, 11, 2, 1, 0].map(|key| self.int(key, 0));
                if sides[3] > 1 || (sides[4] > 1 && sides[2] > 0) {
                    return Err(refuse(format!("\"{}\" is a picture of constants", self.name)));
                }
                let count = sides.into_iter().filter(|&side| side > 1).product::<i64>().max(1) as usize;
                let values = weights.floats(count, &self.name)?;
                net.set(&self.outputs[0], Value::Constant(Weight { shape: vec![count], values }));
                return Ok(None);
            }
            "Convolution" | "ConvolutionDepthWise" => self.convolution(net, weights)?,
            "Deconvolution" | "DeconvolutionDepthWise" => self.deconvolution(net, weights)?,
            "InnerProduct" => {
                let x = net.node(first())?;
                let outputs = self.count(0, 0)?;
                let values = weights.tagged(self.count(2, 0)?, &self.name)?;
                let shape = vec![outputs, net.channels(x), 1, 1];
                let bias = if self.int(1, 0) != 0 { Some(weights.floats(outputs, &self.name)?) } else { None };
                let function = self.function(self.int(9, 0))?;
                let y = net.conv(&self.name, x, ConvOp::new(outputs, 1), checked(shape, values, &self.name)?, bias)?;
                function.map_or(y, |function| net.keep(Op::Activation(function), &[y]))
            }
            "PReLU" => {
                let slopes = weights.floats(self.count(0, 0)?, &self.name)?;
                let x = net.node(first())?;
                net.per_channel(&self.name, Op::Prelu, x, slopes, None)?
            }
            "Scale" => {
                let count = self.count(0, 0)?;
                let scale = weights.floats(count, &self.name)?;
                let bias =
                    if self.int(1, 0) != 0 { weights.floats(count, &self.name)? } else { vec![0.0; count.max(1)] };
                let x = net.node(first())?;
                net.per_channel(&self.name, Op::Affine, x, scale, Some(bias))?
            }
            "BatchNorm" => {
                let count = self.count(0, 0)?;
                let mut part = || weights.floats(count, &self.name);
                let (slope, mean, variance, bias) = (part()?, part()?, part()?, part()?);
                let epsilon = self.number(1, 0.0) as f32;
                let factor = |i: usize| slope[i] / (variance[i] + epsilon).sqrt();
                let offset = (0..count).map(|i| bias[i] - mean[i] * factor(i)).collect();
                let x = net.node(first())?;
                net.per_channel(&self.name, Op::Affine, x, (0..count).map(factor).collect(), Some(offset))?
            }
            "BinaryOp" => self.binary(net)?,
            "Eltwise" => self.eltwise(net)?,
            "Concat" => {
                if self.int(0, 0) != 0 {
                    return Err(refuse(format!("\"{}\" joins rows or columns", self.name)));
                }
                let nodes = self.inputs.iter().map(|input| net.node(input)).collect::<Result<Vec<_>>>()?;
                let channels = nodes.iter().map(|&node| net.channels(node)).sum();
                net.add("", Op::Concat, &nodes, channels)
            }
            "Slice" => return self.slice(net).map(Some),
            "Crop" => {
                let x = net.node(first())?;
                let [start, length] = [self.count(2, 0)?, self.count(5, 0)?];
                if length == 0 || self.int(0, 0) != 0 || self.int(1, 0) != 0 {
                    return Err(refuse(format!("\"{}\" cuts rows or columns", self.name)));
                }
                net.add("", Op::Slice { start, length }, &[x], length)
            }
            "PixelShuffle" => {
                let (by, x) = (self.count(0, 1)?, net.node(first())?);
                if self.int(1, 0) != 0 && net.channels(x) != by * by {
                    return Err(refuse(format!("\"{}\" shuffles pixels in another order", self.name)));
                }
                let channels = net.channels(x) / (by * by).max(1);
                net.add("", Op::PixelShuffle(by), &[x], channels)
            }
            "Reorg" => {
                let (by, x) = (self.count(0, 1)?, net.node(first())?);
                if self.int(1, 0) != 0 {
                    return Err(refuse(format!("\"{}\" unshuffles pixels in another order", self.name)));
                }
                let channels = net.channels(x).saturating_mul(by * by);
                net.add("", Op::PixelUnshuffle(by), &[x], channels)
            }
            "Interp" => self.interp(net)?,
            "Pooling" => self.pooling(net)?,
            "Padding" => {
                let mode = match self.int(4, 0) {
                    0 if self.number(5, 0.0) == 0.0 => Padding::Zero,
                    1 => Padding::Repeat,
                    2 => Padding::Reflect,
                    _ => return Err(refuse(format!("\"{}\" pads with a number", self.name))),
                };
                let sides = [self.count(2, 0)?, self.count(3, 0)?, self.count(0, 0)?, self.count(1, 0)?];
                let x = net.node(first())?;
                net.keep(Op::Pad { mode, sides }, &[x])
            }
            _ => {
                let function = self.elementwise()?;
                let x = net.node(first())?;
                net.keep(function, &[x])
            }
        };
        net.set(&self.outputs[0], Value::Node(node));
        Ok(Some(node))
    }

    fn elementwise(&self) -> Result<Op> {
        Ok(Op::Activation(match self.kind.as_str() {
            "ReLU" if self.number(0, 0.0) == 0.0 => Function::Relu,
            "ReLU" => Function::LeakyRelu(self.number(0, 0.0) as f32),
            "Swish" => Function::Silu,
            "Sigmoid" => Function::Sigmoid,
            "Mish" => Function::Mish,
            "TanH" => Function::Tanh,
            "GELU" if self.int(0, 0) != 0 => Function::GeluTanh,
            "GELU" => Function::Gelu,
            "AbsVal" => Function::Abs,
            "Clip" => {
                let bound = |key, default: f32| self.number(key, f64::from(default)) as f32;
                Function::Clip(bound(0, f32::MIN), bound(1, f32::MAX))
            }
            "HardSigmoid" => Function::HardSigmoid(self.number(0, 0.2) as f32, self.number(1, 0.5) as f32),
            "HardSwish" if (self.number(0, 0.2) * 6.0 - 1.0).abs() < 1e-3 => Function::HardSwish,
            "UnaryOp" if self.int(0, 0) == 0 => Function::Abs,
            "UnaryOp" if self.int(0, 0) == 1 => return Ok(Op::Linear { factor: -1.0, offset: 0.0 }),
            "UnaryOp" if self.int(0, 0) == 5 => Function::Sqrt,
            other => {
                return Err(refuse(format!(
                    "the operator {other} (layer \"{}\") is not among those that networks of pictures need here",
                    self.name
                )));
            }
        }))
    }

    fn convolution(&self, net: &mut Assembler, weights: &mut Reader<'_>) -> Result<usize> {
        let x = net.node(&self.inputs[0])?;
        let outputs = self.count(0, 0)?;
        let groups = self.count(7, 1)?.max(1);
        let (kernel, dilation, stride) = (self.pair(1, 0)?, self.pair(2, 1)?, self.pair(3, 1)?);
        let padding = if SAME.contains(&self.int(4, 0)) {
            if stride != [1, 1] {
                // How much it pads depends on the picture's sides.
                return Err(refuse(format!("\"{}\" pads to the same size in steps of more than one", self.name)));
            }
            let around = |axis: usize| dilation[axis] * kernel[axis].saturating_sub(1);
            let (down, across) = (around(0), around(1));
            let (less, more) = ([across / 2, down / 2], [across - across / 2, down - down / 2]);
            let ([left, top], [right, bottom]) = if self.int(4, 0) == SAME[0] { (less, more) } else { (more, less) };
            [left, right, top, bottom]
        } else {
            let left = self.count(4, 0)?;
            let top = self.count(14, left as i64)?;
            [left, self.count(15, left as i64)?, top, self.count(16, top as i64)?]
        };
        if self.number(18, 0.0) != 0.0 {
            return Err(refuse(format!("\"{}\" pads with a number", self.name)));
        }
        let values = weights.tagged(self.count(6, 0)?, &self.name)?;
        let shape = vec![outputs, net.channels(x) / groups, kernel[0], kernel[1]];
        let bias = if self.int(5, 0) != 0 { Some(weights.floats(outputs, &self.name)?) } else { None };
        let op = ConvOp { kernel, dilation, stride, padding, groups, ..ConvOp::new(outputs, 1) };
        let y = net.conv(&self.name, x, op, checked(shape, values, &self.name)?, bias)?;
        Ok(match self.function(self.int(9, 0))? {
            Some(function) => net.keep(Op::Activation(function), &[y]),
            None => y,
        })
    }

    fn deconvolution(&self, net: &mut Assembler, weights: &mut Reader<'_>) -> Result<usize> {
        let x = net.node(&self.inputs[0])?;
        let outputs = self.count(0, 0)?;
        let groups = self.count(7, 1)?.max(1);
        let (kernel, stride) = (self.pair(1, 0)?, self.pair(3, 1)?);
        if self.pair(2, 1)? != [1, 1] {
            return Err(refuse(format!("\"{}\" is a dilated transposed convolution", self.name)));
        }
        let left = self.count(4, 0)?;
        let padding = [self.count(14, left as i64)?, left];
        let output_padding = [self.count(19, 0)?, self.count(18, 0)?];
        let values = weights.tagged(self.count(6, 0)?, &self.name)?;
        let (each, inputs) = (outputs / groups, net.channels(x) / groups);
        let taps = kernel[0] * kernel[1];
        // Stored as [groups, outputs, inputs, taps]; transposed convolutions have their inputs first.
        let stored = checked(vec![groups, each, inputs, taps], values, &self.name)?;
        let at = |group: usize, output: usize, input: usize, tap: usize| {
            stored.values[((group * each + output) * inputs + input) * taps + tap]
        };
        let mut turned = Vec::with_capacity(stored.values.len());
        for group in 0..groups {
            for input in 0..inputs {
                for output in 0..each {
                    turned.extend((0..taps).map(|tap| at(group, output, input, tap)));
                }
            }
        }
        let weight = Weight { shape: vec![net.channels(x), each, kernel[0], kernel[1]], values: turned };
        let bias = if self.int(5, 0) != 0 { Some(weights.floats(outputs, &self.name)?) } else { None };
        let op = DeconvOp { outputs, kernel, stride, padding, output_padding, groups, bias: false };
        let y = net.deconv(&self.name, x, op, weight, bias)?;
        Ok(match self.function(self.int(9, 0))? {
            Some(function) => net.keep(Op::Activation(function), &[y]),
            None => y,
        })
    }

    fn binary(&self, net: &mut Assembler) -> Result<usize> {
        let a = net.value(&self.inputs[0])?.clone();
        let b = match self.inputs.get(1) {
            Some(name) => net.value(name)?.clone(),
            None => Value::Constant(Weight { shape: vec![1], values: vec![self.number(2, 0.0) as f32] }),
        };
        let (op, a, b) = match self.int(0, 0) {
            0 => (BinaryOp::Add, a, b),
            1 => (BinaryOp::Sub, a, b),
            2 => (BinaryOp::Mul, a, b),
            3 => (BinaryOp::Div, a, b),
            7 => (BinaryOp::Sub, b, a),
            8 => (BinaryOp::Div, b, a),
            other => return Err(refuse(format!("operation {other} of \"{}\"", self.name))),
        };
        net.binary(&self.name, op, &a, &b)
    }

    fn eltwise(&self, net: &mut Assembler) -> Result<usize> {
        let factors = self.lists.get(&1).cloned().unwrap_or_default();
        let op = match self.int(0, 0) {
            0 => BinaryOp::Mul,
            1 => BinaryOp::Add,
            other => return Err(refuse(format!("operation {other} of \"{}\"", self.name))),
        };
        let mut sum: Option<usize> = None;
        for (index, input) in self.inputs.iter().enumerate() {
            let mut x = net.node(input)?;
            if let Some(&factor) = factors.get(index).filter(|&&factor| factor != 1.0) {
                x = net.keep(Op::Linear { factor: factor as f32, offset: 0.0 }, &[x]);
            }
            sum = Some(match sum {
                None => x,
                Some(before) => net.binary(&self.name, op, &Value::Node(before), &Value::Node(x))?,
            });
        }
        sum.ok_or_else(|| refuse(format!("\"{}\" takes nothing", self.name)))
    }

    fn slice(&self, net: &mut Assembler) -> Result<usize> {
        let x = net.node(&self.inputs[0])?;
        if self.int(1, 0) != 0 {
            return Err(refuse(format!("\"{}\" splits rows or columns", self.name)));
        }
        let all = net.channels(x);
        let lengths = self.lists.get(&0).cloned().unwrap_or_default();
        let (mut start, mut node) = (0, x);
        for (index, output) in self.outputs.iter().enumerate() {
            let left = all.saturating_sub(start);
            // -233: what is left, in equal parts.
            let length = match lengths.get(index) {
                Some(&length) if length > 0.0 => length as usize,
                _ => left / (self.outputs.len() - index),
            };
            node = net.add("", Op::Slice { start, length }, &[x], length);
            net.set(output, Value::Node(node));
            start += length;
        }
        Ok(node)
    }

    fn interp(&self, net: &mut Assembler) -> Result<usize> {
        let x = net.node(&self.inputs[0])?;
        let mode = match (self.int(0, 0), self.int(6, 0)) {
            (1, _) => Enlargement::Nearest,
            (2, 0) => Enlargement::Bilinear,
            (2, _) => Enlargement::BilinearAligned,
            (3, 0) => Enlargement::Bicubic,
            (other, _) => return Err(refuse(format!("enlargement {other} of \"{}\"", self.name))),
        };
        if let Some(like) = self.inputs.get(1) {
            let like = net.node(like)?;
            return Ok(net.keep(Op::Resize(ResizeOp { mode, to: ResizeTo::Like }), &[x, like]));
        }
        let (down, across) = (self.number(1, 1.0), self.number(2, 1.0));
        if down != across || self.int(3, 0) != 0 || self.int(4, 0) != 0 {
            return Err(refuse(format!("\"{}\" gives a fixed size, or stretches", self.name)));
        }
        Ok(net.keep(Op::Resize(ResizeOp { mode, to: ratio(down, &self.name)? }), &[x]))
    }

    fn pooling(&self, net: &mut Assembler) -> Result<usize> {
        let x = net.node(&self.inputs[0])?;
        let max = self.int(0, 0) == 0;
        if self.int(4, 0) != 0 {
            return match max {
                false => Ok(net.keep(Op::GlobalMean, &[x])),
                true => Err(refuse(format!("the largest value of a picture (\"{}\")", self.name))),
            };
        }
        let pad = self.count(3, 0)?;
        let padding = [self.count(13, pad as i64)?, pad];
        if self.int(5, 0) == 0 && self.int(1, 0) != self.int(2, 1) {
            // Full windows at the end: where they differ from valid ones depends on the size.
            return Err(refuse(format!("\"{}\" pools beyond the border", self.name)));
        }
        let pool = PoolOp {
            max,
            kernel: self.pair(1, 0)?,
            stride: self.pair(2, 1)?,
            padding,
            count_padding: self.int(6, 0) != 0,
        };
        Ok(net.keep(Op::Pool(pool), &[x]))
    }
}

/// A factor of the sides, whole or a ratio of small numbers.
pub(super) fn ratio(factor: f64, name: &str) -> Result<ResizeTo> {
    (1..=16)
        .map(|below| (factor * f64::from(below), below as usize))
        .find(|(above, _)| (above - above.round()).abs() < 1e-4 && (1.0..=64.0).contains(&above.round()))
        .map(|(above, below)| match below {
            1 => ResizeTo::Times(above.round() as usize),
            _ => ResizeTo::Ratio(above.round() as usize, below),
        })
        .ok_or_else(|| refuse(format!("\"{name}\" enlarges {factor} times")))
}

fn checked(shape: Vec<usize>, values: Vec<f32>, name: &str) -> Result<Weight> {
    let count = shape.iter().try_fold(1_usize, |all, &side| all.checked_mul(side));
    if count != Some(values.len()) {
        return Err(refuse(format!(
            "\"{name}\" has {} weights where {shape:?} are needed: this .bin belongs to another .param",
            values.len()
        )));
    }
    Ok(Weight { shape, values })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize, name: &str) -> Result<&[u8]> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| {
            refuse(format!(
                "the weights end in the middle of \"{name}\": the .bin is cut short or belongs to another .param"
            ))
        })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn floats(&mut self, count: usize, name: &str) -> Result<Vec<f32>> {
        let bytes = self.take(count.saturating_mul(4), name)?;
        Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    /// Weights with a word before them that says how they are stored.
    fn tagged(&mut self, count: usize, name: &str) -> Result<Vec<f32>> {
        let tag = self.take(4, name)?;
        match u32::from_le_bytes([tag[0], tag[1], tag[2], tag[3]]) {
            0 => self.floats(count, name),
            HALF => {
                let bytes = self.take(count.saturating_mul(2).next_multiple_of(4), name)?;
                let halves = bytes.chunks_exact(2).take(count);
                Ok(halves.map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect())
            }
            other => Err(refuse(format!(
                "the weights of \"{name}\" are stored in a way this program does not read ({other:#x}); they may be quantized"
            ))),
        }
    }
}
