#![no_main]

// The tensor library's reader panics on some damaged files, which is caught and told in words. The fuzzer's own hook would end the
// program before that; a panic that nobody catches ends it still.
libfuzzer_sys::fuzz_target!(init: { std::panic::set_hook(Box::new(|_| {})) }, |data: &[u8]| {
    dualres_network_fuzz::read_onnx(data)
});
