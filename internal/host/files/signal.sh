# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# CloudFormation hears how it went, whatever happened.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_SignalResource.html

# signal SUCCESS|FAILURE: one signal for each instance and each outcome. The API
# takes no reason; that is told on the console and in the journal.
signal() {
  local status=$1 mark="$STATE/signalled-$1"
  if [[ -z $SIGNAL_RESOURCE ]]; then
    event signal status "$status" result 'nobody waits for it'
    return 0
  fi
  if [[ -e $mark ]]; then
    event signal status "$status" result 'sent before'
    return 0
  fi
  if [[ -z $INSTANCE_ID ]]; then learn_identity || return 1; fi
  retry 5 aws_try cloudformation signal-resource --region "$REGION" --stack-name "$STACK" \
    --logical-resource-id "$SIGNAL_RESOURCE" --unique-id "$INSTANCE_ID" --status "$status" || return 1
  mkdir -p "$STATE"
  : >"$mark"
  event signal status "$status" result sent
}

# finish EXIT-STATUS: the EXIT trap. Success needs both an exit status of 0 and a
# self-check that passed.
finish() {
  local status=$1
  trap - EXIT ERR
  set +e
  if [[ -n $UNDO ]]; then "$UNDO"; fi
  if [[ $CHECKED != yes && -z $SEALED ]]; then seal; fi
  if [[ $status == 0 && $CHECKED == yes ]]; then
    if signal SUCCESS; then
      now_ms
      event bootstrap result success ms "$((NOW - BEGAN))" steps "${TIMES# }"
      exit 0
    fi
    STEP=signal REASON='CloudFormation could not be told of the success'
  fi
  event bootstrap result failure step "$STEP" reason "${REASON:-exit status $status}" steps "${TIMES# }"
  if [[ ! -e $UNSEALED ]]; then
    event note step "$STEP" text 'sshd STAYS CLOSED; Session Manager works. Mend what is named above and run /var/lib/postern/host/main.sh, or replace the instance'
  fi
  signal FAILURE || event signal status FAILURE result 'not sent: the stack waits until its timeout'
  exit 1
}
