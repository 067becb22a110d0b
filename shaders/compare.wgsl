// The canvas: one pane that shows an original, its result and the result's dual reconstruction, or what they differ by.
//
// Pictures are pyramids cut into pages. The pages in memory are layers of one array; `table` says which layer holds
// which page of a picture's present level (0: none), and each picture has its coarsest level in one page that is
// always there. Positions are in pixels of the result, at the resolution that all three pictures share.

const PAGE: i32 = 512;
// A texel that covers this many pixels of the screen is drawn as a square.
const SQUARE: f32 = 6.0;
// No position is so far left. Conditions that hang on uniforms alone are tied to it, for Mesa's software driver compiles a
// shader anew for each value of such a uniform, in every frame, and keeps what it compiled.
const FAR: f32 = -1e9;
// Gray levels that are drawn in the hottest colour.
const HOTTEST: f32 = 16.0;

const INPUT: u32 = 0u;
const RESULT: u32 = 1u;
const DUAL: u32 = 2u;

// What the pane shows: 0 the original, 1 the result, 2 the dual reconstruction, 3 a split, 4 the difference, 5 an overlay. A constant of
// the pipeline, for the same reason as `FAR`.
override mode: u32 = 0u;
// Whether the target takes linear values.
override linear_target: bool = false;

struct Slot {
    // Width and height of the present level in texels; zero if there is no picture.
    size: vec2<f32>,
    // Width and height of the coarsest level in texels.
    coarse_size: vec2<f32>,
    // Pixels of the result that a texel of the present level covers.
    scale: f32,
    // Texels of the coarsest level in one of the present level.
    coarse_ratio: f32,
    // Layer of the coarsest level plus one; zero if it is not there.
    coarse_page: u32,
    reserved: u32,
}

struct View {
    // Position in the result of the pane's upper left corner.
    origin: vec2<f32>,
    // Upper left corner and size of the pane in pixels of the screen.
    pane_min: vec2<f32>,
    pane_size: vec2<f32>,
    // Pixels of the result in one of the screen.
    step: f32,
    // Where the split is, as a part of the pane's width.
    split: f32,
    gain: f32,
    // First layer of the table that is this document's.
    table: u32,
    ground: vec4<f32>,
    slots: array<Slot, 3>,
}

@group(0) @binding(0) var<uniform> view: View;
@group(0) @binding(1) var pages: texture_2d_array<f32>;
@group(0) @binding(2) var table: texture_2d_array<u32>;

@vertex
fn vertex(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    // One triangle that covers the viewport.
    let corner = vec2<f32>(f32((index << 1u) & 2u), f32(index & 2u));
    return vec4<f32>(corner * 2.0 - 1.0, 0.0, 1.0);
}

fn texel(slot: u32, position: vec2<i32>) -> vec4<f32> {
    let picture = view.slots[slot];
    let at = clamp(position, vec2<i32>(0), vec2<i32>(picture.size) - 1);
    let page = textureLoad(table, at / PAGE, view.table + slot, 0).r;
    if page > 0u {
        return textureLoad(pages, at % PAGE, page - 1u, 0);
    }
    if picture.coarse_page == 0u || f32(position.x) < FAR {
        return vec4<f32>(0.0);
    }
    let coarse = vec2<i32>((vec2<f32>(at) + 0.5) * picture.coarse_ratio);
    let last = vec2<i32>(picture.coarse_size) - 1;
    return textureLoad(pages, clamp(coarse, vec2<i32>(0), last), picture.coarse_page - 1u, 0);
}

// A stored alpha of zero stands for a pixel that is not there yet; see `document.rs`.
fn is_missing(colour: vec4<f32>) -> bool {
    return colour.a < 4.0 / 255.0;
}

// The picture at a position of the result. A missing pixel has alpha zero; others have their stored alpha.
fn sample(slot: u32, position: vec2<f32>) -> vec4<f32> {
    let picture = view.slots[slot];
    let at = position / picture.scale;
    if picture.scale / view.step >= SQUARE || position.x < FAR {
        return texel(slot, vec2<i32>(floor(at)));
    }
    let corner = floor(at - 0.5);
    let part = at - 0.5 - corner;
    var sum = vec4<f32>(0.0);
    var weight = 0.0;
    for (var i = 0; i < 4; i++) {
        let offset = vec2<i32>(i & 1, i >> 1u);
        let colour = texel(slot, vec2<i32>(corner) + offset);
        let along = select(1.0 - part, part, offset == vec2<i32>(1));
        let share = select(along.x * along.y, 0.0, is_missing(colour));
        sum += share * colour;
        weight += share;
    }
    if weight < 0.001 {
        return vec4<f32>(0.0);
    }
    return sum / weight;
}

// Over a chequered ground, which stays with the screen.
fn flatten(colour: vec4<f32>, pixel: vec2<f32>) -> vec3<f32> {
    let alpha = clamp((colour.a * 255.0 - 8.0) / 247.0, 0.0, 1.0);
    let cell = vec2<i32>(floor(pixel / 8.0));
    let ground = select(0.42, 0.58, ((cell.x + cell.y) & 1) == 0);
    return mix(vec3<f32>(ground), colour.rgb, alpha);
}

fn original(position: vec2<f32>, pixel: vec2<f32>) -> vec3<f32> {
    let colour = sample(INPUT, position);
    if is_missing(colour) {
        return view.ground.rgb;
    }
    return flatten(colour, pixel);
}

// The dual reconstruction, whose alpha is no transparency. Where it is not there yet nothing is shown: the original in its place would
// be taken for it.
fn reconstruction(position: vec2<f32>) -> vec3<f32> {
    if view.slots[DUAL].size.x > 0.0 && position.x > FAR {
        let colour = sample(DUAL, position);
        if !is_missing(colour) {
            return colour.rgb;
        }
    }
    return view.ground.rgb;
}

// The picture, or the original where the picture is not there yet.
fn or_original(slot: u32, position: vec2<f32>, pixel: vec2<f32>) -> vec3<f32> {
    if view.slots[slot].size.x > 0.0 && position.x > FAR {
        let colour = sample(slot, position);
        if !is_missing(colour) {
            return flatten(colour, pixel);
        }
    }
    return original(position, pixel);
}

fn heat(amount: f32) -> vec3<f32> {
    var stops = array<vec3<f32>, 5>(
        vec3<f32>(0.0, 0.0, 4.0),
        vec3<f32>(87.0, 16.0, 110.0),
        vec3<f32>(188.0, 55.0, 84.0),
        vec3<f32>(249.0, 142.0, 9.0),
        vec3<f32>(252.0, 255.0, 164.0),
    );
    let position = clamp(amount, 0.0, 1.0) * 4.0;
    let low = min(i32(position), 3);
    return mix(stops[low], stops[low + 1], position - f32(low)) / 255.0;
}

// How far the dual reconstruction is from the original, as a part of the hottest; negative where it is not known.
fn difference(position: vec2<f32>) -> f32 {
    if view.slots[DUAL].size.x == 0.0 || position.x < FAR {
        return -1.0;
    }
    let back = sample(DUAL, position);
    if is_missing(back) {
        return -1.0;
    }
    // The dual reconstruction has no transparency: its alpha holds the difference, measured before anything was rounded or
    // averaged, in tenths of a level.
    return max(back.a * 255.0 - 8.0, 0.0) / 10.0 * view.gain / HOTTEST;
}

fn shade(pixel: vec2<f32>) -> vec3<f32> {
    let position = view.origin + pixel * view.step;
    let extent = view.slots[INPUT].size * view.slots[INPUT].scale;
    if any(position < vec2<f32>(0.0)) || any(position >= extent) {
        return view.ground.rgb;
    }
    switch mode {
        case 0u: {
            return original(position, pixel);
        }
        case 1u: {
            return or_original(RESULT, position, pixel);
        }
        case 2u: {
            return reconstruction(position);
        }
        case 3u: {
            if pixel.x < view.split * view.pane_size.x {
                return original(position, pixel);
            }
            return or_original(RESULT, position, pixel);
        }
        case 4u: {
            let amount = difference(position);
            if amount < 0.0 {
                return view.ground.rgb;
            }
            return heat(amount);
        }
        default: {
            let picture = or_original(RESULT, position, pixel);
            let amount = difference(position);
            if amount < 0.0 {
                return picture;
            }
            return mix(picture, heat(max(amount, 0.35)), 0.85 * smoothstep(0.1, 0.5, amount));
        }
    }
}

fn linear(colour: vec3<f32>) -> vec3<f32> {
    let low = colour / 12.92;
    let high = pow((colour + 0.055) / 1.055, vec3<f32>(2.4));
    return select(high, low, colour <= vec3<f32>(0.04045));
}

@fragment
fn fragment(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let colour = shade(position.xy - view.pane_min);
    if linear_target {
        return vec4<f32>(linear(colour), 1.0);
    }
    return vec4<f32>(colour, 1.0);
}
