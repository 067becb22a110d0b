//! Convolution on the devices of another machine: each is sent as one operation, which runs there as it would run here, on that
//! machine's own kernels. Burn's own remote backend would send what it is composed of.

/// What serves a device to other machines.
pub use burn::server::{IrohIdentity, IrohRelays, IrohTransport, TokenAuthorizer, Transport, WebSocketTransport};
use burn::{
    backend::{Remote, TensorMetadata, tensor::FloatTensor},
    remote::CustomOpClient,
    server::RemoteServer,
    tensor::{Device, Shape},
};
use burn_ir::{BackendIr, CustomOpIr, HandleContainer, ScalarIr, TensorIr};

use crate::{Activation, ConvBackend, ConvGradientTensors, ConvGradients, ConvSpec, Wanted};

const FORWARD: &str = "dualres.convolution";
const BACKWARD: &str = "dualres.convolution_gradients";

/// How a convolution is called on the wire: its step, its activation and the slope of that, and whether its weights stay.
fn scalars(spec: ConvSpec, keep: bool) -> Vec<ScalarIr> {
    let (kind, slope) = match spec.activation {
        Activation::Identity => (0, 0.0),
        Activation::Relu => (1, 0.0),
        Activation::LeakyRelu(slope) => (2, slope),
    };
    let whole = |value: u64| ScalarIr::UInt(value);
    vec![whole(spec.stride as u64), whole(kind), ScalarIr::Float(slope.into()), whole(keep.into())]
}

fn spec_of(scalars: &[ScalarIr]) -> (ConvSpec, bool) {
    let whole = |index: usize| scalars[index].elem::<i64>();
    let activation = match whole(1) {
        0 => Activation::Identity,
        1 => Activation::Relu,
        _ => Activation::LeakyRelu(scalars[2].elem::<f32>()),
    };
    (ConvSpec { stride: (whole(0).max(1)) as usize, activation }, whole(3) != 0)
}

fn sent(
    inputs: Vec<FloatTensor<Remote>>,
    shapes: Vec<Shape>,
    id: &'static str,
    scalars: Vec<ScalarIr>,
) -> Vec<FloatTensor<Remote>> {
    let client = CustomOpClient::new(&inputs[0].device());
    let dtype = inputs[0].dtype();
    let outputs: Vec<TensorIr> =
        shapes.into_iter().map(|shape| TensorIr::uninit(client.create_empty_handle(), shape, dtype)).collect();
    let inputs: Vec<TensorIr> = inputs.into_iter().map(|tensor| tensor.into_ir()).collect();
    client.register(CustomOpIr::with_scalars(id, &inputs, &outputs, scalars))
}

fn forward(
    x: FloatTensor<Remote>,
    weight: FloatTensor<Remote>,
    bias: Option<FloatTensor<Remote>>,
    spec: ConvSpec,
    keep: bool,
) -> FloatTensor<Remote> {
    let shape = spec.output_shape(&x.shape(), &weight.shape());
    let inputs = [x, weight].into_iter().chain(bias).collect();
    sent(inputs, vec![shape], FORWARD, scalars(spec, keep)).remove(0)
}

impl ConvBackend for Remote {
    fn convolve(x: FloatTensor<Self>, weight: FloatTensor<Self>, spec: ConvSpec) -> FloatTensor<Self> {
        forward(x, weight, None, spec, true)
    }

    fn convolve_with_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        spec: ConvSpec,
    ) -> FloatTensor<Self> {
        forward(x, weight, Some(bias), spec, true)
    }
}

impl ConvGradients for Remote {
    fn convolve_changing(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        spec: ConvSpec,
    ) -> FloatTensor<Self> {
        forward(x, weight, bias, spec, false)
    }

    fn convolution_gradients(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        output: FloatTensor<Self>,
        output_grad: FloatTensor<Self>,
        spec: ConvSpec,
        wanted: Wanted,
    ) -> ConvGradientTensors<Self> {
        let (input, kernel) = (x.shape(), weight.shape());
        let outputs = Shape::from([kernel[0]]);
        let mut shapes = Vec::new();
        if wanted.input {
            shapes.push(input);
        }
        if wanted.weights {
            shapes.extend([kernel, outputs]);
        }
        let mut arguments = scalars(spec, false);
        arguments.extend([wanted.input, wanted.weights].map(|wanted| ScalarIr::UInt(wanted.into())));
        let mut found = sent(vec![x, weight, output, output_grad], shapes, BACKWARD, arguments).into_iter();
        let input = wanted.input.then(|| found.next()).flatten();
        let weights = if wanted.weights { found.next().zip(found.next()) } else { None };
        (input, weights)
    }
}

/// A server of `devices` that runs this program's operations, each on the backend that its devices belong to.
pub fn server(devices: Vec<Device>) -> RemoteServer {
    let is_cpu = devices.first().is_some_and(crate::maps::is_cpu_device);
    let server = RemoteServer::new(devices);
    if is_cpu { with_operations::<burn::backend::Flex>(server) } else { with_operations::<burn::backend::Cube>(server) }
}

fn with_operations<B: BackendIr + ConvBackend + ConvGradients>(server: RemoteServer) -> RemoteServer {
    server
        .with_custom_op::<B, _>(FORWARD, |handles: &mut HandleContainer<B::Handle>, ir: &CustomOpIr, _| {
            let mut inputs = ir.inputs.iter().map(|input| handles.get_float_tensor::<B>(input));
            let (Some(x), Some(weight), bias) = (inputs.next(), inputs.next(), inputs.next()) else { return };
            let (spec, keep) = spec_of(&ir.scalars);
            let output = match (bias, keep) {
                (Some(bias), true) => B::convolve_with_bias(x, weight, bias, spec),
                (None, true) => B::convolve(x, weight, spec),
                (bias, false) => B::convolve_changing(x, weight, bias, spec),
            };
            handles.register_float_tensor::<B>(&ir.outputs[0].id, output);
        })
        .with_custom_op::<B, _>(BACKWARD, |handles: &mut HandleContainer<B::Handle>, ir: &CustomOpIr, _| {
            let inputs: Vec<_> = ir.inputs.iter().map(|input| handles.get_float_tensor::<B>(input)).collect();
            let Ok([x, weight, output, grad]) = <[_; 4]>::try_from(inputs) else { return };
            let (spec, _) = spec_of(&ir.scalars);
            let is_wanted = |index: usize| ir.scalars[index].elem::<i64>() != 0;
            let wanted = Wanted { input: is_wanted(4), weights: is_wanted(5) };
            let (input, weights) = B::convolution_gradients(x, weight, output, grad, spec, wanted);
            let weights = weights.map(|(weight, bias)| [weight, bias]);
            let found = input.into_iter().chain(weights.into_iter().flatten());
            for (tensor, output) in found.zip(&ir.outputs) {
                handles.register_float_tensor::<B>(&output.id, tensor);
            }
        })
}
