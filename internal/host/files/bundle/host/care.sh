# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# What goes on after the bootstrap, on timers: comparing files, security updates,
# the day's summary.

timer_on() { now_active "$1.timer" "$(changed_unit "$1.timer")"; }
timer_off() { if systemctl is-enabled -q "$1.timer" 2>/dev/null; then systemctl disable -q --now "$1.timer" || true; fi; }

care_updates() {
  if [[ -z $UPDATES ]]; then
    note 'no security updates are installed here: they come with a newer image'
    timer_off postern-updates
    return
  fi
  if [[ $OS == amazon && -z $UPDATE_RELEASE ]]; then
    note 'the repositories of Amazon Linux are pinned to the release of the image, in which there is nothing newer: name a release in UpdateRelease, or let updates come with newer images'
  fi
  # The systems' own would upgrade beside ours, at any time, without a line of it.
  timer_off apt-daily-upgrade
  timer_off dnf-automatic
  timer_on postern-updates
}

care_integrity() {
  if [[ -z $INTEGRITY ]] || ! have aide; then
    note 'files are not compared with a baseline'
    timer_off postern-integrity
    return
  fi
  timer_off dailyaidecheck
  timer_on postern-integrity
}

# care_baseline: it reads every program on the disk, so that nobody waits for it.
care_baseline() {
  if [[ -z $INTEGRITY || -e $STATE/integrity/aide.db.gz ]] || ! have aide; then return 0; fi
  systemctl start --no-block postern-integrity.service
}

step_care() {
  care_updates
  care_integrity
  timer_on postern-digest
  timer_on postern-check
}

check_timers() {
  local timer off=()
  for timer in postern-check postern-digest ${UPDATES:+postern-updates} ${PEOPLE_BUCKET:+postern-people}; do
    systemctl is-active -q "$timer.timer" || off+=("$timer")
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
