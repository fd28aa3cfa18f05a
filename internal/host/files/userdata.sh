#!/bin/bash
# Postern bastion: unpacks the bootstrap below and runs it, as root, by
# cloud-init, once. Reviewed source: internal/host/files. Steps and faults are
# told on the console, in the journal (tag postern) and in
# /var/log/cloud-init-output.log. Nothing may be appended: what follows the
# last command is data, read by the bootstrap and never run.
set -euo pipefail
umask 077
root="${POSTERN_ROOT:-}"
dir="$root/var/lib/postern/host"
trap 'echo "postern: FAILED to unpack the user data, line $LINENO" >>"$root/dev/console"' ERR
rm -rf "$dir"
mkdir -p "$dir"
chmod 0700 "${dir%/*}" "$dir"
base64 -d <<'END' | gzip -d >"$dir/tar"
@PAYLOAD@
END
if type -P tar >/dev/null; then
  tar -x -C "$dir" -f "$dir/tar"
else
  python3 -m tarfile -e "$dir/tar" "$dir"
fi
rm "$dir/tar"
exec "$dir/main.sh" "$0"
exit 1
# ENVIRONMENT
