#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // What is of another format is for another target.
    if data.get(4..8) == Some(b"ftyp") && data.get(8..12) != Some(b"avif") {
        dualres_imaging_fuzz::read_and_write(data);
    }
});
