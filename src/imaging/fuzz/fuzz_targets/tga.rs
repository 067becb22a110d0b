#![no_main]

// Nothing in such a file tells what it is but its name.
libfuzzer_sys::fuzz_target!(|data: &[u8]| dualres_imaging_fuzz::read_and_write_as(data, "fuzz.tga"));
