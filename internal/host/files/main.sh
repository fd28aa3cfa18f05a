#!/bin/bash
# shellcheck disable=SC2034 # the files read and set each other's variables
# The bootstrap: runs the steps in order and signals how it went.
#
# main.sh [FILE]: FILE is the user data, whose last part is the environment.
# Without it, the environment of the last run is used: run it again at will.
#
# The steps here bring the host as far as the bundle, with sshd closed; those in
# the bundle make a bastion of it and open sshd. A step is a function step_NAME in
# a file of its own. It is idempotent, works under strict mode, says why it gives
# up by `die`, and leaves the host no worse than it found it. Paths begin with
# $ROOT, which is empty but in tests.
set -Eeuo pipefail
shopt -s lastpipe # what put says of its work is heard behind a pipe too
umask 022
ROOT="${POSTERN_ROOT:-}"
readonly ROOT
[[ -n $ROOT ]] || export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C DEBIAN_FRONTEND=noninteractive AWS_PAGER='' AWS_MAX_ATTEMPTS=2
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
# shellcheck source=internal/host/files/seal.sh
source "$HOST_DIR/seal.sh"
# shellcheck source=internal/host/files/bundle.sh
source "$HOST_DIR/bundle.sh"

main() {
  open_log
  trap 'finish $?' EXIT
  trap 'die "stopped from outside"' HUP INT TERM
  trap 'because "line $LINENO: $BASH_COMMAND"' ERR
  # Until the step readonly, as an operator's second run may have to write.
  if [[ -n $GOLDEN_IMAGE ]]; then systemctl stop postern-readonly 2>/dev/null || true; fi
  step environment "$@"
  step seal "$@"
  step tools
  step identity
  step settings
  step bundle
  step address
  # shellcheck source=internal/host/files/bundle/host/steps.sh
  source "$OPT/host/steps.sh"
  steps
  CHECKED=yes
}

main "$@"
