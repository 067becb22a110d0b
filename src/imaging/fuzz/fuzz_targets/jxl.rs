#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // What is of another format is for another target.
    if data.starts_with(b"\xff\x0a") || data.starts_with(b"\0\0\0\x0cJXL ") {
        dualres_imaging_fuzz::read_and_write(data);
    }
});
