# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# What the bootstrap, and each script of the timers, begins with.
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
