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
# shellcheck source=internal/host/files/head.sh
source "${BASH_SOURCE[0]%/*}/head.sh"

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
