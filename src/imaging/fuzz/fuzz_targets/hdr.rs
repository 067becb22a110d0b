#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // What is of another format is for another target.
    if data.starts_with(b"#?RADIANCE") {
        dualres_imaging_fuzz::read_and_write(data);
    }
});
