#!/bin/bash
# The bootstrap: runs the steps in order and signals how it went.
#
# main.sh [FILE]: FILE is the user data, whose last part is the environment.
# Without it, the environment of the last run is used: run it again at will.
#
# A step is a function step_NAME in a file of its own. It is idempotent, works
# under strict mode, says why it gives up by `die`, and leaves the host no worse
# than it found it. Paths begin with $ROOT, which is empty but in tests.
set -Eeuo pipefail
umask 022
ROOT="${POSTERN_ROOT:-}"
readonly ROOT
[[ -n $ROOT ]] || export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C AWS_PAGER='' AWS_MAX_ATTEMPTS=2
readonly HOST_DIR="${BASH_SOURCE[0]%/*}"
readonly STATE="$ROOT/var/lib/postern"
readonly ETC="$ROOT/etc/postern"

# shellcheck source=internal/host/files/lib.sh
source "$HOST_DIR/lib.sh"
# shellcheck source=internal/host/files/environment.sh
source "$HOST_DIR/environment.sh"
# shellcheck source=internal/host/files/signal.sh
source "$HOST_DIR/signal.sh"
# shellcheck source=internal/host/files/instance.sh
source "$HOST_DIR/instance.sh"
# shellcheck source=internal/host/files/sshd.sh
source "$HOST_DIR/sshd.sh"
# shellcheck source=internal/host/files/agent.sh
source "$HOST_DIR/agent.sh"
# shellcheck source=internal/host/files/selfcheck.sh
source "$HOST_DIR/selfcheck.sh"

main() {
  exec 3>&1
  trap 'finish $?' EXIT
  trap 'die "stopped from outside"' HUP INT TERM
  trap 'because "line $LINENO: $BASH_COMMAND"' ERR
  step environment "$@"
  step tools
  step identity
  step address
  step sshd
  step agent
  step selfcheck
  CHECKED=yes
}

main "$@"
