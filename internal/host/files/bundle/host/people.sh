# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# The first reconcile of people's accounts; a timer goes on with it.

step_people() {
  if [[ -z $PEOPLE_BUCKET ]]; then
    note 'no bucket of public keys is configured: nobody has an account'
    return
  fi
  # Session Manager and EC2 Instance Connect work without: the check decides.
  says timeout 180 "$POSTERN_HOST" people || note "people could not be reconciled: $SAID"
  now_active postern-people.timer
}
