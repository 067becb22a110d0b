//! Animations: the first frame is the picture, and that there are more is told.

use std::io::{BufRead, Seek};

use image::codecs::webp::WebPDecoder;

/// What is told of a file with more than one frame.
pub(crate) const LEFT_OUT: &str = "the file is an animation; its first frame was read";

/// Whether a GIF file holds more than one frame. Nothing is decoded for it, and a file that ends early has as many as
/// there are. The source is anywhere afterwards.
pub(crate) fn of_gif(source: &mut impl BufRead) -> bool {
    let mut options = gif::DecodeOptions::new();
    options.skip_frame_decoding(true);
    let Ok(mut decoder) = options.read_info(source) else { return false };
    (0..2).all(|_| matches!(decoder.next_frame_info(), Ok(Some(_))))
}

/// Whether a WebP file states that it moves. The source is anywhere afterwards.
pub(crate) fn of_webp(source: &mut (impl BufRead + Seek)) -> bool {
    WebPDecoder::new(source).is_ok_and(|decoder| decoder.has_animation())
}
