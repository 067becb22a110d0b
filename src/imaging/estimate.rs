//! About how large a file will be, before there is a picture to write.

use crate::{Depth, EncodeOptions, Format, Picture, Result, encode, resize::resample};

/// Sides of a sample in pixels of the result: what formats compress in one piece.
const SAMPLE: usize = 256;
/// Sides of the smallest picture that every encoder takes.
const MIN: usize = 2;
/// Bytes that a file has beside its picture.
const HEADERS: u64 = 500;
/// Samples across and down.
const GRID: usize = 3;

/// About how many bytes a result of `size` pixels takes that a network makes of `picture`: samples from all over it, enlarged by
/// interpolation, are encoded as the result would be, with `depth` if it is given. Networks draw sharper, which takes a little more.
/// Metadata is not counted.
///
/// # Errors
/// If a sample cannot be encoded.
pub fn estimated_bytes(
    picture: &Picture,
    size: [usize; 2],
    format: Format,
    options: EncodeOptions,
    depth: Option<Depth>,
) -> Result<u64> {
    let from = [picture.width(), picture.height()];
    let times = [0, 1].map(|axis| size[axis] as f64 / from[axis].max(1) as f64);
    let side = |axis: usize| ((SAMPLE as f64 / times[axis]).round() as usize).clamp(1, from[axis]);
    let [width, height] = [side(0), side(1)];
    let count = |axis: usize| if from[axis] <= GRID * side(axis) { from[axis].div_ceil(side(axis)) } else { GRID };
    let (mut bytes, mut pixels) = (0.0, 0.0);
    for row in 0..count(1) {
        for column in 0..count(0) {
            // Spread over the picture, its borders included.
            let place = |index: usize, axis: usize, side: usize| (from[axis] - side) * index / (count(axis) - 1).max(1);
            let (left, top) = (place(column, 0, width), place(row, 1, height));
            let sample = part(picture, [left, top], [width, height]);
            let scaled = |side: usize, axis: usize| ((side as f64 * times[axis]).round() as usize).max(1);
            let mut sample = resample(&sample, scaled(width, 0), scaled(height, 1));
            if let Some(depth) = depth {
                sample.set_depth(depth);
            }
            let [least_width, least_height] = [sample.width(), sample.height()].map(|side| side.min(MIN));
            let overhead = encode(&part(&sample, [0, 0], [least_width, least_height]), format, options)?.len();
            bytes += encode(&sample, format, options)?.len().saturating_sub(overhead) as f64;
            pixels += (sample.width() * sample.height()) as f64;
        }
    }
    let all = size[0] as f64 * size[1] as f64;
    Ok((bytes / pixels.max(1.0) * all * sharper(format, options)) as u64 + HEADERS)
}

/// A part of a picture as it would be alone, its transparency included, its metadata not.
fn part(picture: &Picture, [left, top]: [usize; 2], [width, height]: [usize; 2]) -> Picture {
    let alpha = picture.alpha.as_ref().map(|alpha| alpha.crop(left, top, width, height));
    Picture { alpha, depth: picture.depth, ..picture.crop(left, top, width, height) }
}

/// How many times as many bytes what a network draws takes as what interpolation gives.
fn sharper(format: Format, options: EncodeOptions) -> f64 {
    match format {
        Format::Bmp => 1.0,
        _ if format.has_quality(options.lossy) => 1.15,
        _ => 1.1,
    }
}
