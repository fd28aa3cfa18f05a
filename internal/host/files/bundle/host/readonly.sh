# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# On a golden image the root is read-only: run/readonly.sh does it, at each boot. The
# programs that keep people's accounts have a view in which /etc can be written.

readonly WRITABLE="$ROOT/run/postern/writable"

# with_etc COMMAND ...: runs it in that view, where there is one.
with_etc() {
  if [[ ! -d $WRITABLE/etc ]]; then
    "$@"
    return
  fi
  # shellcheck disable=SC2016 # for the other shell
  unshare --mount --propagation slave -- bash -c 'mount --bind "$0" /etc && exec "$@"' "$WRITABLE/etc" "$@"
}

# session_manager: the agent makes its user with the first session, when it can no
# longer write to /etc. What it would make is made here, in its words.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-getting-started-ssm-user-permissions.html
session_manager() {
  local file="$ROOT/etc/sudoers.d/ssm-agent-users"
  if ! ssm_agent_unit >/dev/null; then return 0; fi
  getent passwd ssm-user >/dev/null || says useradd -m ssm-user || die "Session Manager's user could not be made: $SAID"
  [[ -e $file ]] || printf '# User rules for ssm-user\nssm-user ALL=(ALL) NOPASSWD:ALL\n' | put "$file" 0440
}

step_readonly() {
  if [[ -z $GOLDEN_IMAGE ]]; then
    if systemctl is-enabled -q postern-readonly.service 2>/dev/null; then systemctl disable -q --now postern-readonly.service; fi
    return
  fi
  session_manager
  # The next step starts them, so that their view is read-only from the beginning.
  enabled postern-ship.service postern-recorder.service
  now_active postern-readonly.service
  note 'the root is read-only: systemctl stop postern-readonly makes it writable, until it is started or the host restarts'
}

# check_read_only: of the host's own view, whatever this one is; and people's
# accounts can still be written.
check_read_only() {
  local dir file said
  if [[ -z $GOLDEN_IMAGE ]]; then
    DETAIL='not asked for'
    return
  fi
  for dir in /usr/bin /etc "$OPT"; do
    file="$dir/.postern-read-only"
    if said=$(nsenter --mount=/proc/1/ns/mnt -- touch "$file" 2>&1); then
      nsenter --mount=/proc/1/ns/mnt -- rm -f "$file"
      DETAIL="root can write to $dir"
      return 1
    elif [[ $said != *'Read-only file system'* ]]; then
      DETAIL="$dir: $said"
      return 1
    fi
  done
  file="$ROOT/etc/.postern-writable"
  if ! says with_etc touch "$file" || ! says with_etc rm "$file"; then
    DETAIL="people's accounts can't be written: $SAID"
    return 1
  fi
}
