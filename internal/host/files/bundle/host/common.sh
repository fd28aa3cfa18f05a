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

# all_are STATE UNIT ...: does systemctl is-STATE say it of each? By its exit status it
# says that one of them is.
all_are() {
  local state=$1 said
  shift
  said=$(systemctl "is-$state" "$@" 2>/dev/null) || true
  said=${said//"$state"/+}
  said=${said//$'\n'/}
  [[ $said =~ ^\++$ ]] && ((${#said} == $#))
}

# enabled UNIT ...: from the next boot on. systemd has read them already, and to read
# all of its units again is what would take longest.
enabled() { all_are enabled "$@" || says systemctl enable -q --no-reload "$@" || die "can't be enabled: $*: $SAID"; }

# now_active UNIT ...: enables and starts them, again where they were written in this
# run.
now_active() {
  local unit
  local -a again=() rest=()
  enabled "$@"
  for unit in "$@"; do
    if [[ $UNITS_CHANGED == *" $unit "* ]]; then again+=("$unit"); else rest+=("$unit"); fi
  done
  if ((${#again[@]})); then
    says systemctl restart "${again[@]}" || die "${again[*]} can't be started: see journalctl: $SAID"
  fi
  if ((${#rest[@]})) && ! all_are active "${rest[@]}"; then
    says systemctl start "${rest[@]}" || die "${rest[*]} can't be started: see journalctl: $SAID"
  fi
}

# not_active UNIT ...: of those that there are.
not_active() {
  local unit
  local -a off=()
  for unit in "$@"; do
    if systemctl is-enabled -q "$unit" 2>/dev/null; then off+=("$unit"); fi
  done
  ((${#off[@]} == 0)) || systemctl disable -q --now "${off[@]}" || true
}
