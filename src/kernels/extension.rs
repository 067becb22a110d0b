//! The bridge to Burn: which backend runs what, and the node in the gradient graph.

use burn::{
    backend::{
        Autodiff, Backend, Cube, Dispatch, Flex, TensorMetadata,
        autodiff::{
            NodeId,
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        flex::FlexTensor,
        ops::ConvOptions,
        tensor::FloatTensor,
    },
    tensor::{DType, Tensor, TensorData},
};

use crate::{
    Activation, ConvSpec,
    cpu::{self, Last, Layer, Output, Planes},
    prepared,
    spec::Wanted,
};

/// Convolution of `x` [N, C, H, W] with `weight` [O, C, K, K] (K odd), zero padding `K / 2`, an optional bias [O] and
/// an activation; gives [N, O, H', W'] with `H' = floor((H - 1) / stride) + 1`.
///
/// Runs on any device; differentiable.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, spec: ConvSpec) -> Tensor<4> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => Dispatch::convolve_with_bias(x, weight, bias.into_dispatch(), spec),
        None => Dispatch::convolve(x, weight, spec),
    })
}

/// Backends that run [`conv2d`]. The provided bodies compose Burn's own operations.
#[cfg_attr(feature = "remote", backend_extension(Autodiff, Flex, Cube, Fusion, Remote))]
#[cfg_attr(not(feature = "remote"), backend_extension(Autodiff, Flex, Cube, Fusion))]
pub trait ConvBackend: Backend {
    /// Convolution without bias.
    #[fusion(dtype = x, shape = spec.output_shape(x, weight))]
    fn convolve(x: FloatTensor<Self>, weight: FloatTensor<Self>, spec: ConvSpec) -> FloatTensor<Self> {
        composed::<Self>(x, weight, None, spec)
    }

    /// Convolution with bias.
    #[fusion(dtype = x, shape = spec.output_shape(x, weight))]
    fn convolve_with_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        spec: ConvSpec,
    ) -> FloatTensor<Self> {
        composed::<Self>(x, weight, Some(bias), spec)
    }
}

/// The backward pass of [`ConvBackend`], on backends that do not record gradients themselves.
pub trait ConvGradients: Backend {
    /// The forward pass, of weights that are about to change.
    fn convolve_changing(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        spec: ConvSpec,
    ) -> FloatTensor<Self> {
        composed::<Self>(x, weight, bias, spec)
    }

    /// The wanted gradients. `output` is the result of the forward pass.
    fn convolution_gradients(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        output: FloatTensor<Self>,
        output_grad: FloatTensor<Self>,
        spec: ConvSpec,
        wanted: Wanted,
    ) -> ConvGradientTensors<Self> {
        composed_gradients::<Self>(x, weight, output, output_grad, spec, wanted)
    }
}

/// Gradients of a convolution as far as they are wanted: with respect to its input, and to its weight and bias.
pub type ConvGradientTensors<B> = (Option<FloatTensor<B>>, Option<(FloatTensor<B>, FloatTensor<B>)>);

fn options(kernel: usize, spec: ConvSpec) -> ConvOptions<2> {
    let pad = kernel / 2;
    ConvOptions::new([spec.stride, spec.stride], [pad, pad], [1, 1], 1)
}

pub(crate) fn composed<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: Option<FloatTensor<B>>,
    spec: ConvSpec,
) -> FloatTensor<B> {
    let kernel = weight.shape()[2];
    let out = B::conv2d(x, weight, bias, options(kernel, spec));
    match spec.activation {
        Activation::Identity => out,
        Activation::Relu => B::relu(out),
        Activation::LeakyRelu(slope) => B::leaky_relu(out, slope.into()),
    }
}

fn composed_gradients<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    output: FloatTensor<B>,
    output_grad: FloatTensor<B>,
    spec: ConvSpec,
    wanted: Wanted,
) -> ConvGradientTensors<B> {
    let kernel = weight.shape()[2];
    let grad = match spec.activation {
        Activation::Identity => output_grad,
        // Both activations keep the sign, so that their derivative at the input can be told from the output.
        Activation::Relu => B::relu_backward(output, output_grad),
        Activation::LeakyRelu(slope) => {
            let positive = B::relu_backward(output, B::float_mul_scalar(output_grad.clone(), (1.0 - slope).into()));
            B::float_add(positive, B::float_mul_scalar(output_grad, slope.into()))
        }
    };
    let input =
        wanted.input.then(|| B::conv2d_x_backward(x.clone(), weight.clone(), grad.clone(), options(kernel, spec)));
    if !wanted.weights {
        return (input, None);
    }
    let bias = B::float_sum_dim(B::float_sum_dim(B::float_sum_dim(grad.clone(), 0), 2), 3);
    let outputs = bias.shape()[1];
    let bias = B::float_reshape(bias, [outputs].into());
    (input, Some((B::conv2d_weight_backward(x, weight, grad, options(kernel, spec)), bias)))
}

impl ConvBackend for Flex {
    fn convolve(x: FlexTensor, weight: FlexTensor, spec: ConvSpec) -> FlexTensor {
        flex_forward(x, weight, None, spec, true)
    }

    fn convolve_with_bias(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, spec: ConvSpec) -> FlexTensor {
        flex_forward(x, weight, Some(bias), spec, true)
    }
}

impl ConvGradients for Cube {
    fn convolve_changing(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        spec: ConvSpec,
    ) -> FloatTensor<Self> {
        match bias {
            Some(bias) => Self::convolve_with_bias(x, weight, bias, spec),
            None => Self::convolve(x, weight, spec),
        }
    }
}

impl ConvGradients for Flex {
    fn convolve_changing(x: FlexTensor, weight: FlexTensor, bias: Option<FlexTensor>, spec: ConvSpec) -> FlexTensor {
        flex_forward(x, weight, bias, spec, false)
    }

    fn convolution_gradients(
        x: FlexTensor,
        weight: FlexTensor,
        output: FlexTensor,
        output_grad: FlexTensor,
        spec: ConvSpec,
        wanted: Wanted,
    ) -> ConvGradientTensors<Self> {
        if !covered(&x, &weight, spec) || !cpu::covers_gradients(dims(&weight), spec) {
            return composed_gradients::<Self>(x, weight, output, output_grad, spec, wanted);
        }
        let (x_shape, weight_shape) = (dims(&x), dims(&weight));
        let [x, weight, output, output_grad] = [x, weight, output, output_grad].map(|tensor| tensor.to_contiguous());
        let gradients = cpu::gradients(
            samples(&x),
            x_shape,
            samples(&weight),
            weight_shape,
            samples(&output),
            samples(&output_grad),
            spec,
            wanted,
        );
        let weights =
            || (flex_tensor(gradients.weight, &weight_shape), flex_tensor(gradients.bias, &weight_shape[..1]));
        (wanted.input.then(|| flex_tensor(gradients.input, &x_shape)), wanted.weights.then(weights))
    }
}

fn covered(x: &FlexTensor, weight: &FlexTensor, spec: ConvSpec) -> bool {
    x.dtype() == DType::F32 && dims(x).iter().all(|&side| side > 0) && cpu::covers(dims(weight), spec)
}

pub(crate) fn dims(tensor: &FlexTensor) -> [usize; 4] {
    std::array::from_fn(|axis| tensor.layout().shape()[axis])
}

pub(crate) fn flex_tensor(data: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(data, shape))
}

/// The samples of a tensor in row-major order.
pub(crate) fn samples(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("made contiguous before")
}

/// `keep` says whether these weights are likely to come again.
fn flex_forward(x: FlexTensor, weight: FlexTensor, bias: Option<FlexTensor>, spec: ConvSpec, keep: bool) -> FlexTensor {
    if !covered(&x, &weight, spec) {
        return composed::<Flex>(x, weight, bias, spec);
    }
    let last = Last::Activation(spec.activation);
    with_layer(vec![x], weight, bias, (spec, last), keep, |layer, x| {
        let shape = layer.output_shape(x.shape());
        // SAFETY: the layer computes every place of its output.
        let out = unsafe { Output::filled(shape, |out| layer.run(x, out)) };
        flex_tensor(out, &shape)
    })
}

/// Calls `run` with a covered convolution and what it reads, the channels of one or several tensors.
pub(crate) fn with_layer<T>(
    parts: Vec<FlexTensor>,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    (spec, last): (ConvSpec, Last<'_>),
    keep: bool,
    run: impl FnOnce(&Layer<'_>, Planes<'_>) -> T,
) -> T {
    let parts: Vec<FlexTensor> = parts.into_iter().map(|part| part.to_contiguous()).collect();
    let weight = weight.to_contiguous();
    let bias = bias.map(|bias| bias.to_contiguous());
    let slices: Vec<(&[f32], usize)> = parts.iter().map(|part| (samples(part), dims(part)[1])).collect();
    let [n, _, h, w] = dims(&parts[0]);
    let x = match slices[..] {
        [(only, channels)] => Planes::one(only, [n, channels, h, w]),
        _ => Planes::several(&slices, [n, h, w]),
    };
    let (x_shape, shape) = (x.shape(), dims(&weight));
    let prepared =
        (keep && cpu::prepares(x_shape, shape, spec)).then(|| prepared::of(&weight, samples(&weight), shape));
    let bias = bias.as_ref().map(samples);
    let layer = Layer { weight: samples(&weight), shape, prepared: prepared.as_deref(), bias, spec, last };
    run(&layer, x)
}

#[derive(Debug)]
struct Convolution;

/// What the backward pass keeps: input and weight by their nodes, the output only if the activation needs it.
#[derive(Debug, Clone)]
struct Saved<T> {
    x: NodeId,
    weight: NodeId,
    output: Option<T>,
    spec: ConvSpec,
}

fn backward<B: ConvGradients, const N: usize>(
    ops: Ops<Saved<FloatTensor<B>>, N>,
    grads: &mut Gradients,
    checkpointer: &mut Checkpointer,
) {
    let parents = ops.parents;
    let grad = grads.consume::<B>(&ops.node);
    let Saved { x, weight, output, spec } = ops.state;
    let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(x);
    let weight = checkpointer.retrieve_node_output::<FloatTensor<B>>(weight);
    let output = output.unwrap_or_else(|| grad.clone());
    let mut parents = parents.into_iter();
    let (x_node, weight_node, bias_node) =
        (parents.next().flatten(), parents.next().flatten(), parents.next().flatten());
    let wanted = Wanted { input: x_node.is_some(), weights: weight_node.is_some() || bias_node.is_some() };
    let (x_grad, weight_grads) = B::convolution_gradients(x, weight, output, grad, spec, wanted);
    if let (Some(node), Some(x_grad)) = (x_node, x_grad) {
        grads.register::<B>(node.id, x_grad);
    }
    let Some((weight_grad, bias_grad)) = weight_grads else { return };
    if let Some(node) = weight_node {
        grads.register::<B>(node.id, weight_grad);
    }
    if let Some(node) = bias_node {
        grads.register::<B>(node.id, bias_grad);
    }
}

impl<B: ConvGradients> Backward<B, 2> for Convolution {
    type State = Saved<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        backward::<B, 2>(ops, grads, checkpointer);
    }
}

impl<B: ConvGradients> Backward<B, 3> for Convolution {
    type State = Saved<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        backward::<B, 3>(ops, grads, checkpointer);
    }
}

fn needed_output<T: Clone>(output: &T, spec: ConvSpec) -> Option<T> {
    (spec.activation != Activation::Identity).then(|| output.clone())
}

impl<B: ConvBackend + ConvGradients, C: CheckpointStrategy> ConvBackend for Autodiff<B, C> {
    fn convolve(x: FloatTensor<Self>, weight: FloatTensor<Self>, spec: ConvSpec) -> FloatTensor<Self> {
        match Backward::<B, 2>::prepare::<C>(Convolution, [x.node(), weight.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let (x_id, weight_id) = (prep.checkpoint(&x), prep.checkpoint(&weight));
                let output = B::convolve_changing(x.into_primitive(), weight.into_primitive(), None, spec);
                let saved = Saved { x: x_id, weight: weight_id, output: needed_output(&output, spec), spec };
                prep.finish(saved, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::convolve(x.into_primitive(), weight.into_primitive(), spec)),
        }
    }

    fn convolve_with_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        spec: ConvSpec,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        match Backward::<B, 3>::prepare::<C>(Convolution, nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let (x_id, weight_id) = (prep.checkpoint(&x), prep.checkpoint(&weight));
                let bias = Some(bias.into_primitive());
                let output = B::convolve_changing(x.into_primitive(), weight.into_primitive(), bias, spec);
                let saved = Saved { x: x_id, weight: weight_id, output: needed_output(&output, spec), spec };
                prep.finish(saved, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::convolve_with_bias(
                x.into_primitive(),
                weight.into_primitive(),
                bias.into_primitive(),
                spec,
            )),
        }
    }
}
