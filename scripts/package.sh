#!/usr/bin/env bash
# Makes the Debian package from a release build: program, desktop entry, icons, AppStream description, manual pages and completions.
# Writes it into the folder `packages` of the target directory and prints its path.
#
# Needs cargo-deb (`cargo install cargo-deb --locked`).
set -euo pipefail
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-$PWD/target}"
cargo build --release --locked --workspace --quiet
made="$target/release/packaging"
rm -rf "$made"
mkdir -p "$made/man" "$target/packages"
"$target/release/dualres" manual -o "$made/man" >/dev/null
gzip -9n "$made"/man/*.1
gzip -9n <CHANGELOG.md >"$made/changelog.gz"
"$target/release/dualres" completions bash >"$made/dualres.bash"
"$target/release/dualres" completions zsh >"$made/_dualres"
"$target/release/dualres" completions fish >"$made/dualres.fish"
cargo deb --manifest-path src/app/Cargo.toml --no-build --locked --output "$target/packages/" --quiet
