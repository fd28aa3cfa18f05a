# shellcheck shell=bash
# What was promised, asked of the running host. One failed check fails the
# signal. A check is a function check_NAME that returns 0, or says why not in
# DETAIL and returns 1; it may say in DETAIL what was not to be checked.

DETAIL=

# check NAME: runs check_NAME, with up to five tries for what is still starting.
check() {
  local name=$1 attempt
  for attempt in 1 2 3 4 5; do
    DETAIL=
    if "check_${name//-/_}"; then
      event check name "$name" result pass detail "$DETAIL"
      return
    fi
    ((attempt == 5)) || sleep 2
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

check_cloudwatch_agent() {
  if [[ -z $LOG_GROUP ]]; then
    DETAIL='nothing to ship'
  elif [[ ! -x $AGENT_DIR/bin/amazon-cloudwatch-agent-ctl ]]; then
    DETAIL='NOTHING IS SHIPPED: there is no package of the CloudWatch agent for this system'
    [[ $OS != amazon ]]
  elif ! systemctl is-active -q "$AGENT_UNIT"; then
    DETAIL="$AGENT_UNIT is not running"
    return 1
  fi
}

# A package or, on Ubuntu, a snap.
check_ssm_agent() {
  local unit found=
  for unit in amazon-ssm-agent snap.amazon-ssm-agent.amazon-ssm-agent; do
    systemctl cat "$unit" >/dev/null 2>&1 || continue
    found=yes
    if systemctl is-active -q "$unit"; then return 0; fi
  done
  if [[ -n $found ]]; then
    DETAIL='amazon-ssm-agent is installed but not running'
    return 1
  fi
  DETAIL='amazon-ssm-agent is not installed: Session Manager does not reach this host'
}

# Asked without a token, IMDSv2 answers 401 and nothing else.
check_imds_v2() {
  local code
  code=$(curl -s --noproxy '*' --max-time 5 -o /dev/null -w '%{http_code}' "$IMDS/meta-data/instance-id") || true
  DETAIL="a request without a token got ${code:-no answer}"
  [[ $code == 401 ]]
}

step_selfcheck() {
  local name
  FAILED_CHECKS=()
  for name in sshd-config sshd-effective sshd-running instance-connect ssm-agent imds-v2 cloudwatch-agent; do
    check "$name"
  done
  ((${#FAILED_CHECKS[@]} == 0)) || die "failed checks: ${FAILED_CHECKS[*]}"
}
