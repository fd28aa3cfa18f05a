# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# Hardens sshd by one drop-in, tried before it is used and taken back if the
# result is not what was asked for. A host whose sshd is broken can't be mended
# through sshd.

readonly SSHD_CONFIG="$ROOT/etc/ssh/sshd_config"
readonly SSHD_DROP_IN="$ROOT/etc/ssh/sshd_config.d/00-postern.conf"
readonly SSHD_CANDIDATE="$STATE/sshd-candidate"
readonly SSHD_BACKUP="$STATE/sshd-before"
readonly SECOND_FACTOR_LINES='auth [success=2 default=ignore] pam_exec.so seteuid quiet /opt/postern/bin/postern-host totp --unenrolled
auth optional pam_echo.so One-time code of %u
auth requisite pam_exec.so seteuid quiet stdout expose_authtok /opt/postern/bin/postern-host totp
auth sufficient pam_permit.so'

sshd_unit() {
  if [[ $OS == debian ]]; then printf ssh; else printf sshd; fi
}

sshd_test() { "$SSHD" -t -f "$SSHD_CONFIG"; }

# sshd_effective [USER [ADDRESS]]: the configuration as sshd itself reads it, Match
# blocks included.
sshd_effective() {
  "$SSHD" -T -f "$SSHD_CONFIG" -C "user=${1:-root},host=client,addr=${2:-203.0.113.1},laddr=${2:-203.0.113.2},lport=22"
}

# keep_known QUERY LIST: of a comma-separated list what the local OpenSSH has.
keep_known() {
  local known name kept=''
  known=$(ssh -Q "$1") || return 1
  for name in ${2//,/ }; do
    if has_line "$known" "$name"; then kept+=",$name"; fi
  done
  printf '%s' "${kept#,}"
}

# knows_option KEYWORD VALUE: does this sshd have the keyword, take the value and
# go by it? One that was built without a feature takes its keyword all the same.
knows_option() {
  local temp effective
  temp=$(mktemp)
  {
    printf 'HostKey %s\n' "$ROOT"/etc/ssh/ssh_host_*_key
    printf '%s %s\n' "$1" "$2"
  } >"$temp"
  effective=$("$SSHD" -T -f "$temp" 2>/dev/null) || effective=
  rm -f "$temp"
  has_line "${effective,,}" "${1,,} ${2,,}"
}

# host_keys BITS KIND ...: the keys to offer, and only their algorithms: HostKey
# adds up over files, so that another file could bring a weak one back.
host_keys() {
  local bits=$1 kind key algorithms=''
  shift
  for kind in "$@"; do
    key="$ROOT/etc/ssh/ssh_host_${kind}_key"
    [[ -f $key ]] || continue
    case $kind in
      ed25519) algorithms+=,ssh-ed25519 ;;
      ecdsa) algorithms+=,ecdsa-sha2-nistp256 ;;
      rsa)
        if (($(ssh-keygen -l -f "$key" | cut -d' ' -f1) < bits)); then
          note "the RSA host key is shorter than $bits bits and not offered"
          continue
        fi
        algorithms+=,rsa-sha2-512,rsa-sha2-256
        ;;
      *) die "sshd.conf: unknown kind of host key $kind" ;;
    esac
    printf 'HostKey %s\n' "$key"
    [[ ! -s $key-cert.pub ]] || printf 'HostCertificate %s\n' "$key-cert.pub"
  done
  # Those of the next version are told to clients that log in, and not used yet.
  for kind in "$@"; do
    key="$ROOT/etc/ssh/ssh_host_${kind}_next_key"
    [[ ! -f $key ]] || printf 'HostKey %s\n' "$key"
  done
  [[ -n $algorithms ]] || die 'there is no host key to offer: in FIPS mode allow the ECDSA one'
  printf 'HostKeyAlgorithms %s\n' "${algorithms#,}"
}

# permit_open COUNT: the targets from the environment, as many as were asked for:
# a value that brought one of its own would make more.
permit_open() {
  local targets
  read -r -a targets <<<"$PERMIT_OPEN"
  ((${#targets[@]} == $1)) || die "$1 targets of forwarding were asked for, but there are ${#targets[@]}: $PERMIT_OPEN"
  printf 'PermitOpen %s\n' "$PERMIT_OPEN"
}

# drop_in: settles the conditional lines of sshd.conf for this host.
drop_in() {
  local line kind keyword value
  while IFS= read -r line; do
    if [[ $line != \?* ]]; then
      printf '%s\n' "$line"
      continue
    fi
    read -r kind keyword value <<<"${line#\?}"
    case $kind in
      opt)
        if knows_option "$keyword" "$value"; then
          printf '%s %s\n' "$keyword" "$value"
        else
          note "this sshd has no $keyword"
        fi
        ;;
      open) permit_open "$keyword" ;;
      host)
        # shellcheck disable=SC2086 # a list of kinds
        host_keys "$keyword" $value
        ;;
      kex | cipher | mac | key-sig)
        value=$(keep_known "$kind" "$value") || value=
        [[ -n $value ]] || die "this sshd has none of the algorithms of $keyword"
        printf '%s %s\n' "$keyword" "$value"
        ;;
      *) die "sshd.conf: unknown condition $kind" ;;
    esac
  done <"$HOST_DIR/sshd.conf"
  if [[ -f $HOST_DIR/banner ]]; then printf 'Banner %s\n' "$ETC/banner"; fi
}

# sshd_includes: is the first keyword of the main file the Include of drop-ins?
sshd_includes() {
  local keyword value
  read -r keyword value < <(grep -vE '^[[:space:]]*(#|$)' "$SSHD_CONFIG") || true
  [[ ${keyword,,} == include && " ${value//\"/} " == *" ${SSHD_DROP_IN%/*}/*.conf "* ]]
}

sshd_save() {
  rm -rf "$SSHD_BACKUP"
  mkdir -p "$SSHD_BACKUP"
  cp -p "$SSHD_CONFIG" "$SSHD_BACKUP/main"
  if [[ -f $SSHD_DROP_IN ]]; then cp -p "$SSHD_DROP_IN" "$SSHD_BACKUP/drop-in"; fi
}

# sshd_restore: puts back what was there.
sshd_restore() {
  UNDO=
  cat "$SSHD_BACKUP/main" >"$SSHD_CONFIG"
  if [[ -f $SSHD_BACKUP/drop-in ]]; then
    cp -p "$SSHD_BACKUP/drop-in" "$SSHD_DROP_IN"
  else
    rm -f "$SSHD_DROP_IN"
  fi
  systemctl try-reload-or-restart "$(sshd_unit)" || true
  note 'the sshd configuration of before was put back'
}

# sshd_differs: the first line of the drop-in that sshd does not go by, for root
# or for another user, or what other files add to it.
sshd_differs() {
  local user effective line keyword
  for user in root nobody; do
    effective=$(sshd_effective "$user") || {
      printf 'sshd -T fails for %s' "$user"
      return
    }
    while IFS= read -r line; do
      [[ -n $line && $line != \#* ]] || continue
      keyword=${line%% *}
      if [[ $keyword == Match ]]; then break; fi
      if ! has_line "${effective,,}" "${line,,}"; then
        printf '%s (for %s sshd has: %s)' "$line" "$user" "$(grep -i "^$keyword " <<<"$effective" | head -n 1)"
        return
      fi
    done <"$SSHD_DROP_IN"
    line=$(grep -i '^allowgroups ' <<<"$effective")
    if [[ $line == *$'\n'* ]]; then
      printf 'AllowGroups (another file lets in more: %s)' "${line//$'\n'/, }"
      return
    fi
  done
  if [[ -n $SECOND_FACTOR ]] && ! has_line "$(sshd_effective "$CHECK_USER" 127.0.0.1)" 'authenticationmethods publickey'; then
    printf 'Match User %s' "$CHECK_USER"
  fi
}

# sshd_environment: what clients may set, in other files too. People's sessions get
# a clean environment anyway.
sshd_environment() {
  local name names
  names=$(sshd_effective | awk 'tolower($1) == "acceptenv" { print $2 }')
  for name in $names; do
    case $name in
      LANG | LANGUAGE | LC_* | XMODIFIERS | COLORTERM | NO_COLOR) ;;
      *) note "another file lets clients set $name: the recorder drops it" ;;
    esac
  done
}

# second_factor: PAM asks for the one-time password where sshd asks PAM at all,
# which is for keyboard-interactive only. The last of our lines ends it, before the
# distribution's ask for a password. If an update of the package took ours away,
# those would ask, and nobody has a password.
second_factor() {
  [[ -n $SECOND_FACTOR ]] || return 0
  first_lines "$ROOT/etc/pam.d/sshd" <<<"$SECOND_FACTOR_LINES"
}

# instance_connect: does sshd ask EC2 Instance Connect for keys? By its own
# configuration (Amazon Linux) or by the command line of its unit (Ubuntu).
instance_connect() {
  { sshd_effective | grep -i '^authorizedkeyscommand ' || systemctl show -p ExecStart "$(sshd_unit)"; } 2>/dev/null \
    | grep -q eic_run_authorized_keys
}

instance_connect_installed() {
  [[ -e $ROOT/opt/aws/bin/eic_run_authorized_keys || -e $ROOT/usr/share/ec2-instance-connect/eic_run_authorized_keys ]]
}

# sshd_folder: sshd writes with which key somebody came in to a file in /tmp, for
# the recorder, and as that person: where the person's programs are not, too, they
# can't change it. It is a file system of its own, which nobody else can fill.
sshd_folder() {
  local unit changed=
  for unit in ssh sshd ssh@ sshd@; do
    put "$ROOT/etc/systemd/system/$unit.service.d/00-postern-tmp.conf" 0644 <<'END'
[Service]
TemporaryFileSystem=/tmp:size=8M,mode=1777
END
    changed+=$CHANGED
  done
  if [[ -n $changed ]]; then RELOAD=yes; fi
}

step_sshd() {
  local differs connect=no changed temp said
  if [[ $OS == debian && ! -d /run/sshd ]]; then mkdir /run/sshd; fi
  [[ -f $SSHD_CONFIG ]] || die "there is no $SSHD_CONFIG"
  if [[ ! -f $ROOT/etc/ssh/ssh_host_ed25519_key ]]; then
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$ROOT/etc/ssh/ssh_host_ed25519_key" || note 'no Ed25519 host key could be made'
  fi
  said=$(sshd_test 2>&1) || die "sshd -t refuses the configuration that was there before: $said"
  if instance_connect; then connect=yes; fi

  if [[ -f $HOST_DIR/banner ]]; then put "$ETC/banner" 0644 <"$HOST_DIR/banner"; fi
  # sshd lets in nobody while the list is missing: the people program fills it.
  [[ -e $ETC/revoked.krl ]] || put "$ETC/revoked.krl" 0644 </dev/null
  second_factor
  sshd_folder
  drop_in >"$SSHD_CANDIDATE"
  sshd_save
  UNDO=sshd_restore
  put "$SSHD_DROP_IN" 0600 <"$SSHD_CANDIDATE"
  changed=$CHANGED
  chmod 0600 "$SSHD_CONFIG" # as Amazon Linux has it, and CIS
  if ! sshd_includes; then
    temp=$(mktemp "$SSHD_CONFIG.XXXXXX")
    cp -p "$SSHD_CONFIG" "$temp"
    {
      printf 'Include %s/*.conf\n' "${SSHD_DROP_IN%/*}"
      cat "$SSHD_CONFIG"
    } >"$temp"
    mv -f "$temp" "$SSHD_CONFIG"
    changed=yes
    note "$SSHD_CONFIG did not begin with an Include of ${SSHD_DROP_IN%/*}: now it does"
  fi

  said=$(sshd_test 2>&1) || die "sshd -t refuses the new configuration: $said"
  differs=$(sshd_differs)
  [[ -z $differs ]] || die "sshd does not go by: $differs"
  if [[ $connect == yes ]] && ! instance_connect; then die 'EC2 Instance Connect would no longer work'; fi
  if [[ -n $changed ]]; then
    systemctl try-reload-or-restart "$(sshd_unit)" || die 'sshd could not be reloaded'
  else
    note 'sshd is configured already'
  fi
  UNDO=
  rm -rf "$SSHD_BACKUP" "$SSHD_CANDIDATE"
  sshd_environment
}
