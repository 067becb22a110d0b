//! Pictures on the graphics device: pages are uploaded as they come into sight, a pane is one draw call.

use bytemuck::{Pod, Zeroable};
use eframe::{
    egui,
    egui_wgpu::{self, CallbackResources, CallbackTrait, RenderState, wgpu},
};

use super::{pages::PageCache, view::View};
use crate::window::document::{Document, Map, PAGE, PageKey, Pyramid};

/// The shader of the canvas.
pub const SHADER: &str = include_str!("../../../../shaders/compare.wgsl");

/// Layers of pages that are kept on the device: 192 MiB.
const LAYERS: u32 = 192;
/// Most pages of one picture in sight; more than that are drawn from a coarser level, so that all three always fit.
const MAX_PAGES: usize = 60;
/// Pages uploaded for one picture of the screen; more would be felt.
const UPLOADS: usize = 10;
/// Most pages along a side that the table holds.
const TABLE: u32 = 128;
/// Pyramids of a document in the table.
const SLOTS: usize = 3;
/// Most documents that are drawn in one frame.
pub const DOCUMENTS: usize = 5;

/// What a pane shows; the values are those of the shader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The original.
    Input = 0,
    /// The result.
    Result = 1,
    /// The dual reconstruction.
    Dual = 2,
    /// Original and result beside a line.
    Split = 3,
    /// Heat map of the difference between original and dual reconstruction.
    Difference = 4,
    /// The result with differences marked.
    Overlay = 5,
}

/// A pane on the screen.
#[derive(Clone, Copy, Debug)]
pub struct Pane {
    /// What it shows.
    pub mode: Mode,
    /// Upper left corner in pixels of the screen.
    pub min: [f32; 2],
    /// Width and height in pixels of the screen.
    pub size: [f32; 2],
    /// Where the split is, as a part of the width.
    pub split: f32,
    /// Multiplies differences.
    pub gain: f32,
    /// Red, green and blue beside the picture, in `[0, 1]`.
    pub ground: [f32; 3],
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
struct SlotUniform {
    size: [f32; 2],
    coarse_size: [f32; 2],
    scale: f32,
    coarse_ratio: f32,
    coarse_page: u32,
    reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
struct ViewUniform {
    origin: [f32; 2],
    pane_min: [f32; 2],
    pane_size: [f32; 2],
    step: f32,
    split: f32,
    gain: f32,
    /// First layer of the table that is the document's.
    table: u32,
    // A vector of four begins at a multiple of sixteen bytes.
    reserved: [u32; 2],
    ground: [f32; 4],
    slots: [SlotUniform; SLOTS],
}

/// The device's side of the canvas.
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// One a mode.
    pipelines: Vec<wgpu::RenderPipeline>,
    layout: wgpu::BindGroupLayout,
    pages: wgpu::Texture,
    table: wgpu::Texture,
    views: [wgpu::TextureView; 2],
    cache: PageCache,
    slots: [SlotUniform; SLOTS],
    /// Which of the frame's documents was prepared last.
    document: usize,
    /// What panes are told and shown by, one a pane; made once. Small buffers that come and go with every frame make drivers
    /// take and return memory in large blocks.
    panes: Vec<(wgpu::Buffer, wgpu::BindGroup)>,
    /// Panes drawn in this frame.
    drawn: usize,
}

impl Gpu {
    /// Prepares the device that the window is drawn with.
    pub fn new(state: &RenderState) -> Self {
        Self::on(&state.device, &state.queue, state.target_format)
    }

    /// Prepares a device that draws into textures of `format`.
    pub fn on(device: &wgpu::Device, queue: &wgpu::Queue, format: wgpu::TextureFormat) -> Self {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("compare"),
            source: wgpu::ShaderSource::Wgsl(SHADER.into()),
        });
        let texture_entry = |binding, sample_type| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty: wgpu::BindingType::Texture {
                sample_type,
                view_dimension: wgpu::TextureViewDimension::D2Array,
                multisampled: false,
            },
            count: None,
        };
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("compare"),
            entries: &[
                wgpu::BindGroupLayoutEntry {
                    binding: 0,
                    visibility: wgpu::ShaderStages::FRAGMENT,
                    ty: wgpu::BindingType::Buffer {
                        ty: wgpu::BufferBindingType::Uniform,
                        has_dynamic_offset: false,
                        min_binding_size: None,
                    },
                    count: None,
                },
                texture_entry(1, wgpu::TextureSampleType::Float { filterable: false }),
                texture_entry(2, wgpu::TextureSampleType::Uint),
            ],
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("compare"),
            bind_group_layouts: &[Some(&layout)],
            ..Default::default()
        });
        let pipeline = |mode: u32| {
            let constants = [("mode", f64::from(mode)), ("linear_target", if format.is_srgb() { 1.0 } else { 0.0 })];
            device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
                label: Some("compare"),
                layout: Some(&pipeline_layout),
                vertex: wgpu::VertexState {
                    module: &module,
                    entry_point: Some("vertex"),
                    compilation_options: Default::default(),
                    buffers: &[],
                },
                fragment: Some(wgpu::FragmentState {
                    module: &module,
                    entry_point: Some("fragment"),
                    compilation_options: wgpu::PipelineCompilationOptions {
                        constants: &constants,
                        ..Default::default()
                    },
                    targets: &[Some(format.into())],
                }),
                primitive: Default::default(),
                depth_stencil: None,
                multisample: Default::default(),
                multiview_mask: None,
                cache: None,
            })
        };
        let pipelines = (0..=Mode::Overlay as u32).map(pipeline).collect();
        let texture = |label, side, layers, format| {
            device.create_texture(&wgpu::TextureDescriptor {
                label: Some(label),
                size: wgpu::Extent3d { width: side, height: side, depth_or_array_layers: layers },
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format,
                usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
                view_formats: &[],
            })
        };
        let layers = LAYERS.min(device.limits().max_texture_array_layers);
        let pages = texture("pages", PAGE as u32, layers, wgpu::TextureFormat::Rgba8Unorm);
        let table = texture("table of pages", TABLE, (SLOTS * DOCUMENTS) as u32, wgpu::TextureFormat::R32Uint);
        let view = |texture: &wgpu::Texture| {
            texture.create_view(&wgpu::TextureViewDescriptor {
                dimension: Some(wgpu::TextureViewDimension::D2Array),
                ..Default::default()
            })
        };
        Self {
            views: [view(&pages), view(&table)],
            device: device.clone(),
            queue: queue.clone(),
            pipelines,
            layout,
            pages,
            table,
            cache: PageCache::new(layers),
            slots: [SlotUniform::default(); SLOTS],
            document: 0,
            panes: Vec::new(),
            drawn: 0,
        }
    }

    /// Brings what a view of a document shows to the device. Returns whether all of it is there; if not, coarser pixels
    /// stand in and the next call brings more. `map` is what differences are drawn of.
    pub fn prepare(&mut self, document: &Document, view: &View, pane: [f64; 2], map: Map) -> bool {
        self.cache.begin();
        (self.drawn, self.document) = (0, 0);
        self.prepare_document(document, view, pane, map)
    }

    /// The same for a further document of the frame, at most [`DOCUMENTS`] in all: what was drawn before stays as it is.
    pub fn prepare_further(&mut self, document: &Document, view: &View, pane: [f64; 2], map: Map) -> bool {
        self.document = (self.document + 1).min(DOCUMENTS - 1);
        self.prepare_document(document, view, pane, map)
    }

    fn prepare_document(&mut self, document: &Document, view: &View, pane: [f64; 2], map: Map) -> bool {
        let scale = document.scale as f64;
        let mut budget = UPLOADS;
        let origin = view.origin(pane);
        let map = match map {
            Map::Reconstruction => document.dual.as_ref(),
            Map::Structure => document.structure.as_ref(),
            Map::Expected => document.expected.as_ref(),
        };
        let pyramids = [(Some(&*document.input), scale), (document.result.as_ref(), 1.0), (map, scale)];
        for (slot, (pyramid, scale)) in pyramids.into_iter().enumerate() {
            self.slots[slot] = SlotUniform::default();
            if let Some(pyramid) = pyramid {
                self.slots[slot] = self.prepare_slot(slot, pyramid, scale, view.zoom, origin, pane, &mut budget);
            }
        }
        budget > 0
    }

    #[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename the view")]
    fn prepare_slot(
        &mut self,
        slot: usize,
        pyramid: &Pyramid,
        scale: f64,
        zoom: f64,
        origin: [f64; 2],
        pane: [f64; 2],
        budget: &mut usize,
    ) -> SlotUniform {
        let last = pyramid.levels.len() - 1;
        // The level whose pixels are at least as fine as the screen's, and whose pages the table can hold.
        let mut level = (-(zoom * scale).log2()).floor().clamp(0.0, last as f64) as usize;
        while pyramid.levels[level].width.max(pyramid.levels[level].height) > TABLE as usize * PAGE {
            level += 1;
        }
        let pages = |level: usize| {
            let texel = scale * f64::from(1_u32 << level);
            pane.map(|side| (side / zoom / texel / PAGE as f64).ceil() as usize + 1).iter().product::<usize>()
        };
        while level < last && pages(level) > MAX_PAGES {
            level += 1;
        }
        let coarse =
            self.page(pyramid, PageKey { pyramid: pyramid.id, level: last, place: [0, 0] }, &mut UPLOADS.clone());
        let texel = scale * f64::from(1_u32 << level);
        let [width, height] = [pyramid.levels[level].width, pyramid.levels[level].height];
        let range = |axis: usize, length: usize| {
            let from = (origin[axis] / texel - 1.0).max(0.0) as usize / PAGE;
            let to = ((origin[axis] + pane[axis] / zoom) / texel + 2.0).clamp(0.0, length as f64) as usize;
            from..to.div_ceil(PAGE).min(length.div_ceil(PAGE)).max(from)
        };
        let (columns, rows) = (range(0, width), range(1, height));
        for row in rows.clone() {
            let mut entries = Vec::with_capacity(columns.len());
            for column in columns.clone() {
                let key = PageKey { pyramid: pyramid.id, level, place: [column, row] };
                entries.push(self.page(pyramid, key, budget).map_or(0, |layer| layer + 1));
            }
            self.write_table(slot, [columns.start, row], &entries);
        }
        let coarsest = &pyramid.levels[last];
        SlotUniform {
            size: [width as f32, height as f32],
            coarse_size: [coarsest.width as f32, coarsest.height as f32],
            scale: texel as f32,
            coarse_ratio: 1.0 / (1_u32 << (last - level)) as f32,
            coarse_page: coarse.map_or(0, |layer| layer + 1),
            reserved: 0,
        }
    }

    /// The layer of a page, uploaded if it is not there or has changed; `None` if that has to wait.
    fn page(&mut self, pyramid: &Pyramid, key: PageKey, budget: &mut usize) -> Option<u32> {
        let found = self.cache.find(key);
        let stale = found.is_some() && *budget > 0 && pyramid.take_change(key);
        if let (Some(layer), false) = (found, stale) {
            return Some(layer);
        }
        if *budget == 0 {
            return None;
        }
        let layer = found.or_else(|| self.cache.claim(key))?;
        pyramid.take_change(key);
        *budget -= 1;
        let level = &pyramid.levels[key.level];
        let [x, y] = key.place.map(|place| place * PAGE);
        let size = wgpu::Extent3d {
            width: PAGE.min(level.width - x) as u32,
            height: PAGE.min(level.height - y) as u32,
            depth_or_array_layers: 1,
        };
        self.queue.write_texture(
            wgpu::TexelCopyTextureInfo {
                texture: &self.pages,
                mip_level: 0,
                origin: wgpu::Origin3d { x: 0, y: 0, z: layer },
                aspect: wgpu::TextureAspect::All,
            },
            &level.rgba,
            wgpu::TexelCopyBufferLayout {
                offset: ((y * level.width + x) * 4) as u64,
                bytes_per_row: Some((level.width * 4) as u32),
                rows_per_image: None,
            },
            size,
        );
        Some(layer)
    }

    fn write_table(&self, slot: usize, [column, row]: [usize; 2], entries: &[u32]) {
        if entries.is_empty() {
            return;
        }
        self.queue.write_texture(
            wgpu::TexelCopyTextureInfo {
                texture: &self.table,
                mip_level: 0,
                origin: wgpu::Origin3d { x: column as u32, y: row as u32, z: (self.document * SLOTS + slot) as u32 },
                aspect: wgpu::TextureAspect::All,
            },
            bytemuck::cast_slice(entries),
            wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(entries.len() as u32 * 4),
                rows_per_image: None,
            },
            wgpu::Extent3d { width: entries.len() as u32, height: 1, depth_or_array_layers: 1 },
        );
    }

    /// What draws a pane of the view that was prepared last.
    pub fn draw(&mut self, view: &View, pane: &Pane) -> Draw {
        let origin = view.origin(pane.size.map(f64::from));
        let uniform = ViewUniform {
            origin: origin.map(|o| o as f32),
            pane_min: pane.min,
            pane_size: pane.size,
            step: (1.0 / view.zoom) as f32,
            split: pane.split,
            gain: pane.gain,
            table: (self.document * SLOTS) as u32,
            reserved: [0; 2],
            ground: [pane.ground[0], pane.ground[1], pane.ground[2], 1.0],
            slots: self.slots,
        };
        if self.panes.len() == self.drawn {
            self.panes.push(self.new_pane());
        }
        let (buffer, group) = &self.panes[self.drawn];
        self.drawn += 1;
        self.queue.write_buffer(buffer, 0, bytemuck::bytes_of(&uniform));
        Draw { pipeline: self.pipelines[pane.mode as usize].clone(), group: group.clone() }
    }

    fn new_pane(&self) -> (wgpu::Buffer, wgpu::BindGroup) {
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("pane"),
            size: size_of::<ViewUniform>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("pane"),
            layout: &self.layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::TextureView(&self.views[0]) },
                wgpu::BindGroupEntry { binding: 2, resource: wgpu::BindingResource::TextureView(&self.views[1]) },
            ],
        });
        (buffer, group)
    }
}

/// One pane, ready to be drawn.
pub struct Draw {
    pipeline: wgpu::RenderPipeline,
    group: wgpu::BindGroup,
}

impl Draw {
    /// Draws into the viewport of a pass.
    pub fn record(&self, pass: &mut wgpu::RenderPass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.draw(0..3, 0..1);
    }
}

impl CallbackTrait for Draw {
    fn paint(&self, _: egui::PaintCallbackInfo, pass: &mut wgpu::RenderPass<'static>, _: &CallbackResources) {
        self.record(pass);
    }
}

/// The pane as a shape for a painter of the window.
pub fn shape(rect: egui::Rect, draw: Draw) -> egui::PaintCallback {
    egui_wgpu::Callback::new_paint_callback(rect, draw)
}
