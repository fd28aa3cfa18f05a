# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# What the timers' scripts begin with: the functions and values of the bootstrap.

set -Eeuo pipefail
# shellcheck source=internal/host/files/head.sh
source "${POSTERN_ROOT:-}/var/lib/postern/host/head.sh"
export AWS_MAX_ATTEMPTS=3
# shellcheck source=internal/host/files/bundle/host/steps.sh
source "$OPT/host/steps.sh"

if [[ -z ${JOURNAL_STREAM:-} ]]; then
  open_log
else
  # Under systemd the standard output is the journal already.
  exec 3>&1
  relay() {
    printf '%s\n' "$1" >&3
    if [[ $1 == '{"postern":"alarm"'* ]]; then printf '%s\n' "$1" 2>/dev/null >>"$ROOT/dev/console" || true; fi
  }
fi
read_environment "$STATE/environment"
if [[ -f $ETC/environment ]]; then INSTANCE_ID=$(sed -n 's/^INSTANCE_ID=//p' "$ETC/environment"); fi
if [[ -z $REGION && -f $ETC/environment ]]; then REGION=$(sed -n 's/^REGION=//p' "$ETC/environment"); fi
export AWS_DEFAULT_REGION=$REGION AWS_REGION=$REGION
step_tools
