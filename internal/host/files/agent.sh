# shellcheck shell=bash
# The CloudWatch agent ships the journal and measures memory and disk.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Install-CloudWatch-Agent.html

readonly AGENT_DIR="$ROOT/opt/aws/amazon-cloudwatch-agent"
readonly AGENT_UNIT=amazon-cloudwatch-agent
# The first release whose configuration may name the journal.
readonly AGENT_JOURNALD=1.300070.0

# version_at_least HAVE WANT: numbers between dots; "b" counts as a dot.
version_at_least() {
  [[ $(printf '%s\n%s\n' "${2//b/.}" "${1//b/.}" | sort -V | head -n 1) == "${2//b/.}" ]]
}

agent_install() {
  case $OS in
    amazon) retry 2 timeout 240 dnf install -y -q amazon-cloudwatch-agent || die 'amazon-cloudwatch-agent could not be installed: dnf needs a way to its repositories, such as the S3 gateway endpoint' ;;
    *) return 1 ;;
  esac
}

# agent_rsyslog: an agent that can't read the journal reads this file instead.
agent_rsyslog() {
  if ! type -P rsyslogd >/dev/null; then
    if [[ $OS == amazon ]]; then
      retry 2 timeout 240 dnf install -y -q rsyslog || die 'rsyslog could not be installed'
    else
      die "this CloudWatch agent is older than $AGENT_JOURNALD and rsyslog is not installed"
    fi
  fi
  mkdir -p "$ROOT/var/log/postern"
  put "$ROOT/etc/rsyslog.d/00-postern.conf" 0644 <"$HOST_DIR/rsyslog.conf"
  if [[ -n $CHANGED ]]; then systemctl restart rsyslog; fi
  systemctl enable -q rsyslog
  put "$ROOT/etc/logrotate.d/postern" 0644 <"$HOST_DIR/logrotate.conf"
}

step_agent() {
  local version source=journald text
  if [[ -z $LOG_GROUP ]]; then
    note 'no log group is configured: the journal stays on this host'
    return
  fi
  if [[ ! -x $AGENT_DIR/bin/amazon-cloudwatch-agent-ctl ]] && ! agent_install; then
    note 'there is no package of the CloudWatch agent for this system: NOTHING IS SHIPPED to the log group and there are no metrics; put the agent on the image'
    return
  fi
  version=$(cat "$AGENT_DIR/bin/CWAGENT_VERSION")
  if ! version_at_least "$version" "$AGENT_JOURNALD"; then
    note "CloudWatch agent $version can't read the journal ($AGENT_JOURNALD can): rsyslog writes it to a file"
    source=files
    agent_rsyslog
  fi
  id -u cwagent >/dev/null || die 'the package of the CloudWatch agent made no user cwagent'
  usermod -a -G systemd-journal cwagent

  text=$(<"$HOST_DIR/agent-$source.json")
  put "$ETC/cloudwatch-agent.json" 0644 <<<"${text//@LOG_GROUP@/"$LOG_GROUP"}"
  if [[ -z $CHANGED ]] && systemctl is-active -q "$AGENT_UNIT"; then
    note 'the CloudWatch agent runs already'
    return
  fi
  timeout 120 "$AGENT_DIR/bin/amazon-cloudwatch-agent-ctl" -a fetch-config -m ec2 -s -c "file:$ETC/cloudwatch-agent.json" >/dev/null \
    || die "the CloudWatch agent $version refuses its configuration: see $AGENT_DIR/logs"
  systemctl enable -q "$AGENT_UNIT"
}
