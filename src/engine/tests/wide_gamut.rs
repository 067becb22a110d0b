//! Wide-gamut pictures: enlarged in their own colour space, or converted to sRGB and back? Measured on pictures of which
//! a part lies outside of sRGB, in the space that they are in.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{ops::ControlFlow, path::Path};

use burn::tensor::Device;
use dualres_engine::{Options, Upscaler};
use dualres_imaging::{
    Picture, Plane,
    psnr::{PsnrRule, psnr},
    resize::{Samples, imresize_picture},
};
use dualres_network::{Model, device::ComputeDevice};
use moxcms::{ColorProfile, Layout, TransformOptions};

/// The planes of a picture in another space; what lies outside of it is cut off.
fn converted(picture: &Picture, from: &ColorProfile, to: &ColorProfile) -> Picture {
    let transform = from.create_transform_f32(Layout::Rgb, to, Layout::Rgb, TransformOptions::default()).unwrap();
    let mixed: Vec<f32> =
        (0..picture.planes[0].data.len()).flat_map(|i| picture.rgb().map(|plane| plane.data[i] / 255.0)).collect();
    let mut out = vec![0.0_f32; mixed.len()];
    transform.transform(&mixed, &mut out).unwrap();
    let plane = |channel| {
        let samples = out.iter().skip(channel).step_by(3).map(|sample| sample.clamp(0.0, 1.0) * 255.0).collect();
        Plane::new(picture.width(), picture.height(), samples)
    };
    Picture::from_planes((0..3).map(plane).collect())
}

#[test]
fn enlarging_in_the_own_space_is_no_worse_than_by_way_of_srgb() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let bytes = std::fs::read(root.join("models/x2.safetensors")).unwrap();
    let upscaler =
        Upscaler::new(&Model::from_bytes(&bytes, "x2", &Device::flex()).unwrap(), &ComputeDevice::cpu()).unwrap();
    let srgb = ColorProfile::new_srgb();
    let spaces = [
        ("Display P3", ColorProfile::new_display_p3()),
        ("Adobe RGB", ColorProfile::new_adobe_rgb()),
        ("ProPhoto RGB", ColorProfile::new_pro_photo_rgb()),
    ];
    let mut gains = Vec::new();
    let upscale = |input: &Picture| {
        upscaler.upscale(input, &Options::default(), &mut |_| ControlFlow::Continue(())).unwrap().picture
    };
    for name in ["chelsea.png", "rocket.jpg"] {
        let photo = dualres_imaging::read(&root.join("assets/samples").join(name)).unwrap();
        let full = photo.crop(0, 0, 240.min(photo.width() / 2 * 2), 200.min(photo.height() / 2 * 2));
        for (space, profile) in &spaces {
            // The numbers of the photograph taken as numbers of the wider space: colours that sRGB does not have.
            let input = imresize_picture(&full, 0.5, Samples::Float);
            let own = psnr(&upscale(&input), &full, PsnrRule::Div2kRgb { scale: 2 }).unwrap();
            let by_srgb = converted(&upscale(&converted(&input, profile, &srgb)), &srgb, profile);
            let by_srgb = psnr(&by_srgb, &full, PsnrRule::Div2kRgb { scale: 2 }).unwrap();
            println!("{name} in {space}: {own:.2} dB in its own space, {by_srgb:.2} dB by way of sRGB");
            // Where nearly nothing lies outside of sRGB the two are the same but for chance.
            assert!(own > by_srgb - 0.02, "{name} in {space}: {own} against {by_srgb}");
            gains.push(own - by_srgb);
        }
    }
    let mean = gains.iter().sum::<f64>() / gains.len() as f64;
    println!("{mean:.2} dB better in the mean");
    assert!(mean > 0.4, "{gains:?}");
}
