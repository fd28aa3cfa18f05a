# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# Until the recording is proven, nobody is on this host but through Session
# Manager. sshd starts only where one of two marks is there: for good, or for the
# trial at the end of the bootstrap, which a reboot forgets. A failure takes
# neither back from a host that was open already, and gives neither to one that
# was not.

readonly SEALABLE=(ssh.service sshd.service ssh.socket sshd.socket ssh@.service sshd@.service)
readonly UNSEALED="$STATE/unsealed"
readonly TRIAL="$ROOT/run/postern/trial"
SEALED=

# seal: closes sshd and ends what came in through it.
seal() {
  local unit id changed=
  SEALED=yes
  rm -f "$UNSEALED" "$TRIAL"
  for unit in "${SEALABLE[@]}"; do
    printf '# Written by Postern: sshd waits for the bootstrap.\n[Unit]\nConditionPathExists=|%s\nConditionPathExists=|%s\n' "$UNSEALED" "$TRIAL" \
      | put "$ROOT/etc/systemd/system/$unit.d/00-postern-seal.conf" 0644
    changed+=$CHANGED
  done
  if [[ -n $changed ]]; then systemctl daemon-reload || because 'systemd does not read its units again, so that sshd may start'; fi
  systemctl stop ssh.socket sshd.socket ssh.service sshd.service 2>/dev/null || true # most systems have two of them
  for id in $(loginctl list-sessions --no-legend 2>/dev/null | awk '{print $1}'); do
    [[ $(loginctl show-session -p Service --value "$id" 2>/dev/null) != sshd ]] || loginctl terminate-session "$id" || true
  done
  # What is left of them has lost its terminal. pkill takes no longer a pattern.
  for id in sshd sshd-session sshd-auth; do pkill -KILL -x "$id" || true; done
}

# ssh_listens: is there a socket that listens on port 22?
ssh_listens() {
  cat "$ROOT"/proc/net/tcp "$ROOT"/proc/net/tcp6 2>/dev/null | awk '$4 == "0A" && $2 ~ /:0016$/ { found = 1 } END { exit !found }'
}

# logged_in: what sshd said of the first who came in since the boot. All of it is
# read: a pipe that closes early would count as a failure, and so as nobody.
logged_in() { journalctl -b -q -o cat -t sshd -t sshd-session 2>/dev/null | awk '/^Accepted / && !seen++'; }

# step_seal [FILE]: cloud-init runs the bootstrap with the user data, an operator
# without it. What an operator runs again leaves an open host open.
step_seal() {
  local keys before
  if (($# == 0)) && [[ -e $UNSEALED ]]; then
    SEALED=before
    note 'this host has proven its recording before: sshd stays open meanwhile'
    return
  fi
  before=$([[ ! -e $ROOT/etc/systemd/system/sshd.service.d/00-postern-seal.conf ]] || printf yes)
  seal
  [[ -z $REASON ]] || die "$REASON"
  if ssh_listens; then die 'something other than sshd listens on port 22: use an image without it'; fi
  for keys in "$ROOT"/root/.ssh/authorized_keys "$ROOT"/home/*/.ssh/authorized_keys; do
    [[ ! -s $keys ]] || mv -f "$keys" "$keys.unused"
  done
  # The image's sshd was open for some seconds, and who came in through EC2
  # Instance Connect then was root: nothing on the host can be believed any more.
  if [[ -z $before ]] && keys=$(logged_in) && [[ -n $keys ]]; then
    die "somebody logged in before the host was closed: replace this instance. sshd said: $keys"
  fi
}
