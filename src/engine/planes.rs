//! Between planes in memory and tensors [1, 3, H, W] on a device.

use burn::tensor::{Device, Tensor, TensorData};
use dualres_imaging::Plane;

use crate::tiles::Span;

/// The part of three planes that a tile sees. Positions beyond the picture repeat its border.
pub(crate) fn to_tensor(planes: [&Plane; 3], across: Span, down: Span, device: &Device) -> Tensor<4> {
    let (width, height) = (across.seen_length, down.seen_length);
    let mut samples = Vec::with_capacity(3 * width * height);
    for plane in planes {
        for y in down.seen_start..down.seen_start + height {
            let row = plane.row(y.min(plane.height - 1));
            let end = (across.seen_start + width).min(plane.width);
            let start = across.seen_start.min(end);
            samples.extend_from_slice(&row[start..end]);
            let border = row[plane.width - 1];
            samples.extend(std::iter::repeat_n(border, width - (end - start)));
        }
    }
    Tensor::from_data(TensorData::new(samples, [1, 3, height, width]), device)
}

/// Copies what a tile gives into planes, clamped to `[0, 255]`; `samples` is [3, H, W] of what the tile saw. Spans are
/// in the planes' pixels; what lies beyond the planes is dropped. Returns false if a sample is not a number.
pub(crate) fn paste(samples: &[f32], across: Span, down: Span, planes: &mut [Plane]) -> bool {
    let (seen_width, seen_height) = (across.seen_length, down.seen_length);
    let mut finite = true;
    for (channel, plane) in planes.iter_mut().enumerate() {
        let end = (across.start + across.length).min(plane.width);
        if across.start >= end {
            continue;
        }
        for y in down.start..(down.start + down.length).min(plane.height) {
            let row = (channel * seen_height + y - down.seen_start) * seen_width;
            let source = &samples[row + across.start - across.seen_start..][..end - across.start];
            finite &= source.iter().all(|sample| sample.is_finite());
            let target = y * plane.width;
            for (target, &sample) in plane.data[target + across.start..target + end].iter_mut().zip(source) {
                *target = sample.clamp(0.0, 255.0);
            }
        }
    }
    finite
}

/// The same tile in a picture `factor` times as large.
pub(crate) fn enlarged(span: Span, factor: usize) -> Span {
    Span {
        start: span.start * factor,
        length: span.length * factor,
        seen_start: span.seen_start * factor,
        seen_length: span.seen_length * factor,
    }
}
