# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# The host's keys outlive the instance: they come from Parameter Store before sshd
# is configured. Making them, and waiting for the store, goes on beside the steps
# that need none.

readonly HOSTKEYS_SAID="$STATE/hostkeys-said"
HOSTKEYS=

hostkeys_begin() {
  timeout 120 "$POSTERN_HOST" identity >"$HOSTKEYS_SAID" 2>&1 </dev/null &
  HOSTKEYS=$!
}

step_hostkeys() {
  local status=0 said
  if [[ -z $PARAMETER_PATH ]]; then
    note 'no parameter path is configured: the keys of this host live as long as the instance'
  fi
  wait "$HOSTKEYS" || status=$?
  said=$(<"$HOSTKEYS_SAID")
  rm -f "$HOSTKEYS_SAID"
  ((status == 0)) || die "the keys of the host could not be had: ${said##*$'\n'}"
}
