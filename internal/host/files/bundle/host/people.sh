# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# The first reconcile of people's accounts, by the unit that the timer goes on with:
# what that is shut in by is tried here too.

step_people() {
  if [[ -z $PEOPLE_BUCKET ]]; then
    note 'no bucket of public keys is configured: nobody has an account'
    return
  fi
  # Session Manager and EC2 Instance Connect work without: the check decides.
  says systemctl start postern-people.service || note 'people could not be reconciled: see journalctl -u postern-people'
  now_active postern-people.timer
}
