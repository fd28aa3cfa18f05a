# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# The host's keys outlive the instance: they come from Parameter Store before sshd
# is configured.

step_hostkeys() {
  if [[ -z $PARAMETER_PATH ]]; then
    note 'no parameter path is configured: the keys of this host live as long as the instance'
  fi
  says timeout 120 "$POSTERN_HOST" identity || die "the keys of the host could not be had: $SAID"
}
