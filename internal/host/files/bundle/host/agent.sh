# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# The CloudWatch agent measures memory and disk, where there is one. Records are
# shipped by our own program.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Install-CloudWatch-Agent.html

readonly AGENT_DIR="$ROOT/opt/aws/amazon-cloudwatch-agent"
readonly AGENT_UNIT=amazon-cloudwatch-agent

step_agent() {
  if [[ ! -x $AGENT_DIR/bin/amazon-cloudwatch-agent-ctl ]]; then
    note 'the CloudWatch agent is not installed: there are no metrics of memory and disk'
    return
  fi
  put "$ETC/cloudwatch-agent.json" 0644 <"$HOST_DIR/agent.json"
  if [[ -z $CHANGED ]] && systemctl is-active -q "$AGENT_UNIT"; then
    note 'the CloudWatch agent runs already'
    return
  fi
  says timeout 120 "$AGENT_DIR/bin/amazon-cloudwatch-agent-ctl" -a fetch-config -m ec2 -s -c "file:$ETC/cloudwatch-agent.json" \
    || die "the CloudWatch agent refuses its configuration: see $AGENT_DIR/logs"
  says systemctl enable -q "$AGENT_UNIT" || die "$AGENT_UNIT can't be enabled: $SAID"
}

check_cloudwatch_agent() {
  if [[ ! -x $AGENT_DIR/bin/amazon-cloudwatch-agent-ctl ]]; then
    DETAIL='not installed: there are no metrics of memory and disk'
  elif ! systemctl is-active -q "$AGENT_UNIT"; then
    DETAIL="$AGENT_UNIT is not running"
    return 1
  fi
}
