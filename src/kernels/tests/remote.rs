//! Operations on a device behind a connection, against the same on the CPU at hand.
#![cfg(feature = "remote")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::TcpListener, sync::OnceLock, time::Duration};

use burn::{
    remote::RemoteHost,
    server::WebSocketTransport,
    tensor::{Device, Tensor, TensorData},
};
use dualres_kernels::{
    Activation, AttentionLayers, ConvSpec, Filter, attend, block_means, conv2d, enlarge_bicubic, enlarge_nearest,
    modulate, pixel_shuffle, pixel_shuffle_concat, pixel_unshuffle, remote, resample, sample_at,
};

/// A device that this process serves to itself.
fn served() -> Device {
    static PLACE: OnceLock<String> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = format!("ws://{}", listener.local_addr().unwrap());
        let serve = move || {
            remote::server(vec![Device::flex()]).serve(WebSocketTransport::from_listener(listener)).unwrap();
        };
        std::thread::Builder::new().spawn(serve).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        place
    });
    Device::remote_options(&RemoteHost::websocket(place)).init().unwrap()
}

/// Numbers in -1..1 that look random.
fn numbers(shape: [usize; 4], seed: u32, device: &Device) -> Tensor<4> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    Tensor::from_data(TensorData::new((0..shape.iter().product()).map(|_| next()).collect::<Vec<f32>>(), shape), device)
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec::<f32>().unwrap()
}

/// The same operation here and there.
fn compare(what: &str, most: f32, work: impl Fn(&Device) -> Vec<f32>) {
    let (here, there) = (work(&Device::flex()), work(&served()));
    assert_eq!(here.len(), there.len(), "{what}");
    let worst = here.iter().zip(&there).fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(worst <= most, "{what}: {worst}");
}

#[test]
fn convolutions_are_the_same_to_the_bit() {
    for (stride, activation) in [(1, Activation::Identity), (1, Activation::Relu), (2, Activation::LeakyRelu(0.2))] {
        let spec = ConvSpec { stride, activation };
        for bias in [false, true] {
            compare(&format!("{spec:?} {bias}"), 0.0, |device| {
                let bias = bias.then(|| numbers([5, 1, 1, 1], 3, device).reshape([5]));
                values(conv2d(numbers([2, 4, 9, 11], 1, device), numbers([5, 4, 3, 3], 2, device), bias, spec))
            });
        }
    }
}

#[test]
fn gradients_are_the_same_to_the_bit() {
    let spec = ConvSpec { stride: 1, activation: Activation::Relu };
    compare("gradients", 0.0, |device| {
        let device = &device.clone().autodiff();
        let (x, weight) =
            (numbers([2, 4, 9, 11], 1, device).require_grad(), numbers([5, 4, 3, 3], 2, device).require_grad());
        let bias = numbers([5, 1, 1, 1], 3, device).reshape([5]).require_grad();
        let out = conv2d(x.clone(), weight.clone(), Some(bias.clone()), spec);
        let gradients = (out * numbers([2, 5, 9, 11], 4, device)).sum().backward();
        let mut all = values(x.grad(&gradients).unwrap());
        all.extend(values(weight.grad(&gradients).unwrap()));
        all.extend(values(bias.grad(&gradients).unwrap()));
        all
    });
}

#[test]
fn what_is_composed_is_the_same_but_for_rounding() {
    let x = |device: &Device| numbers([2, 8, 6, 8], 5, device);
    compare("cell means", 1e-6, |device| values(block_means(x(device), 2)));
    compare("modulate", 1e-6, |device| values(modulate(x(device), numbers([2, 8, 1, 1], 6, device), x(device))));
    compare("modulate by cells", 1e-5, |device| {
        values(modulate(x(device), numbers([2, 8, 3, 4], 6, device), x(device)))
    });
    compare("shuffle by 2", 0.0, |device| values(pixel_shuffle(x(device), 2)));
    compare("shuffle beside", 0.0, |device| {
        values(pixel_shuffle_concat(x(device), numbers([2, 3, 12, 16], 6, device)))
    });
    compare("unshuffle", 0.0, |device| values(pixel_unshuffle(x(device), 2)));
    compare("nearest", 0.0, |device| values(enlarge_nearest(x(device), [12, 24])));
    compare("bicubic", 1e-5, |device| values(enlarge_bicubic(x(device), 2)));
    for filter in [Filter::Bilinear, Filter::BilinearAligned, Filter::Bicubic] {
        compare("resample", 1e-5, |device| values(resample(x(device), [9, 13], filter)));
    }
    compare("sample at", 1e-4, |device| values(sample_at(x(device), numbers([2, 16, 6, 8], 7, device), 2, 2)));
    compare("attention", 1e-5, |device| {
        let vector = |count: usize, seed| numbers([count, 1, 1, 1], seed, device).reshape([count]);
        let layers = AttentionLayers {
            squeeze: numbers([2, 8, 1, 1], 8, device),
            squeeze_bias: vector(2, 9),
            excite: numbers([8, 2, 1, 1], 10, device),
            excite_bias: vector(8, 11),
        };
        values(attend(x(device), x(device), layers))
    });
}
