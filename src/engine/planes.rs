//! Between planes in memory and tensors [1, 3, H, W] on a device.

use burn::tensor::{Device, Tensor, TensorData};
use dualres_imaging::Plane;

use crate::tiles::Span;

/// The rectangle of three planes whose upper left corner is (`left`, `top`). Positions beyond the picture repeat its
/// border.
pub(crate) fn to_tensor(
    planes: [&Plane; 3],
    [left, top]: [isize; 2],
    [width, height]: [usize; 2],
    device: &Device,
) -> Tensor<4> {
    let mut samples = Vec::with_capacity(3 * width * height);
    for plane in planes {
        let last = plane.width as isize - 1;
        // Columns before the picture, within it and after it.
        let before = (-left).clamp(0, width as isize) as usize;
        let within = (plane.width as isize - left.max(0)).clamp(0, (width - before) as isize) as usize;
        let after = width - before - within;
        for y in top..top + height as isize {
            let row = plane.row(y.clamp(0, plane.height as isize - 1) as usize);
            samples.extend(std::iter::repeat_n(row[0], before));
            let start = left.clamp(0, last) as usize;
            samples.extend_from_slice(&row[start..start + within]);
            samples.extend(std::iter::repeat_n(row[last as usize], after));
        }
    }
    Tensor::from_data(TensorData::new(samples, [1, 3, height, width]), device)
}

/// Copies what a tile gives into planes, clamped to `[0, 255]`; `samples` is [3, H, W] of what the tile saw. Spans are
/// in the planes' pixels; what lies beyond the planes is dropped.
pub(crate) fn paste(samples: &[f32], across: Span, down: Span, planes: &mut [Plane]) {
    let (seen_width, seen_height) = (across.seen_length, down.seen_length);
    for (channel, plane) in planes.iter_mut().enumerate() {
        let end = (across.start + across.length).min(plane.width);
        if across.start >= end {
            continue;
        }
        for y in down.start..(down.start + down.length).min(plane.height) {
            let seen_y = (y as isize - down.seen_start) as usize;
            let row = (channel * seen_height + seen_y) * seen_width;
            let source = &samples[row + (across.start as isize - across.seen_start) as usize..][..end - across.start];
            let target = y * plane.width;
            for (target, &sample) in plane.data[target + across.start..target + end].iter_mut().zip(source) {
                *target = sample.clamp(0.0, 255.0);
            }
        }
    }
}

/// The same tile in a picture `factor` times as large.
pub(crate) fn enlarged(span: Span, factor: usize) -> Span {
    Span {
        start: span.start * factor,
        length: span.length * factor,
        seen_start: span.seen_start * factor as isize,
        seen_length: span.seen_length * factor,
    }
}
