#!/bin/bash
# shellcheck disable=SC2034 # the files read and set each other's variables
# Asks again what the bootstrap asked, and tells of each check that fails. Nothing
# is closed by it: where recording is broken, the recorder itself refuses sessions.

# shellcheck source=internal/host/files/bundle/host/run/begin.sh
source "${BASH_SOURCE[0]%/*}/begin.sh"
STEP=check
TRIES=2

selfcheck
if ((${#FAILED_CHECKS[@]} == 0)); then
  event checks result pass
  exit 0
fi
alarm check-failed "failed checks: ${FAILED_CHECKS[*]}"
event checks result fail failed "${FAILED_CHECKS[*]}"
