//! Starts the program.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long freed memory is kept for the next tensor, in milliseconds. Tensors come and go by hundreds of megabytes;
/// returned at once and asked for anew, their pages are cleared by the system each time, a sixth of an upscaling.
const KEEP_MEMORY_MS: std::ffi::c_long = 1000;

/// `mi_option_purge_delay` of mimalloc.h, which the bindings leave out.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn main() -> std::process::ExitCode {
    // SAFETY: sets a number in the allocator, before there are other threads.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, KEEP_MEMORY_MS) };
    dualres_app::run()
}
