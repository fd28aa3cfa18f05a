# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# Leads tunnels of Session Manager on to listed targets, for root alone. It runs as a
# user of its own, whom the firewall lets out to the ports of the targets.

# relay_account: before the firewall, which knows users by their IDs.
relay_account() {
  local shell
  [[ -n $RELAY ]] || return 0
  shell=$(type -P nologin) || shell=/sbin/nologin
  getent passwd "$RELAY_USER" >/dev/null || useradd -r -M -U -d / -s "$shell" "$RELAY_USER"
}

# relay_jumps: who is held to the relay's rules, and that nobody but root comes to
# where it listens.
relay_jumps() {
  [[ -n $RELAY ]] || return 0
  printf '    meta skuid %s jump relay\n' "$(id -u "$RELAY_USER")"
  printf '    oifname "lo" tcp dport %s meta skuid != 0 counter jump refuse comment "the relay"\n' "$RELAY_PORT"
}

# relay_rules: what the relay reaches, with lines for DNS on the standard input.
relay_rules() {
  local target ports
  [[ -n $RELAY ]] || return 0
  ports=$(for target in $RELAY; do printf '%s\n' "${target##*:}"; done | sort -nu | paste -sd ,)
  cat <<'END'
  chain relay {
    ip daddr 169.254.169.254 counter jump refuse comment "instance metadata"
    ip6 daddr fd00:ec2::254 counter jump refuse comment "instance metadata"
    oifname != "lo" ct direction reply counter jump refuse comment "a door of its own"
    ct state established,related accept
END
  cat
  cat <<END
    oifname "lo" jump refuse
    ip daddr 169.254.0.0/16 jump refuse
    ip6 daddr { fe80::/10, fd00:ec2::/32 } jump refuse
    tcp dport { $ports } accept
    counter jump refuse
  }
END
}

step_relay() {
  if [[ -z $RELAY ]]; then
    not_active postern-relay.service
    return
  fi
  now_active postern-relay.service
}
