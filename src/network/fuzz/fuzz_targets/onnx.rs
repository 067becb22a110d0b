#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dualres_network_fuzz::read_onnx(data));
