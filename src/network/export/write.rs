//! Operators of a network as operators of ONNX.

use burn::tensor::Tensor;
use dualres_kernels::{Activation, Function};

use super::graph::{Graph, Value, float, int, ints, string};
use crate::{
    Network, Pooling,
    graph::{Action, BinaryOp, ConvOp, Enlargement, Last, NodeId, Op, Padding, Parameter, ResizeOp, ResizeTo, Shape},
};

type Written<T> = std::result::Result<T, String>;

/// Side of the input that values are compared at.
const SIDE: usize = 96;

/// Writes a network into a graph of ONNX.
pub(super) struct Writer<'a> {
    network: &'a Network,
    /// What goes before the names of weights.
    prefix: &'a str,
    pooling: Pooling,
    graph: &'a mut Graph,
    shapes: Vec<Shape>,
    /// Names of the values, by node.
    values: Vec<Value>,
    /// Side of the cells that a value is a statistic of, in positions of what it is taken from.
    cells: Vec<Option<usize>>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(network: &'a Network, prefix: &'a str, pooling: Pooling, graph: &'a mut Graph) -> Self {
        let count = network.graph().nodes().len();
        let shapes = network.graph().shapes([SIDE, SIDE]).expect("checked when the graph was made");
        let (values, cells) = (vec![String::new(); count], vec![None; count]);
        Self { network, prefix, pooling, graph, shapes, values, cells }
    }

    /// Writes all of it on the value `x`; gives the value of the result.
    pub(super) fn write(mut self, x: &str) -> Written<Value> {
        self.values[0] = x.to_owned();
        for step in Network::result_steps(self.network.graph()) {
            let inputs: Vec<Value> = step.inputs.iter().map(|&id| self.values[id].clone()).collect();
            self.cells[step.output] = step.inputs.iter().find_map(|&id| self.cells[id]);
            let value = match step.action {
                Action::Op => self.op(step.output, &step.inputs, &inputs)?,
                Action::Conv { conv, shift, last, sum } => {
                    let parts = &inputs[..inputs.len() - usize::from(sum.is_some())];
                    let x = match parts {
                        [x] => x.clone(),
                        _ => {
                            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                            self.graph.node("Concat", &parts, vec![int("axis", 1)])
                        }
                    };
                    let mut out = self.conv(conv, &x)?;
                    if let Some(shift) = shift {
                        out = self.op(shift, &[conv], &[out])?;
                    }
                    out = match last {
                        Last::Activation(activation) => self.activation(activation, out),
                        Last::Prelu(id) => self.op(id, &[conv], &[out])?,
                        Last::Silu => self.function(Function::Silu, &out),
                    };
                    match sum {
                        None => out,
                        Some(factor) => {
                            let scaled = self.linear(&out, factor, 0.0);
                            self.graph.node("Add", &[&scaled, &inputs[parts.len()]], Vec::new())
                        }
                    }
                }
                Action::Join { up, by, reduce, beside } => {
                    let (weight, bias) = self.network.joined(up, by, reduce);
                    let name = format!("{}{}+{}", self.prefix, self.name(up), self.name(reduce));
                    let op = self.conv_op(up).ok_or("a convolution is none")?;
                    let out = self.convolution(&name, &inputs[0], &weight, bias.as_ref(), op);
                    let out = self.shuffled(&out, by);
                    match (beside, inputs.get(1)) {
                        (true, Some(other)) => self.graph.node("Concat", &[&out, other], vec![int("axis", 1)]),
                        _ => out,
                    }
                }
                Action::ShuffleBeside => {
                    let out = self.shuffled(&inputs[0], 2);
                    self.graph.node("Concat", &[&out, &inputs[1]], vec![int("axis", 1)])
                }
                Action::Attention { squeeze, excite } => {
                    let (means, cell) = self.means(&inputs[0], self.shapes[step.inputs[0]]);
                    let hidden = self.conv(squeeze, &means)?;
                    let hidden = self.graph.node("Relu", &[&hidden], Vec::new());
                    let scale = self.conv(excite, &hidden)?;
                    let mut scale = self.graph.node("Sigmoid", &[&scale], Vec::new());
                    if let Some(cell) = cell {
                        scale = self.graph.resize(&scale, cell, "linear", Vec::new());
                    }
                    let scaled = self.graph.node("Mul", &[&inputs[0], &scale], Vec::new());
                    self.graph.node("Add", &[&scaled, &inputs[1]], Vec::new())
                }
                Action::AddScaled { factor } => {
                    let scaled = self.linear(&inputs[0], factor, 0.0);
                    self.graph.node("Add", &[&scaled, &inputs[1]], Vec::new())
                }
                Action::Gate { offset } => {
                    let gate = self.function(Function::Sigmoid, &inputs[1]);
                    let gate = self.linear(&gate, 1.0, offset);
                    self.graph.node("Mul", &[&inputs[0], &gate], Vec::new())
                }
            };
            self.values[step.output] = value;
        }
        Ok(self.values[self.network.graph().result()].clone())
    }

    fn name(&self, node: NodeId) -> &str {
        &self.network.graph().node(node).name
    }

    fn conv_op(&self, node: NodeId) -> Option<ConvOp> {
        match self.network.graph().node(node).op {
            Op::Conv(op) => Some(op),
            _ => None,
        }
    }

    fn parameter(&self, node: NodeId, role: &str) -> Option<Parameter> {
        self.network.parameter(&format!("{}.{role}", self.name(node))).cloned()
    }

    fn numbers(&mut self, node: NodeId, role: &str, shape: &[usize]) -> Written<Value> {
        let parameter = self.parameter(node, role).ok_or("a weight is missing")?;
        let values = parameter.values.to_data().convert::<f32>().try_into_vec::<f32>().map_err(|e| format!("{e:?}"))?;
        let name = format!("{}{}.{role}", self.prefix, self.name(node));
        Ok(self.graph.floats(&name, shape, &values))
    }

    fn conv(&mut self, node: NodeId, x: &str) -> Written<Value> {
        let op = self.conv_op(node).ok_or("a convolution is none")?;
        let weight: Tensor<4> = self.parameter(node, "weight").ok_or("a weight is missing")?.tensor();
        let bias = self.parameter(node, "bias").map(|bias| bias.tensor::<1>());
        let name = format!("{}{}", self.prefix, self.name(node));
        Ok(self.convolution(&name, x, &weight, bias.as_ref(), op))
    }

    fn convolution(&mut self, name: &str, x: &str, weight: &Tensor<4>, bias: Option<&Tensor<1>>, op: ConvOp) -> Value {
        let weight = self.graph.tensor(&format!("{name}.weight"), weight);
        let bias = bias.map(|bias| self.graph.tensor(&format!("{name}.bias"), bias));
        let [left, right, top, bottom] = op.padding;
        let mut attributes = vec![
            ints("kernel_shape", &op.kernel),
            ints("strides", &op.stride),
            ints("pads", &[top, left, bottom, right]),
        ];
        if op.groups > 1 {
            attributes.push(int("group", op.groups));
        }
        if op.dilation != [1, 1] {
            attributes.push(ints("dilations", &op.dilation));
        }
        let inputs: Vec<&str> = [x, &weight].into_iter().chain(bias.as_deref()).collect();
        self.graph.node("Conv", &inputs, attributes)
    }

    fn activation(&mut self, activation: Activation, x: Value) -> Value {
        match activation {
            Activation::Identity => x,
            Activation::Relu => self.graph.node("Relu", &[&x], Vec::new()),
            Activation::LeakyRelu(slope) => self.graph.node("LeakyRelu", &[&x], vec![float("alpha", slope)]),
        }
    }

    fn shuffled(&mut self, x: &str, by: usize) -> Value {
        self.graph.node("DepthToSpace", &[x], vec![int("blocksize", by), string("mode", "CRD")])
    }

    /// A constant. Readers drop signs and dots from names, so that these are of letters and digits alone.
    fn number(&mut self, value: f32) -> Value {
        self.graph.floats(&format!("number_{:08x}", value.to_bits()), &[], &[value])
    }

    /// `factor * x + offset`.
    fn linear(&mut self, x: &str, factor: f32, offset: f32) -> Value {
        let mut x = x.to_owned();
        if factor != 1.0 {
            let by = self.number(factor);
            x = self.graph.node("Mul", &[&x, &by], Vec::new());
        }
        if offset != 0.0 {
            let by = self.number(offset);
            x = self.graph.node("Add", &[&x, &by], Vec::new());
        }
        x
    }

    /// Means over the picture or its neighbourhoods, and the side of the cells these are interpolated between.
    fn means(&mut self, x: &str, shape: Shape) -> (Value, Option<usize>) {
        if let Pooling::Local { cell, window_cells } = self.pooling {
            let side = cell * shape.height / SIDE;
            if side > 0 && side * SIDE == cell * shape.height {
                let cells = vec![ints("kernel_shape", &[side; 2]), ints("strides", &[side; 2])];
                let cells = self.graph.node("AveragePool", &[x], cells);
                let window = vec![
                    ints("kernel_shape", &[window_cells; 2]),
                    ints("strides", &[1; 2]),
                    ints("pads", &[window_cells / 2; 4]),
                    int("count_include_pad", 0),
                ];
                return (self.graph.node("AveragePool", &[&cells], window), Some(side));
            }
        }
        (self.graph.node("GlobalAveragePool", &[x], Vec::new()), None)
    }

    fn op(&mut self, id: NodeId, nodes: &[NodeId], inputs: &[Value]) -> Written<Value> {
        let x = inputs.first().map(String::as_str).unwrap_or_default();
        let shape = nodes.first().map(|&node| self.shapes[node]).unwrap_or(self.shapes[0]);
        let channels = shape.channels;
        let op = self.network.graph().node(id).op.clone();
        Ok(match &op {
            Op::Input { .. } => x.to_owned(),
            Op::Conv(_) => self.conv(id, x)?,
            Op::Deconv(deconv) => {
                let weight: Tensor<4> = self.parameter(id, "weight").ok_or("a weight is missing")?.tensor();
                let name = format!("{}{}", self.prefix, self.name(id));
                let weight = self.graph.tensor(&format!("{name}.weight"), &weight);
                let bias = self.parameter(id, "bias").map(|bias| bias.tensor::<1>());
                let bias = bias.map(|bias| self.graph.tensor(&format!("{name}.bias"), &bias));
                let [down, across] = deconv.padding;
                let attributes = vec![
                    ints("kernel_shape", &deconv.kernel),
                    ints("strides", &deconv.stride),
                    ints("pads", &[down, across, down, across]),
                    ints("output_padding", &deconv.output_padding),
                    int("group", deconv.groups),
                ];
                let all: Vec<&str> = [x, &weight].into_iter().chain(bias.as_deref()).collect();
                self.graph.node("ConvTranspose", &all, attributes)
            }
            Op::Activation(function) => self.function(*function, x),
            Op::Prelu => {
                let slopes = self.numbers(id, "weight", &[channels, 1, 1])?;
                self.graph.node("PRelu", &[x, &slopes], Vec::new())
            }
            Op::Affine => {
                let (weight, bias) = (
                    self.numbers(id, "weight", &[1, channels, 1, 1])?,
                    self.numbers(id, "bias", &[1, channels, 1, 1])?,
                );
                let scaled = self.graph.node("Mul", &[x, &weight], Vec::new());
                self.graph.node("Add", &[&scaled, &bias], Vec::new())
            }
            Op::Shift(by) => {
                let by = self.graph.floats(&format!("{}shift.{id}", self.prefix), &[1, channels, 1, 1], by);
                self.graph.node("Add", &[x, &by], Vec::new())
            }
            Op::Linear { factor, offset } => self.linear(x, *factor, *offset),
            Op::Binary(op) => self.binary(id, *op, nodes, inputs),
            Op::Concat => {
                let all: Vec<&str> = inputs.iter().map(String::as_str).collect();
                self.graph.node("Concat", &all, vec![int("axis", 1)])
            }
            Op::Slice { start, length } => {
                let starts = self.graph.integers(&format!("at.{start}"), &[*start as i64]);
                let ends = self.graph.integers(&format!("at.{}", start + length), &[(start + length) as i64]);
                let axis = self.graph.integers("at.1", &[1]);
                self.graph.node("Slice", &[x, &starts, &ends, &axis], Vec::new())
            }
            Op::PixelShuffle(by) => self.shuffled(x, *by),
            Op::PixelUnshuffle(by) => self.unshuffled(x, *by, channels),
            Op::Resize(resize) => self.resized(x, inputs.get(1).map(String::as_str), resize),
            Op::Pool(pool) => {
                let [down, across] = pool.padding;
                let mut attributes = vec![
                    ints("kernel_shape", &pool.kernel),
                    ints("strides", &pool.stride),
                    ints("pads", &[down, across, down, across]),
                ];
                if !pool.max {
                    attributes.push(int("count_include_pad", usize::from(pool.count_padding)));
                }
                self.graph.node(if pool.max { "MaxPool" } else { "AveragePool" }, &[x], attributes)
            }
            Op::GlobalMean => {
                let (means, cell) = self.means(x, shape);
                self.cells[id] = cell;
                means
            }
            Op::GlobalDeviation => {
                let square = self.graph.node("Mul", &[x, x], Vec::new());
                let ((mean, cell), (square, _)) = (self.means(x, shape), self.means(&square, shape));
                self.cells[id] = cell;
                let squared = self.graph.node("Mul", &[&mean, &mean], Vec::new());
                let variance = self.graph.node("Sub", &[&square, &squared], Vec::new());
                let variance = self.graph.node("Relu", &[&variance], Vec::new());
                self.graph.node("Sqrt", &[&variance], Vec::new())
            }
            Op::ChannelMean => self.channel_mean(x),
            Op::LayerNorm { epsilon } => {
                let mean = self.channel_mean(x);
                let centred = self.graph.node("Sub", &[x, &mean], Vec::new());
                let square = self.graph.node("Mul", &[&centred, &centred], Vec::new());
                let variance = self.channel_mean(&square);
                let variance = self.linear(&variance, 1.0, *epsilon);
                let deviation = self.graph.node("Sqrt", &[&variance], Vec::new());
                let normal = self.graph.node("Div", &[&centred, &deviation], Vec::new());
                self.scaled(id, &normal, channels)?
            }
            Op::GroupNorm { groups, epsilon } => {
                if self.pooling != Pooling::Global {
                    return Err("its normalisation over the picture is exported with global pooling only".into());
                }
                let sides = self.graph.node("Shape", &[x], Vec::new());
                let grouped = self.graph.integers(&format!("groups.{groups}"), &[0, *groups as i64, -1]);
                let rows = self.graph.node("Reshape", &[x, &grouped], Vec::new());
                let ones = self.graph.floats(&format!("ones.{groups}"), &[*groups], &vec![1.0; *groups]);
                let zeros = self.graph.floats(&format!("zeros.{groups}"), &[*groups], &vec![0.0; *groups]);
                let normal =
                    self.graph.node("InstanceNormalization", &[&rows, &ones, &zeros], vec![float("epsilon", *epsilon)]);
                let normal = self.graph.node("Reshape", &[&normal, &sides], Vec::new());
                self.scaled(id, &normal, channels)?
            }
            Op::Pad { mode, sides: [left, right, top, bottom] } => {
                let pads = [0, 0, *top, *left, 0, 0, *bottom, *right].map(|side| side as i64);
                let pads = self.graph.integers(&listed("pads", &pads), &pads);
                let mode = match mode {
                    Padding::Zero => "constant",
                    Padding::Repeat => "edge",
                    Padding::Reflect => "reflect",
                };
                self.graph.node("Pad", &[x, &pads], vec![string("mode", mode)])
            }
            Op::Crop([left, right, top, bottom]) => {
                let start = [*top as i64, *left as i64];
                let end = [*bottom, *right].map(|side| if side == 0 { i64::MAX } else { -(side as i64) });
                let starts = self.graph.integers(&listed("from", &start), &start);
                let ends = self.graph.integers(&listed("to", &end), &end);
                let axes = self.graph.integers("height_and_width", &[2, 3]);
                self.graph.node("Slice", &[x, &starts, &ends, &axes], Vec::new())
            }
            Op::SampleAt { .. } => return Err("its dynamic sampling has no operator in ONNX".into()),
        })
    }

    /// `weight * x + bias` a channel.
    fn scaled(&mut self, id: NodeId, x: &str, channels: usize) -> Written<Value> {
        let (weight, bias) =
            (self.numbers(id, "weight", &[1, channels, 1, 1])?, self.numbers(id, "bias", &[1, channels, 1, 1])?);
        let scaled = self.graph.node("Mul", &[x, &weight], Vec::new());
        Ok(self.graph.node("Add", &[&scaled, &bias], Vec::new()))
    }

    fn channel_mean(&mut self, x: &str) -> Value {
        self.graph.node("ReduceMean", &[x], vec![ints("axes", &[1]), int("keepdims", 1)])
    }

    fn binary(&mut self, id: NodeId, op: BinaryOp, nodes: &[NodeId], inputs: &[Value]) -> Value {
        let mut values = [inputs[0].clone(), inputs[1].clone()];
        let cells = [self.cells[nodes[0]], self.cells[nodes[1]]];
        // Statistics of cells are interpolated where they meet what they are statistics of.
        for (value, (cell, other)) in values.iter_mut().zip([(cells[0], cells[1]), (cells[1], cells[0])]) {
            if let (Some(cell), None) = (cell, other) {
                *value = self.graph.resize(value, cell, "linear", Vec::new());
                self.cells[id] = None;
            }
        }
        let operator = match op {
            BinaryOp::Add => "Add",
            BinaryOp::Sub => "Sub",
            BinaryOp::Mul => "Mul",
            BinaryOp::Div => "Div",
        };
        self.graph.node(operator, &[&values[0], &values[1]], Vec::new())
    }

    fn function(&mut self, function: Function, x: &str) -> Value {
        let plain = |this: &mut Self, operator: &str| this.graph.node(operator, &[x], Vec::new());
        match function {
            Function::Relu => plain(self, "Relu"),
            Function::LeakyRelu(slope) => self.graph.node("LeakyRelu", &[x], vec![float("alpha", slope)]),
            Function::Sigmoid => plain(self, "Sigmoid"),
            Function::Tanh => plain(self, "Tanh"),
            Function::Sqrt => plain(self, "Sqrt"),
            Function::Abs => plain(self, "Abs"),
            Function::Erf => plain(self, "Erf"),
            Function::Softplus => plain(self, "Softplus"),
            Function::HardSwish => plain(self, "HardSwish"),
            Function::HardSigmoid(slope, offset) => {
                self.graph.node("HardSigmoid", &[x], vec![float("alpha", slope), float("beta", offset)])
            }
            Function::Silu => {
                let gate = plain(self, "Sigmoid");
                self.graph.node("Mul", &[x, &gate], Vec::new())
            }
            Function::Mish => {
                let soft = plain(self, "Softplus");
                let gate = self.graph.node("Tanh", &[&soft], Vec::new());
                self.graph.node("Mul", &[x, &gate], Vec::new())
            }
            Function::Gelu => {
                let scaled = self.linear(x, std::f32::consts::FRAC_1_SQRT_2, 0.0);
                let erf = self.graph.node("Erf", &[&scaled], Vec::new());
                let gate = self.linear(&erf, 0.5, 0.5);
                self.graph.node("Mul", &[x, &gate], Vec::new())
            }
            Function::GeluTanh => {
                let square = self.graph.node("Mul", &[x, x], Vec::new());
                let bent = self.linear(&square, 0.044_715, 1.0);
                let inner = self.graph.node("Mul", &[x, &bent], Vec::new());
                let inner = self.linear(&inner, 0.797_884_6, 0.0);
                let tanh = self.graph.node("Tanh", &[&inner], Vec::new());
                let gate = self.linear(&tanh, 0.5, 0.5);
                self.graph.node("Mul", &[x, &gate], Vec::new())
            }
            Function::Clip(low, high) => {
                let [low, high] = [low, high].map(|bound| self.number(bound));
                self.graph.node("Clip", &[x, &low, &high], Vec::new())
            }
        }
    }

    /// One convolution that picks pixels: ONNX's own operator has another order of channels.
    fn unshuffled(&mut self, x: &str, by: usize, channels: usize) -> Value {
        let places = by * by;
        let picks: Vec<f32> = (0..channels * places * places)
            .map(|i| if i / places % places == i % places { 1.0 } else { 0.0 })
            .collect();
        let picks = self.graph.floats(&format!("unshuffled.{by}.{channels}"), &[channels * places, 1, by, by], &picks);
        let attributes = vec![ints("kernel_shape", &[by, by]), ints("strides", &[by, by]), int("group", channels)];
        self.graph.node("Conv", &[x, &picks], attributes)
    }

    fn resized(&mut self, x: &str, like: Option<&str>, resize: &ResizeOp) -> Value {
        let mut attributes = match resize.mode {
            Enlargement::Nearest => vec![
                string("mode", "nearest"),
                string("coordinate_transformation_mode", "asymmetric"),
                string("nearest_mode", "floor"),
            ],
            Enlargement::Bilinear => {
                vec![string("mode", "linear"), string("coordinate_transformation_mode", "half_pixel")]
            }
            Enlargement::BilinearAligned => {
                vec![string("mode", "linear"), string("coordinate_transformation_mode", "align_corners")]
            }
            Enlargement::Bicubic => {
                vec![string("mode", "cubic"), string("coordinate_transformation_mode", "half_pixel")]
            }
        };
        if resize.mode == Enlargement::Bicubic {
            attributes.extend([float("cubic_coeff_a", -0.75), int("exclude_outside", 0)]);
        }
        let factor = match resize.to {
            ResizeTo::Times(by) => by as f32,
            ResizeTo::Ratio(up, down) => up as f32 / down as f32,
            ResizeTo::Like => {
                let (own, other) = (
                    self.graph.node("Shape", &[x], vec![int("start", 0), int("end", 2)]),
                    self.graph.sides(like.unwrap_or(x)),
                );
                let sizes = self.graph.node("Concat", &[&own, &other], vec![int("axis", 0)]);
                return self.graph.node("Resize", &[x, "", "", &sizes], attributes);
            }
        };
        let scales = self.graph.floats(&format!("scales.{factor}"), &[4], &[1.0, 1.0, factor, factor]);
        self.graph.node("Resize", &[x, "", &scales], attributes)
    }
}

/// A name for a list of integers, without signs.
fn listed(name: &str, values: &[i64]) -> String {
    let parts: Vec<String> =
        values.iter().map(|&value| if value < 0 { format!("m{}", -value) } else { value.to_string() }).collect();
    format!("{name}_{}", parts.join("_"))
}
