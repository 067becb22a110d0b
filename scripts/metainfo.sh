#!/usr/bin/env bash
# Prints the AppStream description of packages. Its screenshots and its homepage are addresses on the web, so they are part of it where
# DUALRES_WEB says at which address this folder can be read, and left out where not.
#
#   DUALRES_WEB=https://… scripts/metainfo.sh > org.dualres.Dualres.metainfo.xml
set -euo pipefail
cd "$(dirname "$0")/.."
description=packaging/org.dualres.Dualres.metainfo.xml.in
if [ -n "${DUALRES_WEB:-}" ]; then
    sed "s|@WEB@|${DUALRES_WEB%/}|g" "$description"
else
    sed -e '/<screenshots>/,/<\/screenshots>/d' -e '/@WEB@/d' "$description"
fi
