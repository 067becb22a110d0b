#!/usr/bin/env bash
# Makes packages for Linux: program, desktop entry, icons, AppStream description, manual pages and completions. Writes them into the
# folder `packages` of the target directory and prints their paths.
#
#   scripts/package.sh [--profile release|dist] [--format deb|rpm]
#
# With DUALRES_WEB=https://…, the address where this folder can be read, the description has screenshots (`scripts/metainfo.sh`).
# `dist` optimises across crates, which takes long. Needs cargo-deb or cargo-generate-rpm
# (`cargo install cargo-deb cargo-generate-rpm --locked`).
set -euo pipefail
cd "$(dirname "$0")/.."
profile=release
format=deb
while [ $# -gt 0 ]; do
    case "$1" in
    --profile) profile="$2" ;;
    --format) format="$2" ;;
    *)
        echo "usage: scripts/package.sh [--profile release|dist] [--format deb|rpm]" >&2
        exit 2
        ;;
    esac
    shift 2
done
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
cargo build --profile "$profile" --locked --workspace --quiet
program="$CARGO_TARGET_DIR/$profile/dualres"
# Where the lists of files in `src/app/Cargo.toml` have them, whichever profile they are of.
made="$CARGO_TARGET_DIR/$profile/packaging"
rm -rf "$made"
mkdir -p "$made/man" "$CARGO_TARGET_DIR/packages"
"$program" manual -o "$made/man" >/dev/null
gzip -9n "$made"/man/*.1
gzip -9n <CHANGELOG.md >"$made/changelog.gz"
scripts/metainfo.sh >"$made/org.dualres.Dualres.metainfo.xml"
"$program" completions bash >"$made/dualres.bash"
"$program" completions zsh >"$made/_dualres"
"$program" completions fish >"$made/dualres.fish"
case "$format" in
deb)
    cargo deb --manifest-path src/app/Cargo.toml --profile "$profile" --no-build --locked \
        --output "$CARGO_TARGET_DIR/packages/" --quiet
    ;;
rpm)
    cargo generate-rpm -p src/app --profile "$profile" --target-dir "$CARGO_TARGET_DIR" --auto-req disabled \
        --output "$CARGO_TARGET_DIR/packages/"
    ls -t "$CARGO_TARGET_DIR"/packages/*.rpm | head -1
    ;;
*)
    echo "no such format: $format (deb, rpm)" >&2
    exit 2
    ;;
esac
