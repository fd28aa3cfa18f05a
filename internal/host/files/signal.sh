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
  retry 5 send_signal "$status" || return 1
  mkdir -p "$STATE"
  : >"$mark"
  event signal status "$status" result sent
}

send_signal() {
  by_program signal "$STACK" "$SIGNAL_RESOURCE" "$1" || aws_try cloudformation signal-resource --region "$REGION" \
    --stack-name "$STACK" --logical-resource-id "$SIGNAL_RESOURCE" --unique-id "$INSTANCE_ID" --status "$1"
}

# enter_service: with a launch hook, Auto Scaling takes the instance into service,
# and lets the one before it go, when it hears of the success. Of a failure it
# hears nothing: until the hook ends the instance, somebody can look at it.
# https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks-overview.html
enter_service() {
  local mark="$STATE/in-service"
  [[ -n $LIFECYCLE_HOOK && ! -e $mark ]] || return 0
  retry 5 complete_launch || return 1
  : >"$mark"
  event lifecycle result continue
}

complete_launch() {
  local group out
  if by_program service "$LIFECYCLE_HOOK"; then return 0; fi
  if ! group=$(timeout 30 aws ec2 describe-tags --region "$REGION" --output text --query 'Tags[0].Value' \
    --filters "Name=resource-id,Values=$INSTANCE_ID" Name=key,Values=aws:autoscaling:groupName 2>&1 </dev/null); then
    note "aws ec2 describe-tags: ${group##*$'\n'}"
    return 1
  fi
  if ! out=$(timeout 30 aws autoscaling complete-lifecycle-action --region "$REGION" --lifecycle-hook-name "$LIFECYCLE_HOOK" \
    --auto-scaling-group-name "$group" --instance-id "$INSTANCE_ID" --lifecycle-action-result CONTINUE 2>&1 </dev/null); then
    note "aws autoscaling complete-lifecycle-action: ${out##*$'\n'}"
    # Somebody let it in by hand.
    [[ $out == *'No active Lifecycle Action'* ]]
  fi
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
    STEP=signal REASON='CloudFormation could not be told of the success'
    if ! enter_service; then
      REASON='Auto Scaling could not be told of the success'
    elif signal SUCCESS; then
      now_ms
      event bootstrap result success ms "$((NOW - BEGAN))" steps "${TIMES# }"
      exit 0
    fi
  fi
  event bootstrap result failure step "$STEP" reason "${REASON:-exit status $status}" steps "${TIMES# }"
  if [[ ! -e $UNSEALED ]]; then
    event note step "$STEP" text 'sshd STAYS CLOSED; Session Manager works. Mend what is named above and run /var/lib/postern/host/main.sh, or replace the instance'
  fi
  signal FAILURE || event signal status FAILURE result 'not sent: the stack waits until its timeout'
  exit 1
}
