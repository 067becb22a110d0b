//! Where on earth each pixel lies (GeoTIFF 1.1): what has to change when there are more of them.

use super::Block;

/// Width and height of a pixel on earth.
const PIXEL_SCALE: u16 = 33550;
/// Positions in the picture and what lies there, six numbers each.
const TIE_POINTS: u16 = 33922;
/// From positions in the picture to what lies there, row by row.
const TRANSFORMATION: u16 = 34264;
/// Keys: four numbers each, the first of them the key and the last its value.
const KEYS: u16 = 34735;
/// The key that says whether positions are those of pixels' corners, 1, or of their middles, 2.
const RASTER_TYPE: u16 = 1025;
const MIDDLES: u16 = 2;

impl Block {
    /// Corrects coordinates for a picture that has become `times` as wide and high.
    pub(crate) fn set_geography(&mut self, times: [f64; 2]) {
        let middles = self.raster_type() == Some(MIDDLES);
        // A middle at 0 lies half a pixel from the border, of whatever size the pixel is.
        let moved = |position: f64, axis: usize| {
            if middles { (position + 0.5) * times[axis] - 0.5 } else { position * times[axis] }
        };
        self.change_doubles(PIXEL_SCALE, |values| {
            values.iter_mut().zip(times).for_each(|(scale, times)| *scale /= times);
        });
        self.change_doubles(TIE_POINTS, |values| {
            for point in values.chunks_exact_mut(6) {
                (point[0], point[1]) = (moved(point[0], 0), moved(point[1], 1));
            }
        });
        self.change_doubles(TRANSFORMATION, |values| {
            for row in values.chunks_exact_mut(4) {
                for axis in 0..2 {
                    row[axis] /= times[axis];
                    if middles {
                        // What lay at the first middle lies at another position now.
                        row[3] -= row[axis] * moved(0.0, axis);
                    }
                }
            }
        });
    }

    fn raster_type(&self) -> Option<u16> {
        let range = self.value_range(self.find(self.first()?, KEYS)?)?;
        let numbers: Vec<u16> = self.bytes[range].chunks_exact(2).map(|two| self.short_of([two[0], two[1]])).collect();
        numbers.chunks_exact(4).skip(1).find(|key| key[0] == RASTER_TYPE).map(|key| key[3])
    }

    /// Changes the numbers of a tag of the first directory, if it holds doubles.
    fn change_doubles(&mut self, tag: u16, change: impl Fn(&mut [f64])) {
        const DOUBLE: u16 = 12;
        let Some(at) = self.first().and_then(|first| self.find(first, tag)) else { return };
        let Some(range) = self.value_range(at).filter(|_| self.short(at + 2) == Some(DOUBLE)) else { return };
        let big_endian = self.big_endian;
        let mut values: Vec<f64> = self.bytes[range.clone()]
            .as_chunks()
            .0
            .iter()
            .map(|eight| if big_endian { f64::from_be_bytes(*eight) } else { f64::from_le_bytes(*eight) })
            .collect();
        change(&mut values);
        for (place, value) in self.bytes[range].chunks_exact_mut(8).zip(values) {
            place.copy_from_slice(&if big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{
        super::{Directories, Entry},
        *,
    };

    fn doubles(tag: u16, values: &[f64]) -> Entry {
        Entry { tag, kind: 12, data: values.iter().flat_map(|value| value.to_le_bytes()).collect() }
    }

    fn block(raster: u16) -> Block {
        let keys = [1_u16, 1, 0, 1, RASTER_TYPE, 0, 1, raster];
        let keys = Entry { tag: KEYS, kind: 3, data: keys.iter().flat_map(|key| key.to_le_bytes()).collect() };
        // East along rows, south along columns, a shear and an origin.
        let matrix = [2.0, 0.5, 0.0, 100.0, 0.25, -3.0, 0.0, 900.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let image = vec![
            doubles(PIXEL_SCALE, &[10.0, 20.0, 0.0]),
            doubles(TIE_POINTS, &[3.0, 5.0, 0.0, 700.0, 800.0, 0.0]),
            doubles(TRANSFORMATION, &matrix),
            keys,
        ];
        Block::of(&Directories { image, ..Directories::default() })
    }

    fn read(block: &Block, tag: u16) -> Vec<f64> {
        let image = block.directories().image;
        let data = &image.iter().find(|entry| entry.tag == tag).unwrap().data;
        data.chunks_exact(8).map(|eight| f64::from_le_bytes(eight.try_into().unwrap())).collect()
    }

    /// Every place of the picture lies where it lay, be positions those of corners or of middles.
    #[test]
    fn places_stay_where_they_are_on_earth() {
        for raster in [1, MIDDLES] {
            let (before, mut after) = (block(raster), block(raster));
            after.set_geography([2.0, 4.0]);
            // The middle of pixel (3, 5), and where it is once there are more pixels: in corners, then as the file counts.
            let half = if raster == MIDDLES { 0.5 } else { 0.0 };
            let (old, new) = ([3.5 - half, 5.5 - half], [7.0 - half, 22.0 - half]);
            let place = |block: &Block, [x, y]: [f64; 2]| {
                let m = read(block, TRANSFORMATION);
                let by_matrix = [m[0] * x + m[1] * y + m[3], m[4] * x + m[5] * y + m[7]];
                let (scale, tie) = (read(block, PIXEL_SCALE), read(block, TIE_POINTS));
                let by_point = [tie[3] + (x - tie[0]) * scale[0], tie[4] - (y - tie[1]) * scale[1]];
                [by_matrix, by_point].concat()
            };
            let (was, is) = (place(&before, old), place(&after, new));
            assert!(was.iter().zip(&is).all(|(a, b)| (a - b).abs() < 1e-9), "{raster}: {was:?} {is:?}");
        }
    }
}
