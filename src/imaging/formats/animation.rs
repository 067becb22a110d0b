//! Animations: the first frame is the picture, and that there are more is told.

use std::io::{BufRead, Read, Seek};

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

/// Comments of a GIF file, one after the other. The source is anywhere afterwards.
pub(crate) fn comments_of_gif(source: &mut impl BufRead) -> Vec<String> {
    const MAX: usize = 1 << 20;
    const COMMENT: u8 = 0xFE;
    let mut found = Vec::new();
    let mut walk = || -> std::io::Result<()> {
        let mut header = [0; 13];
        source.read_exact(&mut header)?;
        let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
        skip(source, table(header[10]))?;
        loop {
            match byte(source)? {
                b'!' => {
                    let kind = byte(source)?;
                    let mut text = Vec::new();
                    loop {
                        let mut block = vec![0; usize::from(byte(source)?)];
                        if block.is_empty() {
                            break;
                        }
                        source.read_exact(&mut block)?;
                        if kind == COMMENT && text.len() < MAX {
                            text.extend(block);
                        }
                    }
                    if !text.is_empty() {
                        let latin = |text: &[u8]| text.iter().map(|&byte| char::from(byte)).collect();
                        found.push(String::from_utf8(text).unwrap_or_else(|error| latin(error.as_bytes())));
                    }
                }
                b',' => {
                    let mut place = [0; 9];
                    source.read_exact(&mut place)?;
                    // Its own colours and the size of its codes, then its blocks.
                    skip(source, table(place[8]) + 1)?;
                    while let length @ 1.. = byte(source)? {
                        skip(source, length.into())?;
                    }
                }
                _ => return Ok(()),
            }
        }
    };
    // Of a file that ends early what was found counts; what is wrong with it, its decoder says.
    let _ = walk();
    found
}

fn byte(source: &mut impl BufRead) -> std::io::Result<u8> {
    let mut one = [0];
    source.read_exact(&mut one)?;
    Ok(one[0])
}

fn skip(source: &mut impl BufRead, count: usize) -> std::io::Result<()> {
    std::io::copy(&mut source.take(count as u64), &mut std::io::sink()).map(|_| ())
}
