//! AVIF: read by the decoder of AV1 that browsers descend from, in Rust; written with 10 bits in the picture's own colour space.

mod items;
mod profile;

use std::io::Read;

use image::metadata::Orientation;
use mp4parse::{AvifContext, ImageRotation, ParseStrictness};
use re_rav1d::dav1d::{
    self, Decoder, PixelLayout, PlanarImageComponent, Settings,
    pixel::{MatrixCoefficients, YUVRange},
};

use crate::{Depth, EncodeOptions, Picture, Plane, colour, picture::MAX_PIXELS};

/// Most bytes of a file that are read: a picture of the most pixels takes less.
const MAX_BYTES: u64 = 2 << 30;
/// How thoroughly the encoder searches, 1 to 10: enough for a picture of 24 megapixels in half a minute a core.
const SPEED: u8 = 8;

fn container(source: &mut impl Read) -> Result<AvifContext, String> {
    mp4parse::read_avif(source, ParseStrictness::Permissive).map_err(|error| format!("{error:?}"))
}

/// Width and height before orientation, and the orientation; from the boxes, without decoding.
pub(crate) fn header(source: &mut impl Read) -> Result<(usize, usize, Orientation), String> {
    let file = bytes_of(source)?;
    let context = container(&mut file.as_slice())?;
    let (width, height) = items::largest_extent(&file).ok_or("it does not say how large it is")?;
    let [_, _, width, height] = items::aperture(&file, [width, height]).unwrap_or([0, 0, width, height]);
    Ok((width, height, orientation(&context)))
}

fn bytes_of(source: &mut impl Read) -> Result<Vec<u8>, String> {
    let mut file = Vec::new();
    source.take(MAX_BYTES).read_to_end(&mut file).map_err(|error| error.to_string())?;
    Ok(file)
}

/// Reads the primary picture and the orientation it is to be seen in.
pub(crate) fn decode(source: &mut impl Read) -> Result<(Picture, Orientation), String> {
    let file = bytes_of(source)?;
    let context = container(&mut file.as_slice())?;
    let (mut planes, width, height, frame_of_colour) = match (context.primary_item_coded_data(), items::grid(&file)) {
        (_, Some(grid)) => from_grid(grid)?,
        (Some(coded), None) => {
            let frame = frame(coded)?;
            let (width, height) = (frame.width() as usize, frame.height() as usize);
            (colours_of(&frame)?, width, height, frame)
        }
        (None, None) => return Err("it holds no picture that can be read; save it as PNG first".into()),
    };
    let mut picture = Picture::from_planes(std::mem::take(&mut planes));
    picture.depth = if frame_of_colour.bit_depth() > 8 { Depth::Sixteen } else { Depth::Eight };
    const ALPHA: &[u8] = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha";
    if context.primary_item_coded_data().is_none() && file.windows(ALPHA.len()).any(|part| part == ALPHA) {
        picture.metadata.left_out.push("the transparency of a grid of pictures is left out".into());
    }
    if let Some(coded) = context.alpha_item_coded_data() {
        let alpha = frame(coded)?;
        if (alpha.width() as usize, alpha.height() as usize) == (width, height) {
            picture.alpha = colours(&alpha).into_iter().next();
        } else {
            picture.metadata.left_out.push("its transparency is of another size and is left out".into());
        }
        if let Some(alpha) = picture.alpha.as_ref().filter(|_| context.premultiplied_alpha) {
            for plane in &mut picture.planes {
                for (sample, &coverage) in plane.data.iter_mut().zip(&alpha.data) {
                    *sample = if coverage > 0.0 { (*sample * 255.0 / coverage).min(255.0) } else { 0.0 };
                }
            }
        }
    }
    picture.metadata.icc = match context.icc_colour_information() {
        Some(Ok(icc)) => Some(icc.to_vec()),
        _ => {
            colour::from_code(frame_of_colour.color_primaries() as u8, frame_of_colour.transfer_characteristic() as u8)
        }
    };
    (picture.metadata.exif, picture.metadata.xmp) = items::descriptions(&file);
    if let Some([left, top, width, height]) = items::aperture(&file, [width, height]) {
        for plane in picture.planes.iter_mut().chain(&mut picture.alpha) {
            *plane = plane.crop(left, top, width, height);
        }
    }
    Ok((picture, orientation(&context)))
}

/// The colours of a frame, if they are coded in a way that is read.
fn colours_of(frame: &dav1d::Picture) -> Result<Vec<Plane>, String> {
    match frame.matrix_coefficients() {
        MatrixCoefficients::ICtCp => {
            Err("its colours are coded as ICtCp, which is not read; save it as PNG first".to_owned())
        }
        _ => Ok(colours(frame)),
    }
}

/// Puts a picture together of its tiles. Gives its colours, its width and height, and the first tile.
fn from_grid(grid: items::Grid) -> Result<(Vec<Plane>, usize, usize, dav1d::Picture), String> {
    let [width, height] = grid.size;
    if width == 0 || height == 0 || width.saturating_mul(height) as u64 > MAX_PIXELS {
        return Err(format!("a grid of {width}x{height} pixels"));
    }
    let mut planes: Vec<Plane> = Vec::new();
    let mut first = None;
    for (index, coded) in grid.tiles.iter().enumerate() {
        let tile = frame(coded)?;
        let parts = colours_of(&tile)?;
        let size = [tile.width() as usize, tile.height() as usize];
        let first = first.get_or_insert(tile);
        let [wide, high] = [first.width() as usize, first.height() as usize];
        let rows = grid.tiles.len() / grid.columns.max(1);
        let covers = |count: usize, tile: usize, whole: usize| count * tile >= whole && (count - 1) * tile < whole;
        if size != [wide, high] || !covers(grid.columns, wide, width) || !covers(rows, high, height) {
            return Err("the tiles of the grid do not make a picture of its size".into());
        }
        if planes.is_empty() {
            planes = vec![Plane::filled(width, height, 0.0); parts.len()];
        }
        let [left, top] = [index % grid.columns * wide, index / grid.columns * high];
        for (plane, part) in planes.iter_mut().zip(&parts) {
            let columns = wide.min(part.width).min(width.saturating_sub(left));
            for row in 0..high.min(part.height).min(height.saturating_sub(top)) {
                let to = (top + row) * width + left;
                let from = row * part.width;
                plane.data[to..to + columns].copy_from_slice(&part.data[from..from + columns]);
            }
        }
    }
    first.map(|first| (planes, width, height, first)).ok_or_else(|| "a grid without tiles".to_owned())
}

/// Turned, then mirrored.
fn orientation(context: &AvifContext) -> Orientation {
    let turned = context.image_rotation().unwrap_or(ImageRotation::D0);
    // The parser tells of mirroring through a pointer alone: null without, else to one of two values.
    let mirror = context.image_mirror_ptr().ok().filter(|pointer| !pointer.is_null());
    // SAFETY: a pointer that is not null points into `context`, which is borrowed for as long as it is read.
    let top_to_bottom = mirror.map(|mirror| unsafe { matches!(*mirror, mp4parse::ImageMirror::TopBottom) });
    match (turned, top_to_bottom) {
        (ImageRotation::D0, None) => Orientation::NoTransforms,
        (ImageRotation::D90, None) => Orientation::Rotate270,
        (ImageRotation::D180, None) => Orientation::Rotate180,
        (ImageRotation::D270, None) => Orientation::Rotate90,
        (ImageRotation::D0, Some(true)) | (ImageRotation::D180, Some(false)) => Orientation::FlipVertical,
        (ImageRotation::D0, Some(false)) | (ImageRotation::D180, Some(true)) => Orientation::FlipHorizontal,
        (ImageRotation::D90, Some(true)) | (ImageRotation::D270, Some(false)) => Orientation::Rotate90FlipH,
        (ImageRotation::D90, Some(false)) | (ImageRotation::D270, Some(true)) => Orientation::Rotate270FlipH,
    }
}

fn frame(coded: &[u8]) -> Result<dav1d::Picture, String> {
    let told = |error: dav1d::Error| error.to_string();
    let mut settings = Settings::new();
    settings.set_max_frame_delay(1);
    // Of pictures in layers, the finest.
    settings.set_all_layers(false);
    settings.set_frame_size_limit(MAX_PIXELS as u32);
    let mut decoder = Decoder::with_settings(&settings).map_err(told)?;
    let mut pending = decoder.send_data(coded.to_vec(), None, None, None);
    loop {
        match decoder.get_picture() {
            Ok(picture) => return Ok(picture),
            Err(dav1d::Error::Again) => match pending {
                Err(dav1d::Error::Again) => pending = decoder.send_pending_data(),
                Err(error) => return Err(told(error)),
                Ok(()) => return Err("the picture is not whole".to_owned()),
            },
            Err(error) => return Err(told(error)),
        }
    }
}

/// Levels in [0, 1] of a plane, its width and its height.
fn component(frame: &dav1d::Picture, which: PlanarImageComponent) -> (Vec<f32>, usize, usize) {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let is_colour = which != PlanarImageComponent::Y;
    let layout = frame.pixel_layout();
    let halved = |length: usize, when: bool| if when { length.div_ceil(2) } else { length };
    let width = halved(width, is_colour && matches!(layout, PixelLayout::I420 | PixelLayout::I422));
    let height = halved(height, is_colour && layout == PixelLayout::I420);
    let plane = frame.plane(which);
    let stride = frame.stride(which) as usize;
    let bits = frame.bits_per_component().map_or(8, |bits| bits.0);
    let most = ((1_u32 << bits) - 1) as f32;
    let mut levels = Vec::with_capacity(width * height);
    for row in plane.chunks(stride).take(height) {
        if bits > 8 {
            levels.extend(
                row.as_chunks::<2>().0.iter().take(width).map(|two| f32::from(u16::from_le_bytes(*two)) / most),
            );
        } else {
            levels.extend(row.iter().take(width).map(|&level| f32::from(level) / most));
        }
    }
    (levels, width, height)
}

/// Gray or colour planes of a frame, in [0, 255].
fn colours(frame: &dav1d::Picture) -> Vec<Plane> {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let (luma, _, _) = component(frame, PlanarImageComponent::Y);
    let is_full = frame.color_range() == YUVRange::Full;
    let bits = frame.bits_per_component().map_or(8, |bits| bits.0);
    let most = f32::from((1_u16 << bits) - 1);
    let unit = f32::from(1_u16 << (bits - 8));
    let bright = |level: f32| if is_full { level } else { (level * most - 16.0 * unit) / (219.0 * unit) };
    let plane = |data: Vec<f32>| Plane::new(width, height, data);
    if frame.pixel_layout() == PixelLayout::I400 {
        return vec![plane(luma.into_iter().map(|level| (bright(level) * 255.0).clamp(0.0, 255.0)).collect())];
    }
    let [u, v] = [PlanarImageComponent::U, PlanarImageComponent::V].map(|which| {
        let (levels, narrow, low) = component(frame, which);
        enlarged(&levels, [narrow, low], [width, height])
    });
    if frame.matrix_coefficients() == MatrixCoefficients::Identity {
        let whole =
            |levels: &[f32]| plane(levels.iter().map(|&level| (bright(level) * 255.0).clamp(0.0, 255.0)).collect());
        return vec![whole(&v), whole(&luma), whole(&u)];
    }
    let (kr, kb) = match frame.matrix_coefficients() {
        MatrixCoefficients::BT709 => (0.2126, 0.0722),
        MatrixCoefficients::BT2020NonConstantLuminance => (0.2627, 0.0593),
        _ => (0.299, 0.114),
    };
    let is_ycgco = frame.matrix_coefficients() == MatrixCoefficients::YCgCo;
    let kg = 1.0 - kr - kb;
    let middle = f32::from(1_u16 << (bits - 1)) / most;
    let colour = |level: f32| (level - middle) * if is_full { 1.0 } else { most / (224.0 * unit) };
    let mut planes: Vec<Vec<f32>> = (0..3).map(|_| Vec::with_capacity(luma.len())).collect();
    for ((&y, &u), &v) in luma.iter().zip(&u).zip(&v) {
        let (y, u, v) = (bright(y), colour(u), colour(v));
        if is_ycgco {
            let without_green = y - u;
            for (plane, sample) in planes.iter_mut().zip([without_green + v, y + u, without_green - v]) {
                plane.push((sample * 255.0).clamp(0.0, 255.0));
            }
            continue;
        }
        let (red, blue) = (y + 2.0 * (1.0 - kr) * v, y + 2.0 * (1.0 - kb) * u);
        let green = (y - kr * red - kb * blue) / kg;
        for (plane, sample) in planes.iter_mut().zip([red, green, blue]) {
            plane.push((sample * 255.0).clamp(0.0, 255.0));
        }
    }
    planes.into_iter().map(plane).collect()
}

/// Colour planes of half resolution at full size, between their samples, which lie in the middle of two pixels.
fn enlarged(levels: &[f32], [narrow, low]: [usize; 2], [width, height]: [usize; 2]) -> Vec<f32> {
    if (narrow, low) == (width, height) {
        return levels.to_vec();
    }
    let near = |at: usize, few: usize, many: usize| -> [usize; 2] {
        if few == many {
            return [at, at];
        }
        let this = at / 2;
        [this, if at.is_multiple_of(2) { this.saturating_sub(1) } else { (this + 1).min(few - 1) }]
    };
    let mut out = Vec::with_capacity(width * height);
    for y in 0..height {
        let rows = near(y, low, height);
        for x in 0..width {
            let columns = near(x, narrow, width);
            let row = |y: usize| 0.75 * levels[y * narrow + columns[0]] + 0.25 * levels[y * narrow + columns[1]];
            out.push(0.75 * row(rows[0]) + 0.25 * row(rows[1]));
        }
    }
    out
}

/// Encodes a picture with 10 bits in its own colour space.
pub(crate) fn encode(picture: &Picture, options: EncodeOptions) -> Result<Vec<u8>, String> {
    const MAX: f32 = 1023.0;
    let picture = colour::for_colour_only(picture);
    let ten = |level: f32| (level / 255.0 * MAX).round().clamp(0.0, MAX) as u16;
    let [red, green, blue] = picture.rgb();
    // Brightness and differences of BT.601, full range: what the encoder is told.
    let (kr, kb) = (0.299, 0.114);
    let coded = (0..red.data.len()).map(|at| {
        let [r, g, b] = [red, green, blue].map(|plane| plane.data[at].clamp(0.0, 255.0));
        let luma = kr * r + (1.0 - kr - kb) * g + kb * b;
        let difference = |level: f32, k: f32| {
            ((level - luma) / (2.0 * (1.0 - k)) / 255.0 * MAX + 512.0).round().clamp(0.0, MAX) as u16
        };
        [ten(luma), difference(b, kb), difference(r, kr)]
    });
    let alpha = picture.alpha.as_ref().map(|alpha| alpha.data.iter().map(|&level| ten(level)).collect::<Vec<_>>());
    let mut encoder = ravif::Encoder::new().with_quality(f32::from(options.quality.clamp(1, 100))).with_speed(SPEED);
    if let Some(exif) = &picture.metadata.exif {
        encoder = encoder.with_exif(exif.as_slice());
    }
    let (width, height) = (picture.width(), picture.height());
    let (range, matrix) = (ravif::PixelRange::Full, ravif::MatrixCoefficients::BT601);
    let written = encoder.encode_raw_planes_10_bit(width, height, coded, alpha, range, matrix);
    let file = written.map_err(|error| error.to_string())?.avif_file;
    match &picture.metadata.icc {
        Some(icc) => profile::with_profile(&file, icc).ok_or_else(|| "its profile finds no place in the file".into()),
        None => Ok(file),
    }
}
