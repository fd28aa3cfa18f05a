# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# Who has an account beside the people that come and go: the user of the image, as
# whom EC2 Instance Connect logs in, and the one of the loopback session that
# proves the recording. None of them may become root.

# image_user: the account that cloud-init made. ssm-user is Session Manager's.
image_user() {
  local name line
  name=$(awk '/^[[:space:]]*default_user:/ { found = 1 } found && /^[[:space:]]*name:/ { print $2; exit }' "$ROOT/etc/cloud/cloud.cfg" 2>/dev/null) || name=
  for line in "$name" 1000; do
    [[ -n $line ]] || continue
    line=$(getent passwd "$line") || continue
    IFS=: read -r name _ <<<"$line"
    if [[ $name != ssm-user && $name != root ]]; then
      printf '%s' "$name"
      return
    fi
  done
}

login_shell() { getent passwd "$1" | cut -d: -f7; }

# add_shell: PAM and others ask the list whether a shell is one.
add_shell() {
  local file="$ROOT/etc/shells"
  if [[ -f $file ]] && grep -qx "$POSTERN_SHELL" "$file"; then return 0; fi
  {
    [[ ! -f $file ]] || cat "$file"
    printf '%s\n' "$POSTERN_SHELL"
  } | put "$file" 0644
}

# other_groups USER: those beside its own.
other_groups() {
  local own
  own=$(id -gn "$1")
  id -nG "$1" | tr ' ' '\n' | grep -vx "$own" | paste -sd ,
}

# demote USER: recorded like everybody, or shut out where Instance Connect is not
# there to let anybody in as that user.
demote() {
  local user=$1 shell=$POSTERN_SHELL groups=$PEOPLE_GROUP file
  if ! instance_connect_installed; then
    shell=$(type -P nologin) || shell=/sbin/nologin
    groups=
  fi
  if [[ $(login_shell "$user") != "$shell" || $(other_groups "$user") != "$groups" ]]; then
    usermod -L -s "$shell" -G "$groups" "$user"
    note "$user, the user of the image, has the shell $shell, no password, and no groups but: ${groups:-none}"
  fi
  for file in "$ROOT"/etc/sudoers.d/*; do
    [[ -f $file ]] || continue
    if [[ $file == */90-cloud-init-users ]] || grep -qE "^[[:space:]]*${user}[[:space:]]" "$file"; then
      mkdir -p "$STATE/unused"
      mv -f "$file" "$STATE/unused/"
      note "${file##*/} let $user become root: it is in $STATE/unused now"
    fi
  done
}

# sudo_rules: sudo asks people for a one-time password, in a PAM service of its own,
# so that sudo of others stays as it is. Who may use it is the people program's.
sudo_rules() {
  local temp
  put "$ROOT/etc/pam.d/postern-sudo" 0644 <<'END'
auth     [success=1 default=ignore] pam_exec.so seteuid quiet stdout expose_authtok /opt/postern/bin/postern-host totp
auth     requisite pam_deny.so
auth     required pam_permit.so
account  required pam_unix.so
session  required pam_limits.so
END
  temp=$(mktemp)
  printf 'Defaults:%%%s pam_service=postern-sudo, pam_login_service=postern-sudo\n' "$PEOPLE_GROUP" >"$temp"
  says visudo -c -q -f "$temp" || die "visudo refuses the rules for sudo: $SAID"
  put "$ROOT/etc/sudoers.d/00-postern" 0440 <"$temp"
  rm -f "$temp"
}

step_accounts() {
  local user
  getent group "$PEOPLE_GROUP" >/dev/null || groupadd -r "$PEOPLE_GROUP"
  getent passwd "$CHECK_USER" >/dev/null || useradd -r -M -d / -s "$POSTERN_SHELL" -g "$PEOPLE_GROUP" "$CHECK_USER"
  [[ $(login_shell "$CHECK_USER") == "$POSTERN_SHELL" ]] || usermod -s "$POSTERN_SHELL" "$CHECK_USER"
  relay_account
  mkdir -p "$ETC/keys"
  chmod 0755 "$ETC" "$ETC/keys"
  add_shell
  user=$(image_user)
  if [[ -n $user ]]; then demote "$user"; else note 'the image has no user of its own'; fi
  if have sudo; then sudo_rules; fi
}

check_accounts() {
  local user others
  others=$(awk -F: '$3 == 0 && $1 != "root" { print $1 }' "$ROOT/etc/passwd")
  if [[ -n $others ]]; then
    DETAIL="has the user ID of root: ${others//$'\n'/ }"
    return 1
  fi
  user=$(image_user)
  [[ -n $user ]] || return 0
  if have sudo && sudo -n -l -U "$user" 2>/dev/null | grep -qE '^[[:space:]]*\('; then
    DETAIL="$user may use sudo"
    return 1
  fi
  DETAIL="$user has the shell $(login_shell "$user")"
  [[ $DETAIL == *"$POSTERN_SHELL" || $DETAIL == *nologin ]]
}
