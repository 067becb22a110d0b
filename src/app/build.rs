//! How the program is linked; nothing is generated.
//!
//! With `DUALRES_COMPACT_LINK=1`, which `scripts/package.sh` sets, functions that came out the same are folded into one (generic code for
//! types of one layout, most of all) and relocations are packed. That takes LLD, which Rust brings for Linux on x86-64, and there
//! alone it is done. It is no default, because whoever links by another linker would be stopped by options that it does not know.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DUALRES_COMPACT_LINK");
    let wanted = std::env::var_os("DUALRES_COMPACT_LINK").is_some_and(|value| value == "1");
    let target = std::env::var("TARGET").unwrap_or_default();
    if wanted && target == "x86_64-unknown-linux-gnu" {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
