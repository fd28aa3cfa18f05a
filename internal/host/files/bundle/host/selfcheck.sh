# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# What was promised, asked of the running host. One failed check fails the
# signal. A check is a function check_NAME that returns 0, or says why not in
# DETAIL and returns 1; it may say in DETAIL what was not to be checked.

DETAIL=
TRIES=5
PROGRAMS=
FAILED_CHECKS=()
# Ours, by the order of what they cost; then those of the programs.
readonly CHECKS=(packages accounts confine kernel sshd-config sshd-effective sshd-running second-factor instance-connect
  ssm-agent imds-v2 units read-only firewall audit fail2ban cloudwatch-agent timers integrity)

# check NAME: runs check_NAME, with up to TRIES tries for what is still starting.
check() {
  local name=$1 attempt
  for ((attempt = 1; attempt <= TRIES; attempt++)); do
    DETAIL=
    if "check_${name//-/_}"; then
      event check name "$name" result pass detail "$DETAIL"
      return
    fi
    ((attempt == TRIES)) || sleep 2
  done
  event check name "$name" result fail detail "$DETAIL"
  FAILED_CHECKS+=("$name")
}

check_sshd_config() {
  DETAIL=$(sshd_test 2>&1)
}

check_sshd_effective() {
  DETAIL=$(sshd_differs)
  [[ -z $DETAIL ]]
}

# An -o on the command line beats every file.
check_sshd_running() {
  local unit pid words
  unit=$(sshd_unit)
  if ! systemctl is-active -q "$unit" && ! systemctl is-active -q "$unit.socket"; then
    DETAIL="$unit is not running"
    return 1
  fi
  pid=$(systemctl show -p MainPID --value "$unit")
  words=$(tr '\0' ' ' <"$ROOT/proc/${pid:-0}/cmdline" 2>/dev/null) || words=
  words=${words//-o AuthorizedKeysCommand/}
  if [[ $words == *' -o'* || $words == *' -f'* ]]; then
    DETAIL="options on the command line beat the configuration: $words"
    return 1
  fi
}

check_instance_connect() {
  if ! instance_connect_installed; then
    DETAIL='EC2 Instance Connect is not installed'
  elif ! instance_connect; then
    DETAIL='EC2 Instance Connect is installed, but sshd was never told of it: it does not work on this image'
  fi
}

# ssm_agent_unit: of a package or, on Ubuntu, a snap; of two, the one that runs.
ssm_agent_unit() {
  local unit found=
  for unit in amazon-ssm-agent snap.amazon-ssm-agent.amazon-ssm-agent; do
    systemctl cat "$unit" >/dev/null 2>&1 || continue
    found=$unit
    if systemctl is-active -q "$unit"; then break; fi
  done
  printf '%s' "$found"
  [[ -n $found ]]
}

check_ssm_agent() {
  local unit
  if ! unit=$(ssm_agent_unit); then
    DETAIL='amazon-ssm-agent is not installed: Session Manager does not reach this host'
  elif ! systemctl is-active -q "$unit"; then
    DETAIL='amazon-ssm-agent is installed but not running'
    return 1
  fi
}

# Asked without a token, IMDSv2 answers 401 and nothing else.
check_imds_v2() {
  local code
  code=$(curl -s --noproxy '*' --max-time 5 -o /dev/null -w '%{http_code}' "$IMDS/meta-data/instance-id") || true
  DETAIL="a request without a token got ${code:-no answer}"
  [[ $code == 401 ]]
}

# check_second_factor: PAM asks for the code before anything else.
check_second_factor() {
  local begin
  if [[ -z $SECOND_FACTOR ]]; then
    DETAIL='not asked for at login'
    return
  fi
  begin=$(grep -vE '^[[:space:]]*(#|$)' "$ROOT/etc/pam.d/sshd" | head -n 4)
  [[ $begin == "$SECOND_FACTOR_LINES" ]] && return
  DETAIL="PAM begins with: ${begin%%$'\n'*}"
  return 1
}

# check_units: what must run does, and nothing of ours has failed.
check_units() {
  local unit failed
  for unit in postern-recorder postern-ship ${RELAY:+postern-relay}; do
    if ! systemctl is-active -q "$unit.service"; then
      DETAIL="$unit is not running: see journalctl -u $unit"
      return 1
    fi
  done
  failed=$(systemctl list-units --no-legend --plain --state=failed 'postern-*' 2>/dev/null | awk '{ print $1 }') || failed=
  # A check that failed before is why this one runs again.
  failed=${failed//postern-check.service/}
  [[ -n ${failed//[[:space:]]/} ]] || return 0
  DETAIL="failed: ${failed//$'\n'/ }"
  return 1
}

# programs_begin FILE: the programs ask for their own promises, most of which is
# waiting, beside the checks here.
programs_begin() {
  with_etc timeout 150 "$POSTERN_HOST" check all >"$1" 2>&1 </dev/null &
  PROGRAMS=$!
}

# check_programs FILE: what they found, a line of JSON for each, among them a recorded
# session through sshd and its delivery.
check_programs() {
  local line lines status=0
  wait "$PROGRAMS" || status=$?
  lines=$(<"$1")
  rm -f "$1"
  while IFS= read -r line; do
    if [[ ! $line =~ ^\{\"postern\":\"check\",\"name\":\"([a-z0-9-]+)\" ]]; then
      [[ -z $line ]] || note "postern-host check: $line"
      continue
    fi
    relay "$line"
    if [[ $line == *'"result":"fail"'* ]]; then FAILED_CHECKS+=("${BASH_REMATCH[1]}"); fi
  done <<<"$lines"
  # No word of it is no proof.
  if [[ " ${FAILED_CHECKS[*]} " != *' recording '* && $lines != *'"name":"recording","result":"pass"'* ]]; then
    FAILED_CHECKS+=(recording)
  elif ((status != 0 && ${#FAILED_CHECKS[@]} == 0)); then
    FAILED_CHECKS+=("postern-host-check:$status")
  fi
}

# selfcheck: all of them. FAILED_CHECKS has the names of those that failed.
selfcheck() {
  local name programs
  FAILED_CHECKS=()
  programs=$(mktemp)
  programs_begin "$programs"
  for name in "${CHECKS[@]}"; do
    check "$name"
  done
  check_programs "$programs"
}

step_selfcheck() {
  selfcheck
  ((${#FAILED_CHECKS[@]} == 0)) || die "failed checks: ${FAILED_CHECKS[*]}"
}
