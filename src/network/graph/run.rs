//! The forward pass: an interpreter of graphs over tensors.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use burn::tensor::{Device, Tensor, TensorData};
use dualres_kernels::{Activation, Combination, ConvSpec, FusedConv, LastOf, conv2d, conv2d_fused};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    Graph, NodeId, Op,
    fuse::{Action, Last, Step, plan},
    half,
    parameter::Parameter,
    watch,
};
use crate::{NetworkError, Pooling, Result, Weights, evaluate};

/// A graph with its weights on a device.
#[derive(Debug)]
pub struct Network {
    graph: Arc<Graph>,
    parameters: BTreeMap<String, Parameter>,
    /// Passes for the result alone and for all pictures, which do not depend on the weights.
    plans: Arc<[OnceLock<Vec<Step>>; 2]>,
    /// Products of weights that [`Action::Join`] has made, while the weights stay as they are.
    joined: Mutex<BTreeMap<NodeId, (Tensor<4>, Option<Tensor<1>>)>>,
    /// Whether convolutions are made in 16 bits.
    is_half: bool,
}

impl Clone for Network {
    fn clone(&self) -> Self {
        Self {
            graph: self.graph.clone(),
            parameters: self.parameters.clone(),
            plans: self.plans.clone(),
            joined: Mutex::default(),
            is_half: self.is_half,
        }
    }
}

/// A forward pass that has come to a node: the values that are still needed.
#[derive(Clone, Debug)]
pub struct Activations {
    /// The node that is next.
    position: NodeId,
    values: BTreeMap<NodeId, Tensor<4>>,
    pooling: Pooling,
    /// Height and width of the input.
    size: [usize; 2],
}

impl Activations {
    /// The value of a node, if it has been computed and is still needed.
    pub fn value(&self, node: NodeId) -> Option<&Tensor<4>> {
        self.values.get(&node)
    }

    /// The same pass with other tensors, such as tensors that gradients are recorded through.
    pub fn map(self, map: impl Fn(Tensor<4>) -> Tensor<4>) -> Self {
        let values = self.values.into_iter().map(|(id, value)| (id, map(value))).collect();
        Self { values, ..self }
    }
}

impl Network {
    /// A network with random weights, the same for the same seed: uniform in +-1/sqrt(fan in) for convolutions, as in the
    /// published training.
    pub fn init(graph: impl Into<Arc<Graph>>, seed: u64, device: &Device) -> Self {
        let graph = graph.into();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut bound = 1.0;
        let mut parameters = BTreeMap::new();
        let kinds: BTreeMap<&str, &Op> = graph.nodes().iter().map(|node| (node.name.as_str(), &node.op)).collect();
        for (name, shape) in graph.parameter_shapes() {
            let count = shape.iter().product::<usize>();
            let (layer, role) = name.rsplit_once('.').expect("a layer and a role");
            let values: Vec<f32> = match kinds[layer] {
                Op::Conv(_) | Op::Deconv(_) => {
                    if role == "weight" {
                        bound = 1.0 / (shape[1..].iter().product::<usize>() as f32).sqrt();
                    }
                    (0..count).map(|_| random.random_range(-bound..bound)).collect()
                }
                Op::Prelu => vec![0.25; count],
                _ => vec![if role == "weight" { 1.0 } else { 0.0 }; count],
            };
            parameters.insert(name, parameter(shape, values, device));
        }
        Self::of(graph, parameters)
    }

    fn of(graph: Arc<Graph>, parameters: BTreeMap<String, Parameter>) -> Self {
        Self { graph, parameters, plans: Arc::default(), joined: Mutex::default(), is_half: false }
    }

    /// A network with stored weights.
    ///
    /// # Errors
    /// If the weights are not exactly those it needs.
    pub fn load(graph: impl Into<Arc<Graph>>, weights: &Weights, device: &Device) -> Result<Self> {
        let graph = graph.into();
        let mut parameters = BTreeMap::new();
        for (name, shape) in graph.parameter_shapes() {
            let values = weights.values(&name, &shape, device)?;
            parameters.insert(name, Parameter { shape, values });
        }
        if let Some(name) = weights.0.keys().find(|name| !parameters.contains_key(*name)) {
            return Err(NetworkError::Weights(format!("{name} belongs to no layer")));
        }
        Ok(Self::of(graph, parameters))
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// All weights by name, in host memory.
    pub fn weights(&self) -> Weights {
        let mut weights = Weights::default();
        self.parameters.iter().for_each(|(name, own)| weights.insert(name, &own.shape, &own.values));
        weights
    }

    /// A weight by its name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.get(name)
    }

    /// Names and shapes of all weights.
    pub fn parameter_shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.parameters.iter().map(|(name, parameter)| (name.as_str(), parameter.shape.as_slice()))
    }

    /// Replaces the values of every weight, in the order of their names.
    pub fn map_parameters(&mut self, mut map: impl FnMut(&str, Tensor<1>) -> Tensor<1>) {
        self.joined = Mutex::default();
        for (name, parameter) in &mut self.parameters {
            parameter.values = map(name, parameter.values.clone());
        }
    }

    /// Pictures for `x` [N, 3, H, W] in `[0, 255]`, as [`Graph::outputs`] lists them. Neither clamped nor rounded.
    ///
    /// # Panics
    /// If H or W is not a multiple of [`Graph::alignment`], or of [`Pooling::alignment`].
    pub fn forward(&self, x: Tensor<4>, pooling: Pooling) -> Vec<Tensor<4>> {
        let outputs: Vec<NodeId> = self.graph.outputs().iter().map(|output| output.node).collect();
        self.run(x, pooling, 1, &outputs)
    }

    /// The last picture of [`Network::forward`] alone, for less work and memory.
    ///
    /// # Panics
    /// As [`Network::forward`].
    pub fn upscale(&self, x: Tensor<4>, pooling: Pooling) -> Tensor<4> {
        self.run(x, pooling, 0, &[self.graph.result()]).pop().expect("a network has a result")
    }

    fn run(&self, x: Tensor<4>, pooling: Pooling, cached: usize, outputs: &[NodeId]) -> Vec<Tensor<4>> {
        let wanted: BTreeSet<NodeId> = outputs.iter().copied().collect();
        let end = self.graph.nodes().len();
        let steps = self.plans[cached].get_or_init(|| plan(&self.graph, 1, end, &wanted));
        let mut pass = self.start(x, pooling);
        self.take(&mut pass, steps);
        outputs.iter().map(|id| pass.values[id].clone()).collect()
    }

    /// Begins a forward pass of `x` [N, 3, H, W].
    ///
    /// A pass can be stopped at any node, kept, and resumed again and again: the search for the channels of a layer
    /// needs nothing before it to be computed anew.
    ///
    /// # Panics
    /// As [`Network::forward`].
    pub fn start(&self, x: Tensor<4>, pooling: Pooling) -> Activations {
        let [_, _, height, width] = x.dims();
        let alignment = pooling.alignment();
        assert!(
            height.is_multiple_of(alignment) && width.is_multiple_of(alignment),
            "local pooling needs sides in multiples of {alignment}, got {width}x{height}"
        );
        Activations { position: 1, values: BTreeMap::from([(0, x)]), pooling, size: [height, width] }
    }

    /// Resumes a pass up to node `to`, which is not run. What later nodes or the pictures need is there afterwards, and the
    /// values of `keep`, which no fused operator passes over.
    ///
    /// # Panics
    /// If the pass is further already, or keeps what it has dropped.
    pub fn advance(&self, mut pass: Activations, to: NodeId, keep: &[NodeId]) -> Activations {
        let nodes = self.graph.nodes();
        let to = to.min(nodes.len());
        assert!(pass.position <= to, "the pass has come to node {} already", pass.position);
        let later = nodes[to..].iter().flat_map(|node| &node.inputs);
        let outputs = self.graph.outputs().iter().map(|output| &output.node);
        let wanted: BTreeSet<NodeId> = later.chain(outputs).chain(keep).copied().filter(|&id| id < to).collect();
        let steps = plan(&self.graph, pass.position, to, &wanted);
        self.take(&mut pass, &steps);
        pass.values.retain(|id, _| wanted.contains(id));
        pass.position = to;
        pass
    }

    /// Resumes a pass to its end: the pictures of [`Network::forward`].
    pub fn finish(&self, pass: Activations) -> Vec<Tensor<4>> {
        let pass = self.advance(pass, usize::MAX, &[]);
        self.graph.outputs().iter().map(|output| pass.values[&output.node].clone()).collect()
    }

    /// Pictures as [`Network::forward`] gives them, and the values of other nodes.
    pub fn forward_with(&self, x: Tensor<4>, pooling: Pooling, nodes: &[NodeId]) -> (Vec<Tensor<4>>, Vec<Tensor<4>>) {
        let pass = self.advance(self.start(x, pooling), usize::MAX, nodes);
        let of = |id: &NodeId| pass.values[id].clone();
        (self.graph.outputs().iter().map(|output| of(&output.node)).collect(), nodes.iter().map(of).collect())
    }

    fn take(&self, pass: &mut Activations, steps: &[Step]) {
        watch::begin(steps.len());
        for step in steps {
            let inputs: Vec<Tensor<4>> = step
                .inputs
                .iter()
                .enumerate()
                .map(|(place, id)| {
                    let last = step.dead.contains(id) && !step.inputs[place + 1..].contains(id);
                    let value = if last { pass.values.remove(id) } else { pass.values.get(id).cloned() };
                    value.expect("computed before")
                })
                .collect();
            let value = self.step(step, inputs, pass);
            watch::step(&value);
            pass.values.insert(step.output, value);
        }
    }

    fn step(&self, step: &Step, mut inputs: Vec<Tensor<4>>, pass: &Activations) -> Tensor<4> {
        // Another value of a sum keeps the precision it has.
        let other = match step.action {
            Action::Conv { sum: Some(factor), .. } => inputs.pop().map(|other| (factor, other)),
            _ => None,
        };
        if self.is_half {
            inputs = half::harmonised(&step.action, &self.graph.node(step.output).op, inputs);
        }
        match step.action {
            Action::Op => {
                let node = self.graph.node(step.output);
                let weights = |role: &str| self.parameters.get(&format!("{}.{role}", node.name));
                evaluate::node(&node.op, inputs, weights, pass.pooling, pass.size)
            }
            Action::Conv { conv, shift, last, .. } => {
                let (node, Op::Conv(op)) = (self.graph.node(conv), &self.graph.node(conv).op) else {
                    unreachable!("fused as a convolution")
                };
                let own = self.parameters.get(&format!("{}.bias", node.name)).map(Parameter::tensor::<1>);
                let bias = match shift.map(|shift| &self.graph.node(shift).op) {
                    Some(Op::Shift(by)) => own.map(|own| {
                        let by: Tensor<1> = Tensor::from_data(by.as_slice(), &own.device());
                        let dtype = own.dtype();
                        own + by.cast(dtype)
                    }),
                    _ => own,
                };
                let weight = self.parameters[&format!("{}.weight", node.name)].tensor();
                let (activation, last) = match last {
                    Last::Activation(activation) => (activation, None),
                    Last::Silu => (Activation::Identity, Some(LastOf::Silu)),
                    Last::Prelu(id) => {
                        let slopes: Tensor<1> =
                            self.parameters[&format!("{}.weight", self.graph.node(id).name)].tensor();
                        let slopes = if self.is_half { slopes.cast(inputs[0].dtype()) } else { slopes };
                        (Activation::Identity, Some(LastOf::Prelu(Box::new(slopes))))
                    }
                };
                let spec = ConvSpec { stride: op.stride[0], activation };
                let (sum, apart) = match other {
                    Some((factor, other)) if other.dtype() != inputs[0].dtype() => (None, Some((factor, other))),
                    sum => (sum, None),
                };
                let out = conv2d_fused(inputs, FusedConv { weight, bias, spec, last, sum });
                match apart {
                    None => out,
                    Some((factor, other)) => {
                        let [out, other] = half::single_values([out, other]);
                        dualres_kernels::add_scaled(out, factor, other)
                    }
                }
            }
            Action::Join { up, by, reduce, beside } => {
                let (weight, bias) = self.join(up, by, reduce);
                let other = if beside { inputs.pop() } else { None };
                let x = conv2d(inputs.swap_remove(0), weight, bias, ConvSpec::default());
                match other {
                    Some(other) => dualres_kernels::pixel_shuffle_concat(x, other),
                    None => dualres_kernels::pixel_shuffle(x, by),
                }
            }
            Action::ShuffleBeside => {
                let other = inputs.pop().expect("two inputs");
                dualres_kernels::pixel_shuffle_concat(inputs.pop().expect("two inputs"), other)
            }
            Action::Attention { squeeze, excite } => {
                let residual = inputs.pop().expect("two inputs");
                let x = inputs.pop().expect("two inputs");
                let of = |id: NodeId, role: &str| &self.parameters[&format!("{}.{role}", self.graph.node(id).name)];
                let mut layers = dualres_kernels::AttentionLayers {
                    squeeze: of(squeeze, "weight").tensor(),
                    squeeze_bias: of(squeeze, "bias").tensor(),
                    excite: of(excite, "weight").tensor(),
                    excite_bias: of(excite, "bias").tensor(),
                };
                if self.is_half {
                    layers = half::single(layers);
                }
                evaluate::attention(x, residual, layers, pass.pooling, pass.size)
            }
            Action::AddScaled { factor } => {
                let other = inputs.pop().expect("two inputs");
                dualres_kernels::add_scaled(inputs.pop().expect("two inputs"), factor, other)
            }
            Action::Gate { offset } => {
                let gate = inputs.pop().expect("two inputs");
                dualres_kernels::combine(Combination::Gate(offset), inputs.pop().expect("two inputs"), gate)
            }
        }
    }

    /// Has all convolutions made in 16 bits from now on.
    pub(crate) fn halve(&mut self) {
        let convolutions = half::convolutions(&self.graph);
        self.map_parameters(|name, values| half::halved(name, values, &convolutions));
        self.is_half = true;
    }

    /// Weight and bias of the convolution that does the work of `up` and `reduce`.
    fn join(&self, up: NodeId, by: usize, reduce: NodeId) -> (Tensor<4>, Option<Tensor<1>>) {
        let of = |id: NodeId, role: &str| self.parameters.get(&format!("{}.{role}", self.graph.node(id).name));
        let weight = of(up, "weight").expect("a convolution has a weight");
        let make = || {
            let bias = |id: NodeId| of(id, "bias").map(Parameter::tensor::<1>);
            let reduced = of(reduce, "weight").expect("a convolution has a weight").tensor();
            let join = |weights, biases| evaluate::join(weights, biases, by);
            let (weights, biases) = ([weight.tensor(), reduced], [bias(up), bias(reduce)]);
            if self.is_half { half::joined(weights, biases, join) } else { join(weights, biases) }
        };
        if weight.values.is_autodiff() {
            return make();
        }
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        joined.entry(reduce).or_insert_with(make).clone()
    }

    /// The passes that give the result, in the order they run.
    pub(crate) fn result_steps(graph: &Graph) -> Vec<Step> {
        plan(graph, 1, graph.nodes().len(), &BTreeSet::from([graph.result()]))
    }

    /// Weight and bias of the one convolution that [`Action::Join`] runs.
    pub(crate) fn joined(&self, up: NodeId, by: usize, reduce: NodeId) -> (Tensor<4>, Option<Tensor<1>>) {
        self.join(up, by, reduce)
    }
}

fn parameter(shape: Vec<usize>, values: Vec<f32>, device: &Device) -> Parameter {
    let count = values.len();
    Parameter { shape, values: Tensor::from_data(TensorData::new(values, [count]), device) }
}
