//! Colours under transparent pixels, which nobody sees and resampling would bring to light.
//!
//! Where a picture is fully transparent its colours are whatever a program left there, often black. A network or a filter
//! that looks at them draws a fringe of them along every edge. Here they are replaced by the colours of the nearest
//! pixels that show, so that nothing changes colour where a picture fades out.

use crate::{Picture, Plane};

/// Coverage from which on a pixel's colour is all its own, of 255: what shows less shows little of its colour, and programs
/// leave rounding errors there.
const SHOWS: f32 = 16.0;

/// Gives fully transparent pixels the colours of what is near them and shows, and pixels that hardly show a mixture of these
/// and their own. A picture of which nothing shows stays as it is. Returns whether there were such pixels.
pub fn cover_transparent(picture: &mut Picture) -> bool {
    let Some(alpha) = &picture.alpha else { return false };
    if alpha.data.iter().all(|&coverage| coverage >= SHOWS) {
        return false;
    }
    // In a picture that hardly shows anywhere, what shows at all has to do.
    let least = if alpha.data.iter().any(|&coverage| coverage >= SHOWS) { SHOWS } else { f32::MIN_POSITIVE };
    if alpha.data.iter().any(|&coverage| coverage >= least) {
        let weight = |&coverage: &f32| if coverage >= least { coverage / 255.0 } else { 0.0 };
        let weight = Plane::new(alpha.width, alpha.height, alpha.data.iter().map(weight).collect());
        for plane in &mut picture.planes {
            let mut covered = plane.clone();
            fill(&mut covered, &weight);
            for ((own, covered), coverage) in plane.data.iter_mut().zip(&covered.data).zip(&alpha.data) {
                let share = (coverage / SHOWS).clamp(0.0, 1.0);
                *own = share * *own + (1.0 - share) * covered;
            }
        }
    }
    true
}

/// Means of two by two pixels weighted by their weights, and the sums of these.
fn reduced(plane: &Plane, weight: &Plane) -> (Plane, Plane) {
    let (width, height) = (plane.width.div_ceil(2), plane.height.div_ceil(2));
    let (mut values, mut weights) = (Plane::filled(width, height, 0.0), Plane::filled(width, height, 0.0));
    for y in 0..plane.height {
        for x in 0..plane.width {
            let (from, to) = (y * plane.width + x, y / 2 * width + x / 2);
            values.data[to] += plane.data[from] * weight.data[from];
            weights.data[to] += weight.data[from];
        }
    }
    for (value, weight) in values.data.iter_mut().zip(&mut weights.data) {
        if *weight > 0.0 {
            *value /= *weight;
            // What is known at all is known well enough further up.
            *weight = weight.min(1.0);
        }
    }
    (values, weights)
}

/// Fills pixels of no weight from the coarser levels of a pyramid.
fn fill(plane: &mut Plane, weight: &Plane) {
    if weight.data.iter().all(|&weight| weight > 0.0) || (plane.width <= 1 && plane.height <= 1) {
        return;
    }
    let (mut coarse, coarse_weight) = reduced(plane, weight);
    fill(&mut coarse, &coarse_weight);
    for y in 0..plane.height {
        for x in 0..plane.width {
            let at = y * plane.width + x;
            if weight.data[at] == 0.0 {
                plane.data[at] = between(&coarse, x, y);
            }
        }
    }
}

/// The coarse plane at a pixel of the plane twice as large, between the four nearest of its own.
fn between(coarse: &Plane, x: usize, y: usize) -> f32 {
    let near = |at: usize, length: usize| {
        let this = at / 2;
        let other = if at.is_multiple_of(2) { this.saturating_sub(1) } else { (this + 1).min(length - 1) };
        [this, other]
    };
    let (xs, ys) = (near(x, coarse.width), near(y, coarse.height));
    let at = |x: usize, y: usize| coarse.data[y * coarse.width + x];
    let row = |y: usize| 0.75 * at(xs[0], y) + 0.25 * at(xs[1], y);
    0.75 * row(ys[0]) + 0.25 * row(ys[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk of one colour over black that nobody sees.
    fn disk(colour: f32) -> Picture {
        let side = 37;
        let inside = |i: usize| {
            let (x, y) = ((i % side) as f32 - 18.0, (i / side) as f32 - 18.0);
            x * x + y * y < 81.0
        };
        let plane = |value: f32| {
            let data = (0..side * side).map(|i| if inside(i) { value } else { 0.0 }).collect();
            Plane::new(side, side, data)
        };
        let mut picture = Picture::from_planes(vec![plane(colour), plane(colour / 2.0), plane(20.0)]);
        picture.alpha = Some(plane(255.0));
        picture
    }

    #[test]
    fn what_nobody_sees_takes_the_colour_of_what_shows() {
        let mut picture = disk(200.0);
        let alpha = picture.alpha.clone();
        assert!(cover_transparent(&mut picture));
        for (plane, colour) in picture.planes.iter().zip([200.0, 100.0, 20.0]) {
            let wrong = plane.data.iter().map(|sample| (sample - colour).abs()).fold(0.0, f32::max);
            assert!(wrong < 1e-2, "{wrong}");
        }
        assert_eq!(picture.alpha, alpha);
    }

    #[test]
    fn what_shows_keeps_its_colour_and_nothing_stays_nothing() {
        let mut faint = Picture::from_planes(vec![Plane::new(4, 1, vec![10.0, 90.0, 250.0, 250.0])]);
        faint.alpha = Some(Plane::new(4, 1, vec![255.0, 0.0, 16.0, 4.0]));
        cover_transparent(&mut faint);
        assert_eq!((faint.planes[0].data[0], faint.planes[0].data[2]), (10.0, 250.0));
        let between = faint.planes[0].data[1];
        assert!((10.0..250.0).contains(&between), "{between}, between what shows beside it");

        // Dirt that hardly shows does not become a fringe.
        let mut dirt = Picture::from_planes(vec![Plane::new(3, 1, vec![200.0, 0.0, 0.0])]);
        dirt.alpha = Some(Plane::new(3, 1, vec![255.0, 1.0, 0.0]));
        assert!(cover_transparent(&mut dirt));
        assert!(dirt.planes[0].data.iter().all(|&sample| sample > 185.0), "{:?}", dirt.planes[0].data);

        // All of it faint: the colours that are there stay there.
        let mut veil = Picture::from_planes(vec![Plane::new(2, 1, vec![10.0, 90.0])]);
        veil.alpha = Some(Plane::new(2, 1, vec![8.0, 8.0]));
        let before = veil.planes.clone();
        cover_transparent(&mut veil);
        assert_eq!(veil.planes, before);

        let mut invisible = Picture::from_planes(vec![Plane::new(2, 1, vec![10.0, 90.0])]);
        invisible.alpha = Some(Plane::filled(2, 1, 0.0));
        let before = invisible.clone();
        assert!(cover_transparent(&mut invisible));
        assert_eq!(invisible, before);
        let mut opaque = Picture::from_planes(vec![Plane::filled(2, 1, 5.0)]);
        assert!(!cover_transparent(&mut opaque));
    }
}
