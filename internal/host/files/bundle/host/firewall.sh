# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# What people's programs reach from this host, by who they run as: DNS, and the
# ports that the connections of the bastion allow. Not the instance metadata, which
# gives the role's credentials to whoever asks; and nobody from elsewhere reaches
# what they listen with, which nothing would record. The table is our own: rules of
# others stay, and root, agents and EC2 Instance Connect are not its business.

readonly FIREWALL_FILE="$ROOT/etc/postern/firewall.nft"

# resolvers FAMILY: the addresses that names are asked of, 4 or 6.
resolvers() {
  local all
  all=$(awk '$1 == "nameserver" { sub(/%.*/, "", $2); print $2 }' "$ROOT/etc/resolv.conf" "$ROOT/run/systemd/resolve/resolv.conf" 2>/dev/null) || true
  # Each VPC has its own at these.
  # https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html
  all+=$'\n169.254.169.253\nfd00:ec2::253\n127.0.0.53\n127.0.0.54'
  if [[ $1 == 4 ]]; then
    grep -xE '[0-9.]+' <<<"$all"
  else
    grep -E '^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$' <<<"$all"
  fi | sort -u | paste -sd ,
}

# firewall_uids: whose programs are limited.
firewall_uids() {
  local user
  printf '%s-%s' "$FIRST_UID" "$LAST_UID"
  for user in "$(image_user)" "$CHECK_USER"; do
    [[ -z $user ]] || printf ', %s' "$(id -u "$user")"
  done
}

# firewall_ports: the ports that were asked for, and those of forwarding, for which
# sshd connects as the person.
firewall_ports() {
  local target
  {
    for target in $EGRESS_PORTS; do printf '%s\n' "$target"; done
    for target in $PERMIT_OPEN; do printf '%s\n' "${target##*:}"; done
  } | sort -nu | paste -sd ,
}

firewall_rules() {
  local uids ports dns
  uids=$(firewall_uids)
  ports=$(firewall_ports)
  dns="    ip daddr { $(resolvers 4) } meta l4proto { tcp, udp } th dport 53 accept
    ip6 daddr { $(resolvers 6) } meta l4proto { tcp, udp } th dport 53 accept"
  cat <<END
#!/usr/sbin/nft -f
table inet postern
delete table inet postern
table inet postern {
  set beginning {
    type uid
    flags dynamic
    size 65535
    timeout 1m
  }
  set told {
    type uid
    flags dynamic
    size 65535
    timeout 1h
  }
  chain output {
    type filter hook output priority 0; policy accept;
    meta skuid { $uids } jump people
END
  relay_jumps
  cat <<END
  }
  chain people {
    ip daddr 169.254.169.254 counter jump refuse comment "instance metadata"
    ip6 daddr fd00:ec2::254 counter jump refuse comment "instance metadata"
    ct direction reply counter jump refuse comment "a door of one's own"
    ct state established,related accept
    ct state new add @beginning { meta skuid limit rate over 50/second burst 300 packets } counter jump refuse comment "more connections than the kernel keeps for all"
$dns
    oifname "lo" jump refuse
    ip daddr 169.254.0.0/16 jump refuse
END
  [[ -z $ports ]] || printf '    tcp dport { %s } accept\n' "$ports"
  cat <<'END'
    counter jump refuse
  }
END
  relay_rules <<<"$dns"
  cat <<'END'
  chain refuse {
    add @told { meta skuid limit rate 10/minute burst 20 packets } log prefix "postern-refused " flags skuid level info
    meta l4proto tcp reject with tcp reset
    reject with icmpx admin-prohibited
  }
}
END
}

step_firewall() {
  local changed temp
  if ! have nft; then
    note 'nft is not here: people reach the credentials of the instance and every port that the security group allows'
    return
  fi
  if ! nft_works; then
    note 'this kernel has no nftables: people reach the credentials of the instance and every port that the security group allows'
    return
  fi
  temp=$(mktemp)
  firewall_rules >"$temp"
  says nft -c -f "$temp" || die "nft refuses the rules for people: $SAID"
  put "$FIREWALL_FILE" 0600 <"$temp"
  changed=$CHANGED
  rm -f "$temp"
  # The unit loads the rules when it is started.
  [[ -z $changed ]] || UNITS_CHANGED+='postern-firewall.service '
  now_active postern-firewall.service
}

# check_firewall: what the kernel really has. What a person's program gets is asked
# by the programs' own checks.
check_firewall() {
  local rules
  if ! have nft; then
    DETAIL='nft is not installed'
    return 1
  fi
  if ! rules=$(nft list table inet postern 2>&1); then
    DETAIL="the kernel has no such rules: ${rules##*$'\n'}"
    ! nft_works
    return
  fi
  if [[ $rules != *169.254.169.254* || $rules != *"$FIRST_UID-$LAST_UID"* || $rules != *'jump people'* ]]; then
    DETAIL='the rules in the kernel are not ours'
    return 1
  fi
}
