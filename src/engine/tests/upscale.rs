//! Upscaling: tiles that do not show, proofs that are true, and runs that end as they should.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{ops::ControlFlow, path::PathBuf};

use burn::tensor::Device;
use dualres_engine::{EngineError, Event, Options, PoolingChoice, Unfinished, Upscaler, heat_map, measure_seam, shows};
use dualres_imaging::{Picture, Plane};
use dualres_network::{Architecture, Description, Model, device::ComputeDevice};

fn project(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn shipped(name: &str) -> Upscaler {
    let model = Model::read(&project(&format!("models/{name}.safetensors")), &Device::flex()).unwrap();
    Upscaler::new(&model, &ComputeDevice::cpu()).unwrap()
}

fn tiny() -> Model {
    Model::init(Description::drn("tiny", &Architecture::new(2, 8, 1).unwrap()).unwrap(), 5, &Device::flex()).unwrap()
}

fn go_on(_: Event) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn largest_difference(a: &Picture, b: &Picture) -> f32 {
    let pairs = a.planes.iter().zip(&b.planes).flat_map(|(a, b)| a.data.iter().zip(&b.data));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// On a real picture with the models that ship, any tiles give the picture that one tile gives, to one level of 255.
#[test]
fn tiles_do_not_show() {
    let photo = dualres_imaging::read(&project("assets/samples/chelsea.png")).unwrap();
    for name in ["x2", "x4"] {
        let upscaler = shipped(name);
        let run = |tile| {
            let options = Options { tile: Some(tile), ..Options::default() };
            upscaler.upscale(&photo, &options, &mut go_on).unwrap().picture
        };
        let whole = run(4096);
        for tile in [112, 200] {
            let gap = largest_difference(&whole, &run(tile));
            println!("{name}, tiles of {tile}: at most {gap:.3} levels");
            assert!(gap <= 1.0, "{name}, tiles of {tile}: {gap}");
        }
    }
}

/// Networks of others are tiled as far as they see, or as far as was measured when they came, or are known to show seams.
#[test]
fn tiles_of_networks_of_others_do_not_show() {
    use dualres_network::import::{self, ImportOptions};

    let photo = dualres_imaging::read(&project("assets/samples/chelsea.png")).unwrap().crop(60, 40, 220, 150);
    let mut whole_only = Vec::new();
    for name in [
        "edsr_x2.pth",
        "compact_x4.pth",
        "esrgan_new_x2_unshuffle.pth",
        "rrdb_x4_op11.onnx",
        "carn_m_x4.pth",
        "span_x2.pth",
        "rlfn_x4.pth",
        "bsrn_x4.pth",
        "realplksr_x2_dysample.pth",
        "groupnorm_x2.onnx",
        "luma.onnx",
        "ncnn_grouped.param",
    ] {
        let path = project("src/network/tests/data/foreign").join(name);
        let mut model = import::read(&path, &ImportOptions::default(), &Device::flex()).unwrap();
        let cpu = ComputeDevice::cpu();
        let (halo, seam) = measure_seam(&model, &cpu, &photo).unwrap().unzip();
        (model.description.halo, model.description.seam) = (halo, seam.filter(|&seam| shows(seam)));
        let upscaler = Upscaler::new(&model, &cpu).unwrap();
        let run = |tile| {
            let options = Options { tile: Some(tile), ..Options::default() };
            upscaler.upscale(&photo, &options, &mut go_on).unwrap().picture
        };
        let gap = largest_difference(&run(4096), &run(96 + 2 * model.description.halo.unwrap_or(16)));
        println!("{name}: at most {gap:.3} levels, {:?} said", model.description.seam);
        if model.description.seam.is_some() {
            whole_only.push(name);
        } else {
            assert!(gap <= 1.0, "{name}: {gap}");
        }
    }
    // Attention that resizes strided features to the size of the part, whose corners lie elsewhere in each, and statistics of the
    // picture, with weights at random.
    assert_eq!(whole_only, ["rlfn_x4.pth", "bsrn_x4.pth", "realplksr_x2_dysample.pth", "groupnorm_x2.onnx"]);
}

#[test]
fn any_size_from_one_pixel_on() {
    let upscaler = Upscaler::new(&tiny(), &ComputeDevice::cpu()).unwrap();
    for (width, height) in [(1, 1), (1, 7), (9, 2), (33, 17), (65, 64)] {
        for pooling in [PoolingChoice::Local, PoolingChoice::Global] {
            let picture = Picture::from_planes(vec![Plane::filled(width, height, 100.0); 3]);
            let result = upscaler.upscale(&picture, &Options { pooling, ..Options::default() }, &mut go_on).unwrap();
            assert_eq!((result.picture.width(), result.picture.height()), (2 * width, 2 * height));
            let reconstruction = result.reconstructions.last().unwrap();
            assert_eq!((reconstruction.width(), reconstruction.height()), (width, height));
            assert!(result.loop_psnr.unwrap().is_finite());
        }
    }
}

#[test]
fn gray_stays_gray_and_alpha_and_metadata_come_along() {
    let upscaler = Upscaler::new(&tiny(), &ComputeDevice::cpu()).unwrap();
    let mut picture = Picture::from_planes(vec![Plane::filled(12, 10, 80.0)]);
    picture.alpha = Some(Plane::filled(12, 10, 200.0));
    picture.depth = dualres_imaging::Depth::Sixteen;
    picture.metadata.icc = Some(vec![1, 2, 3]);
    let result = upscaler.upscale(&picture, &Options::default(), &mut go_on).unwrap();
    assert!(result.picture.is_gray() && result.reconstructions[0].is_gray());
    let alpha = result.picture.alpha.unwrap();
    assert_eq!((alpha.width, alpha.height), (24, 20));
    assert!(alpha.data.iter().all(|&a| (a - 200.0).abs() < 0.01));
    assert_eq!(result.picture.depth, picture.depth);
    assert_eq!(result.picture.metadata, picture.metadata);
}

/// The reconstruction is what the dual models make of the result, whatever the tiles, and the numbers follow from it.
#[test]
fn the_proof_is_computed_from_the_result() {
    let model =
        Model::init(Description::drn("tiny", &Architecture::new(4, 4, 1).unwrap()).unwrap(), 5, &Device::flex())
            .unwrap();
    let upscaler = Upscaler::new(&model, &ComputeDevice::cpu()).unwrap();
    let (width, height) = (300, 150);
    let plane = |phase: f32| {
        let data = (0..width * height).map(|i| 128.0 + 90.0 * ((i % width) as f32 * 0.3 + phase).sin()).collect();
        Plane::new(width, height, data)
    };
    let picture = Picture::from_planes(vec![plane(0.0), plane(0.7), plane(1.4)]);
    let result = upscaler.upscale(&picture, &Options::default(), &mut go_on).unwrap();
    assert_eq!(result.reconstructions.iter().map(Picture::width).collect::<Vec<_>>(), [2 * width, width]);

    // 1200 pixels are more than a tile of the dual pass; run the dual models by hand in one piece.
    let samples: Vec<f32> = result.picture.planes.iter().flat_map(|p| p.data.clone()).collect();
    let mut x = burn::tensor::Tensor::<4>::from_data(
        burn::tensor::TensorData::new(samples, [1, 3, 4 * height, 4 * width]),
        &Device::flex(),
    );
    for dual in model.duals.iter().rev() {
        x = dual.forward(x).clamp(0.0, 255.0);
    }
    let by_hand = x.into_data().try_into_vec::<f32>().unwrap();
    // In the outermost pixels the engine repeats the border where a convolution by hand sees zeros.
    let border = 4;
    for (channel, plane) in result.reconstructions[1].planes.iter().enumerate() {
        for y in border..height - border {
            for x in border..width - border {
                let gap = (plane.row(y)[x] - by_hand[(channel * height + y) * width + x]).abs();
                assert!(gap < 1e-3, "{channel} {x},{y}: {gap}");
            }
        }
    }

    let consistency = result.consistency.unwrap();
    let expected: f32 =
        (0..3).map(|c| (picture.planes[c].data[777] - result.reconstructions[1].planes[c].data[777]).abs() / 3.0).sum();
    assert!((consistency.data[777] - expected).abs() < 1e-4);
    assert_eq!(heat_map(&consistency).width(), width);
}

#[test]
fn a_run_stops_within_one_tile() {
    let upscaler = Upscaler::new(&tiny(), &ComputeDevice::cpu()).unwrap();
    let picture = Picture::from_planes(vec![Plane::filled(400, 400, 100.0); 3]);
    let mut tiles_done = 0;
    let error = upscaler
        .upscale(&picture, &Options { tile: Some(100), ..Options::default() }, &mut |event| match event {
            Event::Tile { done, tiles, .. } => {
                assert!(tiles > 4);
                tiles_done = done;
                if done == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
            _ => ControlFlow::Continue(()),
        })
        .unwrap_err();
    assert!(matches!(error, EngineError::Cancelled));
    assert_eq!(tiles_done, 2);
}

/// What was made before a run was cut off is not made again, and the result is the same; what is of another picture is not taken.
#[test]
fn a_run_goes_on_where_it_was_cut_off() {
    let upscaler = Upscaler::new(&tiny(), &ComputeDevice::cpu()).unwrap();
    let photo = dualres_imaging::read(&project("assets/samples/chelsea.png")).unwrap().crop(0, 0, 203, 150);
    let options = Options { tile: Some(100), ..Options::default() };
    let mut go_on = |_: Event| ControlFlow::Continue(());
    let whole = upscaler.upscale(&photo, &options, &mut go_on).unwrap();
    let mut cut_off = None;
    let stopped = upscaler.upscale(&photo, &options, &mut |event| match event {
        Event::Tile { done: 3, planes, side, .. } => {
            cut_off = Some(Unfinished { side, done: 3, planes: planes.to_vec() });
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(stopped, Err(EngineError::Cancelled)));
    let mut cut_off = cut_off.unwrap();
    // A sign that the network could not make: it is still there in the end.
    cut_off.planes.iter_mut().for_each(|plane| plane.data[5] = 123.5);
    let (mut told, mut made) = ([0; 3], 0);
    let mut count = |event: Event| {
        match event {
            Event::Restored { .. } => told[0] += 1,
            Event::Started { done, .. } => told[1] = done,
            Event::Tile { done, .. } => told[2] = told[2].max(done),
            _ => {}
        }
        made += usize::from(matches!(event, Event::Tile { .. }));
        ControlFlow::Continue(())
    };
    let on = upscaler.upscale_on(&photo, &options, Some(cut_off.clone()), &mut count).unwrap();
    assert_eq!(on.picture.planes[0].data[5], 123.5);
    assert_eq!(on.picture.planes[0].data[6..], whole.picture.planes[0].data[6..]);
    assert_eq!(told[..2], [3, 3]);
    assert_eq!(made, told[2] - 3, "what was there is not made again");
    // Tiles of its size, where none was asked for.
    let usual = upscaler.upscale_on(&photo, &Options::default(), Some(cut_off.clone()), &mut go_on).unwrap();
    assert_eq!(usual.picture.planes[0].data[5], 123.5);
    let other = photo.crop(0, 0, 190, 150);
    let made = upscaler.upscale_on(&other, &options, Some(cut_off), &mut go_on).unwrap();
    assert_eq!(made.picture, upscaler.upscale(&other, &options, &mut go_on).unwrap().picture);
}

/// Weights that are finite but blow up: the result is an error, never a black or broken picture.
#[test]
fn what_is_not_a_number_never_leaves_the_engine() {
    let model = tiny();
    let mut weights = model.weights();
    for name in
        ["model.up_blocks.0.1.0.weight", "model.up_blocks.0.2.weight", "model.tail.1.weight", "model.head.weight"]
    {
        weights.0.get_mut(name).unwrap().values.fill(1e20);
    }
    let broken = Model::from_weights(model.description, &weights, &Device::flex()).unwrap();
    let upscaler = Upscaler::new(&broken, &ComputeDevice::cpu()).unwrap();
    let picture = Picture::from_planes(vec![Plane::filled(16, 16, 100.0); 3]);
    let error = upscaler.upscale(&picture, &Options::default(), &mut go_on).unwrap_err();
    assert!(matches!(error, EngineError::NotFinite), "{error}");
}

#[test]
fn a_picture_beyond_the_memory_is_refused_before_the_run() {
    let model =
        Model::init(Description::drn("tiny", &Architecture::new(8, 4, 1).unwrap()).unwrap(), 5, &Device::flex())
            .unwrap();
    let upscaler = Upscaler::new(&model, &ComputeDevice::cpu()).unwrap();
    let picture = Picture::from_planes(vec![Plane::filled(30_000, 12_000, 0.0)]);
    let error = upscaler.upscale(&picture, &Options::default(), &mut go_on).unwrap_err();
    assert!(matches!(error, EngineError::Memory { width: 240_000, .. }), "{error}");
}

/// Back-projection with the models that ship: the loop closes more tightly with every step of the slider, and the
/// result stays near what the network made.
#[test]
fn fidelity_closes_the_loop() {
    let photo = dualres_imaging::read(&project("assets/samples/chelsea.png")).unwrap().crop(100, 80, 96, 72);
    for name in ["x2", "x4"] {
        let upscaler = shipped(name);
        let run = |fidelity| upscaler.upscale(&photo, &Options { fidelity, ..Options::default() }, &mut go_on).unwrap();
        let plain = run(0.0);
        let mut before = plain.loop_psnr.unwrap();
        for fidelity in [0.1, 0.3, 0.6, 1.0] {
            let refined = run(fidelity);
            let now = refined.loop_psnr.unwrap();
            println!(
                "{name} at {fidelity}: {now:.2} dB, moved {:.2}",
                largest_difference(&plain.picture, &refined.picture)
            );
            assert!(now > before, "{name}, fidelity {fidelity}: {now} dB after {before} dB");
            before = now;
        }
        // The slider goes both ways from one result.
        let again = upscaler.refine(&photo, plain.picture.clone(), 0.3, &mut go_on).unwrap();
        assert_eq!(again.picture, run(0.3).picture);
    }
}

/// What tiles report as they are done is the result, whole and without overlap.
#[test]
fn tiles_report_the_result_as_it_grows() {
    let upscaler = Upscaler::new(&tiny(), &ComputeDevice::cpu()).unwrap();
    let photo = dualres_imaging::read(&project("assets/samples/chelsea.png")).unwrap().crop(0, 0, 203, 150);
    let mut seen = vec![0; 406 * 300];
    let mut collected: Vec<Plane> = (0..3).map(|_| Plane::filled(406, 300, -1.0)).collect();
    let options = Options { tile: Some(100), ..Options::default() };
    let result = upscaler.upscale(&photo, &options, &mut |event| {
        if let Event::Tile { area, planes, .. } = event {
            for y in area.y..area.y + area.height {
                for x in area.x..area.x + area.width {
                    seen[y * 406 + x] += 1;
                    for (to, from) in collected.iter_mut().zip(planes) {
                        to.data[y * 406 + x] = from.data[y * 406 + x];
                    }
                }
            }
        }
        ControlFlow::Continue(())
    });
    assert!(seen.iter().all(|&count| count == 1));
    assert_eq!(collected, result.unwrap().picture.planes);
}

/// A white shape over black that nobody sees: along its edge nothing becomes gray.
#[test]
fn a_transparent_ground_makes_no_fringe() {
    let side = 40;
    let inside = |i: usize| (12..28).contains(&(i % side)) && (12..28).contains(&(i / side));
    let plane =
        |value: f32| Plane::new(side, side, (0..side * side).map(|i| if inside(i) { value } else { 0.0 }).collect());
    let mut picture = Picture::from_planes(vec![plane(230.0), plane(230.0), plane(230.0)]);
    picture.alpha = Some(plane(255.0));
    let result = shipped("x2").upscale(&picture, &Options::default(), &mut go_on).unwrap();
    assert!(result.loop_psnr.unwrap() > 50.0, "the way back is compared with what the network saw");
    let alpha = result.picture.alpha.as_ref().unwrap();
    let mut seen = 0;
    for plane in &result.picture.planes {
        for (sample, coverage) in plane.data.iter().zip(&alpha.data) {
            if *coverage > 10.0 {
                seen += 1;
                assert!((sample - 230.0).abs() < 6.0, "{sample} where {coverage} of 255 shows");
            }
        }
    }
    assert!(seen > 3 * 900);
}
