//! Colour management: profiles carried, and conversions where a format or the network leaves no other way.
//!
//! Pictures are enlarged in their own colour space, whatever it is, and keep their profile. Converting them to another one
//! and back measures no better and cuts off what lies outside of it (`engine: tests/wide_gamut.rs`). What is converted: inks, which
//! no network knows; gray with a profile of its own where a format has no gray; and wide gamut where a format has no
//! profiles.

use std::borrow::Cow;

use moxcms::{
    CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, DataColorSpace, Layout, MatrixCoefficients,
    ToneReprCurve, TransferCharacteristics, TransformOptions, XyY, curve_from_gamma,
};

use crate::{Picture, Plane};

/// What the chunks of a PNG file say about its colours when there is no profile.
#[derive(Debug, Default)]
pub(crate) struct Description {
    code: Option<[u8; 4]>,
    is_srgb: bool,
    gamma: Option<f64>,
    chromaticities: Option<[f64; 8]>,
}

impl Description {
    pub(crate) fn note(&mut self, kind: &[u8], content: &[u8]) {
        let number = |index: usize| {
            content.get(index * 4..)?.first_chunk().map(|four| f64::from(u32::from_be_bytes(*four)) / 100_000.0)
        };
        match kind {
            b"cICP" => self.code = content.first_chunk().copied(),
            b"sRGB" => self.is_srgb = true,
            b"gAMA" => self.gamma = number(0).filter(|&gamma| gamma > 0.0),
            _ => {
                let mut all = [0.0; 8];
                let complete =
                    all.iter_mut().enumerate().all(|(index, value)| number(index).map(|n| *value = n).is_some());
                self.chromaticities = complete.then_some(all);
            }
        }
    }

    /// A profile that says the same; `None` for sRGB, which pictures without a profile are.
    pub(crate) fn profile(&self) -> Option<Vec<u8>> {
        if let Some([primaries, transfer, _, _]) = self.code {
            return from_code(primaries, transfer);
        }
        if self.is_srgb {
            return None;
        }
        let near = |a: f64, b: f64| (a - b).abs() < 0.002;
        let srgb = [0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06];
        let stated = self.chromaticities.filter(|xy| !xy.iter().zip(srgb).all(|(&a, b)| near(a, b)));
        // 1 / 2.2 is how programs have always written sRGB.
        let gamma = self.gamma.filter(|&gamma| !near(gamma, 0.45455));
        if stated.is_none() && gamma.is_none() {
            return None;
        }
        let [wx, wy, rx, ry, gx, gy, bx, by] = stated.unwrap_or(srgb);
        let mut profile = ColorProfile::new_srgb();
        let at = |x: f64, y: f64| moxcms::Chromaticity { x: x as f32, y: y as f32 };
        let primaries = ColorPrimaries { red: at(rx, ry), green: at(gx, gy), blue: at(bx, by) };
        profile.update_rgb_colorimetry(XyY { x: wx, y: wy, yb: 1.0 }, primaries);
        let gamma = gamma.or(self.gamma.filter(|_| stated.is_none()));
        if let Some(gamma) = gamma {
            let curve: ToneReprCurve = curve_from_gamma((1.0 / gamma) as f32);
            profile.red_trc = Some(curve.clone());
            profile.green_trc = Some(curve.clone());
            profile.blue_trc = Some(curve);
        }
        profile.cicp = None;
        profile.encode().ok()
    }
}

/// A profile for light of primaries and a white in the CIE diagram (red, green, blue, white) that was brought to the curve of sRGB;
/// `None` for those of sRGB.
pub(crate) fn of_light_with(chromaticities: [f32; 8]) -> Option<Vec<u8>> {
    let [rx, ry, gx, gy, bx, by, wx, wy] = chromaticities.map(f64::from);
    // Primaries on one line, or none at all, make no colour space.
    let area = (gx - rx) * (by - ry) - (bx - rx) * (gy - ry);
    if area.abs() < 1e-3 || wy <= 0.0 || [ry, gy, by].contains(&0.0) {
        return None;
    }
    let chromaticities = Some([wx, wy, rx, ry, gx, gy, bx, by]);
    Description { chromaticities, ..Description::default() }.profile()
}

/// A profile for the code points of H.273; `None` for sRGB and what is unknown.
pub(crate) fn from_code(primaries: u8, transfer: u8) -> Option<Vec<u8>> {
    let (primaries, transfer) =
        (CicpColorPrimaries::try_from(primaries).ok()?, TransferCharacteristics::try_from(transfer).ok()?);
    if matches!(primaries, CicpColorPrimaries::Unspecified | CicpColorPrimaries::Reserved)
        || matches!(transfer, TransferCharacteristics::Unspecified | TransferCharacteristics::Reserved)
    {
        return None;
    }
    if primaries == CicpColorPrimaries::Bt709 && transfer == TransferCharacteristics::Srgb {
        return None;
    }
    let code = CicpProfile {
        color_primaries: primaries,
        transfer_characteristics: transfer,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    };
    ColorProfile::new_from_cicp(code).encode().ok()
}

/// The colour space a profile is for, if it is one at all.
fn space(icc: &[u8]) -> Option<DataColorSpace> {
    match icc.get(16..20)? {
        b"RGB " => Some(DataColorSpace::Rgb),
        b"GRAY" => Some(DataColorSpace::Gray),
        b"CMYK" => Some(DataColorSpace::Cmyk),
        _ => None,
    }
}

/// Makes the profile one for the picture's channels, or drops it: another would make programs refuse the file.
pub(crate) fn fit_profile(picture: &mut Picture) {
    let is_gray = picture.is_gray();
    picture.metadata.icc = picture.metadata.icc.take().and_then(|icc| match space(&icc)? {
        DataColorSpace::Rgb if is_gray => gray_of(&icc),
        DataColorSpace::Rgb => Some(icc),
        DataColorSpace::Gray if is_gray => Some(icc),
        _ => None,
    });
}

/// The profile of the grays of a profile for colours.
fn gray_of(icc: &[u8]) -> Option<Vec<u8>> {
    let colours = ColorProfile::new_from_slice(icc).ok()?;
    let mut gray = ColorProfile::new_gray_with_gamma(2.2);
    gray.gray_trc = Some(colours.green_trc?);
    gray.encode().ok()
}

/// The picture for a format that has no gray: gray with a profile of its own becomes sRGB.
pub(crate) fn for_colour_only(picture: &Picture) -> Cow<'_, Picture> {
    let gray =
        picture.metadata.icc.as_deref().filter(|icc| picture.is_gray() && space(icc) == Some(DataColorSpace::Gray));
    match gray {
        Some(_) => Cow::Owned(to_srgb(picture)),
        None => Cow::Borrowed(picture),
    }
}

/// The picture in sRGB, without a profile; as it is if its profile cannot be understood.
pub(crate) fn to_srgb(picture: &Picture) -> Picture {
    let mut converted = picture.clone();
    let Some(icc) = converted.metadata.icc.take() else { return converted };
    if let Some(planes) = through(&icc, &picture.planes.iter().map(|p| p.data.as_slice()).collect::<Vec<_>>()) {
        let plane = |data| Plane::new(picture.width(), picture.height(), data);
        converted.planes = planes.into_iter().map(plane).collect();
    }
    converted
}

/// Samples of a profile's channels as sRGB, or `None` if the profile cannot be used.
fn through(icc: &[u8], channels: &[&[f32]]) -> Option<Vec<Vec<f32>>> {
    let layout = match (space(icc)?, channels.len()) {
        (DataColorSpace::Gray, 1) => Layout::Gray,
        (DataColorSpace::Rgb, 3) => Layout::Rgb,
        (DataColorSpace::Cmyk, 4) => Layout::Rgba,
        _ => return None,
    };
    let profile = ColorProfile::new_from_slice(icc).ok()?;
    let transform = profile
        .create_transform_f32(layout, &ColorProfile::new_srgb(), Layout::Rgb, TransformOptions::default())
        .ok()?;
    const PART: usize = 1 << 16;
    let pixels = channels[0].len();
    let mut out: Vec<Vec<f32>> = (0..3).map(|_| Vec::with_capacity(pixels)).collect();
    for start in (0..pixels).step_by(PART) {
        let end = (start + PART).min(pixels);
        let mixed: Vec<f32> =
            (start..end).flat_map(|at| channels.iter().map(move |channel| channel[at] / 255.0)).collect();
        let mut converted = vec![0.0_f32; (end - start) * 3];
        transform.transform(&mixed, &mut converted).ok()?;
        for (channel, plane) in out.iter_mut().enumerate() {
            plane.extend(converted.iter().skip(channel).step_by(3).map(|s| (s * 255.0).clamp(0.0, 255.0)));
        }
    }
    Some(out)
}

/// Colours of inks (cyan, magenta, yellow, black; 255 is full ink) as sRGB: by their profile, or by covering.
pub(crate) fn from_inks(inks: &[Vec<f32>], icc: Option<&[u8]>) -> Vec<Vec<f32>> {
    let channels: Vec<&[f32]> = inks.iter().take(4).map(Vec::as_slice).collect();
    if let Some(planes) = icc.and_then(|icc| through(icc, &channels)) {
        return planes;
    }
    let covered = |ink: &[f32]| ink.iter().zip(channels[3]).map(|(c, k)| (255.0 - c) * (255.0 - k) / 255.0).collect();
    channels[..3].iter().map(|ink| covered(ink)).collect()
}

/// CIELAB as sRGB: lightness in [0, 255], both colours in [0, 256) with gray at 128. White is that of D50, or D65 if so.
pub(crate) fn from_lab(lab: &[Vec<f32>], is_d65: bool) -> Vec<Vec<f32>> {
    type Matrix = [[f32; 3]; 3];
    // From XYZ to the light of sRGB; the first with the adaptation of Bradford in it.
    const FROM_D50: Matrix =
        [[3.133_856, -1.616_867, -0.490_615], [-0.978_768, 1.916_142, 0.033_454], [0.071_945, -0.228_991, 1.405_243]];
    const FROM_D65: Matrix =
        [[3.240_454, -1.537_139, -0.498_531], [-0.969_266, 1.876_011, 0.041_556], [0.055_643, -0.204_026, 1.057_225]];
    let (matrix, white) = match is_d65 {
        true => (FROM_D65, [0.950_47, 1.0, 1.088_83]),
        false => (FROM_D50, [0.964_22, 1.0, 0.825_21]),
    };
    let linear = |f: f32| if f > 6.0 / 29.0 { f.powi(3) } else { 3.0 * (6.0_f32 / 29.0).powi(2) * (f - 4.0 / 29.0) };
    let gamma = |light: f32| match light {
        light if light <= 0.003_130_8 => 12.92 * light.max(0.0),
        light => 1.055 * light.min(1.0).powf(1.0 / 2.4) - 0.055,
    };
    let mut planes: Vec<Vec<f32>> = (0..3).map(|_| Vec::with_capacity(lab[0].len())).collect();
    for ((l, a), b) in lab[0].iter().zip(&lab[1]).zip(&lab[2]) {
        let y = (l / 2.55 + 16.0) / 116.0;
        let along = [y + (a - 128.0) / 500.0, y, y - (b - 128.0) / 200.0];
        let xyz = [0, 1, 2].map(|axis| white[axis] * linear(along[axis]));
        for (plane, row) in planes.iter_mut().zip(matrix) {
            let light: f32 = row.iter().zip(xyz).map(|(factor, part)| factor * part).sum();
            plane.push(255.0 * gamma(light));
        }
    }
    planes
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn adobe_rgb_becomes_srgb_and_gray_stays_neutral() {
        let mut picture = Picture::from_planes(vec![
            Plane::new(2, 1, vec![144.2, 128.0]),
            Plane::new(2, 1, vec![0.0, 128.0]),
            Plane::new(2, 1, vec![0.0, 128.0]),
        ]);
        picture.metadata.icc = Some(ColorProfile::new_adobe_rgb().encode().unwrap());
        let converted = to_srgb(&picture);
        assert!(converted.metadata.icc.is_none());
        let [r, g, b] = converted.rgb().map(|plane| plane.data[0]);
        assert!(r > 160.0 && g < 3.0 && b < 3.0, "red of Adobe RGB is redder than that of sRGB: {r} {g} {b}");
        let [r, g, b] = converted.rgb().map(|plane| plane.data[1]);
        assert!((r - g).abs() < 0.6 && (g - b).abs() < 0.6 && (r - 129.0).abs() < 0.6, "{r} {g} {b}");
    }

    #[test]
    fn a_gray_profile_is_converted_where_there_is_no_gray() {
        let mut gray = Picture::from_planes(vec![Plane::new(2, 1, vec![0.0, 128.0])]);
        gray.metadata.icc = Some(ColorProfile::new_gray_with_gamma(1.0).encode().unwrap());
        let converted = for_colour_only(&gray).into_owned();
        assert_eq!(converted.planes.len(), 3);
        assert!(converted.planes[0].data[1] > 180.0, "half of the light is bright: {:?}", converted.planes[0].data);
        let mut colour = Picture::from_planes(vec![Plane::filled(2, 1, 1.0); 3]);
        colour.metadata.icc = gray.metadata.icc.clone();
        fit_profile(&mut colour);
        assert!(colour.metadata.icc.is_none());
        fit_profile(&mut gray);
        assert!(gray.metadata.icc.is_some());
        // A profile for colours becomes one for their grays.
        let mut profile = ColorProfile::new_srgb();
        profile.green_trc = ColorProfile::new_gray_with_gamma(1.0).gray_trc;
        gray.metadata.icc = Some(profile.encode().unwrap());
        fit_profile(&mut gray);
        assert_eq!(space(gray.metadata.icc.as_ref().unwrap()), Some(DataColorSpace::Gray));
        assert!((for_colour_only(&gray).planes[0].data[1] - converted.planes[0].data[1]).abs() < 1.0);
    }

    #[test]
    fn inks_without_a_profile_cover_the_paper() {
        let inks = [vec![0.0, 255.0], vec![0.0, 0.0], vec![0.0, 0.0], vec![0.0, 128.0]];
        let rgb = from_inks(&inks, Some(b"no profile"));
        assert_eq!((rgb[0][0], rgb[0][1]), (255.0, 0.0));
        assert_eq!((rgb[1][0], rgb[1][1]), (255.0, 127.0));
    }

    #[test]
    fn lab_is_what_its_definition_says() {
        // Gray, and the red of sRGB as CIELAB about D50 and about D65.
        let lab = |l: f32, a: f32, b: f32| vec![vec![l * 2.55], vec![a + 128.0], vec![b + 128.0]];
        let near = |lab: &[Vec<f32>], is_d65, wanted: [f32; 3]| {
            let found = from_lab(lab, is_d65);
            assert!((0..3).all(|c| (found[c][0] - wanted[c]).abs() < 1.0), "{found:?} {wanted:?}");
        };
        for is_d65 in [false, true] {
            near(&lab(53.585, 0.0, 0.0), is_d65, [128.0; 3]);
            near(&lab(100.0, 0.0, 0.0), is_d65, [255.0; 3]);
        }
        near(&lab(54.29, 80.81, 69.89), false, [255.0, 0.0, 0.0]);
        near(&lab(53.24, 80.09, 67.20), true, [255.0, 0.0, 0.0]);
    }

    #[test]
    fn chunks_that_mean_srgb_give_no_profile_and_others_do() {
        let mut plain = Description::default();
        assert!(plain.profile().is_none());
        plain.note(b"gAMA", &45_455_u32.to_be_bytes());
        assert!(plain.profile().is_none());
        let mut linear = Description::default();
        linear.note(b"gAMA", &100_000_u32.to_be_bytes());
        let icc = linear.profile().unwrap();
        let mut picture = Picture::from_planes(vec![Plane::filled(1, 1, 128.0); 3]);
        picture.metadata.icc = Some(icc);
        let srgb = to_srgb(&picture);
        assert!((srgb.planes[1].data[0] - 188.0).abs() < 1.5, "{:?}", srgb.planes[1].data);
        let mut p3 = Description::default();
        p3.note(b"cICP", &[12, 13, 0, 1]);
        assert!(p3.profile().is_some());
        let mut srgb = Description::default();
        srgb.note(b"cICP", &[1, 13, 0, 1]);
        assert!(srgb.profile().is_none());
    }
}
