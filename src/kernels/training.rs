//! Feature-map operations with backward passes of their own on the CPU. Composed of Burn's operations, each would go over
//! the features a dozen times, on one thread.

use burn::{
    backend::{
        Autodiff, Backend, Dispatch, Flex,
        autodiff::{
            NodeId,
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        flex::FlexTensor,
        tensor::FloatTensor,
    },
    tensor::Tensor,
};

use crate::{
    cpu::{attention, maps},
    extension::{dims, flex_tensor, samples},
};

/// The layers of a channel attention: convolutions of 1x1 with bias.
#[derive(Clone, Debug)]
pub struct AttentionLayers {
    /// [R, C, 1, 1]
    pub squeeze: Tensor<4>,
    /// [R]
    pub squeeze_bias: Tensor<1>,
    /// [C, R, 1, 1]
    pub excite: Tensor<4>,
    /// [C]
    pub excite_bias: Tensor<1>,
}

/// [`crate::attend`] where [`crate::maps`] has seen that gradients are recorded on the CPU.
pub(crate) fn attend(x: Tensor<4>, residual: Tensor<4>, layers: AttentionLayers) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::attend(
        x.into_dispatch(),
        residual.into_dispatch(),
        layers.squeeze.into_dispatch(),
        layers.squeeze_bias.into_dispatch(),
        layers.excite.into_dispatch(),
        layers.excite_bias.into_dispatch(),
    ))
}

/// [`crate::pixel_shuffle_concat`], likewise.
pub(crate) fn pixel_shuffle_concat(x: Tensor<4>, beside: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::shuffle_concat(x.into_dispatch(), beside.into_dispatch()))
}

/// Backends that run these operations.
#[backend_extension(Autodiff, Flex)]
pub trait FeatureBackend: Backend {
    /// Channel attention.
    fn attend(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        squeeze: FloatTensor<Self>,
        squeeze_bias: FloatTensor<Self>,
        excite: FloatTensor<Self>,
        excite_bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// Pixel shuffle, with other channels after it.
    fn shuffle_concat(x: FloatTensor<Self>, beside: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Their backward passes, on backends that do not record gradients themselves.
pub trait FeatureGradients: Backend {
    /// Channel attention, and the means of the planes of `x`.
    fn attend_with_means(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        layers: [FloatTensor<Self>; 4],
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Gradients with respect to `x` and the layers.
    fn attend_gradients(
        x: FloatTensor<Self>,
        means: FloatTensor<Self>,
        layers: [FloatTensor<Self>; 4],
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, [FloatTensor<Self>; 4]);

    /// Gradients of the shuffled channels, the first of `grad`, and of the others.
    fn shuffle_concat_gradients(grad: FloatTensor<Self>, others: usize) -> [FloatTensor<Self>; 2];
}

impl FeatureBackend for Flex {
    fn attend(
        x: FlexTensor,
        residual: FlexTensor,
        squeeze: FlexTensor,
        squeeze_bias: FlexTensor,
        excite: FlexTensor,
        excite_bias: FlexTensor,
    ) -> FlexTensor {
        Self::attend_with_means(x, residual, [squeeze, squeeze_bias, excite, excite_bias]).0
    }

    fn shuffle_concat(x: FlexTensor, beside: FlexTensor) -> FlexTensor {
        let (x, beside) = (x.to_contiguous(), beside.to_contiguous());
        let ([n, c, h, w], others) = (dims(&x), dims(&beside)[1]);
        let out = maps::shuffle_concat(samples(&x), [n, c, h, w], samples(&beside), others);
        flex_tensor(out, &[n, c / 4 + others, 2 * h, 2 * w])
    }
}

fn layers_of(layers: &[FlexTensor; 4]) -> attention::Layers<'_> {
    let [squeeze, squeeze_bias, excite, excite_bias] = layers.each_ref().map(samples);
    attention::Layers { squeeze, squeeze_bias, excite, excite_bias }
}

impl FeatureGradients for Flex {
    fn attend_with_means(x: FlexTensor, residual: FlexTensor, layers: [FlexTensor; 4]) -> (FlexTensor, FlexTensor) {
        let (x, residual) = (x.to_contiguous(), residual.to_contiguous());
        let layers = layers.map(|layer| layer.to_contiguous());
        let [n, c, h, w] = dims(&x);
        let (out, means) = attention::forward(samples(&x), samples(&residual), [c, h * w], layers_of(&layers));
        (flex_tensor(out, &[n, c, h, w]), flex_tensor(means, &[n, c]))
    }

    fn attend_gradients(
        x: FlexTensor,
        means: FlexTensor,
        layers: [FlexTensor; 4],
        grad: FlexTensor,
    ) -> (FlexTensor, [FlexTensor; 4]) {
        let (x, grad) = (x.to_contiguous(), grad.to_contiguous());
        let layers = layers.map(|layer| layer.to_contiguous());
        let shape = dims(&x);
        let [_, c, h, w] = shape;
        let gradients =
            attention::gradients(samples(&x), samples(&means), samples(&grad), [c, h * w], layers_of(&layers));
        let hidden = gradients.squeeze_bias.len();
        (
            flex_tensor(gradients.x, &shape),
            [
                flex_tensor(gradients.squeeze, &[hidden, c, 1, 1]),
                flex_tensor(gradients.squeeze_bias, &[hidden]),
                flex_tensor(gradients.excite, &[c, hidden, 1, 1]),
                flex_tensor(gradients.excite_bias, &[c]),
            ],
        )
    }

    fn shuffle_concat_gradients(grad: FlexTensor, others: usize) -> [FlexTensor; 2] {
        let grad = grad.to_contiguous();
        let [n, c, h, w] = dims(&grad);
        let (x, beside) = maps::unshuffle_concat(samples(&grad), [n, c, h, w], others);
        [flex_tensor(x, &[n, 4 * (c - others), h / 2, w / 2]), flex_tensor(beside, &[n, others, h, w])]
    }
}

#[derive(Debug)]
struct Attention;

/// What the backward pass keeps: everything by its node but the means.
#[derive(Debug, Clone)]
struct Attended<T> {
    x: NodeId,
    layers: [NodeId; 4],
    means: T,
}

impl<B: FeatureGradients> Backward<B, 6> for Attention {
    type State = Attended<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 6>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let Attended { x, layers, means } = ops.state;
        let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(x);
        let layers = layers.map(|layer| checkpointer.retrieve_node_output::<FloatTensor<B>>(layer));
        let [x_node, residual_node, layer_nodes @ ..] = ops.parents;
        if x_node.is_some() || layer_nodes.iter().any(Option::is_some) {
            let (x_grad, layer_grads) = B::attend_gradients(x, means, layers, grad.clone());
            if let Some(node) = x_node {
                grads.register::<B>(node.id, x_grad);
            }
            for (node, layer_grad) in layer_nodes.into_iter().zip(layer_grads) {
                if let Some(node) = node {
                    grads.register::<B>(node.id, layer_grad);
                }
            }
        }
        if let Some(node) = residual_node {
            grads.register::<B>(node.id, grad);
        }
    }
}

#[derive(Debug)]
struct Shuffle;

impl<B: FeatureGradients> Backward<B, 2> for Shuffle {
    /// Channels beside the shuffled ones.
    type State = usize;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let parts = B::shuffle_concat_gradients(grad, ops.state);
        for (node, part) in ops.parents.into_iter().zip(parts) {
            if let Some(node) = node {
                grads.register::<B>(node.id, part);
            }
        }
    }
}

impl<B: FeatureBackend + FeatureGradients, C: CheckpointStrategy> FeatureBackend for Autodiff<B, C> {
    fn attend(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        squeeze: FloatTensor<Self>,
        squeeze_bias: FloatTensor<Self>,
        excite: FloatTensor<Self>,
        excite_bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let layers = [squeeze, squeeze_bias, excite, excite_bias];
        let [a, b, c, d] = layers.each_ref().map(|layer| layer.node());
        let nodes = [x.node(), residual.node(), a, b, c, d];
        match Backward::<B, 6>::prepare::<C>(Attention, nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let x_id = prep.checkpoint(&x);
                let ids = layers.each_ref().map(|layer| prep.checkpoint(layer));
                let layers = layers.map(|layer| layer.into_primitive());
                let (out, means) = B::attend_with_means(x.into_primitive(), residual.into_primitive(), layers);
                prep.finish(Attended { x: x_id, layers: ids, means }, out)
            }
            OpsKind::UnTracked(prep) => {
                let layers = layers.map(|layer| layer.into_primitive());
                prep.finish(B::attend_with_means(x.into_primitive(), residual.into_primitive(), layers).0)
            }
        }
    }

    fn shuffle_concat(x: FloatTensor<Self>, beside: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [x.node(), beside.node()];
        let others = burn::backend::TensorMetadata::shape(&beside)[1];
        let op = Backward::<B, 2>::prepare::<C>(Shuffle, nodes).compute_bound().stateful();
        let out = B::shuffle_concat(x.into_primitive(), beside.into_primitive());
        match op {
            OpsKind::Tracked(prep) => prep.finish(others, out),
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }
}
