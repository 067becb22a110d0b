//! The shader of the canvas: valid, and the same picture as its twin on the CPU.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{device, may_skip, picture, project};
use dualres_app::window::{
    canvas::{
        gpu::{Gpu, Mode, Pane, SHADER},
        view::View,
    },
    document::{Document, Level, Map, PAGE, Patch, ProofPatch, Pyramid},
    queue::ItemId,
};
use dualres_engine::{Area, HOTTEST, heat_colour};
use dualres_imaging::{Picture, Plane};
use eframe::egui_wgpu::wgpu;

/// Every shader of the project parses and validates without a graphics device.
#[test]
fn shaders_are_valid() {
    let mut count = 0;
    for entry in std::fs::read_dir(project("shaders")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "wgsl") {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let module = naga::front::wgsl::parse_str(&source).unwrap_or_else(|e| panic!("{}", e.emit_to_string(&source)));
        let mut validator = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), Default::default());
        validator.validate(&module).unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
        count += 1;
    }
    assert!(count > 0);
    assert_eq!(SHADER, std::fs::read_to_string(project("shaders/compare.wgsl")).unwrap());
}

/// What the shader computes, pixel by pixel, from the pyramids themselves.
mod twin {
    use super::*;

    const SQUARE: f64 = 6.0;

    struct Slot<'a> {
        level: &'a Level,
        scale: f64,
    }

    fn slot(pyramid: &Pyramid, scale: f64, zoom: f64) -> Slot<'_> {
        let last = pyramid.levels.len() - 1;
        let index = (-(zoom * scale).log2()).floor().clamp(0.0, last as f64) as usize;
        Slot { level: &pyramid.levels[index], scale: scale * f64::from(1_u32 << index) }
    }

    impl Slot<'_> {
        fn texel(&self, x: i64, y: i64) -> [f64; 4] {
            let clamp = |v: i64, n: usize| v.clamp(0, n as i64 - 1) as usize;
            let (x, y) = (clamp(x, self.level.width), clamp(y, self.level.height));
            self.level.pixel(x, y).map(|byte| f64::from(byte) / 255.0)
        }

        fn sample(&self, position: [f64; 2], zoom: f64) -> Option<[f64; 4]> {
            let at = position.map(|p| p / self.scale);
            if self.scale * zoom >= SQUARE {
                return Some(self.texel(at[0].floor() as i64, at[1].floor() as i64)).filter(|c| c[3] >= 4.0 / 255.0);
            }
            let corner = at.map(|a| (a - 0.5).floor());
            let part = [at[0] - 0.5 - corner[0], at[1] - 0.5 - corner[1]];
            let (mut sum, mut weight) = ([0.0; 4], 0.0);
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let colour = self.texel(corner[0] as i64 + dx, corner[1] as i64 + dy);
                if colour[3] < 4.0 / 255.0 {
                    continue;
                }
                let share = |d: i64, p: f64| if d == 1 { p } else { 1.0 - p };
                let share = share(dx, part[0]) * share(dy, part[1]);
                weight += share;
                sum.iter_mut().zip(colour).for_each(|(s, c)| *s += share * c);
            }
            (weight >= 0.001).then(|| sum.map(|s| s / weight))
        }
    }

    fn mix(a: [f64; 3], b: [f64; 3], t: f64) -> [f64; 3] {
        [0, 1, 2].map(|c| a[c] * (1.0 - t) + b[c] * t)
    }

    fn flatten(colour: [f64; 4], pixel: [f64; 2]) -> [f64; 3] {
        let alpha = ((colour[3] * 255.0 - 8.0) / 247.0).clamp(0.0, 1.0);
        let cell = pixel.map(|p| (p / 8.0).floor() as i64);
        let ground = if (cell[0] + cell[1]) & 1 == 0 { 0.58 } else { 0.42 };
        mix([ground; 3], [colour[0], colour[1], colour[2]], alpha)
    }

    fn heat(amount: f64) -> [f64; 3] {
        heat_colour(amount as f32).map(|c| f64::from(c) / 255.0)
    }

    pub(super) fn shade(document: &Document, view: &View, pane: &Pane, map: Map, pixel: [f64; 2]) -> [f64; 3] {
        let zoom = view.zoom;
        let scale = document.scale as f64;
        let ground = pane.ground.map(f64::from);
        let origin = view.origin(pane.size.map(f64::from));
        let position = [0, 1].map(|axis| origin[axis] + pixel[axis] / zoom);
        let input = slot(&document.input, scale, zoom);
        let extent = [input.level.width as f64 * input.scale, input.level.height as f64 * input.scale];
        if (0..2).any(|axis| position[axis] < 0.0 || position[axis] >= extent[axis]) {
            return ground;
        }
        let original = input.sample(position, zoom).map_or(ground, |colour| flatten(colour, pixel));
        let or_original = |pyramid: &Option<Pyramid>, scale: f64| {
            let colour = pyramid.as_ref().and_then(|p| slot(p, scale, zoom).sample(position, zoom));
            colour.map_or(original, |colour| flatten(colour, pixel))
        };
        let differences = match map {
            Map::Reconstruction => &document.dual,
            Map::Structure => &document.structure,
            Map::Expected => &document.expected,
        };
        let difference = || {
            let back = differences.as_ref().and_then(|p| slot(p, scale, zoom).sample(position, zoom))?;
            Some((back[3] * 255.0 - 8.0).max(0.0) / 10.0 * f64::from(pane.gain) / f64::from(HOTTEST))
        };
        match pane.mode {
            Mode::Input => original,
            Mode::Result => or_original(&document.result, 1.0),
            Mode::Dual => {
                let colour = document.dual.as_ref().and_then(|p| slot(p, scale, zoom).sample(position, zoom));
                colour.map_or(ground, |colour| [colour[0], colour[1], colour[2]])
            }
            Mode::Split if pixel[0] < f64::from(pane.split * pane.size[0]) => original,
            Mode::Split => or_original(&document.result, 1.0),
            Mode::Difference => difference().map_or(ground, heat),
            Mode::Overlay => {
                let picture = or_original(&document.result, 1.0);
                difference().map_or(picture, |amount| {
                    let t = ((amount - 0.1) / 0.4).clamp(0.0, 1.0);
                    mix(picture, heat(amount.max(0.35)), 0.85 * t * t * (3.0 - 2.0 * t))
                })
            }
        }
    }
}

/// Draws a pane into memory; four bytes a pixel.
fn draw(gpu: &mut Gpu, device: &wgpu::Device, queue: &wgpu::Queue, view: &View, pane: &Pane) -> Vec<u8> {
    let (width, height) = (pane.size[0] as u32, pane.size[1] as u32);
    let size = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
    let target = device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: u64::from(width * height * 4),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let shape = gpu.draw(view, pane);
    let mut encoder = device.create_command_encoder(&Default::default());
    {
        let target = target.create_view(&Default::default());
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &target,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations::default(),
            })],
            ..Default::default()
        });
        shape.record(&mut pass);
    }
    encoder.copy_texture_to_buffer(
        target.as_image_copy(),
        wgpu::TexelCopyBufferInfo {
            buffer: &buffer,
            layout: wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(width * 4), rows_per_image: None },
        },
        size,
    );
    queue.submit([encoder.finish()]);
    buffer.slice(..).map_async(wgpu::MapMode::Read, |result| result.unwrap());
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    buffer.slice(..).get_mapped_range().unwrap().to_vec()
}

/// A document with transparency in the original, a result that is there in part, and a dual reconstruction that is off.
fn document() -> Document {
    let (width, height, scale) = (700, 600, 2);
    let mut original = picture(width, height);
    original.alpha = Some(Plane::new(width, height, (0..width * height).map(|i| (i % width) as f32 / 3.0).collect()));
    let mut document = Document::new(ItemId(0), scale, Pyramid::of(&original));
    let result = picture(width * scale, height * scale);
    let area = Area { x: 100, y: 0, width: 1000, height: 1000 };
    document.paste_result(&Patch::of(&result, area));
    let mut back = Picture::from_planes(original.planes.clone());
    for plane in &mut back.planes {
        plane.data.iter_mut().enumerate().for_each(|(i, v)| *v = (*v + (i % 37) as f32).min(255.0));
    }
    let area = Area { x: 0, y: 0, width: 650, height: 600 };
    document.paste_proof(&ProofPatch {
        dual: Patch::of(&back, area),
        absolute: Plane::new(650, 600, (0..650 * 600).map(|i| (i % 293) as f32 / 10.0).collect()),
        luma: Plane::filled(650, 600, 1.0),
        structure: Plane::new(650, 600, (0..650 * 600).map(|i| (i % 97) as f32 / 6.0).collect()),
        expected: Some(Plane::new(650, 600, (0..650 * 600).map(|i| (i % 181) as f32 / 8.0).collect())),
    });
    document
}

#[test]
fn the_shader_draws_what_its_twin_computes() {
    let Some((device, queue)) = device() else {
        may_skip("there is no graphics adapter");
        return;
    };
    let document = document();
    assert!(document.result_size()[0] > PAGE, "more than one page");
    let mut gpu = Gpu::on(&device, &queue, wgpu::TextureFormat::Rgba8Unorm);
    let size = [192.0, 128.0];
    let views = [
        View { center: [700.0, 600.0], zoom: 0.1, fits: false, opens: false },
        View { center: [520.0, 515.0], zoom: 1.0, fits: false, opens: false },
        View { center: [1024.0, 512.0], zoom: 0.55, fits: false, opens: false },
        View { center: [1000.5, 511.3], zoom: 11.0, fits: false, opens: false },
    ];
    for view in views {
        let pane = size.map(f64::from);
        let modes = [Mode::Input, Mode::Result, Mode::Dual, Mode::Split, Mode::Difference, Mode::Overlay];
        let drawn_of = modes
            .map(|mode| (mode, Map::Reconstruction))
            .into_iter()
            .chain([(Mode::Difference, Map::Expected), (Mode::Overlay, Map::Structure)]);
        for (mode, map) in drawn_of {
            // Everything comes into sight within a few pictures.
            assert!((0..8).any(|_| gpu.prepare(&document, &view, pane, map)), "the pages arrive");
            let pane = Pane { mode, min: [0.0; 2], size, split: 0.37, gain: 1.5, ground: [0.1, 0.2, 0.3] };
            let drawn = draw(&mut gpu, &device, &queue, &view, &pane);
            let mut off = 0;
            let mut worst: f64 = 0.0;
            for y in 0..size[1] as usize {
                for x in 0..size[0] as usize {
                    let expected = twin::shade(&document, &view, &pane, map, [x as f64 + 0.5, y as f64 + 0.5]);
                    let at = (y * size[0] as usize + x) * 4;
                    let apart =
                        (0..3).map(|c| (expected[c] * 255.0 - f64::from(drawn[at + c])).abs()).fold(0.0, f64::max);
                    worst = worst.max(apart);
                    off += usize::from(apart > 2.0);
                }
            }
            // Single precision may put a position on the other side of a pixel's edge.
            let pixels = (size[0] * size[1]) as usize;
            println!("{mode:?} of {map:?} at {}: {off} of {pixels} pixels off, worst {worst:.2}", view.zoom);
            assert!(
                off * 200 <= pixels,
                "{mode:?} at zoom {}: {off} of {pixels} pixels differ, worst {worst}",
                view.zoom
            );
        }
    }
}

/// A picture beyond what a texture can hold is drawn: the far corner at full size.
#[test]
fn a_picture_larger_than_any_texture_is_drawn() {
    let Some((device, queue)) = device() else {
        may_skip("there is no graphics adapter");
        return;
    };
    let (width, height) = (9_001, 40);
    let mut document = Document::new(ItemId(0), 2, Pyramid::of(&picture(width, height)));
    let result = picture(2 * width, 2 * height);
    let area = Area { x: 0, y: 0, width: 2 * width, height: 2 * height };
    document.paste_result(&Patch::of(&result, area));
    let mut gpu = Gpu::on(&device, &queue, wgpu::TextureFormat::Rgba8Unorm);
    let size = [64.0, 32.0];
    let view = View { center: [18_002.0 - 32.0, 80.0 - 16.0], zoom: 1.0, fits: false, opens: false };
    assert!((0..8).any(|_| gpu.prepare(&document, &view, size.map(f64::from), Map::Reconstruction)));
    let pane = Pane { mode: Mode::Result, min: [0.0; 2], size, split: 0.5, gain: 1.0, ground: [0.0; 3] };
    let drawn = draw(&mut gpu, &device, &queue, &view, &pane);
    for (x, y) in [(0, 0), (63, 31), (17, 9)] {
        let at = (y * 64 + x) * 4;
        let [red, green, blue] =
            [0, 1, 2].map(|c| result.planes[c].data[(80 - 32 + y) * 2 * width + 18_002 - 64 + x] as u8);
        assert_eq!(drawn[at..at + 3], [red, green, blue], "({x}, {y})");
    }
}
