# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# The kernel's own record of what changes the host, and of what root and people
# run, beside the recordings. It goes to the journal, and from there out.

audit_works() { have auditctl && auditctl -s >/dev/null 2>&1; }

# audit_unmute: Amazon Linux comes with a rule that records nothing at all.
audit_unmute() {
  local file
  for file in "$ROOT"/etc/audit/rules.d/*.rules; do
    grep -qsE '^[[:space:]]*-a[[:space:]]+(never,task|task,never)' "$file" || continue
    sed -E 's/^([[:space:]]*-a[[:space:]]+(never,task|task,never).*)$/# Postern: \1/' "$file" | put "$file" 0640
    note "a rule of ${file##*/} kept the kernel from recording anything: it is a comment now"
  done
}

# audit_rules: of watched files those that there are; a watch of what isn't there
# stops auditctl.
audit_rules() {
  local line path
  while IFS= read -r line; do
    if [[ $line == '-w '* ]]; then
      read -r _ path _ <<<"$line"
      [[ -e $ROOT$path ]] || continue
    fi
    [[ -z $line || $line == \#* ]] || printf '%s\n' "$line"
  done <"$OPT/host/etc/audit.rules"
}

step_audit() {
  local changed immutable
  if in_container; then
    note 'a container: the audit system is that of the machine'
    return
  fi
  if ! audit_works; then
    note 'there is no audit system here: the kernel records nothing of what root does; sessions are recorded all the same'
    return
  fi
  mkdir -p "$ROOT/etc/audit/rules.d"
  audit_unmute
  audit_rules | put "$ROOT/etc/audit/rules.d/50-postern.rules" 0640
  changed=$CHANGED
  immutable=$(if [[ -n $AUDIT_IMMUTABLE ]]; then printf '%s\n' '-e 2'; else printf '%s\n' '-e 1'; fi)
  put "$ROOT/etc/audit/rules.d/99-postern-end.rules" 0640 <<<"$immutable"
  changed+=$CHANGED
  if auditctl -s | grep -q '^enabled 2'; then
    [[ -z $changed ]] || note 'the audit rules in the kernel can not be changed: the new ones count after a reboot'
  elif [[ -n $changed ]] || ! auditctl -l | grep -q postern; then
    says augenrules --load || note "augenrules: $SAID"
  fi
  systemctl is-enabled -q auditd || says systemctl enable -q auditd || note "auditd can't be enabled: $SAID"
  systemctl is-active -q auditd || says systemctl start auditd || note "auditd does not start: $SAID: the journal has what the kernel records"
}

check_audit() {
  local rules
  if in_container; then
    DETAIL='a container: the audit system is that of the machine'
  elif ! audit_works; then
    DETAIL='there is no audit system'
    [[ $OS != amazon ]]
  else
    rules=$(auditctl -l 2>&1 | grep -cE -- '(-k |key=)postern') || rules=0
    DETAIL="$rules rules"
    ((rules >= 10)) || return 1
    if [[ -n $AUDIT_IMMUTABLE ]] && ! auditctl -s | grep -q '^enabled 2'; then
      DETAIL='the rules can be changed'
      return 1
    fi
  fi
}
