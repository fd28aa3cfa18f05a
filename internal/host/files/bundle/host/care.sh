# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# What goes on after the bootstrap, on timers: comparing files, security updates,
# the day's summary.

care_updates() {
  if [[ -z $UPDATES ]]; then
    note 'no security updates are installed here: they come with a newer image'
    TIMERS_OFF+=(postern-updates.timer)
    return
  fi
  if [[ $OS == amazon && -z $UPDATE_RELEASE ]]; then
    note 'the repositories of Amazon Linux are pinned to the release of the image, in which there is nothing newer: name a release in UpdateRelease, or let updates come with newer images'
  fi
  # The systems' own would upgrade beside ours, at any time, without a line of it.
  TIMERS_OFF+=(apt-daily-upgrade.timer dnf-automatic.timer)
  TIMERS_ON+=(postern-updates.timer)
}

care_integrity() {
  if [[ -z $INTEGRITY ]] || ! have aide; then
    note 'files are not compared with a baseline'
    TIMERS_OFF+=(postern-integrity.timer)
    return
  fi
  TIMERS_OFF+=(dailyaidecheck.timer)
  TIMERS_ON+=(postern-integrity.timer)
}

# care_baseline: it reads every program on the disk, so that nobody waits for it.
care_baseline() {
  if [[ -z $INTEGRITY || -e $STATE/integrity/aide.db.gz ]] || ! have aide; then return 0; fi
  systemctl start --no-block postern-integrity.service
}

step_care() {
  TIMERS_ON=(postern-digest.timer postern-check.timer)
  TIMERS_OFF=()
  care_updates
  care_integrity
  not_active "${TIMERS_OFF[@]}"
  now_active "${TIMERS_ON[@]}"
}

check_timers() {
  local timer timers off=()
  timers=(postern-check.timer postern-digest.timer ${UPDATES:+postern-updates.timer} ${PEOPLE_BUCKET:+postern-people.timer})
  if all_are active "${timers[@]}"; then return 0; fi
  for timer in "${timers[@]}"; do
    systemctl is-active -q "$timer" || off+=("${timer%.timer}")
  done
  DETAIL=${off:+not on: ${off[*]}}
  ((${#off[@]} == 0))
}

# check_integrity: there may be no baseline yet, but not for hours.
check_integrity() {
  if [[ -z $INTEGRITY ]] || ! have aide; then
    DETAIL='files are not compared with a baseline'
  elif [[ ! -e $STATE/integrity/aide.db.gz ]]; then
    DETAIL='the baseline is being made'
    if [[ -e $UNSEALED && -n $(find "$UNSEALED" -mmin +240) ]]; then
      DETAIL='there is no baseline: see journalctl -u postern-integrity'
      return 1
    fi
  fi
}
