//! What a picture shows of how it was made: the noise of a sensor and the traces of lossy compression, from its pixels.

use rayon::prelude::*;

use crate::{Picture, Plane};

/// Side in pixels of the blocks that noise is estimated in.
const BLOCK: usize = 8;
/// Blocks that are looked at, at most; more tell nothing new.
const MAX_BLOCKS: usize = 1 << 17;
/// Noise is sought in this fraction of the blocks: those with the least structure.
const QUIET: f64 = 0.1;
/// Structure of photographs is this many times stronger at two pixels than at one, in quiet blocks; noise is equally strong.
const REDNESS: f32 = 6.0;
/// Borders of blocks that a picture must have across and down to tell whether it has been JPEG.
const MIN_BORDERS: usize = 6;
/// Noise of a channel that is as visible as this much on luma.
const OF_CHANNEL: f32 = 0.85;
/// Samples beyond these have lost their noise to clipping.
const CLIPPED: std::ops::RangeInclusive<f32> = 1.5..=253.5;

/// Noise and compression of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Condition {
    /// Standard deviation of noise on luma in levels of 255, where the picture has least structure: by Immerkær's operator, less
    /// what is stronger at a coarser scale, as structure is and noise is not.
    pub noise: f32,
    /// Steps between neighbours across the borders of JPEG's blocks of 8x8 pixels, over those within: 1 without
    /// blocks. In the direction in which they show less.
    pub blocking: f32,
    /// JPEG quality, 1 to 100 as the Independent JPEG Group counts it, by the file's quantisation table; absent for other
    /// formats.
    pub jpeg_quality: Option<u8>,
}

impl Condition {
    /// Looks at a picture. Takes a few milliseconds a megapixel.
    pub fn of(picture: &Picture) -> Self {
        let luma = luma(picture);
        // Noise of each channel of its own is a third less on luma, and seen as colour all the same.
        let noise = noise(&luma).max(OF_CHANNEL * noise(picture.rgb()[1]));
        Self { noise, blocking: blocking(&luma), jpeg_quality: picture.metadata.jpeg_quality }
    }
}

fn luma(picture: &Picture) -> Plane {
    let [red, green, blue] = picture.rgb();
    let data = (red.data.par_iter(), green.data.par_iter(), blue.data.par_iter())
        .into_par_iter()
        .map(|(r, g, b)| 0.299 * r + 0.587 * g + 0.114 * b);
    Plane::new(red.width, red.height, data.collect())
}

fn noise(luma: &Plane) -> f32 {
    // The operator looks at one pixel more on each side.
    let [across, down] = [luma.width, luma.height].map(|side| side.saturating_sub(2) / BLOCK);
    let step = (across * down).div_ceil(MAX_BLOCKS).max(1);
    let blocks = (0..across * down).into_par_iter().step_by(step);
    let mut found: Vec<[f32; 2]> = blocks
        .filter_map(|block| {
            let (x, y) = (1 + block % across * BLOCK, 1 + block / across * BLOCK);
            Some([fine(luma, x, y)?, coarse(luma, x, y)])
        })
        .collect();
    let quiet = (found.len() as f64 * QUIET).ceil() as usize;
    if quiet < found.len() {
        found.select_nth_unstable_by(quiet, |a, b| a[0].total_cmp(&b[0]));
        found.truncate(quiet);
    }
    let white =
        |[fine, coarse]: [f32; 2]| ((REDNESS * fine).powi(2) - coarse.powi(2)).max(0.0) / (REDNESS.powi(2) - 1.0);
    median(found.into_iter().map(white).collect()).unwrap_or(0.0).sqrt()
}

/// A standard deviation over the mean of magnitudes, where values are normal.
const NORMAL: f32 = 1.253_314_1;

/// Deviation in a block of the difference of two Laplacians, as that of the white noise that has it; `None` where samples are
/// clipped.
fn fine(luma: &Plane, x: usize, y: usize) -> Option<f32> {
    let mut sum = 0.0;
    for y in y..y + BLOCK {
        let [above, row, below] = [luma.row(y - 1), luma.row(y), luma.row(y + 1)].map(|row| &row[x - 1..=x + BLOCK]);
        for i in 1..=BLOCK {
            if !CLIPPED.contains(&row[i]) {
                return None;
            }
            let corners = above[i - 1] + above[i + 1] + below[i - 1] + below[i + 1];
            let sides = above[i] + below[i] + row[i - 1] + row[i + 1];
            sum += (corners - 2.0 * sides + 4.0 * row[i]).abs();
        }
    }
    // The operator has 6 times the deviation of white noise.
    Some(NORMAL / 6.0 * sum / (BLOCK * BLOCK) as f32)
}

/// The same of the difference of neighbouring means over 2x2 pixels.
fn coarse(luma: &Plane, x: usize, y: usize) -> f32 {
    const HALF: usize = BLOCK / 2;
    let mut means = [[0.0_f32; HALF]; HALF];
    for (j, row) in means.iter_mut().enumerate() {
        let [upper, lower] = [0, 1].map(|below| &luma.row(y + 2 * j + below)[x..x + BLOCK]);
        for (i, mean) in row.iter_mut().enumerate() {
            *mean = 0.25 * (upper[2 * i] + upper[2 * i + 1] + lower[2 * i] + lower[2 * i + 1]);
        }
    }
    let across = means.iter().flat_map(|row| row.windows(2).map(|pair| (pair[1] - pair[0]).abs()));
    let down = means.windows(2).flat_map(|rows| rows[0].iter().zip(&rows[1]).map(|(a, b)| (b - a).abs()));
    let sum: f32 = across.chain(down).sum();
    NORMAL * std::f32::consts::SQRT_2 * sum / (2 * HALF * (HALF - 1)) as f32
}

fn blocking(luma: &Plane) -> f32 {
    // A few steps are chance.
    if luma.width.min(luma.height) < MIN_BORDERS * BLOCK {
        return 1.0;
    }
    let across: Vec<f32> = (0..luma.height).into_par_iter().filter_map(|y| ratio(luma.row(y))).collect();
    let turned = luma.turned(true, false, false);
    let down: Vec<f32> = (0..turned.height).into_par_iter().filter_map(|x| ratio(turned.row(x))).collect();
    let medians = [across, down].map(median);
    match medians {
        // Shapes that people draw may keep to the grid in one direction; blocks do in both.
        [Some(across), Some(down)] => across.min(down),
        _ => 1.0,
    }
}

/// Of a row of pixels: mean step across borders of blocks, over the mean step elsewhere.
fn ratio(row: &[f32]) -> Option<f32> {
    let (mut sums, mut counts) = ([0.0_f32; 2], [0_usize; 2]);
    for (i, pair) in row.windows(2).enumerate() {
        let at = usize::from(i % BLOCK == BLOCK - 1);
        sums[at] += (pair[1] - pair[0]).abs();
        counts[at] += 1;
    }
    // Rows without any structure would be all chance.
    const STILL: f32 = 0.3;
    let [within, border] = [0, 1].map(|at| (counts[at] > 0).then(|| sums[at] / counts[at] as f32));
    Some(border? / (within? + STILL))
}

fn median(mut values: Vec<f32>) -> Option<f32> {
    if values.is_empty() {
        return None;
    }
    let at = values.len() / 2;
    Some(*values.select_nth_unstable_by(at, f32::total_cmp).1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::{EncodeOptions, Format, Subsampling, decode, encode};

    /// A smooth scene with an edge.
    fn scene() -> Picture {
        let plane = |phase: f32| {
            let at = |i: usize| {
                let (x, y) = ((i % 160) as f32, (i / 160) as f32);
                120.0 + 60.0 * (x * 0.06 + phase).sin() * (y * 0.05).cos() + if x > 90.0 { 30.0 } else { 0.0 }
            };
            Plane::new(160, 128, (0..160 * 128).map(at).collect())
        };
        Picture::from_planes(vec![plane(0.0), plane(0.5), plane(1.0)])
    }

    /// Noise of about `sigma` by sums of a congruential generator.
    fn noisy(picture: &Picture, sigma: f32) -> Picture {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        let mut noisy = picture.clone();
        for i in 0..picture.planes[0].data.len() {
            let normal = (0..12).map(|_| random()).sum::<f32>() - 6.0;
            noisy.planes.iter_mut().for_each(|plane| plane.data[i] += sigma * normal);
        }
        noisy.planes.iter_mut().for_each(Plane::quantize);
        noisy
    }

    #[test]
    fn noise_is_measured_in_gray_levels() {
        assert!(Condition::of(&scene()).noise < 0.3);
        for sigma in [2.0, 5.0, 10.0] {
            let found = Condition::of(&noisy(&scene(), sigma)).noise;
            assert!((0.6 * sigma..1.2 * sigma).contains(&found), "{found} of {sigma}");
        }
    }

    #[test]
    fn compression_is_seen_in_the_file_and_in_the_pixels() {
        let mut last = 0.0;
        for quality in [95, 70, 30] {
            let options = EncodeOptions { quality, subsampling: Subsampling::Full, ..EncodeOptions::default() };
            let file = encode(&noisy(&scene(), 4.0), Format::Jpeg, options).unwrap();
            let found = Condition::of(&decode(&file, "test").unwrap());
            assert!(found.jpeg_quality.unwrap().abs_diff(quality) <= 1, "{found:?} of {quality}");
            assert!(found.blocking > last, "{found:?} after {last}");
            last = found.blocking;
        }
        let clean = Condition::of(&scene());
        assert!(clean.blocking < 1.05 && clean.jpeg_quality.is_none(), "{clean:?}");
    }

    #[test]
    fn tiny_flat_and_clipped_pictures_show_nothing() {
        for (side, level) in [(1, 128.0), (7, 3.0), (40, 0.0), (40, 255.0), (40, 77.0)] {
            let found = Condition::of(&Picture::from_planes(vec![Plane::filled(side, side, level)]));
            assert!(found.noise < 1e-3 && found.blocking <= 1.0, "{found:?}");
        }
    }
}
