#!/usr/bin/env bash
# Installs a Debian package in a clean root, uses it, and removes it again. Needs root, mmdebstrap, lintian, desktop-file-utils and
# appstream.
#
#   scripts/package_test.sh PACKAGE.deb
#
# Where no clean root can be made it says so and ends; with DUALRES_REQUIRE_ROOT=1 it fails.
set -euo pipefail
cd "$(dirname "$0")/.."
package="$(realpath "$1")"
say() { printf '%s\n' "$*" >&2; }

desktop-file-validate packaging/dualres.desktop
described="$(mktemp -d)"
trap 'rm -rf "$described"' EXIT
dpkg-deb -x "$package" "$described"
appstreamcli validate --no-net "$described/usr/share/metainfo/org.dualres.Dualres.metainfo.xml" >&2
# As a release has it, with screenshots, which must be there.
DUALRES_WEB=https://dualres.org scripts/metainfo.sh >"$described/org.dualres.Dualres.metainfo.xml"
appstreamcli validate --no-net "$described/org.dualres.Dualres.metainfo.xml" >&2
sed -n 's|.*<image>https://dualres.org/\(.*\)</image>.*|\1|p' "$described/org.dualres.Dualres.metainfo.xml" | xargs -n1 test -s
# The program is one file of its own: it has libraries inside, and is not built by Debian.
lintian --fail-on error --suppress-tags embedded-library "$package" >&2

root="$(mktemp -d)"
trap 'rm -rf "$root" "$described"' EXIT
chmod 755 "$root"
. /etc/os-release
say "a clean root of $VERSION_CODENAME"
if ! mmdebstrap --variant=minbase --quiet "$VERSION_CODENAME" "$root"; then
    say "no clean root can be made here: the package was checked, not installed"
    exit "${DUALRES_REQUIRE_ROOT:-0}"
fi
inside() { chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
before="$(inside dpkg-query --show --showformat '${Package}\n' | sort)"
cp "$package" "$root/root/dualres.deb"
cp assets/samples/rocket.jpg "$root/root/"
say "installing"
inside apt-get update -qq
inside apt-get install -y -qq --no-install-recommends /root/dualres.deb >/dev/null
say "using"
inside dualres --version
inside dualres upscale /root/rocket.jpg -o /root/large.png --device cpu
inside test -s /root/large.png
inside test -s /usr/share/man/man1/dualres-upscale.1.gz
inside test -s /usr/share/applications/dualres.desktop
inside test -x /usr/share/kio/servicemenus/dualres.desktop
inside bash -n /usr/share/bash-completion/completions/dualres
say "removing"
inside apt-get purge -y -qq dualres >/dev/null
inside apt-get autoremove -y -qq >/dev/null
if inside test -e /usr/bin/dualres || inside find /usr/share /etc -name '*dualres*' | grep -q .; then
    say "something is left behind"
    exit 1
fi
[ "$before" = "$(inside dpkg-query --show --showformat '${Package}\n' | sort)" ] || say "packages that it brought are left"
say "ok"
