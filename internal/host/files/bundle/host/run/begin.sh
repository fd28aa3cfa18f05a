# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# What the timers' scripts begin with: the functions and values of the bootstrap.
set -Eeuo pipefail
shopt -s lastpipe # what put says of its work is heard behind a pipe too
umask 022
ROOT="${POSTERN_ROOT:-}"
readonly ROOT
[[ -n $ROOT ]] || export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C DEBIAN_FRONTEND=noninteractive AWS_PAGER='' AWS_MAX_ATTEMPTS=3
readonly STATE="$ROOT/var/lib/postern"
readonly HOST_DIR="$STATE/host"
readonly ETC="$ROOT/etc/postern"

# shellcheck source=internal/host/files/lib.sh
source "$HOST_DIR/lib.sh"
# shellcheck source=internal/host/files/environment.sh
source "$HOST_DIR/environment.sh"
# shellcheck source=internal/host/files/instance.sh
source "$HOST_DIR/instance.sh"
# shellcheck source=internal/host/files/seal.sh
source "$HOST_DIR/seal.sh"
# shellcheck source=internal/host/files/bundle.sh
source "$HOST_DIR/bundle.sh"
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
SSHD=$(type -P sshd)
