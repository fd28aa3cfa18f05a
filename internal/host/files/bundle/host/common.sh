# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# What the steps of the bundle share.

SAID=

# says COMMAND ...: runs it; what it said last is in SAID, for a reason.
says() {
  SAID=$("$@" 2>&1 </dev/null) && return
  SAID=${SAID##*$'\n'}
  return 1
}

# in_container: the kernel, its settings and its audit system are another's.
in_container() { systemd-detect-virt -q --container 2>/dev/null; }

have() { type -P "$1" >/dev/null; }

# nft_works: is it there, and does the kernel have it?
nft_works() { have nft && nft list tables >/dev/null 2>&1; }

# first_lines FILE: puts standard input at the top of a file of the distribution
# that knows no drop-ins, between marks that are ours, once.
first_lines() {
  local file=$1 text rest
  CHANGED=
  text=$(cat)
  [[ -f $file ]] || return 0
  rest=$(sed '/^# Postern begins/,/^# Postern ends/d' "$file")
  put "$file" "$(stat -c %a "$file")" <<END
# Postern begins
$text
# Postern ends
$rest
END
}

# now_active UNIT: enables and starts it, again where CHANGED says that it is new.
now_active() {
  local changed=$2
  systemctl is-enabled -q "$1" || says systemctl enable -q "$1" || die "$1 can't be enabled: $SAID"
  if [[ -n $changed ]]; then
    says systemctl restart "$1" || die "$1 can't be started: see journalctl -u $1"
  elif ! systemctl is-active -q "$1"; then
    says systemctl start "$1" || die "$1 can't be started: see journalctl -u $1"
  fi
}
