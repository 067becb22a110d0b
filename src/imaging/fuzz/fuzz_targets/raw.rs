#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // The name makes a TIFF file inside a raw file.
    dualres_imaging_fuzz::read_and_write_as(data, "fuzz.nef");
});
