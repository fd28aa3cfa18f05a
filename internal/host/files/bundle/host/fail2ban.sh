# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# Fail2ban shuts out addresses that try and fail. sshd takes keys only, so that
# this saves log lines and not the host.

step_fail2ban() {
  local changed
  if [[ -z $BANS ]]; then
    note 'not asked for: an address may try to log in as often as it likes'
    if systemctl is-enabled -q fail2ban 2>/dev/null; then systemctl disable -q --now fail2ban || true; fi
    return
  fi
  if ! have fail2ban-client; then
    note 'Fail2ban is not installed: an address may try to log in as often as it likes'
    return
  fi
  put "$ROOT/etc/fail2ban/jail.d/00-postern.local" 0644 <"$OPT/host/etc/fail2ban.conf"
  changed=$CHANGED
  # Into the journal, which is shipped, and not a file of its own.
  put "$ROOT/etc/fail2ban/fail2ban.d/00-postern.local" 0644 <<<$'[Definition]\nlogtarget = SYSOUT'
  changed+=$CHANGED
  if ! says fail2ban-client -t; then
    note "Fail2ban refuses its configuration: $SAID"
    return
  fi
  systemctl is-enabled -q fail2ban || says systemctl enable -q fail2ban || note "Fail2ban can't be enabled: $SAID"
  if [[ -n $changed ]] || ! systemctl is-active -q fail2ban; then
    says systemctl restart fail2ban || note "Fail2ban does not start: $SAID"
  fi
}

# check_fail2ban: a ban is set and looked for in the kernel. Where a package is
# missing, Fail2ban reports bans that nobody feels.
check_fail2ban() {
  local address=192.0.2.254 found=
  if [[ -z $BANS ]]; then
    DETAIL='not asked for'
    return
  fi
  if ! have fail2ban-client; then
    DETAIL='not installed'
    return
  fi
  if ! says fail2ban-client status sshd; then
    DETAIL="it does not watch sshd: $SAID"
    return 1
  fi
  if ! nft_works; then
    DETAIL='this kernel has no nftables: bans have no effect'
    return 0
  fi
  says fail2ban-client set sshd banip "$address" || true
  for _ in 1 2 3 4 5; do
    if nft list ruleset 2>/dev/null | grep -q "$address"; then
      found=yes
      break
    fi
    sleep 0.2
  done
  says fail2ban-client set sshd unbanip "$address" || true
  DETAIL="a ban of $address has no effect in the kernel: is netbase installed?"
  [[ -z $found ]] || DETAIL="a ban of $address was seen in the kernel"
  [[ -n $found ]]
}
